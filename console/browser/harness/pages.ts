/** All pages there are, as one reaches them by address. */

import type { Page } from "playwright-core";
import { until } from "./until";

export const PAGES = [
  "/",
  "/flow",
  "/functions/crawl",
  "/functions/aggregate-temperature",
  "/functions/enrich",
  "/topics",
  "/topics/temperature",
  "/dead-letters",
  "/tables",
  "/tables/daily_temp_data",
  "/tables/meta_data",
  "/tables/station_metadata",
  "/audit",
];

/** A name for files. */
export function nameOf(path: string): string {
  return path.slice(1).replaceAll("/", "-") || "board";
}

/** Opens a page and waits until nothing on it is still on its way. */
export async function open(page: Page, origin: string, path: string): Promise<void> {
  await page.goto(origin + path, { waitUntil: "commit" });
  await settled(page);
}

/** Goes to a page as a link within the page does, without loading it anew. */
export async function follow(page: Page, path: string): Promise<void> {
  await page.evaluate((to) => {
    history.pushState(null, "", to);
    dispatchEvent(new PopStateEvent("popstate"));
  }, path);
  await settled(page);
}

/** Waits until something is there and nothing is loading any more. */
export async function settled(page: Page): Promise<void> {
  const look = () =>
    page.evaluate(() => {
      const main = document.querySelector("main");
      const isLoading = document.querySelector(".loading") !== null;
      const isDrawn = [...document.querySelectorAll(".plot")].every((plot) => {
        const { top, bottom } = plot.getBoundingClientRect();
        return bottom < 0 || top > innerHeight || plot.querySelector("canvas") !== null;
      });
      return { text: main?.innerText.slice(0, 80) ?? "", isLoading, isDrawn };
    });
  await until("the page", look, ({ text, isLoading, isDrawn }) => text !== "" && !isLoading && isDrawn);
}
