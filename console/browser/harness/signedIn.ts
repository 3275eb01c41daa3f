/** A host of a file's own, on a copy of the warm folder, and a browser that is signed in there. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject } from "vitest";
import { type Visit, type VisitOptions, launch, signIn } from "./chromium";
import { type Host, endAndErase, startOn } from "./host";

export interface Here {
  host: Host;
  browser: Browser;
  visit: Visit;
  page: Page;
}

/** Begins before the tests of a file and ends behind them, and then nothing may have gone wrong that no user should meet. */
export function signedIn(ready: (here: Here) => void, options: VisitOptions = {}): void {
  let here: Here;
  beforeAll(async () => {
    const [host, browser] = await Promise.all([startOn(inject("warm")), launch()]);
    const visit = await signIn(browser, host.link, options);
    here = { host, browser, visit, page: visit.page };
    ready(here);
  });
  afterAll(async () => {
    await here.browser.close();
    await endAndErase(here.host);
    expect(here.visit.problems).toEqual([]);
  });
}
