// How many rows there are in a period and in each year.

import { yearOf } from "./days";
import { type Frame, indexAfter, indexFrom } from "./frame";
import { type Bounds, yearsOf } from "./period";

export interface YearCount {
  year: number;
  count: number;
  full: boolean;
}

export interface Counts {
  /** NaN where no year of the period is known: then there is nothing to count, which is not none. */
  inPeriod: number;
  years: YearCount[];
  /** Of the full years; NaN where there is none. */
  mean: number;
  full: number[];
}

/** Counts the rows of `frame`; a year that `known` has and that has no row counts 0. */
export function counts(frame: Frame, bounds: Bounds, known: Iterable<number>, full: ReadonlySet<number>): Counts {
  const span = yearsOf(bounds);
  const byYear = new Map<number, number>();
  for (const year of known) byYear.set(year, 0);
  for (const day of frame.at) {
    const year = frame.kind === "number" ? day : yearOf(day);
    byYear.set(year, (byYear.get(year) ?? 0) + 1);
  }
  const years = [...byYear].sort(([a], [b]) => a - b).map(([year, count]) => ({ year, count, full: full.has(year) }));
  const whole = years.filter((year) => year.full);
  const sum = whole.reduce((total, year) => total + year.count, 0);
  const isKnown = years.some(({ year }) => year >= span.from && year <= span.to);
  return {
    inPeriod: isKnown ? Math.max(0, indexAfter(frame.at, bounds.to) - indexFrom(frame.at, bounds.from)) : NaN,
    years,
    mean: whole.length > 0 ? sum / whole.length : NaN,
    full: whole.map((year) => year.year),
  };
}
