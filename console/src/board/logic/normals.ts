// The long-term mean of each calendar day, of full years alone.

import { placeInYear, yearOf } from "./days";
import { type Frame, valuesOf } from "./frame";

/** Days on either side that a calendar day's mean takes in, so that few years do not make it jagged. */
export const AROUND = 7;
const PLACES = 366;

export interface Normals {
  /** By place in a year of 366 days; NaN where no full year has a value. */
  means: Float64Array;
  years: number[];
}

/** Means by calendar day of the days of `frame` that are in one of `full`; none where no full year has any value. */
export function normals(frame: Frame, column: string, full: ReadonlySet<number>): Normals | null {
  const [sums, counts] = [new Float64Array(PLACES), new Float64Array(PLACES)];
  const values = valuesOf(frame, column);
  const years = new Set<number>();
  for (let row = 0; row < values.length; row++) {
    const year = yearOf(frame.at[row]!);
    if (Number.isNaN(values[row]!) || !full.has(year)) continue;
    const place = placeInYear(frame.at[row]!);
    sums[place]! += values[row]!;
    counts[place]! += 1;
    years.add(year);
  }
  if (years.size === 0) return null;
  return { means: smooth(sums, counts), years: [...years].sort((a, b) => a - b) };
}

/** The mean of all values within `AROUND` days of each place; the year is a ring. */
function smooth(sums: Float64Array, counts: Float64Array): Float64Array {
  const means = new Float64Array(PLACES);
  for (let place = 0; place < PLACES; place++) {
    let [sum, count] = [0, 0];
    for (let step = -AROUND; step <= AROUND; step++) {
      const near = (place + step + PLACES) % PLACES;
      sum += sums[near]!;
      count += counts[near]!;
    }
    means[place] = count > 0 ? sum / count : NaN;
  }
  return means;
}

/** The mean of the values of full years in a table of years; NaN where there is none. */
export function meanOfYears(frame: Frame, column: string, full: ReadonlySet<number>): number {
  let [sum, count] = [0, 0];
  valuesOf(frame, column).forEach((value, row) => {
    if (Number.isNaN(value) || !full.has(frame.at[row]!)) return;
    sum += value;
    count += 1;
  });
  return count > 0 ? sum / count : NaN;
}

/** Years of a daily frame with a value on all but `missing` days: used where no table tells which years are full. */
export function yearsByDays(frame: Frame, column: string, missing = 10): Set<number> {
  const counts = new Map<number, number>();
  valuesOf(frame, column).forEach((value, row) => {
    if (Number.isNaN(value)) return;
    const year = yearOf(frame.at[row]!);
    counts.set(year, (counts.get(year) ?? 0) + 1);
  });
  return new Set([...counts].filter(([, days]) => days >= 365 - missing).map(([year]) => year));
}
