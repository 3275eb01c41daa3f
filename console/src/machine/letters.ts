/** Dead letters in groups, and what became of each. Pure. */

import type { LetterView } from "../types";

export interface FunctionLetter extends LetterView {
  function: string;
}

export interface Group {
  function: string;
  /** The first line of why, without what differs from record to record. */
  reason: string;
  /** The newest first. */
  letters: FunctionLetter[];
  open: number;
  newest_ms: number;
}

/** Lines of why: first the one that says it, then the rest. */
export function reasonLines(reason: string): { first: string; rest: string[] } {
  const lines = reason.split("\n").map((line) => line.trimEnd()).filter((line) => line !== "");
  const told = lines.findIndex((line) => /panicked at/.test(line));
  // A panic says where on one line and why on the next: why is what one wants to know first.
  const at = told >= 0 && lines[told + 1] !== undefined ? told + 1 : Math.max(told, 0);
  return { first: lines[at] ?? "no reason was given", rest: lines.filter((_, index) => index !== at) };
}

/** The same mishap with other values is one mishap. */
export function groupReason(reason: string): string {
  return reasonLines(reason)
    .first.replace(/"[^"]*"|'[^']*'/g, "…")
    .replace(/\b[0-9a-f]{12,}\b/gi, "…")
    .replace(/\d[\d.:_-]*/g, "…");
}

export function grouped(letters: readonly FunctionLetter[]): Group[] {
  const groups = new Map<string, Group>();
  for (const letter of letters) {
    const id = `${letter.function}\n${groupReason(letter.reason)}`;
    const group = groups.get(id) ?? {
      function: letter.function,
      reason: reasonLines(letter.reason).first,
      letters: [],
      open: 0,
      newest_ms: letter.at_ms,
    };
    group.letters.push(letter);
    group.open += letter.fate === null ? 1 : 0;
    group.newest_ms = Math.max(group.newest_ms, letter.at_ms);
    groups.set(id, group);
  }
  const found = [...groups.values()];
  for (const group of found) group.letters.sort((a, b) => b.at_ms - a.at_ms || b.offset - a.offset);
  // What still needs somebody stands first.
  const settled = (group: Group) => (group.open > 0 ? 0 : 1);
  return found.sort((a, b) => settled(a) - settled(b) || b.newest_ms - a.newest_ms);
}

export interface Event {
  at_ms: number | null;
  what: string;
  /** Where it can be looked at. */
  href?: string;
}

/** What happened to a letter, in order; `came_ms` is when its record came, where that is known. */
export function story(letter: FunctionLetter, came_ms: number | null): Event[] {
  const from = `${letter.from_topic}/${letter.from_partition}`;
  const where = `/topics/${encodeURIComponent(letter.from_topic)}?partition=${letter.from_partition}&from=${letter.from_offset}`;
  const times = letter.attempts === 1 ? "once" : `${letter.attempts} times`;
  const events: Event[] = [
    { at_ms: came_ms, what: `came to ${from} at offset ${letter.from_offset}`, href: where },
    {
      at_ms: null,
      what: `was delivered ${times} to ${letter.function}, version ${letter.version.slice(0, 12)}`,
      href: `/functions/${encodeURIComponent(letter.function)}`,
    },
    {
      at_ms: letter.at_ms,
      what: `was put aside in ${letter.topic}/${letter.partition} at offset ${letter.offset}`,
      href: `/topics/${encodeURIComponent(letter.topic)}?partition=${letter.partition}&from=${letter.offset}`,
    },
  ];
  if (letter.fate !== null) events.push({ at_ms: null, what: `was ${letter.fate}` });
  return events;
}
