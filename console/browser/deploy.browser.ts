/** A component file becomes a version, by clicking: tried in a shadow, put in charge, or refused with the reason. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Locator, Page } from "playwright-core";
import { expect, test } from "vitest";
import { APPLICATION, type Host } from "./harness/host";
import { CATCH_UP_MS } from "./harness/limits";
import { copyManifest } from "./harness/manifests";
import { open } from "./harness/pages";
import { signedIn } from "./harness/signedIn";
import { until } from "./harness/until";

const FUNCTION = "aggregate-others";
const SHORT = 12;
const built = (name: string) => join(APPLICATION, "target/wasm32-wasip2/release", `${name}.wasm`);
const OWN = built("aggregate_others");

let host: Host;
let page: Page;

// That a deploy is refused is what some of these tests want.
signedIn((here) => ({ host, page } = here), { expected: /status of 400 .*\/deploys/ });

const dialog = () => page.locator("dialog[open]");
const press = (name: string) => dialog().getByRole("button", { name, exact: true }).click();
const part = (title: string): Locator =>
  page.locator("section.card").filter({ has: page.getByRole("heading", { name: title, exact: true }) });

async function running(): Promise<string> {
  const versions = await host.json<{ version: string; running: boolean }[]>("versions", FUNCTION);
  return (versions.find((one) => one.running)?.version ?? "").slice(0, SHORT);
}

/** Fills in the first step, and reads what is asked. */
async function ask(component: string, manifest: string | null, way: "shadow" | "take-over", name = FUNCTION): Promise<string> {
  await open(page, host.origin, `/functions/${name}`);
  await page.getByRole("button", { name: "Deploy a component" }).click();
  await dialog().getByLabel("The component that was built").setInputFiles(component);
  if (manifest) await dialog().getByLabel("spin.toml").setInputFiles(manifest);
  await dialog().getByRole("radio", { name: way === "shadow" ? "As a shadow first" : "It takes over at once" }).check();
  await press("Next");
  await dialog().getByRole("button", { name: "Back", exact: true }).waitFor();
  return dialog().innerText();
}

const refused = () => dialog().getByRole("alert").filter({ hasText: "It was not deployed" }).innerText();
const done = () => dialog().getByText(/^Version/).innerText();

const LIMITS = `[application.trigger.isobar.limits.${FUNCTION}]`;
/** Another version of the same component. */
const patient = (seconds: number) => copyManifest(host.folder, `patient-${seconds}.toml`, [], `${LIMITS}\ntimeout_ms = ${seconds}000\n`);

test("what is no component, or none at all, is not sent", async () => {
  await open(page, host.origin, `/functions/${FUNCTION}`);
  await page.getByRole("button", { name: "Deploy a component" }).click();
  await press("Next");
  await until("what is said", () => dialog().innerText(), (text) => text.includes("choose the component that was built"));
  const empty = join(host.folder, "empty.wasm");
  await writeFile(empty, "");
  await dialog().getByLabel("The component that was built").setInputFiles(empty);
  await press("Next");
  await until("what is said", () => dialog().innerText(), (text) => text.includes("empty.wasm is empty"));
  expect(await dialog().innerText()).toMatch(/64.MiB at the most/);
  await press("Cancel");
});

test("a component that wants more than is granted is refused with the missing grant", async () => {
  const before = await running();
  const asked = await ask(built("aggregate_temperature"), null, "take-over");
  expect(asked).toMatch(/Deploy aggregate_temperature\.wasm as the next version of aggregate-others\?/);
  expect(asked).toContain(`Version ${before} is in charge now. Each partition goes on with the new one`);
  expect(asked).toMatch(/isobar deploy aggregate-others\b/);
  await press("Deploy");
  const words = await refused();
  expect(words).toMatch(/nothing has changed[^]*daily-temp-data[^]*which spin\.toml does not grant/);
  expect(words).toMatch(/What to do:[^]*tables\.daily_temp_data = \["upsert"\]/);
  expect(await running()).toBe(before);
  await press("Choose another file");
  await press("Cancel");
});

test("what would widen access to sensitive data is refused, with what to do", async () => {
  const grants: [string, string] = [`tables.daily_othe_data = ["upsert"]\n`, `tables.daily_othe_data = ["upsert"]\ntables.station_metadata = ["get"]\nreleases = ["daily_othe_data"]\n`];
  const greedy = await copyManifest(host.folder, "greedy.toml", [grants]);
  expect(await ask(OWN, greedy, "take-over")).toContain("with what greedy.toml says of the function");
  await press("Deploy");
  expect(await refused()).toMatch(/station_metadata[^]*What to do: a deploy may not widen access to what is sensitive/);
  await press("Close");
});

test("a version is tried as a shadow, and promoted", async () => {
  const before = await running();
  expect(await ask(OWN, await patient(7), "shadow")).toMatch(/stays so[^]*the one that runs already|the one that runs already[^]*stays so/);
  await press("Deploy as a shadow");
  expect(await done()).toMatch(new RegExp(`^Version [0-9a-f]{12} follows ${before} in its shadow`));
  await press("Close");
  await until("the shadow", () => part("Shadow").innerText(), (text) => /follows since/.test(text));
  expect(await running()).toBe(before);
  await until("its batches", async () => {
    await open(page, host.origin, `/functions/${FUNCTION}`);
    return part("Shadow").innerText();
  }, (text) => /with [1-9][\d\u202f]* records compared/.test(text), CATCH_UP_MS);
  await part("Shadow").getByRole("button", { name: "Promote" }).click();
  await press("Promote");
  await dialog().waitFor({ state: "detached" });
  expect(await running()).not.toBe(before);
});

test("a version takes over, and the page says which", async () => {
  const before = await running();
  await ask(OWN, await patient(8), "take-over");
  await press("Deploy");
  const said = await done();
  const after = await running();
  expect(said).toBe(`Version ${after} has taken over from ${before}.`);
  await press("Close");
  await until("versions", () => part("Versions").innerText(), (text) => new RegExp(`${after}.*in charge`).test(text));
  // What runs already makes no other version.
  await ask(OWN, null, "take-over");
  await press("Deploy");
  expect(await done()).toBe(`Version ${after} runs already: nothing has changed.`);
  await press("Close");
});

test("a function that runs by a schedule is not offered a shadow", async () => {
  await open(page, host.origin, "/functions/crawl");
  await page.getByRole("button", { name: "Deploy a component" }).click();
  expect(await dialog().getByRole("radio", { name: "As a shadow first" }).isDisabled()).toBe(true);
  expect(await dialog().innerText()).toContain("Not as a shadow: a function that runs by a schedule has no shadow");
  await page.keyboard.press("Escape");
  await dialog().waitFor({ state: "detached" });
});
