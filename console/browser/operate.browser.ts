/** What operators do, by clicking: pause, resume, promote, roll back, drop a shadow and redrive. */

import { setTimeout as pause } from "node:timers/promises";
import type { Locator, Page } from "playwright-core";
import { expect, test } from "vitest";
import type { Host } from "./harness/host";
import { CATCH_UP_MS } from "./harness/limits";
import { FUNCTION, MOST_LETTERS, failing, patient } from "./harness/manifests";
import { open } from "./harness/pages";
import { signedIn } from "./harness/signedIn";
import { until } from "./harness/until";

interface Version {
  version: string;
  running: boolean;
}

interface Source {
  function: string;
  standing: { state: string };
  records: number;
}

interface Letters {
  letters: { offset: number; fate: string | null }[];
  open: number;
}

const SHORT = 12;
/** How soon one loads a page anew to see whether something has come. */
const ANEW_MS = 1000;

let host: Host;
let page: Page;

signedIn((here) => ({ host, page } = here));

const part = (title: string): Locator =>
  page.locator("section.card").filter({ has: page.getByRole("heading", { name: title, exact: true }) });
const head = () => page.locator("main .head");

const versions = () => host.json<Version[]>("versions", FUNCTION);
const letters = (...more: string[]) => host.json<Letters>("dead-letters", "list", FUNCTION, ...more);

async function running(): Promise<string> {
  return (await versions()).find((one) => one.running)?.version ?? "";
}

async function states(name: string): Promise<string[]> {
  const { sources } = await host.json<{ sources: Source[] }>("status");
  return sources.filter((source) => source.function === name).map((source) => source.standing.state);
}

/** Presses a button, reads what is asked, and says yes. */
async function act(button: Locator, verb: string, asked: RegExp): Promise<void> {
  await button.click();
  const dialog = page.locator("dialog[open]");
  expect(await dialog.innerText()).toMatch(asked);
  await dialog.getByRole("button", { name: verb, exact: true }).click();
  await dialog.waitFor({ state: "detached" });
}

const versionRow = (version: string) => part("Versions").locator(".entry").filter({ hasText: version.slice(0, SHORT) });

test("a function is paused and goes on", async () => {
  const name = "aggregate-others";
  await open(page, host.origin, `/functions/${name}`);
  await act(head().getByRole("button", { name: "Pause", exact: true }), "Pause", /stand still\?[^]*isobar pause aggregate-others/);
  await until("the page", () => head().innerText(), (text) => /paused/.test(text) && /Resume/.test(text));
  expect(await states(name)).toContain("stopped");
  // Nothing is wrong with it: it is as somebody wants it, and one click away from where it goes on.
  await until("the health line", () => page.locator(".health").innerText(), (text) => text.includes(`${name} is paused`));
  expect(await page.locator(".health .wrong, main .head .failure").count()).toBe(0);
  await open(page, host.origin, "/flow");
  await page.locator(".health a", { hasText: "is paused" }).click();
  await page.locator("main h1", { hasText: name }).waitFor();
  await act(head().getByRole("button", { name: "Resume", exact: true }), "Resume", /go on\?/);
  await until("the page", () => head().innerText(), (text) => /idle|running/.test(text) && /Pause/.test(text));
  await until("its state", () => states(name), (all) => !all.includes("stopped"));
});

/** Looks at the function's page until the shadow's part says what it should. */
async function shadowSays(what: RegExp): Promise<void> {
  const look = async () => {
    await pause(ANEW_MS);
    await open(page, host.origin, `/functions/${FUNCTION}`);
    return part("Shadow").innerText();
  };
  await until("the shadow", look, (text) => what.test(text), CATCH_UP_MS);
}

test("a version that made the same is promoted", async () => {
  const before = await running();
  await host.commandOf(await patient(host.folder), "deploy", FUNCTION, "--shadow");
  await shadowSays(/with [1-9][\d\u202f]* records compared/);
  expect(await part("Shadow").innerText()).toMatch(/all the same/);
  await act(part("Shadow").getByRole("button", { name: "Promote" }), "Promote", /Put the shadow [0-9a-f]{12} in charge/);
  const after = await running();
  expect(after).not.toBe(before);
  await until("the part of the shadow", () => part("Shadow").innerText(), (text) => /None/.test(text));
  await until("versions on the page", () => versionRow(after).innerText(), (text) => /in charge/.test(text));
  await until("the page's head", () => head().innerText(), (text) => text.includes(after.slice(0, SHORT)));
});

