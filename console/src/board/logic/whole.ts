// Which figures are made of all that they should be made of.

import type { Complete } from "./dashboard";
import { type Frame, valuesOf } from "./frame";

export interface Wholeness {
  /** Whether the figure at a row counts as whole. */
  isWhole: (row: number) => boolean;
  /** `130 of 144 readings`; none where nothing is known. */
  text: (row: number) => string | null;
}

const KNOWS_NOTHING: Wholeness = { isWhole: () => true, text: () => null };

export function wholeness(frame: Frame, complete: Complete | undefined): Wholeness {
  if (!complete) return KNOWS_NOTHING;
  const have = valuesOf(frame, complete.column);
  const of = typeof complete.of === "number" ? null : valuesOf(frame, complete.of);
  const wanted = (row: number) => (of ? of[row]! : (complete.of as number));
  // A hair below the share, so that 0.875 of 144 is met by 126 in floating point, too.
  const enough = (complete.enough ?? 1) - 1e-9;
  return {
    isWhole: (row) => have[row]! >= wanted(row) * enough,
    text: (row) => {
      if (Number.isNaN(have[row]!) || Number.isNaN(wanted(row))) return null;
      return `${have[row]} of ${wanted(row)}${complete.title ? ` ${complete.title}` : ""}`;
    },
  };
}

/** The full years of a table of years. */
export function fullYears(frame: Frame, complete: Complete): Set<number> {
  const whole = wholeness(frame, complete);
  const years = new Set<number>();
  frame.at.forEach((year, row) => whole.isWhole(row) && years.add(year));
  return years;
}

/** Years in a few words: `2016–2019, 2021`. */
export function yearsText(years: Iterable<number>): string {
  const sorted = [...years].sort((a, b) => a - b);
  const runs: [number, number][] = [];
  for (const year of sorted) {
    const last = runs[runs.length - 1];
    if (last && last[1] === year - 1) last[1] = year;
    else runs.push([year, year]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(", ");
}
