/**
 * The page under test is the one within the program. While the page is being written, ISOBAR_PAGE names a folder with a newer
 * build, which is answered in its place; the API stays the host's.
 */

import { existsSync, readFileSync } from "node:fs";
import { extname, join, resolve } from "node:path";
import type { BrowserContext } from "playwright-core";

const KINDS: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
/** As the host has it. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const OF_THE_HOST = /^\/(api|healthz|readyz|metrics)(\/|$)/;

export async function serveFrom(context: BrowserContext, origin: string): Promise<void> {
  const folder = process.env["ISOBAR_PAGE"];
  if (!folder) return;
  const isPage = (url: URL) => url.origin === origin && !OF_THE_HOST.test(url.pathname);
  await context.route(isPage, (route) => {
    const named = join(resolve(folder), new URL(route.request().url()).pathname);
    const file = extname(named) && existsSync(named) ? named : join(resolve(folder), "index.html");
    const headers = { "content-security-policy": POLICY, "content-type": KINDS[extname(file)] ?? "application/octet-stream" };
    return route.fulfill({ body: readFileSync(file), headers });
  });
}
