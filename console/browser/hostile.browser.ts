/** A name that is markup, script and a change of direction: it is shown as it is, and does nothing. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { card, filled, upright } from "./harness/board";
import { type Visit, launch, signIn } from "./harness/chromium";
import { type Host, endAndErase, startOn } from "./harness/host";
import { CATCH_UP_MS } from "./harness/limits";
import { open } from "./harness/pages";
import { download, parseCsv } from "./harness/rows";
import { type Station, load, stations } from "./harness/stations";
import { until } from "./harness/until";

const RIGHT_TO_LEFT = "\u202e";
const NAME = `<img src=x onerror=alert(1)>"'&${RIGHT_TO_LEFT}<script>window.hacked=1</script>`;
const FORMULA = "=1+1";

let host: Host;
let browser: Browser;
let visit: Visit;
let page: Page;
let station: Station;
let other: Station;

declare global {
  interface Window {
    hacked?: number;
    /** Texts that were written into pictures. */
    painted: string[];
  }
}

beforeAll(async () => {
  [host, browser] = await Promise.all([startOn(inject("warm")), launch()]);
  [station, other] = (await stations(host)) as [Station, Station];
  await load(host, { ...station, station_name: NAME, state: FORMULA });
  visit = await signIn(browser, host.link);
  page = visit.page;
  await page.addInitScript(() => {
    window.painted = [];
    const paint = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text: string, ...where) {
      window.painted.push(text);
      paint.call(this, text, ...(where as [number, number]));
    };
  });
});

afterAll(async () => {
  await browser?.close();
  await endAndErase(host);
  expect(visit.problems).toEqual([]);
});

const plain = (text: string) => text.replace(/[\u2066-\u2069]/g, "");

/** What of the name came to life: nothing should. */
const lively = () =>
  page.evaluate(() => ({
    hacked: window.hacked ?? 0,
    elements: document.querySelectorAll("img, main script, [onerror]").length,
  }));

/** Texts beside the name, or after it in the same piece, whose letters run from right to left. */
function turned(): Promise<string[]> {
  return page.evaluate((mark) => {
    const found: string[] = [];
    const left = (node: Text, at: number) => {
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const [box] = range.getClientRects();
      return box && { x: box.left, line: box.top };
    };
    const walk = document.createTreeWalker(document.querySelector("#page")!, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode() as Text | null; node; node = walk.nextNode() as Text | null) {
      const end = "</script>";
      const from = node.data.includes(mark) ? node.data.lastIndexOf(end) + end.length : 0;
      const word = /[A-Za-z0-9]{3,}/.exec(node.data.slice(from));
      if (!word) continue;
      const [first, second] = [left(node, from + word.index), left(node, from + word.index + 1)];
      if (first && second && first.line === second.line && second.x < first.x) found.push(node.data);
    }
    return found;
  }, RIGHT_TO_LEFT);
}

async function harmless(): Promise<void> {
  expect(await lively()).toEqual({ hacked: 0, elements: 0 });
  expect(await turned()).toEqual([]);
}

test("the board shows it as it is", async () => {
  await page.goto(`${host.origin}/?subject=${station.station_id}`);
  await until("the name", () => page.locator(".chosen strong").innerText(), (text) => plain(text) === NAME, CATCH_UP_MS);
  await filled(page);
  expect(plain(await upright(page, "metadata", "Name"))).toBe(NAME);
  await harmless();
});

test("the search finds and shows it", async () => {
  await page.locator("[data-search]").click();
  await page.keyboard.type("<img");
  const option = page.locator(".picker [role=option]").first();
  expect(plain(await option.innerText())).toBe(`${NAME} ${station.station_id}`);
  await harmless();
  await page.keyboard.press("Escape");
  await page.keyboard.type("<nothing>&amp;");
  await until("what is said", () => page.locator(".picker").first().innerText(), (text) => text.includes("<nothing>&amp;"));
  await page.keyboard.press("Escape");
});

test("the map names it", async () => {
  const dot = card(page, "map").locator("circle.dot").first();
  await dot.hover();
  const label = (await card(page, "map").locator("circle.dot").evaluateAll((dots) => dots.map((one) => one.getAttribute("aria-label") ?? ""))).map(plain);
  expect(label.some((text) => text.startsWith(`${NAME} (${station.station_id})`))).toBe(true);
  await harmless();
});

test("two beside each other do not turn their neighbours around", async () => {
  await page.goto(`${host.origin}/?subject=${station.station_id}&with=${other.station_id}&daily-mean=years`);
  await filled(page, ["daily-mean", "pressure", "yearly", "max", "above-20"]);
  await harmless();
  await page.goto(`${host.origin}/?subject=${other.station_id}&with=${station.station_id}&period=dates&from=1900-01-01&to=1900-01-02`);
  await until("what is missing", () => card(page, "pressure").innerText(), (text) => text.includes("No figures of"));
  await harmless();
});

test.each(["meta_data", "station_metadata"])("the table %s shows it as it is", async (table) => {
  await open(page, host.origin, `/tables/${table}`);
  const cells = await page.locator("td").allInnerTexts();
  expect(cells.map(plain)).toContain(NAME);
  await harmless();
});

test("downloads hold it as it is, and no formula", async () => {
  await page.goto(`${host.origin}/?subject=${station.station_id}`);
  await filled(page, ["metadata", "max"]);
  const [head, row] = parseCsv((await download(page, "metadata", "Download CSV")).bytes.toString("utf8"));
  expect(row?.[head?.indexOf("Name") ?? -1]).toBe(NAME);
  expect(row?.[head?.indexOf("State") ?? -1]).toBe(`'${FORMULA}`);
  for (const id of ["metadata", "max"]) {
    const { name, bytes } = await download(page, id, "Download PNG");
    expect(name).toMatch(new RegExp(`^weather_${id}_${station.station_id}.*\\.png$`));
    expect(bytes.subarray(1, 4).toString()).toBe("PNG");
  }
  await harmless();
});

test("in pictures, it does not turn around what stands beside it", async () => {
  const painted = await page.evaluate(() => window.painted);
  const named = painted.filter((text) => text.includes(RIGHT_TO_LEFT));
  expect(named.length).toBeGreaterThan(0);
  const open = /\u202e[^\u2069]*$/;
  // Where something follows the name, it is held apart.
  expect(named.filter((text) => !text.endsWith("</script>") && open.test(text))).toEqual([]);
});
