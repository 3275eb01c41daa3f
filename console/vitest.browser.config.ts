import { defineConfig } from "vitest/config";

/** Tests of the page as its users have it: the program, its data and a browser. One file after the other, for each has a host. */
export default defineConfig({
  test: {
    include: ["browser/**/*.browser.ts"],
    globalSetup: ["browser/harness/warm.ts"],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
