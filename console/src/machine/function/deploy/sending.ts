/** A component on its way to the host. */

import { Refused, getManifest, upload } from "../../../api";
import { short } from "../../../parts/format";

/** The host takes no larger component. */
export const MOST_BYTES = 64 * 1024 * 1024;

export type Way = "shadow" | "take-over";

/** A version that was made. */
export interface Taken {
  function: string;
  version: string;
  before?: string | null;
}

export interface Chosen {
  file: File;
  /** SHA-256 in hex; null where the browser does not tell it, as it does not behind plain HTTP from another machine. */
  digest: string | null;
  /** Another manifest than the one that runs. */
  manifest: File | null;
  way: Way;
}

export async function digestOf(file: File): Promise<string | null> {
  try {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch {
    // That a file cannot be read is said where it is sent.
    return null;
  }
}

function base64Of(file: File): Promise<string> {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done((reader.result as string).replace(/^[^,]*,/, ""));
    reader.onerror = () => fail(new Error(`\`${file.name}\` cannot be read: choose it again`));
    reader.readAsDataURL(file);
  });
}

/** What is asked of the host, as it reads it; in pieces, since a component is large. */
export function bodyOf(name: string, part: string, base64: string, way: Way): Blob {
  const start = `{"part":${JSON.stringify(part)},"way":${JSON.stringify(way)},"components":{${JSON.stringify(name)}:"`;
  return new Blob([start, base64, '"}}'], { type: "application/json" });
}

async function manifestOf(chosen: File | null): Promise<string> {
  return chosen ? chosen.text() : (await getManifest()).manifest;
}

async function partOf(chosen: File | null, name: string): Promise<string> {
  const [text, part] = await Promise.all([manifestOf(chosen), import("./part")]);
  try {
    return part.partOf(text, name);
  } catch (error) {
    // What a reader of TOML says goes on with a picture of the place.
    const [first = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new Error(chosen ? `\`${chosen.name}\`: ${first}` : first);
  }
}

/** Sends a component as the next version of a function; gives the version that was made. */
export async function send(name: string, chosen: Chosen, sent: (share: number) => void, signal: AbortSignal): Promise<Taken> {
  const [part, base64] = await Promise.all([partOf(chosen.manifest, name), base64Of(chosen.file)]);
  signal.throwIfAborted();
  const [taken] = await upload<Taken[]>("/deploys", bodyOf(name, part, base64, chosen.way), sent, signal);
  if (!taken) throw new Refused(0, "the host does not say which version it made", null);
  return taken;
}

/** What became of it, in words. */
export function outcome({ version, before }: Taken, way: Way): string {
  if (before === version) return `Version \`${short(version)}\` runs already: nothing has changed.`;
  if (way === "shadow") return `Version \`${short(version)}\` follows \`${short(before ?? "")}\` in its shadow and writes nothing.`;
  if (!before) return `Version \`${short(version)}\` runs.`;
  return `Version \`${short(version)}\` has taken over from \`${short(before)}\`.`;
}
