/** Before all tests: a data folder that an earlier run has filled. Each file of tests works on a copy of it. */

import { rm } from "node:fs/promises";
import type { TestProject } from "vitest/node";
import { fill, newFolder } from "./host";

declare module "vitest" {
  export interface ProvidedContext {
    warm: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await newFolder();
  try {
    await fill(folder);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  project.provide("warm", folder);
  return () => rm(folder, { recursive: true, force: true });
}
