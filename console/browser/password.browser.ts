/** Signing in by name and password, as a user who is added while the host runs. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import axe from "axe-core";
import { type Visit, launch, visit } from "./harness/chromium";
import { type Host, endAndErase, startOn } from "./harness/host";
import { until } from "./harness/until";

const NAME = "ada";
const PASSWORD = "correct horse battery";
const WRONG = "the name or the password is wrong";
/** More often than anybody may try at a time. */
const OFTEN = 32;

let host: Host;
let browser: Browser;
let visited: Visit;
let page: Page;

beforeAll(async () => {
  [host, browser] = await Promise.all([startOn(inject("warm")), launch()]);
  visited = await visit(browser, host.origin, { expected: /status of (401|429)/ });
  page = visited.page;
});

afterAll(async () => {
  await browser?.close();
  await endAndErase(host);
  expect(visited.problems).toEqual([]);
});

const field = (name: string) => page.getByLabel(name, { exact: true });
const failure = () => page.locator("form .failure").innerText();
const focused = () => page.evaluate(() => document.activeElement?.getAttribute("name"));

async function tryAs(name: string, password: string): Promise<void> {
  await field("Name").fill(name);
  await field("Password").fill(password);
  await page.keyboard.press("Enter");
}

test("while nobody has a password, there is a link alone", async () => {
  await page.goto(`${host.origin}/flow`);
  await page.getByRole("heading", { name: "not signed in" }).waitFor();
  expect(await page.locator("form").count()).toBe(0);
  expect(await page.locator("main").innerText()).toContain("isobar open");
});

test("there is a form for who has a password, and below it how to get a link", async () => {
  await host.tell(PASSWORD, "user", "add", NAME, "--role", "operator");
  await page.reload();
  await page.getByRole("heading", { name: "not signed in" }).waitFor();
  expect(await field("Name").getAttribute("autocomplete")).toBe("username");
  expect(await field("Password").getAttribute("autocomplete")).toBe("current-password");
  expect(await field("Password").getAttribute("type")).toBe("password");
  expect(await page.locator("main").innerText()).toMatch(/Sign in[^]*link[^]*isobar open/);
  expect(await focused()).toBe("username");
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate("axe.run(document)")) as { violations: { id: string }[] };
  expect(violations.map(({ id }) => id)).toEqual([]);
});

test("what is wrong is said at the form, with the focus where one writes again", async () => {
  await tryAs(NAME, "wrong");
  await until("what is said", failure, (text) => text.startsWith(WRONG));
  await until("the focus", focused, (name) => name === "password");
  expect(await field("Password").getAttribute("aria-invalid")).toBe("true");
  expect(await field("Name").inputValue()).toBe(NAME);
});

test("with the right ones one is in, at the page that was asked for, and may what the role says", async () => {
  await tryAs(NAME, PASSWORD);
  await page.locator("main h1", { hasText: "Flow" }).waitFor();
  expect(new URL(page.url()).pathname).toBe("/flow");
  await page.reload();
  await page.locator("header.top").waitFor();
  await page.goto(`${host.origin}/tables/station_metadata`);
  await page.locator("main").getByText("sensitive").first().waitFor();
  expect(await page.locator("main table").count()).toBe(0);
});

test("who is a user no more is signed out", async () => {
  await host.command("user", "remove", NAME);
  await page.reload();
  await page.getByRole("heading", { name: "not signed in" }).waitFor();
  expect(await page.locator("form").count()).toBe(0);
});

test("who signs out comes back to the form, and who guesses has to wait", async () => {
  await host.tell(PASSWORD, "user", "add", NAME, "--role", "viewer");
  await page.reload();
  await tryAs(NAME, PASSWORD);
  await page.getByRole("button", { name: "Sign out" }).click();
  await field("Name").waitFor();
  for (let at = 0; at < OFTEN; at += 1) {
    const answered = page.waitForResponse((response) => response.request().method() === "POST");
    await tryAs(NAME, `a guess, number ${at}`);
    await answered;
  }
  await until("what is said", failure, (text) => text.startsWith("a password was tried too often: "));
});
