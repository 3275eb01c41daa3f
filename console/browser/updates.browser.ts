/** How long it takes from a commit until one sees it. */

import { setTimeout as pause } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { chooseSubject, filled } from "./harness/board";
import { type Visit, launch, signIn } from "./harness/chromium";
import { type Host, endAndErase, startOn } from "./harness/host";
import { UPDATE_MS } from "./harness/limits";
import { type Station, load, stations } from "./harness/stations";
import { until } from "./harness/until";

const LOADS = 5;
const COMMITS = 6;
/** How often it is asked what is committed. */
const ASK_MS = 20;
const WATCHED_MS = 20_000;

let host: Host;
let browser: Browser;
let visit: Visit;
let station: Station;

beforeAll(async () => {
  [host, browser] = await Promise.all([startOn(inject("warm")), launch()]);
  [visit, station] = [await signIn(browser, host.link), (await stations(host))[0]!];
});

afterAll(async () => {
  await browser?.close();
  await endAndErase(host);
  expect(visit.problems).toEqual([]);
});

declare global {
  interface Window {
    /** When a text was seen first, in milliseconds since the Unix epoch. */
    seen: Record<string, number>;
  }
}

/** Notes from now on when a text that meets `pattern` is on the page for the first time. */
function note(page: Page, within: string, pattern: string): Promise<void> {
  return page.evaluate(
    ([selector, source]) => {
      window.seen = {};
      const look = () => {
        for (const [text] of document.querySelector(selector!)?.textContent?.matchAll(new RegExp(source!, "g")) ?? []) {
          window.seen[text] ??= Date.now();
        }
      };
      new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
      look();
    },
    [within, pattern],
  );
}

const seenOf = (page: Page) => page.evaluate(() => window.seen);

function say(what: string, times: number[]): void {
  const sorted = [...times].sort((a, b) => a - b);
  console.log(`${what}: median ${sorted[Math.floor(sorted.length / 2)]} ms, at most ${sorted.at(-1)} ms, of ${sorted.length}`);
}

/** Another window of who is in already. */
async function another(address: string): Promise<Page> {
  const page = await visit.context.newPage();
  await page.goto(address, { waitUntil: "commit" });
  return page;
}

test("rows that are loaded are on the table's page at once", async () => {
  const { page } = visit;
  await page.goto(`${host.origin}/tables/station_metadata`);
  await page.getByRole("cell", { name: station.station_id, exact: true }).waitFor();
  await until("the health line", () => page.locator(".health .live").innerText(), (text) => text === "live");
  await note(page, "main", "MARK\\d");
  const times: number[] = [];
  for (let turn = 0; turn < LOADS; turn++) {
    const [began] = await load(host, { ...station, icao_code: `MARK${turn}` });
    const seen = await until(`MARK${turn}`, async () => (await seenOf(page))[`MARK${turn}`], (at) => at !== undefined);
    times.push(seen! - began);
  }
  say("from the start of a load to its sight", times);
  expect(Math.max(...times)).toBeLessThan(UPDATE_MS);
});

test("what is written while a page comes up is not missed", async () => {
  // Nobody else looks: the host begins to tell what is written with this page.
  await visit.page.goto("about:blank");
  const page = await another(`${host.origin}/tables/station_metadata`);
  await page.getByRole("cell", { name: station.station_id, exact: true }).waitFor();
  await load(host, { ...station, icao_code: "EARLY" });
  await page.getByRole("cell", { name: "EARLY", exact: true }).waitFor();
  await page.close();
});

interface Commit {
  value: number;
  /** When it was known that it is not there yet. */
  after: number;
}

/** Asks for a figure until `enough` new values of it are committed; each happened after the time beside it. */
async function commits(enough: number): Promise<Commit[]> {
  const { context } = visit;
  const address = `${host.origin}/api/v1/tables/meta_data/rows?columns=entry_count&where=${encodeURIComponent(`station_id = '${station.station_id}'`)}`;
  const found: Commit[] = [];
  const last = Date.now() + WATCHED_MS;
  let before: number | undefined;
  for (let asked = Date.now(); found.length < enough && asked < last; ) {
    const now = Date.now();
    const { rows } = (await (await context.request.get(address)).json()) as { rows: string[][] };
    const value = Number(rows[0]?.[0]);
    if (before !== undefined && value !== before) found.push({ value, after: asked });
    [before, asked] = [value, now];
    await pause(ASK_MS);
  }
  return found;
}

test("what the stream writes is on the board at once", async () => {
  const { page } = visit;
  await page.goto(`${host.origin}/`);
  await filled(page, ["metadata"]);
  await chooseSubject(page, station.station_id);
  // The number stands with thin spaces between its groups.
  await note(page, "#metadata", "\\d{3}\\u202f\\d{3}");
  const written = await commits(COMMITS);
  expect(written.length).toBe(COMMITS);
  const shown = async () => Object.entries(await seenOf(page)).map(([text, at]) => [Number(text.replace("\u202f", "")), at] as const);
  const values = await until("figures on the board", shown, (all) => all.some(([value]) => value >= written.at(-1)!.value));
  const times = written.map(({ value, after }) => Math.min(...values.filter(([one]) => one >= value).map(([, at]) => at)) - after);
  say("from a commit of the stream to its sight", times);
  expect(Math.max(...times)).toBeLessThan(UPDATE_MS);
});
