/** A browser that reaches nothing but this machine, and what it notices that no user should meet. */

import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, type BrowserContext, type BrowserContextOptions, type Page, chromium } from "playwright-core";
import { SHOW_MS } from "./limits";
import { serveFrom } from "./served";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function found(): string {
  const told = process.env["CHROMIUM"];
  if (told && existsSync(told)) return told;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const path = NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
  if (!path) throw new Error(`there is no ${NAMES.join(", ")}: CHROMIUM names the browser to test with`);
  return path;
}

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: found(),
    // Only root has no other choice.
    chromiumSandbox: process.getuid?.() !== 0,
    args: ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-gpu"],
  });
}

export interface Visit {
  context: BrowserContext;
  page: Page;
  /** What went wrong so far: errors of scripts and of the content policy, dialogs, and requests to elsewhere. */
  problems: string[];
}

/** An answer that a browser takes for a failure: that the host is too busy for a read, which the page asks for again. */
const ANSWERS = /status of 503 /;

export interface VisitOptions extends BrowserContextOptions {
  /** Console messages that this visit expects. */
  expected?: RegExp;
}

/** A browser window of somebody who was never here. */
export async function visit(browser: Browser, origin: string, { expected, ...options }: VisitOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  context.setDefaultTimeout(SHOW_MS);
  await serveFrom(context, origin);
  const problems: string[] = [];
  context.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !/^(blob|data):/.test(url)) problems.push(`asked elsewhere: ${url}`);
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
  page.on("dialog", (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    const told = `${message.text()} ${message.location().url}`;
    if (message.type() !== "error" || ANSWERS.test(told) || expected?.test(told)) return;
    problems.push(`console: ${told}`);
  });
  return { context, page, problems };
}

/** A visit that has come in by a link. */
export async function signIn(browser: Browser, link: string, options: VisitOptions = {}): Promise<Visit> {
  const visited = await visit(browser, new URL(link).origin, options);
  await visited.page.goto(link, { waitUntil: "commit" });
  await visited.page.locator("header.top").waitFor();
  return visited;
}
