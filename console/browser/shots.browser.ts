/** Pictures of all pages, to be looked at; and that no page is wider than what it is shown on. */

import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { filled, stillFilled } from "./harness/board";
import { type Visit, type VisitOptions, launch, signIn } from "./harness/chromium";
import { APPLICATION, Host, endAndErase, newFolder, startOn } from "./harness/host";
import { SHOW_MS } from "./harness/limits";
import { PAGES, follow, nameOf } from "./harness/pages";
import { until } from "./harness/until";

const SHOTS = resolve(import.meta.dirname, "shots");
const WIDE = { width: 1400, height: 900 };
const NARROW = { width: 390, height: 844 };

let host: Host;
let browser: Browser;

beforeAll(async () => {
  await rm(SHOTS, { recursive: true, force: true });
  await mkdir(SHOTS, { recursive: true });
  [host, browser] = await Promise.all([startOn(inject("warm")), launch()]);
});

afterAll(async () => {
  await browser?.close();
  if (host && !host.hasEnded) await endAndErase(host);
});

async function shoot(page: Page, name: string): Promise<void> {
  // What stays in sight while one scrolls stands where it belongs.
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

interface Widths {
  page: number;
  screen: number;
  /** What reaches over the edge, for who mends it. */
  over: string[];
}

function widths(page: Page): Promise<Widths> {
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const scrolls = (one: Element | null): boolean =>
      one !== null && one !== document.body && (getComputedStyle(one).overflowX !== "visible" || scrolls(one.parentElement));
    const isOver = (one: Element) => one.getBoundingClientRect().right > clientWidth + 1 && !scrolls(one.parentElement);
    const over = scrollWidth <= clientWidth ? [] : [...document.querySelectorAll("#page *")].filter(isOver);
    return { page: scrollWidth, screen: clientWidth, over: over.slice(0, 5).map((one) => one.outerHTML.slice(0, 120)) };
  });
}

async function fits(page: Page): Promise<void> {
  const { page: width, screen, over } = await widths(page);
  expect(width, `the width of ${new URL(page.url()).pathname}, for ${over.join(", ")}`).toBeLessThanOrEqual(screen);
}

/** The machine's pages have something to say once the stream has told it. */
async function isTold(page: Page): Promise<void> {
  await until("the health line", () => page.locator(".health").innerText(), (text) => /live/.test(text) && /\d events/.test(text));
}

async function shootAll(visit: Visit, name: string): Promise<void> {
  const { page } = visit;
  await isTold(page);
  for (const path of PAGES) {
    await follow(page, path);
    if (path === "/") await filled(page);
    await fits(page);
    await shoot(page, `${name}-${nameOf(path)}`);
  }
  expect(visit.problems).toEqual([]);
  await visit.context.close();
}

const SIGHTS: { name: string; options: VisitOptions }[] = [
  { name: "wide", options: { viewport: WIDE } },
  { name: "narrow", options: { viewport: NARROW, isMobile: true, hasTouch: true, deviceScaleFactor: 2 } },
  { name: "dark", options: { viewport: WIDE, colorScheme: "dark" } },
];

test.each(SIGHTS)("$name", async ({ name, options }) => {
  await shootAll(await signIn(browser, await host.open(), options), name);
});

test("two stations, years over each other", async () => {
  const { page, context, problems } = await signIn(browser, await host.open());
  await page.goto(`${host.origin}/?subject=00117&with=00011&daily-mean=years`);
  await filled(page);
  await fits(page);
  await shoot(page, "wide-two");
  expect(problems).toEqual([]);
  await context.close();
});

test("viewer", async () => {
  const visit = await signIn(browser, await host.open(), { expected: /status of 403/ });
  await visit.page.getByRole("button", { name: "View as viewer" }).click();
  await visit.page.getByRole("button", { name: "Stop viewing as viewer" }).waitFor();
  await shootAll(visit, "viewer");
});

/** A part of the manifest, from one headline to another. */
const partOf = (manifest: string, from: string, to: string) =>
  manifest.slice(manifest.search(new RegExp(`^# -+ ${from}$`, "m")), manifest.search(new RegExp(`^# -+ ${to}$`, "m")));

/** The application without what brings data: nothing comes to it, and it asks nobody. */
async function smallApplication(): Promise<string> {
  const folder = await newFolder();
  for (const file of ["dashboard.toml", "germany.geojson"]) await cp(join(APPLICATION, file), join(folder, file));
  const whole = (await readFile(join(APPLICATION, "spin.toml"), "utf8")).replaceAll('source = "target/', `source = "${APPLICATION}/target/`);
  const demo = whole.slice(whole.search(/^# -+ demo$/m));
  await writeFile(join(folder, "spin.toml"), whole.replace(demo, "").replace(partOf(whole, "crawl", "aggregate-temperature"), ""));
  return folder;
}

test("empty", async () => {
  const folder = await smallApplication();
  const empty = await Host.start(join(folder, "data"), { manifest: join(folder, "spin.toml"), demo: false });
  const { page, context, problems } = await signIn(browser, empty.link);
  await until("the board", () => page.locator("main").innerText(), (text) => text.includes("No station yet."));
  expect(await page.locator(".health").innerText()).not.toMatch(/try \d/);
  await isTold(page);
  for (const path of PAGES) {
    await follow(page, path);
    await fits(page);
    await shoot(page, `empty-${nameOf(path)}`);
  }
  expect(problems).toEqual([]);
  await context.close();
  expect((await empty.end()).code).toBe(0);
  await rm(folder, { recursive: true, force: true });
});

/** At any size, what is told of old figures stands in a place of its own, and what one can press is reached. */
async function coversNothing(page: Page): Promise<void> {
  for (const size of [WIDE, { width: 700, height: 700 }, NARROW]) {
    await page.setViewportSize(size);
    await page.evaluate(() => scrollTo(0, 0));
    const covered = await page.evaluate(() => {
      const { top, bottom } = document.querySelector(".health")!.getBoundingClientRect();
      const isUnder = (one: Element) => one.getBoundingClientRect().top < bottom && one.getBoundingClientRect().bottom > top;
      return [...document.querySelectorAll("header.top, main")].filter(isUnder).length;
    });
    expect(covered, `what it covers at ${size.width}`).toBe(0);
    await fits(page);
  }
  await page.setViewportSize(WIDE);
}

test("failed: the host ends while the page is open, and what was seen stays", async () => {
  const { page, context } = await signIn(browser, await host.open(), { expected: /Failed to load resource|ERR_/ });
  await filled(page);
  expect((await endAndErase(host)).code).toBe(0);
  await until("the health line", () => page.locator(".health .live").innerText(), (text) => text.includes("not live"), SHOW_MS);
  await stillFilled(page, ["daily-mean", "max"]);
  const health = page.locator(".health");
  await until("that it is old", () => health.innerText(), (text) => /Not as it is now: the host does not answer/.test(text));
  await coversNothing(page);
  await shoot(page, "failed-board");
  await page.locator("nav a", { hasText: "Topics" }).click();
  await until("the page", () => page.locator("main").innerText(), (text) => text.includes("does not answer"));
  expect(await page.locator("main").innerText()).toContain("isobar up");
  await until("what is known", () => health.innerText(), (text) => /not known whether anything is wrong/.test(text));
  expect(await health.innerText()).not.toMatch(/nothing wrong|\d events/);
  await shoot(page, "failed-topics");
  await context.close();
});
