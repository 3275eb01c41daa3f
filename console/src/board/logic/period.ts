// The period that is shown: chosen by name or by dates, kept in the address.

import { dayOf, dayText, firstDay, yearOf } from "./days";

export type PeriodName = "all" | "10y" | "last" | "this" | "dates";

export interface Period {
  name: PeriodName;
  /** Days; only of a period by dates, open at an end that is not said. */
  from?: number;
  to?: number;
}

/** First and last day; infinite where the period is open. */
export interface Bounds {
  from: number;
  to: number;
}

export const PERIODS: readonly { name: PeriodName; title: string }[] = [
  { name: "all", title: "All" },
  { name: "10y", title: "Last 10 years" },
  { name: "last", title: "Last year" },
  { name: "this", title: "This year" },
  { name: "dates", title: "Dates" },
];

function day(text: string | undefined): number | undefined {
  const number = dayOf(text ?? "");
  return Number.isNaN(number) ? undefined : number;
}

/** The period that an address tells; what it does not understand is all. */
export function periodOf(query: Record<string, string | undefined>): Period {
  const name = PERIODS.find((known) => known.name === query.period)?.name ?? "all";
  if (name !== "dates") return { name };
  const [from, to] = [day(query.from), day(query.to)];
  if (from !== undefined && to !== undefined && from > to) return { name, from: to, to: from };
  return { name, ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

/** What an address tells of a period; undefined removes. */
export function queryOf(period: Period): Record<string, string | undefined> {
  return {
    period: period.name === "all" ? undefined : period.name,
    from: period.from === undefined ? undefined : dayText(period.from),
    to: period.to === undefined ? undefined : dayText(period.to),
  };
}

export function boundsOf(period: Period, today: number): Bounds {
  const year = yearOf(today);
  switch (period.name) {
    case "all":
      return { from: -Infinity, to: Infinity };
    case "10y":
      return { from: tenYearsBefore(today), to: today };
    case "last":
      return { from: firstDay(year - 1), to: firstDay(year) - 1 };
    case "this":
      return { from: firstDay(year), to: firstDay(year + 1) - 1 };
    case "dates":
      return { from: period.from ?? -Infinity, to: period.to ?? Infinity };
  }
}

/** The day after the same calendar day ten years ago. */
function tenYearsBefore(today: number): number {
  const date = new Date(today * 86_400_000);
  date.setUTCFullYear(date.getUTCFullYear() - 10);
  return Math.round(date.getTime() / 86_400_000) + 1;
}

/** The period in words, narrowed to where the data begin and end. */
export function boundsText(bounds: Bounds, data?: Bounds): string {
  const from = Math.max(bounds.from, data?.from ?? -Infinity);
  const to = Math.min(bounds.to, data?.to ?? Infinity);
  if (from > to) return "no data in this period";
  const start = Number.isFinite(from) ? dayText(from) : "";
  const end = Number.isFinite(to) ? dayText(to) : "";
  if (!start && !end) return "all days";
  if (!start) return `up to ${end}`;
  return end ? `${start} to ${end}` : `from ${start}`;
}

/** Years of which at least one day is in the period. */
export function yearsOf(bounds: Bounds): Bounds {
  return {
    from: Number.isFinite(bounds.from) ? yearOf(bounds.from) : -Infinity,
    to: Number.isFinite(bounds.to) ? yearOf(bounds.to) : Infinity,
  };
}
