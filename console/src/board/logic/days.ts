// Days as numbers: whole days since 1970-01-01, all in UTC, so that arithmetic knows no time zone and no summer time.

export const DAY_MS = 86_400_000;

/** The day of `2024-01-31`, or NaN where the text is no date. */
export function dayOf(text: string): number {
  const parts = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (!parts) return NaN;
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  const number = Date.UTC(year, month - 1, day) / DAY_MS;
  return dayText(number) === text ? number : NaN;
}

/** `2024-01-31`. */
export function dayText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

export function yearOf(day: number): number {
  return new Date(day * DAY_MS).getUTCFullYear();
}

export function firstDay(year: number): number {
  return Date.UTC(year, 0, 1) / DAY_MS;
}

/** How many days a year has. */
export function daysIn(year: number): number {
  return firstDay(year + 1) - firstDay(year);
}

const LEAP = 2000;

/** The place of a day in a year of 366 days, from 0: the same calendar day has the same place in every year. */
export function placeInYear(day: number): number {
  const date = new Date(day * DAY_MS);
  return (Date.UTC(LEAP, date.getUTCMonth(), date.getUTCDate()) - Date.UTC(LEAP, 0, 1)) / DAY_MS;
}

/** The date in the year 2000 that has this place, in days. */
export function dayOfPlace(place: number): number {
  return firstDay(LEAP) + place;
}

export function today(now: number = Date.now()): number {
  return Math.floor(now / DAY_MS);
}
