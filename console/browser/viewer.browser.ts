/** Who views as a viewer sees nothing that is sensitive and is offered nothing that changes something; the host refuses it, too. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { card, filled } from "./harness/board";
import { type Visit, launch, signIn } from "./harness/chromium";
import { type Host, endAndErase, startOn } from "./harness/host";
import { CATCH_UP_MS } from "./harness/limits";
import { PAGES, follow, open } from "./harness/pages";
import { query } from "./harness/rows";
import { type Station, stations } from "./harness/stations";
import { until } from "./harness/until";

const SENSITIVE = ["icao_code", "station_name", "station_height", "latitude", "longitude", "state"];
/** What changes something: whole words of buttons. */
const ACTS = /^(pause|resume|run now|roll back|promote|redrive|drop|deploy|delete|remove)\b/i;
/** What is sensitive and stands in public words, too, or is as short as any number, tells nothing by being found. */
const LEAST_LETTERS = 4;

let host: Host;
let browser: Browser;
let visit: Visit;
let page: Page;
let secrets: string[];
let names: string[];

function secretsOf(all: readonly Station[]): string[] {
  const cells = all.flatMap((row) => SENSITIVE.map((name) => row[name]));
  return [...new Set(cells.filter((cell) => cell !== null).map(String))].filter((text) => text.length >= LEAST_LETTERS);
}

/** Sensitive values anywhere in the page: in its text, in what is said to who hears it, and in tips. */
async function leaks(): Promise<string[]> {
  const html = await page.evaluate(() => document.documentElement.outerHTML.replaceAll(/[\u202f\u2068\u2069]/g, ""));
  return secrets.filter((secret) => html.includes(secret));
}

beforeAll(async () => {
  [host, browser] = await Promise.all([startOn(inject("warm")), launch()]);
  const known = await stations(host);
  [secrets, names] = [secretsOf(known), known.map((row) => String(row["station_name"]))];
  visit = await signIn(browser, host.link, { expected: /status of 403/ });
  page = visit.page;
});

afterAll(async () => {
  await browser?.close();
  await endAndErase(host);
  expect(visit.problems).toEqual([]);
});

test("the owner sees names and places", async () => {
  await filled(page, ["metadata", "max"]);
  expect(await leaks()).toEqual(expect.arrayContaining(names));
  expect(await card(page, "map").locator("circle.dot").count()).toBeGreaterThan(1);
});

test("the board of a viewer has figures and no names, and says so", async () => {
  await page.getByRole("button", { name: "View as viewer" }).click();
  await page.getByRole("button", { name: "Stop viewing as viewer" }).waitFor();
  await filled(page);
  await until("sensitive values", leaks, (found) => found.length === 0);
  expect(await card(page, "map").innerText()).toContain("hidden");
  expect(await card(page, "metadata").innerText()).toMatch(/Hidden.*Name/s);
  expect(await page.locator(".chosen strong").innerText()).toMatch(/^\d{5}$/);
});

test.each(PAGES)("%s tells a viewer nothing sensitive and offers no action", async (path) => {
  await follow(page, path);
  await page.getByRole("button", { name: "Stop viewing as viewer" }).waitFor();
  expect(await leaks()).toEqual([]);
  const buttons = await page.locator("button, a.button, input[type=submit]").allInnerTexts();
  expect(buttons.filter((text) => ACTS.test(text.trim()))).toEqual([]);
});

const PRIVATE = [
  "tables/station_metadata/rows?sensitive=true",
  "tables/station_metadata/rows",
  "tables/meta_data/rows?sensitive=true",
  "tables/meta_data/rows?columns=station_name&sensitive=true",
  "tables/meta_data/export?format=csv&sensitive=true",
  "functions/enrich/dead-letters?sensitive=true",
  "functions/enrich/state?sensitive=true",
];

test.each(PRIVATE)("the host refuses a viewer %s", async (path) => {
  const answer = await visit.context.request.get(`${host.origin}/api/v1/${path}`);
  expect(answer.status()).toBe(403);
  expect(secrets.filter((secret) => answer.statusText().includes(secret))).toEqual([]);
});

test.each(["pause", "resume", "rollback", "shadow/drop", "dead-letters/drop"])("the host refuses a viewer to %s", async (action) => {
  const data = action.startsWith("dead-letters") ? { offsets: [] } : {};
  const address = `${host.origin}/api/v1/functions/enrich/${action}`;
  const answer = await visit.context.request.post(address, { data, headers: { "x-isobar-page": "1" } });
  expect(answer.status()).toBe(403);
});

test("what a viewer may read holds nothing sensitive", async () => {
  const answer = await visit.context.request.get(`${host.origin}/api/v1/tables/meta_data/rows`);
  const text = await answer.text();
  expect(answer.status()).toBe(200);
  expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
});

test("the owner is back with one click", async () => {
  await open(page, host.origin, "/");
  await page.getByRole("button", { name: "Stop viewing as viewer" }).click();
  const [first] = await query(host, "meta_data", "station_id != ''", "--sensitive");
  await until("the name", () => page.locator(".chosen strong").innerText(), (name) => name === first?.["station_name"], CATCH_UP_MS);
});
