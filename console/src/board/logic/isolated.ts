// Names beside other text.

const [OPEN, CLOSE] = ["\u2068", "\u2069"];
/** Letters that run from right to left, and marks that turn the letters after them around. */
const TURNS = /[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]|[\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
/** What would end the isolation before the name does. */
const ENDS = /[\u2066-\u2069]/g;

/** A text of the data, held apart: which way its letters run says nothing of those beside it. */
export function isolated(text: string): string {
  return TURNS.test(text) ? OPEN + text.replace(ENDS, "") + CLOSE : text;
}

/** The text without what holds it apart. */
export function unisolated(text: string): string {
  return text.replace(ENDS, "");
}
