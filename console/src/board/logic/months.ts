// The share of what there should be, by year and month.

import { daysIn, firstDay, yearOf } from "./days";
import { type Frame, valuesOf } from "./frame";

/** By year: twelve shares; NaN for a month before the first or after the last row. */
export function sharesByMonth(frame: Frame, column: string): Map<number, Float64Array> {
  const found = new Map<number, Float64Array>();
  if (frame.at.length === 0) return found;
  const [first, last] = [frame.at[0]!, frame.at.at(-1)!];
  const values = valuesOf(frame, column);
  let row = 0;
  for (let year = yearOf(first); year <= yearOf(last); year++) {
    const shares = new Float64Array(12).fill(NaN);
    for (let month = 0; month < 12; month++) {
      const [start, end] = monthOf(year, month);
      const days = Math.min(end, last) - Math.max(start, first) + 1;
      let sum = 0;
      for (; row < values.length && frame.at[row]! <= end; row++) sum += Number.isNaN(values[row]!) ? 0 : values[row]!;
      if (days > 0) shares[month] = sum / days;
    }
    found.set(year, shares);
  }
  return found;
}

/** The first and last day of a month, counted from 0. */
function monthOf(year: number, month: number): [number, number] {
  const start = Date.UTC(year, month, 1) / 86_400_000;
  const end = month === 11 ? firstDay(year) + daysIn(year) - 1 : Date.UTC(year, month + 1, 1) / 86_400_000 - 1;
  return [start, end];
}
