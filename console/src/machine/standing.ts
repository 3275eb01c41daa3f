/** How a function is, in words. Pure. */

import { count } from "../parts/format";
import { isByHand } from "../rates";
import type { FunctionPulse, SourceStatus, Standing } from "../types";
import { reasonLines } from "./letters";

/** `wrong` needs somebody, `waiting` goes on by itself, `paused` is as somebody wants it. */
export type Tone = "well" | "paused" | "waiting" | "wrong";

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
      if (isByHand(standing.reason)) return { tone: "paused", word: "paused", reason: standing.reason.replace(/^[^;]*; /, "") };
      return { tone: "wrong", word: "stopped", reason: standing.reason };
    case "elsewhere":
      return { tone: "well", word: "on another host", reason: null };
    case "paced":
      return { tone: "waiting", word: "slowed down", reason: `${standing.reader} reads less fast` };
  }
}

const RANK: Record<Tone, number> = { well: 0, paused: 1, waiting: 2, wrong: 3 };

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
  const troubles = pulse?.troubles ?? [];
  const trouble = troubles.find((one) => !isByHand(one));
  if (trouble !== undefined) return { tone: "wrong", word: "trouble", reason: trouble };
  if (troubles[0] !== undefined) return { tone: "paused", word: "paused", reason: troubles[0] };
  return { tone: "well", word: "well", reason: null };
}

/** How a function is now: trouble that the pulse tells goes before what the last status said. */
export function conditionNow(pulse: FunctionPulse | undefined, sources: readonly SourceStatus[]): Condition {
  const [told, known] = [pulseCondition(pulse), overall(sources)];
  return RANK[known.tone] < RANK.waiting && RANK[told.tone] > RANK[known.tone] ? told : known;
}

export function isStopped(sources: readonly SourceStatus[]): boolean {
  return sources.some((source) => source.standing.state === "stopped");
}

/** An address that spin.toml leaves to a variable, whole or in part. */
const LEFT_OPEN = /`([^`]*\{\{[^`]*)`/g;
const VARIABLE = /\{\{\s*(.*?)\s*\}\}/g;

/** What the host says of grants, with variables of spin.toml in words. */
export function inWords(text: string): string {
  return text.replace(LEFT_OPEN, (_, address: string) => {
    const names = [...address.matchAll(VARIABLE)].map(([, name]) => `\`${name}\``);
    if (/^\{\{[^{}]*\}\}$/.test(address)) return `an address that the operator sets by the variable ${names[0]}`;
    return `\`${address.replace(VARIABLE, "…")}\`, where the operator sets ${names.join(" and ")}`;
  });
}

/** The grants in one paragraph. */
export function paragraph(words: readonly string[]): string {
  if (words.length === 0) return "It may touch nothing.";
  return `It ${words.map(inWords).join("; ")}.`;
}
