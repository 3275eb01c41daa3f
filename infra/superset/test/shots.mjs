// Pictures of both dashboards, to be looked at, and that they are whole: all charts drawn, none with an error, and nothing
// answered by another machine.
//
//   SUPERSET_VIEWER=… SUPERSET_TRUSTED=… node shots.mjs URL CHROMIUM FOLDER

import { createRequire } from "node:module";
import { join } from "node:path";

const { chromium } = createRequire(new URL("../../../console/package.json", import.meta.url))("playwright-core");
const [url, executablePath, folder] = process.argv.slice(2);
const SHOTS = [
  { user: "viewer", password: process.env.SUPERSET_VIEWER, dashboard: "weather", charts: 9, height: 2050 },
  { user: "trusted", password: process.env.SUPERSET_TRUSTED, dashboard: "stations", charts: 1, height: 850 },
];
// The first questions through Trino take seconds each, and two cores share everything.
const LONGEST_MS = 120_000;

async function signIn(page, user, password) {
  await page.goto(`${url}/login/`);
  await page.fill("input#username", user);
  await page.fill("input#password", password);
  await page.keyboard.press("Enter");
  await page.waitForURL(/welcome/, { timeout: LONGEST_MS });
}

/** Charts below the edge of the window are not asked for: it is as high as the page. */
async function shoot(browser, { user, password, dashboard, charts, height }) {
  const page = await browser.newPage({ viewport: { width: 1400, height } });
  const strange = [];
  page.on("response", (response) => {
    const here = response.url().startsWith(url) || /^(data|blob):/.test(response.url());
    if (!here || response.status() >= 400) strange.push(`${response.status()} ${response.url()}`);
  });
  page.on("pageerror", (error) => strange.push(String(error)));
  await signIn(page, user, password);
  await page.goto(`${url}/superset/dashboard/${dashboard}/`);
  const drawn = (count) => {
    const places = [...document.querySelectorAll(".dashboard-component-chart-holder .chart-container")];
    const isDrawn = (place) => place.querySelector("canvas, table, .header-line") && !place.querySelector(".loading");
    return places.length === count && places.every(isDrawn);
  };
  await page.waitForFunction(drawn, charts, { timeout: LONGEST_MS }).catch((error) => strange.push(String(error)));
  // Lines are drawn within a second.
  await page.waitForTimeout(2000);
  const path = join(folder, `${dashboard}.png`);
  await page.screenshot({ path });
  if (strange.length > 0) throw new Error(`${dashboard}: ${strange.join("\n")}`);
  console.log(`${path}: ${charts} charts, as ${user}`);
  await page.close();
}

const sandbox = process.getuid() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath, args: sandbox });
try {
  for (const shot of SHOTS) await shoot(browser, shot);
} finally {
  await browser.close();
}
