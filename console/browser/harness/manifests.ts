/** Other versions of functions: copies of the application's manifest in which something else is said. */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { APPLICATION, MANIFEST } from "./host";

/** Writes a copy of the manifest into a folder, with parts of it replaced and others added at its end. */
export async function copyManifest(folder: string, name: string, replaced: [string, string][], added = ""): Promise<string> {
  let text = (await readFile(MANIFEST, "utf8")).replaceAll('source = "target/', `source = "${APPLICATION}/target/`);
  for (const [part, other] of replaced) {
    if (!text.includes(part)) throw new Error(`the manifest does not hold ${part}`);
    text = text.replace(part, other);
  }
  const file = join(folder, name);
  await writeFile(file, `${text}\n${added}`);
  return file;
}

/** The function that the tests put other versions of in charge. */
export const FUNCTION = "aggregate-temperature";
const LIMITS = `[application.trigger.isobar.limits.${FUNCTION}]`;
/** After so many dead letters it stops. */
export const MOST_LETTERS = 10;

/** A version that may take longer, and makes the same. */
export const patient = (folder: string) => copyManifest(folder, "patient.toml", [], `${LIMITS}\ntimeout_ms = 6000\n`);

/** A version that can handle nothing: whatever it makes of a record is more than it may write. */
export const failing = (folder: string) =>
  copyManifest(
    folder,
    "failing.toml",
    [['topic = "temperature"\n', 'topic = "temperature"\nmax_attempts = 1\n']],
    `${LIMITS}\nwrite_rows = 1\nmax_dead_letters = ${MOST_LETTERS}\n`,
  );
