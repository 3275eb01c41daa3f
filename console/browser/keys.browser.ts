/** Everything by keys: from the link to a station, to a function, and back. */

import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { filled } from "./harness/board";
import { signedIn } from "./harness/signedIn";
import { until } from "./harness/until";

/** No page has so many places that one would not find what one looks for. */
const MOST_STOPS = 80;

let page: Page;

signedIn((here) => ({ page } = here));

interface Focus {
  tag: string;
  text: string;
  /** Whether one sees where it is: by an outline, on a place that is in sight. */
  isShown: boolean;
}

function focus(): Promise<Focus> {
  return page.evaluate(() => {
    const element = document.activeElement ?? document.body;
    const style = getComputedStyle(element);
    const { width, height, bottom, top } = element.getBoundingClientRect();
    const isOutlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
    // In a drawing, the edge of a box stands for the outline.
    const edge = element instanceof SVGElement ? getComputedStyle(element.querySelector("rect") ?? element) : null;
    const isEdged = edge !== null && edge.stroke !== "none" && parseFloat(edge.strokeWidth) >= 2;
    return {
      tag: element.tagName.toLowerCase(),
      text: (element.getAttribute("aria-label") ?? element.textContent ?? "").slice(0, 60),
      isShown: (isOutlined || isEdged) && width > 0 && height > 0 && bottom > 0 && top < innerHeight,
    };
  });
}

async function press(...keys: string[]): Promise<void> {
  for (const key of keys) await page.keyboard.press(key);
}

/** Goes on by Tab until a place is reached; each on the way must be seen. */
async function tabTo(what: RegExp): Promise<Focus> {
  for (let stop = 0; stop < MOST_STOPS; stop++) {
    await press("Tab");
    const now = await focus();
    expect(now.tag).not.toBe("body");
    expect(now, `the focus at ${now.tag} ${now.text}`).toMatchObject({ isShown: true });
    if (what.test(now.text)) return now;
  }
  throw new Error(`${what} is not reached by ${MOST_STOPS} times Tab`);
}

const path = () => new URL(page.url()).pathname;

async function arrived(at: string): Promise<void> {
  await until("the address", path, (now) => now === at);
  await page.locator("main h1").waitFor({ state: "attached" });
  const { tag } = await focus();
  expect(tag).not.toBe("body");
}

test("a station is found by `/`, arrows and Enter", async () => {
  await filled(page, ["max"]);
  await press("/");
  expect((await focus()).text).toMatch(/^Choose: /);
  await press("ArrowDown", "ArrowDown");
  const marked = await page.locator("[role=option][aria-selected=true]").innerText();
  await press("Enter");
  const chosen = () => page.locator(".chosen strong").innerText();
  await until("what is chosen", chosen, (name) => marked.startsWith(name));
  expect((await focus()).tag).not.toBe("body");
});

test("`g f` leads to the flow, and Tab and Enter to a function", async () => {
  await press("g", "f");
  await arrived("/flow");
  await tabTo(/^aggregate-temperature/);
  await press("Enter");
  await arrived("/functions/aggregate-temperature");
  expect(await page.title()).toContain("aggregate-temperature");
});

test("what is asked before something is done is left by Escape, with the focus where it was", async () => {
  await page.getByRole("button", { name: "Pause", exact: true }).waitFor();
  await tabTo(/^Pause$/);
  await press("Enter");
  await page.locator("dialog[open]").waitFor();
  expect((await focus()).tag).toBe("button");
  await press("Escape");
  await page.locator("dialog[open]").waitFor({ state: "detached" });
  expect((await focus()).text).toBe("Pause");
});

test("the way back leads to the flow and to the board as it was", async () => {
  await page.goBack();
  await arrived("/flow");
  await page.goBack();
  await arrived("/");
  await filled(page, ["max"]);
  expect(new URL(page.url()).searchParams.get("subject")).not.toBeNull();
});

test("`?` lists the keys, and each leads where it says", async () => {
  await press("?");
  expect(await page.locator("dialog[open]").innerText()).toMatch(/Keys[^]*Flow/);
  await press("Escape");
  const pages = { t: "/topics", d: "/dead-letters", b: "/tables", a: "/audit", w: "/" };
  for (const [key, at] of Object.entries(pages)) {
    await press("g", key);
    await arrived(at);
  }
});

test("letters that are typed are letters", async () => {
  await filled(page, ["max"]);
  await press("/");
  await page.keyboard.type("g f ?/");
  expect(path()).toBe("/");
  expect(await page.locator("[data-search]").inputValue()).toBe("g f ?/");
});
