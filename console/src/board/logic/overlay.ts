// Years laid over each other: each by place in a year of 366 days.

import { placeInYear, yearOf } from "./days";
import { type Frame, valuesOf } from "./frame";

const PLACES = 366;

/** The values of each year by place in the year, the years in order; NaN where there is none. */
export function byYear(frame: Frame, column: string): Map<number, Float64Array> {
  const found = new Map<number, Float64Array>();
  const values = valuesOf(frame, column);
  for (let row = 0; row < values.length; row++) {
    if (Number.isNaN(values[row]!)) continue;
    const year = yearOf(frame.at[row]!);
    const places = found.get(year) ?? new Float64Array(PLACES).fill(NaN);
    places[placeInYear(frame.at[row]!)] = values[row]!;
    found.set(year, places);
  }
  return found;
}

/** The rows of a year as points without the 29th of February where the year has none, so that its line does not break there. */
export function pointsOf(places: Float64Array, isLeap: boolean): [number, number][] {
  const leapDay = 59;
  return Array.from(places, (value, place): [number, number] => [place, value]).filter(([place]) => isLeap || place !== leapDay);
}

export interface Extreme {
  year: number;
  value: number;
}

/** The years with the lowest and the highest value at a place. */
export function extremes(years: ReadonlyMap<number, Float64Array>, place: number): { low: Extreme; high: Extreme } | null {
  let [low, high]: [Extreme | null, Extreme | null] = [null, null];
  for (const [year, places] of years) {
    const value = places[place]!;
    if (Number.isNaN(value)) continue;
    if (!low || value < low.value) low = { year, value };
    if (!high || value > high.value) high = { year, value };
  }
  return low && high ? { low, high } : null;
}
