/** What one reads without effort: empty tables, numbers with as many digits as one needs, words in place of templates, lines told apart. */

import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { expect, test } from "vitest";
import { card, filled } from "./harness/board";
import { signIn } from "./harness/chromium";
import { APPLICATION, Host, newFolder } from "./harness/host";
import { open } from "./harness/pages";
import { signedIn } from "./harness/signedIn";
import { until } from "./harness/until";

let host: Host;
let browser: Browser;
let page: Page;

signedIn((here) => ({ host, browser, page } = here));

test("what was worked out has a few digits, and all of them where one points at it", async () => {
  await open(page, host.origin, "/tables/yearly_data_temp");
  const cells = await page.locator("td.right").allInnerTexts();
  expect(cells.filter((text) => /\.\d{5}/.test(text))).toEqual([]);
  const rounded = page.locator("td.right span[title]").first();
  const [shown, whole] = [await rounded.innerText(), (await rounded.getAttribute("title")) ?? ""];
  expect(whole.length).toBeGreaterThan(shown.length);
  expect(Number(whole)).toBeCloseTo(Number(shown.replace("\u2212", "-")), 3);
});

test("an address that is left to a variable is told in words", async () => {
  await open(page, host.origin, "/functions/crawl");
  const text = await page.locator("main").innerText();
  expect(text).toContain("may send requests to an address that the operator sets by the variable dwd_url");
  expect(text).not.toContain("{{");
});

test("rows that no filter meets, and a table without rows, are two things", async () => {
  await open(page, host.origin, `/tables/daily_temp_data?where=${encodeURIComponent("station_id = 'none'")}`);
  const rows = page.locator("section.card");
  await until("what is said", () => rows.innerText(), (text) => text.includes("No row meets this."));
  expect(await rows.innerText()).not.toMatch(/Rows \d/);
  const folder = await newFolder();
  const whole = (await readFile(join(APPLICATION, "spin.toml"), "utf8")).replaceAll('source = "target/', `source = "${APPLICATION}/target/`);
  await writeFile(join(folder, "spin.toml"), whole.slice(0, whole.search(/^# -+ demo$/m)));
  const empty = await Host.start(join(folder, "data"), { manifest: join(folder, "spin.toml"), demo: false });
  const { page: other, context } = await signIn(browser, empty.link);
  await open(other, empty.origin, "/tables/station_metadata");
  expect(await other.locator("main").innerText()).toMatch(/The table is empty\./);
  expect(await other.locator("main").innerText()).not.toMatch(/Rows \d|No row meets/);
  await context.close();
  await empty.end();
  await rm(folder, { recursive: true, force: true });
});

test("one line of a chart is shown alone by a click, and all again", async () => {
  await page.goto(`${host.origin}/`);
  await filled(page, ["pressure"]);
  const legend = card(page, "pressure").locator(".legend");
  expect(await legend.getByRole("button").allInnerTexts()).toEqual(["Maximum", "Minimum", "Mean"]);
  expect(await legend.innerText()).toContain("Several days at one point: their highest, lowest and mean");
  const all = await picture();
  await legend.getByRole("button", { name: "Minimum" }).click();
  await until("the drawing", picture, (now) => now !== all);
  expect(await legend.getByRole("button", { name: "Minimum" }).getAttribute("aria-pressed")).toBe("true");
  await filled(page, ["pressure"]);
  await legend.getByRole("button", { name: "Minimum" }).click();
  expect(await legend.getByRole("button", { name: "Minimum" }).getAttribute("aria-pressed")).toBe("false");
});

/** A drawing, to be held against another. */
const picture = () => card(page, "pressure").locator("canvas").first().evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());

test("on a narrow screen the flow goes from above to below, with all that is in it", async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page, host.origin, "/flow");
  const text = await page.locator(".steps").innerText();
  for (const name of ["every-ten-minutes", "crawl", "temperature", "aggregate-temperature", "yearly_data_temp", "enrich", "station_metadata"]) {
    expect(text).toContain(name);
  }
  expect(text.indexOf("crawl")).toBeLessThan(text.indexOf("enrich"));
  const { width, seen } = await page.locator(".steps").evaluate((steps) => ({ width: steps.scrollWidth, seen: document.documentElement.clientWidth }));
  expect(width).toBeLessThanOrEqual(seen);
});
