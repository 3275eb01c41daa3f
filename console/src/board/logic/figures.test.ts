import { describe, expect, it } from "vitest";
import { counts } from "./counts";
import { dayOf, dayText, daysIn, firstDay } from "./days";
import { type Frame, frameOf } from "./frame";
import { sharesByMonth } from "./months";
import { meanOfYears, normals, yearsByDays } from "./normals";
import { fixed, percent, withUnit } from "./numbers";
import { byYear, extremes, pointsOf } from "./overlay";
import { fullYears, wholeness, yearsText } from "./whole";

/** A value for every day of some years. */
function daily(years: number[], value: (day: number, year: number) => number): Frame {
  const rows = years.flatMap((year) =>
    Array.from({ length: daysIn(year) }, (_, step) => [dayText(firstDay(year) + step), String(value(step, year))]),
  );
  return frameOf("day", ["at", "figure"], rows);
}

describe("what is whole", () => {
  const frame = frameOf("day", ["at", "have", "of"], [["2024-01-01", "126", "144"], ["2024-01-02", "125", "144"], ["2024-01-03", null, "144"]]);

  it("meets a share exactly", () => {
    const whole = wholeness(frame, { column: "have", of: 144, enough: 0.875, title: "readings" });
    expect([0, 1, 2].map(whole.isWhole)).toEqual([true, false, false]);
    expect([whole.text(0), whole.text(2)]).toEqual(["126 of 144 readings", null]);
  });

  it("may be of another column, and all where no share is said", () => {
    expect(wholeness(frame, { column: "have", of: "of" }).isWhole(0)).toBe(false);
  });

  it("is everything where nothing is said", () => {
    expect(wholeness(frame, undefined).isWhole(2)).toBe(true);
  });

  it("tells full years, and writes them shortly", () => {
    const years = frameOf("number", ["year", "days"], [["2020", "366"], ["2021", "300"], ["2022", "360"], ["2023", "365"]]);
    const full = fullYears(years, { column: "days", of: 365, enough: 0.972 });
    expect(yearsText(full)).toBe("2020, 2022–2023");
  });
});

describe("the long-term mean", () => {
  it("is of full years alone", () => {
    const frame = daily([2021, 2022, 2023], (_, year) => (year === 2023 ? 100 : year - 2020));
    const found = normals(frame, "figure", new Set([2021, 2022]))!;
    expect(found.years).toEqual([2021, 2022]);
    expect(found.means[0]).toBeCloseTo(1.5);
    expect(Array.from(found.means).every((mean) => Math.abs(mean - 1.5) < 1e-9)).toBe(true);
  });

  it("is none without a full year", () => {
    expect(normals(daily([2023], () => 1), "figure", new Set())).toBeNull();
  });

  it("of years is none without one, too", () => {
    const years = frameOf("number", ["year", "mean"], [["2020", "10"], ["2021", "12"]]);
    expect(meanOfYears(years, "mean", new Set([2020, 2021]))).toBe(11);
    expect(meanOfYears(years, "mean", new Set())).toBeNaN();
  });

  it("takes years with nearly all days for full where no table tells", () => {
    expect(yearsByDays(daily([2023], (step) => (step < 11 ? NaN : 1)), "figure").size).toBe(0);
    expect(yearsByDays(daily([2023], (step) => (step < 10 ? NaN : 1)), "figure").size).toBe(1);
  });
});

describe("counts", () => {
  const frame = frameOf("day", ["at"], [["2021-05-01"], ["2021-05-02"], ["2023-05-01"]]);

  it("counts a year without rows as 0, and means full years alone", () => {
    const found = counts(frame, { from: dayOf("2021-05-02"), to: Infinity }, [2021, 2022, 2023], new Set([2021, 2022]));
    expect(found.inPeriod).toBe(2);
    expect(found.years.map((year) => year.count)).toEqual([2, 0, 1]);
    expect(found.mean).toBe(1);
    expect(found.full).toEqual([2021, 2022]);
  });

  it("counts nothing where a period has no data, which is not none", () => {
    const bounds = { from: dayOf("2030-01-01"), to: dayOf("2030-12-31") };
    expect(counts(frame, bounds, [2021, 2022, 2023], new Set()).inPeriod).toBeNaN();
    expect(counts(frame, { from: dayOf("2022-01-01"), to: dayOf("2022-12-31") }, [2021, 2022, 2023], new Set()).inPeriod).toBe(0);
  });

  it("has no mean without a full year", () => {
    expect(counts(frame, { from: -Infinity, to: Infinity }, [], new Set()).mean).toBeNaN();
  });
});

describe("shares by month", () => {
  it("count days without a row as none, and nothing beyond the data", () => {
    const frame = frameOf("day", ["at", "share"], [["2024-01-30", "1"], ["2024-01-31", "0.5"], ["2024-03-02", "1"]]);
    const shares = sharesByMonth(frame, "share").get(2024)!;
    expect(Array.from(shares.subarray(0, 4))).toEqual([0.75, 0, 0.5, NaN]);
  });
});

describe("years over each other", () => {
  const years = byYear(daily([2023, 2024], (step, year) => step + (year - 2023) * 1000), "figure");

  it("lays the same calendar day on the same place", () => {
    expect(years.get(2023)![60]).toBe(59);
    expect(years.get(2024)![60]).toBe(1060);
    expect(years.get(2023)![59]).toBeNaN();
  });

  it("does not break a year at a day that it does not have", () => {
    expect(pointsOf(years.get(2023)!, false).every(([, value]) => !Number.isNaN(value))).toBe(true);
    expect(pointsOf(years.get(2024)!, true)).toHaveLength(366);
  });

  it("finds the extremes of a day", () => {
    expect(extremes(years, 0)).toEqual({ low: { year: 2023, value: 0 }, high: { year: 2024, value: 1000 } });
    expect(extremes(new Map(), 0)).toBeNull();
  });
});

describe("numbers", () => {
  it("keep their decimals, and no more than the data have", () => {
    expect([fixed(21, 1), fixed(-0.04, 1), fixed(-3.25, 2), fixed(NaN, 1), fixed(12345.678, 16)]).toEqual(["21.0", "0.0", "−3.25", "–", "12\u202f345.68"]);
    expect(withUnit(21, 1, "°C")).toBe("21.0\u202f°C");
  });

  it("never round up to all", () => {
    expect([percent(0.999), percent(1), percent(0), percent(NaN)]).toEqual(["99\u202f%", "100\u202f%", "0\u202f%", "–"]);
  });
});
