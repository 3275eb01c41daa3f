/** The board, twenty seconds after it was opened: filled, and moving. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { filled, upright } from "./harness/board";
import { type Visit, launch, signIn } from "./harness/chromium";
import { type Host, endAndErase, startOn } from "./harness/host";
import { END_MS, FILLED_MS } from "./harness/limits";
import { until } from "./harness/until";

const LEAST_UPDATES = 3;

let host: Host;
let browser: Browser;
let visit: Visit;

beforeAll(async () => {
  host = await startOn(inject("warm"));
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  if (host && !host.hasEnded) await endAndErase(host);
});

/** What a figure showed, one after the other. */
async function figures(page: Page, many: number, timeout: number): Promise<string[]> {
  const seen: string[] = [];
  const look = async () => {
    const now = await upright(page, "metadata", "Valid readings");
    if (now !== seen.at(-1)) seen.push(now);
    return seen.length;
  };
  await until("how many figures were shown", look, (shown) => shown >= many, timeout);
  return seen;
}

test("all charts of the original are filled, and the board moves", async () => {
  const began = performance.now();
  const left = () => FILLED_MS - (performance.now() - began);
  visit = await signIn(browser, host.link);
  const { page } = visit;
  await filled(page, undefined, left());
  const filled_ms = Math.round(performance.now() - began);
  const seen = await figures(page, LEAST_UPDATES + 1, left());
  await until("the health line", () => page.locator(".health .live").innerText(), (text) => text === "live", left());
  console.log(`filled ${filled_ms} ms after the link was opened; after ${Math.round(performance.now() - began)} ms it had shown ${seen.join(", ")}`);
  expect(visit.problems).toEqual([]);
});

test("the address holds no code once one is in, and the link is good once", async () => {
  expect(visit.page.url()).not.toContain("sign-in");
  const other = await browser.newContext();
  const again = await other.request.post(`${host.origin}/api/v1/session`, {
    data: { code: host.link.split("=").at(-1) },
    headers: { "x-isobar-page": "1" },
  });
  expect(again.status()).toBe(401);
  await other.close();
});

test("the host ends at once when it is told to", async () => {
  const ended = await endAndErase(host);
  console.log(`the host ended after ${ended.took_ms} ms`);
  expect(ended).toMatchObject({ code: 0, signal: null });
  expect(ended.took_ms).toBeLessThan(END_MS);
});
