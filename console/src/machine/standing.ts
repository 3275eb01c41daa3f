/** How a function is, in words. Pure. */

import { count } from "../parts/format";
import type { FunctionPulse, SourceStatus, Standing } from "../types";
import { reasonLines } from "./letters";

/** `wrong` needs somebody, `waiting` goes on by itself. */
export type Tone = "well" | "waiting" | "wrong";

export interface Condition {
  tone: Tone;
  word: string;
  reason: string | null;
}

function afterSo(attempts: number, reason: string): string {
  return `after ${count(attempts, "delivery", "deliveries")}: ${reasonLines(reason).first}`;
}

export function conditionOf(standing: Standing): Condition {
  switch (standing.state) {
    case "idle":
      return { tone: "well", word: "idle", reason: null };
    case "running":
      return { tone: "well", word: "running", reason: null };
    case "retrying":
      return { tone: "wrong", word: "trying again", reason: afterSo(standing.attempt, standing.reason) };
    case "waiting":
      return { tone: "waiting", word: "waiting", reason: standing.reason };
    case "stopped":
      return { tone: "wrong", word: "stopped", reason: standing.reason };
    case "elsewhere":
      return { tone: "well", word: "on another host", reason: null };
    case "paced":
      return { tone: "waiting", word: "slowed down", reason: `${standing.reader} reads less fast` };
  }
}

const RANK: Record<Tone, number> = { well: 0, waiting: 1, wrong: 2 };

/** How a function is: as its worst partition; one that runs speaks for those that are idle. */
export function overall(sources: readonly SourceStatus[]): Condition {
  let worst: Condition = { tone: "well", word: "idle", reason: null };
  for (const source of sources) {
    const condition = conditionOf(source.standing);
    const isWorse = RANK[condition.tone] > RANK[worst.tone];
    if (isWorse || (worst.word === "idle" && condition.tone === worst.tone)) worst = condition;
  }
  return worst;
}

/** The same, as far as the pulse tells it. */
export function pulseCondition(pulse: FunctionPulse | undefined): Condition {
  const trouble = pulse?.troubles[0];
  if (trouble !== undefined) return { tone: "wrong", word: "trouble", reason: trouble };
  return { tone: "well", word: "well", reason: null };
}

/** How a function is now: trouble that the pulse tells goes before what the last status said. */
export function conditionNow(pulse: FunctionPulse | undefined, sources: readonly SourceStatus[]): Condition {
  const [told, known] = [pulseCondition(pulse), overall(sources)];
  return told.tone === "wrong" && known.tone === "well" ? told : known;
}

export function isStopped(sources: readonly SourceStatus[]): boolean {
  return sources.some((source) => source.standing.state === "stopped");
}

/** The grants in one paragraph. */
export function paragraph(words: readonly string[]): string {
  if (words.length === 0) return "It may touch nothing.";
  return `It ${words.join("; ")}.`;
}
