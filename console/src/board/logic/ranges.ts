// What of one subject's rows a change touched.

import type { TableChange } from "../../types";

/** Cells of the time column; an end that is not known is open. */
export interface Range {
  from?: string;
  to?: string;
}

function isLess(one: string, other: string, isNumber: boolean): boolean {
  return isNumber ? Number(one) < Number(other) : one < other;
}

/**
 * The range of a subject's rows in a change, where the table's key is the subject and then the time; none: untouched.
 * `isNumber` where subjects are numbers and not text that sorts.
 */
export function rangeFor(change: TableChange, subject: string, isNumber = false): Range | null {
  if (!change.first?.length || !change.last?.length) return {};
  // The host sorts by code points and script by halves of them: where these differ, anything may be in the range.
  if ([subject, ...change.first, ...change.last].some((cell) => /[\ud800-\uffff]/.test(cell))) return {};
  const [first, from] = change.first;
  const [last, to] = change.last;
  if (isLess(subject, first!, isNumber) || isLess(last!, subject, isNumber)) return null;
  return {
    ...(subject === first && from !== undefined && { from }),
    ...(subject === last && to !== undefined && { to }),
  };
}

/** The range that holds both; `isNumber` where the time is a number and not text that sorts. */
export function unite(a: Range | null, b: Range, isNumber: boolean): Range {
  if (!a) return b;
  const united: Range = {};
  if (a.from !== undefined && b.from !== undefined) united.from = isLess(a.from, b.from, isNumber) ? a.from : b.from;
  if (a.to !== undefined && b.to !== undefined) united.to = isLess(a.to, b.to, isNumber) ? b.to : a.to;
  return united;
}
