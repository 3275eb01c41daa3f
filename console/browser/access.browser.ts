/** Every page by the rules for access (axe), light and dark: nothing serious. */

import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { expect, test } from "vitest";
import { filled } from "./harness/board";
import type { Host } from "./harness/host";
import { PAGES, follow, open } from "./harness/pages";
import { signedIn } from "./harness/signedIn";

const GRAVE = ["serious", "critical"];

let host: Host;
let browser: Browser;
let page: Page;

signedIn((here) => ({ host, browser, page } = here));

interface Found {
  violations: { id: string; impact?: string | null; nodes: { html: string; failureSummary?: string }[] }[];
}

/** What is grave, each with where it is. */
async function grave(): Promise<string[]> {
  // By the browser's own door: the page's policy lets no other script in.
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")) as Found;
  const found = violations.filter(({ impact }) => GRAVE.includes(impact ?? ""));
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html.slice(0, 160)} ${node.failureSummary ?? ""}`).slice(0, 3).join(" | ")}`);
}

const PLACES = (["light", "dark"] as const).flatMap((colours) => PAGES.map((path) => ({ colours, path })));

test.each(PLACES)("$path, $colours", async ({ colours, path }) => {
  await page.emulateMedia({ colorScheme: colours, reducedMotion: "reduce" });
  await follow(page, path);
  if (path === "/") await filled(page);
  expect(await grave()).toEqual([]);
});

test("what is asked before something is done", async () => {
  await open(page, host.origin, "/functions/aggregate-temperature");
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.locator("dialog[open]").waitFor();
  expect(await grave()).toEqual([]);
});

test("what is asked before a component is deployed", async () => {
  await open(page, host.origin, "/functions/aggregate-temperature");
  await page.getByRole("button", { name: "Deploy a component" }).click();
  await page.locator("dialog[open] input[type=file]").first().waitFor();
  expect(await grave()).toEqual([]);
  await page.getByRole("button", { name: "Next" }).click();
  await page.locator("dialog[open] .failure", { hasText: "choose the component" }).waitFor();
  expect(await grave()).toEqual([]);
});

test("the flow on a narrow screen", async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page, host.origin, "/flow");
  await page.locator(".steps").waitFor();
  expect(await grave()).toEqual([]);
});

test("who is not signed in", async () => {
  const stranger = await browser.newContext();
  const page = await stranger.newPage();
  await page.goto(host.origin);
  await page.getByRole("heading", { name: "not signed in" }).waitFor();
  await stranger.close();
});
