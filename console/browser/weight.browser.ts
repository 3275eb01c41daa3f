/** How soon something is seen, how much is sent for it, and that nobody else is asked. */

import { gzipSync } from "node:zlib";
import type { Browser, Page, Response } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { ORIGINAL, filled } from "./harness/board";
import { launch, visit } from "./harness/chromium";
import { type Host, endAndErase, startOn } from "./harness/host";
import { PAGES, open } from "./harness/pages";

const FIRST_PAINT_MS = 1_000;
const MOST_BYTES = 300 * 1024;
/** Before the first chart is drawn. */
const MOST_BYTES_FIRST = 60 * 1024;

let host: Host;
let browser: Browser;

beforeAll(async () => {
  [host, browser] = await Promise.all([startOn(inject("warm")), launch()]);
});

afterAll(async () => {
  await browser?.close();
  await endAndErase(host);
});

/** What a file of the page weighs as it is sent. */
async function weightOf(response: Response): Promise<number> {
  const headers = await response.allHeaders();
  const sent = Number(headers["content-length"]);
  if (headers["content-encoding"] === "gzip" && sent > 0) return sent;
  return gzipSync(await response.body(), { level: 9 }).length;
}

const isData = (url: string) => new URL(url).pathname.startsWith("/api/");
const isDrawing = (url: string) => /\/echarts-/.test(url);

/** The files of the page that are sent from now on, by address. */
function watched(page: Page): { weights: () => Promise<Map<string, number>> } {
  const coming = new Map<string, Promise<number>>();
  page.on("response", (response) => {
    const url = response.url();
    if (!/^http/.test(url) || isData(url)) return;
    const path = new URL(url).pathname;
    // Every address of a page is answered with the same file.
    const name = path.startsWith("/assets/") ? path : "/";
    if (!coming.has(name)) coming.set(name, weightOf(response));
  });
  const weights = async () => new Map(await Promise.all([...coming].map(async ([name, weight]) => [name, await weight] as const)));
  return { weights };
}

const sum = (weights: Iterable<number>) => [...weights].reduce((total, weight) => total + weight, 0);
const kib = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`;

function paints(page: Page): Promise<Record<string, number>> {
  return page.evaluate(() =>
    Object.fromEntries(performance.getEntriesByType("paint").map((entry) => [entry.name, Math.round(entry.startTime)])),
  );
}

/** What a deploy needs comes with the first: even one that the host refuses. */
async function deploy(page: Page): Promise<void> {
  await open(page, host.origin, "/functions/aggregate-temperature");
  await page.getByRole("button", { name: "Deploy a component" }).click();
  const dialog = page.locator("dialog[open]");
  await dialog.getByLabel("The component that was built").setInputFiles({ name: "none.wasm", mimeType: "application/wasm", buffer: Buffer.from("none") });
  await dialog.getByRole("button", { name: "Next" }).click();
  await dialog.getByRole("button", { name: "Deploy as a shadow" }).click();
  await dialog.getByText("It was not deployed").waitFor();
}

test("something is painted at once, and little is sent for all there is", async () => {
  const { page, context, problems } = await visit(browser, host.origin, { expected: /status of 400 .*\/deploys/ });
  const { weights } = watched(page);
  await page.goto(host.link, { waitUntil: "commit" });
  const filled_ms = await filled(page, ORIGINAL);
  const painted = await paints(page);
  const first = sum([...(await weights())].filter(([name]) => !isDrawing(name)).map(([, weight]) => weight));
  for (const path of PAGES) await open(page, host.origin, path);
  await deploy(page);
  const sent = await weights();
  const drawing = sum([...sent].filter(([name]) => isDrawing(name)).map(([, weight]) => weight));
  const all = sum(sent.values());
  console.log(`painted after ${painted["first-paint"]} ms, with content after ${painted["first-contentful-paint"]} ms, all charts after ${filled_ms} ms`);
  console.log(`${sent.size} files, ${kib(all)} compressed: ${kib(first)} until the board stands, ${kib(drawing)} to draw charts`);
  expect(painted["first-paint"]).toBeLessThan(FIRST_PAINT_MS);
  expect(painted["first-contentful-paint"]).toBeLessThan(FIRST_PAINT_MS);
  expect(drawing).toBeGreaterThan(0);
  expect(all).toBeLessThan(MOST_BYTES);
  expect(first).toBeLessThan(MOST_BYTES_FIRST);
  // Nothing but this host was asked, though nothing else could have answered.
  expect(problems).toEqual([]);
  await context.close();
});

test("nothing of the page asks for more than itself", async () => {
  const { page, context } = await visit(browser, host.origin, { expected: /status of 401/ });
  const answer = await page.goto(host.origin);
  const policy = (await answer?.allHeaders())?.["content-security-policy"] ?? "";
  expect(policy).toMatch(/default-src 'none'/);
  expect(policy).toMatch(/script-src 'self'(;|$)/);
  expect(policy).not.toMatch(/unsafe|https?:/);
  expect(policy).toMatch(/frame-ancestors 'none'/);
  await page.getByRole("heading", { name: "not signed in" }).waitFor();
  expect(await page.locator("main").innerText()).toContain("isobar open");
  await context.close();
});