test("what changed is told, and it is rolled back", async () => {
  const newer = await running();
  const older = (await versions()).find((one) => !one.running)!.version;
  await versionRow(newer).getByRole("button", { name: "What changed" }).click();
  await until("what changed", () => versionRow(newer).innerText(), (text) => /timeout_ms/.test(text));
  await act(versionRow(older).getByRole("button", { name: "Roll back" }), "Roll back", /in charge of aggregate-temperature again\?/);
  expect(await running()).toBe(older);
  await until("versions on the page", () => versionRow(older).innerText(), (text) => /in charge/.test(text));
});

test("differences of a shadow are looked at, and it is dropped", async () => {
  const before = await running();
  await host.commandOf(await failing(host.folder), "deploy", FUNCTION, "--shadow");
  await shadowSays(/daily_temp_data: [1-9][\d\u202f]* of [\d\u202f]+ rows differ/);
  const shadow = part("Shadow");
  expect(await shadow.locator("th").allInnerTexts()).toEqual(expect.arrayContaining(["Key", "Column", "Old", "New"]));
  expect(await shadow.locator("td", { hasText: /no row/ }).count()).toBeGreaterThan(0);
  expect(await shadow.innerText()).toContain("write_rows");
  // Nobody puts in charge by mistake what makes something else.
  const promote = shadow.getByRole("button", { name: "Promote" });
  expect(await promote.isDisabled()).toBe(true);
  await shadow.getByRole("checkbox").check();
  expect(await promote.isEnabled()).toBe(true);
  await act(shadow.getByRole("button", { name: "Drop" }), "Drop", /End the shadow/);
  await until("the part of the shadow", () => shadow.innerText(), (text) => /None/.test(text));
  expect(await running()).toBe(before);
});

test("a version that loses records stops, says so, and is rolled back", async () => {
  const before = await running();
  await open(page, host.origin, `/functions/${FUNCTION}`);
  await host.commandOf(await failing(host.folder), "deploy", FUNCTION);
  await until("open dead letters", async () => (await letters()).open, (many) => many >= MOST_LETTERS, CATCH_UP_MS);
  await until("the health line", () => page.locator(".health").innerText(), (text) => text.includes(`${FUNCTION}:`));
  await until("the page's head", () => head().innerText(), (text) => /stopped/.test(text));
  await until("last failures", () => part("Last failures").innerText(), (text) => text.includes("write_rows"));
  await open(page, host.origin, `/functions/${FUNCTION}`);
  await act(versionRow(before).getByRole("button", { name: "Roll back" }), "Roll back", /again\?/);
  expect(await running()).toBe(before);
  await act(head().getByRole("button", { name: "Resume", exact: true }), "Resume", /go on\?/);
  await until("its state", () => states(FUNCTION), (all) => !all.includes("stopped"));
});

test("one dead letter is redriven, and then all", async () => {
  // Partitions that fail at the same time may each put one aside more.
  const many = (await letters()).open;
  await open(page, host.origin, "/dead-letters");
  const group = page.locator("section.card").filter({ hasText: `${many} open` });
  await group.waitFor();
  expect(await group.innerText()).toContain("write_rows");
  // The newest is open: what happened to it, and what it holds.
  const story = await group.locator(".letter").first().innerText();
  expect(story).toMatch(/came to temperature\/\d/);
  expect(story).toContain("measurement_date");
  await act(group.locator(".letter").first().getByRole("button", { name: "Redrive", exact: true }), "Redrive", /Send 1 dead letter back/);
  await until("open dead letters", async () => (await letters()).open, (now) => now === many - 1);
  expect((await letters("--all")).letters.filter((letter) => letter.fate !== null).length).toBe(1);
  const rest = many - 1;
  const all = page.getByRole("button", { name: `Redrive all ${rest}` });
  await act(all, "Redrive", new RegExp(`Send ${rest} dead letters back[^]*--all`));
  await until("open dead letters", async () => (await letters()).open, (now) => now === 0);
  await until("the page", () => page.locator("main").innerText(), (text) => text.includes("No dead letter is open."));
  expect(await letters("--all")).toMatchObject({ letters: Array.from({ length: many }, () => ({ fate: expect.any(String) })) });
});

test("the audit log has who did what", async () => {
  await open(page, host.origin, "/audit");
  const text = await page.locator("main table").innerText();
  for (const action of ["promote", "rollback", "deploy"]) expect(text).toContain(action);
});
