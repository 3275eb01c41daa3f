import { describe, expect, it } from "vitest";
import { dayOf, dayText, daysIn, placeInYear } from "./days";
import { boundsOf, boundsText, periodOf, queryOf, yearsOf } from "./period";

const TODAY = dayOf("2024-02-29");

function text(query: Record<string, string>) {
  return boundsText(boundsOf(periodOf(query), TODAY));
}

describe("days", () => {
  it("knows what is no date", () => {
    expect([dayOf("2024-02-30"), dayOf("24-1-1"), dayOf("")].every(Number.isNaN)).toBe(true);
    expect(dayText(dayOf("1999-12-31"))).toBe("1999-12-31");
  });

  it("gives each calendar day the same place in every year", () => {
    expect(placeInYear(dayOf("2023-03-01"))).toBe(placeInYear(dayOf("2024-03-01")));
    expect([daysIn(2023), daysIn(2024)]).toEqual([365, 366]);
  });
});

describe("periods", () => {
  it("are read from the address", () => {
    expect(text({})).toBe("all days");
    expect(text({ period: "last" })).toBe("2023-01-01 to 2023-12-31");
    expect(text({ period: "this" })).toBe("2024-01-01 to 2024-12-31");
    expect(text({ period: "10y" })).toBe("2014-03-02 to 2024-02-29");
    expect(text({ period: "nonsense" })).toBe("all days");
  });

  it("may be open, and stand the wrong way round", () => {
    expect(text({ period: "dates", from: "2020-01-01" })).toBe("from 2020-01-01");
    expect(text({ period: "dates", to: "2020-01-01" })).toBe("up to 2020-01-01");
    expect(text({ period: "dates", from: "2021-01-01", to: "2020-01-01" })).toBe("2020-01-01 to 2021-01-01");
  });

  it("come back from what they write", () => {
    const period = periodOf({ period: "dates", from: "2020-01-01", to: "2020-06-30" });
    expect(periodOf(queryOf(period))).toEqual(period);
    expect(queryOf({ name: "all" }).period).toBeUndefined();
  });

  it("have years of which a day is in them", () => {
    expect(yearsOf(boundsOf(periodOf({ period: "10y" }), TODAY))).toEqual({ from: 2014, to: 2024 });
  });

  it("are narrowed to where there are data", () => {
    const bounds = boundsOf({ name: "all" }, TODAY);
    expect(boundsText(bounds, { from: dayOf("2001-01-01"), to: dayOf("2002-01-01") })).toBe("2001-01-01 to 2002-01-01");
    expect(boundsText({ from: 10, to: 20 }, { from: 30, to: 40 })).toBe("no data in this period");
  });
});
