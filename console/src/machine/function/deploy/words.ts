/** What is said before a component is deployed. Pure. */

import { bytes, short, word } from "../../../parts/format";
import type { Application, FunctionPart } from "../../../types";
import { writes } from "../../flow/graph";
import { MOST_BYTES, type Way } from "./sending";

/** Why no shadow can follow a function; null where one can, as far as it is known here. */
export function noShadow(part: FunctionPart, { tables }: Pick<Application, "tables">): string | null {
  if (part.triggers.some((trigger) => trigger.cron)) return "a function that runs by a schedule has no shadow";
  if (part.hosts.length > 0) return "a function that sends requests has no shadow";
  const written = part.tables.filter(({ operations }) => writes(operations)).map(({ table }) => table);
  const apart = tables.find((table) => table.store !== null && written.includes(table.name));
  return apart ? `it writes to table \`${apart.name}\`, which is kept in \`${apart.store}\`` : null;
}

/** What is wrong with a file, before it is sent. */
export function unfit(file: Pick<File, "name" | "size">): string | null {
  if (file.size === 0) return `\`${file.name}\` is empty: choose the component that was built`;
  if (file.size <= MOST_BYTES) return null;
  return `\`${file.name}\` has ${bytes(file.size)}, and the host takes components of ${bytes(MOST_BYTES)} at the most: build it for release`;
}

/** What happens to the version in charge. */
export function fate(way: Way, running: string, scheduled: boolean): string {
  const now = `Version \`${short(running)}\` is in charge now`;
  if (way === "shadow") {
    return `${now}, and stays so. The new one follows it on the same batches, with a copy of its state, and writes nothing; where both \
differ is shown under Shadow, and there it is promoted or dropped.`;
  }
  const goes = scheduled ? "The new one runs from the next run on" : "Each partition goes on with the new one after the batch that it has";
  return `${now}. ${goes}. The one before is kept: Roll back puts it in charge again; rows that a version wrote stay as they are.`;
}

/** The command line that does the same with the component that spin.toml names. */
export function deployCommand(name: string, way: Way): string {
  return `isobar deploy ${word(name)}${way === "shadow" ? " --shadow" : ""}`;
}
