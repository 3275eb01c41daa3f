/** The board as one looks at it: its cards, whether they are filled, and what they say. */

import type { Locator, Page } from "playwright-core";
import { SHOW_MS } from "./limits";
import { until } from "./until";

/** The charts that the board is to take the place of. */
export const ORIGINAL = ["metadata", "yearly", "daily-mean", "max", "min", "above-20", "below-0", "pressure", "humidity"];
/** Of these, what is drawn; the others are tables. */
export const DRAWN = ["daily-mean", "max", "min", "above-20", "below-0", "pressure", "humidity"];
/** So many dots of colour are no accident. */
const LEAST_INK = 100;

export function card(page: Page, id: string): Locator {
  return page.locator(`section.card#${id}`);
}

/** Dots of a drawing that have a colour of their own: neither its ground nor the greys of its axes. */
function ink(canvas: Locator): Promise<number> {
  return canvas.evaluate((element) => {
    const { width, height } = element as HTMLCanvasElement;
    const dots = (element as HTMLCanvasElement).getContext("2d")?.getImageData(0, 0, width, height).data ?? [];
    let many = 0;
    for (let at = 0; at < dots.length; at += 4) {
      const [red, green, blue, alpha] = [dots[at]!, dots[at + 1]!, dots[at + 2]!, dots[at + 3]!];
      if (alpha > 0 && Math.max(red, green, blue) - Math.min(red, green, blue) > 40) many += 1;
    }
    return many;
  });
}

/** Why a chart is not filled; empty once it is. */
async function lacks(page: Page, id: string): Promise<string> {
  const chart = card(page, id);
  if ((await chart.count()) === 0) return "no card";
  await chart.scrollIntoViewIfNeeded();
  const told = await chart.locator(".state").allInnerTexts();
  if (told.length > 0) return told.join(" ");
  if (!DRAWN.includes(id)) return (await chart.locator("td", { hasText: /\d/ }).count()) > 0 ? "" : "no figure in its table";
  const canvas = chart.locator(".plot canvas").first();
  if ((await canvas.count()) === 0) return "no drawing";
  return (await ink(canvas)) >= LEAST_INK ? "" : "an empty drawing";
}

/** Waits until charts are filled, though perhaps with what was there before; gives how long that took. */
export async function stillFilled(page: Page, ids: readonly string[], timeout = SHOW_MS): Promise<number> {
  const began = performance.now();
  for (const id of ids) {
    await until(`the chart ${id}`, () => lacks(page, id), (what) => what === "", timeout - (performance.now() - began));
  }
  return Math.round(performance.now() - began);
}

/** As `stillFilled`, with what is there now. */
export async function filled(page: Page, ids: readonly string[] = ORIGINAL, timeout = SHOW_MS): Promise<number> {
  const took = await stillFilled(page, ids, timeout);
  await until("what is old", () => page.locator(".stale").allInnerTexts(), (told) => told.length === 0, timeout - took);
  return took;
}

/** A figure of an upright table, by its label. */
export async function upright(page: Page, id: string, label: string): Promise<string> {
  const row = card(page, id).locator("tr").filter({ has: page.locator("th", { hasText: new RegExp(`^${label}`) }) });
  return row.locator("td").first().innerText();
}

/** Chooses something of the menu of a card. */
export async function choose(page: Page, id: string, title: string): Promise<void> {
  const menu = card(page, id).locator("details.menu");
  await menu.locator("summary").click();
  await menu.getByRole("button", { name: title, exact: true }).click();
}

/** Chooses a subject by typing into the search and clicking what is found. */
export async function chooseSubject(page: Page, key: string): Promise<void> {
  await page.locator("[data-search]").click();
  await page.keyboard.type(key);
  await page.getByRole("option").filter({ hasText: key }).click();
  await until("what is chosen", () => new URL(page.url()).searchParams.get("subject"), (chosen) => chosen === key);
}

export interface Shown {
  head: string[];
  rows: string[][];
}

/** The cells of a table on the page, as they are read. */
export function tableOf(table: Locator): Promise<Shown> {
  return table.evaluate((element) => {
    const texts = (row: Element) => Array.from(row.querySelectorAll("th, td"), (cell) => cell.textContent ?? "");
    const [head, ...rows] = Array.from(element.querySelectorAll("tr"), texts);
    return { head: head ?? [], rows };
  });
}

/** A number as people read it, as the data have it; null for a dash. */
export function numberOf(text: string): number | null {
  const plain = text.replace(/[\u202f\u00a0\s]/g, "").replace("\u2212", "-").replace(/[^0-9.eE+-]+$/, "");
  if (plain === "" || plain === "–") return null;
  return Number(plain);
}
