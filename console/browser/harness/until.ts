import { setTimeout as pause } from "node:timers/promises";
import { LOOK_MS, SHOW_MS } from "./limits";

/** Looks again and again until it is as it should be; what was seen last is told when it never is. */
export async function until<T>(
  what: string,
  look: () => Promise<T> | T,
  enough: (value: T) => boolean,
  timeout = SHOW_MS,
): Promise<T> {
  const last = performance.now() + Math.max(timeout, LOOK_MS);
  for (;;) {
    const value = await look();
    if (enough(value)) return value;
    if (performance.now() > last) throw new Error(`${what}: still ${JSON.stringify(value)} after ${Math.round(timeout)} ms`);
    await pause(LOOK_MS);
  }
}
