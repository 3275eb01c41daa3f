// Several lines of one measure that lie close together: one is the highest and one the lowest everywhere, what is between is a band.

export interface Envelope {
  /** Which of the lines is never below another. */
  high: number;
  /** Which is never above. */
  low: number;
}

/** With fewer lines nothing lies between. */
const LEAST_LINES = 3;

/** Whether no value of `upper` is below that of `lower`; gaps say nothing. */
function isAbove(upper: Float64Array, lower: Float64Array): boolean {
  return upper.every((value, row) => !(value < lower[row]!));
}

/** The highest and the lowest of lines, where each is so everywhere; null where lines cross. */
export function envelopeOf(lines: readonly Float64Array[]): Envelope | null {
  if (lines.length < LEAST_LINES) return null;
  const high = lines.findIndex((line) => lines.every((other) => isAbove(line, other)));
  const low = lines.findLastIndex((line) => lines.every((other) => isAbove(other, line)));
  return high < 0 || low < 0 || high === low ? null : { high, low };
}
