/** Rates: counters since the host began, differences of which are what happens. Pure. */

import type { FunctionPulse, Pulse } from "./types";

export interface Rate {
  /** Records a second. */
  records: number;
  /** Commits a second. */
  commits: number;
  /** Mean milliseconds of a committed call; null where none was. */
  batch_ms: number | null;
}

export const STILL: Rate = { records: 0, commits: 0, batch_ms: null };

/** Rates are taken over so many seconds: one alone flickers. */
export const SPAN_MS = 5000;

function between(before: FunctionPulse, after: FunctionPulse, ms: number): Rate {
  const grown = (what: "records" | "commits" | "call_micros") => after[what] - before[what];
  // A host that began anew counts from nothing again.
  if (ms <= 0 || grown("records") < 0 || grown("commits") < 0) return STILL;
  const commits = grown("commits");
  return {
    records: (grown("records") * 1000) / ms,
    commits: (commits * 1000) / ms,
    batch_ms: commits > 0 ? grown("call_micros") / 1000 / commits : null,
  };
}

/** The pulse from which to the newest one a rate is taken. */
function base(pulses: readonly Pulse[], span_ms: number): Pulse | undefined {
  const newest = pulses.at(-1);
  return newest && pulses.find((pulse) => newest.at_ms - pulse.at_ms <= span_ms);
}

/** What each function does now. */
export function ratesOf(pulses: readonly Pulse[], span_ms = SPAN_MS): Record<string, Rate> {
  const newest = pulses.at(-1);
  const before = base(pulses, span_ms);
  const rates: Record<string, Rate> = {};
  for (const [name, after] of Object.entries(newest?.functions ?? {})) {
    const earlier = before?.functions[name];
    rates[name] = newest && before && earlier ? between(earlier, after, newest.at_ms - before.at_ms) : STILL;
  }
  return rates;
}

/** A function's rate from pulse to pulse, the newest last. */
export function historyOf(pulses: readonly Pulse[], name: string): (Rate & { at_ms: number })[] {
  const steps = pulses.slice(1).map((pulse, at) => {
    const before = pulses[at];
    const [earlier, after] = [before?.functions[name], pulse.functions[name]];
    const rate = before && earlier && after ? between(earlier, after, pulse.at_ms - before.at_ms) : STILL;
    return { ...rate, at_ms: pulse.at_ms };
  });
  return steps;
}

export interface Health {
  /** Records a second of all functions; null while one pulse alone is known. */
  records: number | null;
  /** Records that wait for a function. */
  lag: number;
  last_commit_ms: number | null;
  /** What is wrong, by function. */
  troubles: { function: string; trouble: string }[];
  /** Functions that somebody has paused: nothing is wrong with them. */
  paused: string[];
}

/** What the host says of a function that is paused by hand, in a pulse and of a source. A failure's own words stand behind others. */
const BY_HAND = /^(`[^`]*`\/\d+ stands still: )?an operator paused it\b/;

export function isByHand(reason: string): boolean {
  return BY_HAND.test(reason);
}

export function healthOf(pulses: readonly Pulse[]): Health | null {
  const newest = pulses.at(-1);
  if (!newest) return null;
  const functions = Object.entries(newest.functions);
  return {
    records: pulses.length > 1 ? Object.values(ratesOf(pulses)).reduce((sum, rate) => sum + rate.records, 0) : null,
    lag: functions.reduce((sum, [, f]) => sum + f.lag, 0),
    last_commit_ms: newest.last_commit_ms,
    troubles: functions.flatMap(([name, f]) =>
      f.troubles.filter((trouble) => !isByHand(trouble)).map((trouble) => ({ function: name, trouble })),
    ),
    paused: functions.filter(([, f]) => f.troubles.some(isByHand)).map(([name]) => name),
  };
}
