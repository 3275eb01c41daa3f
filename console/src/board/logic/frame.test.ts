import { describe, expect, it } from "vitest";
import { dayOf, dayText } from "./days";
import { decimals, emptyFrame, frameOf, mergeRange, slice, timeOf, valuesOf, withGaps } from "./frame";

function frame(rows: [string, string | null][]) {
  return frameOf("day", ["at", "figure"], rows);
}

function shown({ at, columns }: ReturnType<typeof frame>) {
  return Array.from(at, (day, row) => [dayText(day), columns.get("figure")!.values[row]]);
}

describe("reading rows", () => {
  it("takes no cell for a gap and counts decimals", () => {
    const read = frame([["2024-01-01", "1.5"], ["2024-01-02", null], ["2024-01-03", "-2.25"]]);
    expect(Array.from(valuesOf(read, "figure"))).toEqual([1.5, NaN, -2.25]);
    expect(read.columns.get("figure")!.digits).toBe(2);
  });

  it("reads years, instants and booleans", () => {
    expect(timeOf("number", "2024")).toBe(2024);
    expect(timeOf("instant", "2024-01-01T12:00:00Z")).toBe(dayOf("2024-01-01") + 0.5);
    expect(timeOf("instant", "2024-01-01 12:00:00")).toBe(dayOf("2024-01-01") + 0.5);
    expect(Array.from(valuesOf(frameOf("day", ["at", "is"], [["2024-01-01", "true"], ["2024-01-02", "false"]]), "is"))).toEqual([1, 0]);
  });

  it("counts no decimals of an exponent", () => {
    expect([decimals("1e-7"), decimals("12"), decimals("0.10")]).toEqual([0, 0, 2]);
  });

  it("gives gaps for a column that is not there", () => {
    expect(Array.from(valuesOf(frame([["2024-01-01", "1"]]), "other"))).toEqual([NaN]);
  });
});

describe("merging a changed range", () => {
  const old = frame([["2024-01-01", "1"], ["2024-01-02", "2"], ["2024-01-05", "5"]]);
  const merged = (rows: [string, string | null][], from: string, to: string) => shown(mergeRange(old, frame(rows), dayOf(from), dayOf(to)));

  it("replaces what is there and keeps the rest", () => {
    expect(merged([["2024-01-02", "20"]], "2024-01-02", "2024-01-02")).toEqual([["2024-01-01", 1], ["2024-01-02", 20], ["2024-01-05", 5]]);
  });

  it("puts new rows between and behind", () => {
    expect(merged([["2024-01-03", "3"]], "2024-01-03", "2024-01-04").map(([, value]) => value)).toEqual([1, 2, 3, 5]);
    expect(merged([["2024-01-06", "6"]], "2024-01-06", "2024-01-06").map(([, value]) => value)).toEqual([1, 2, 5, 6]);
  });

  it("forgets rows of the range that are gone", () => {
    expect(merged([], "2024-01-01", "2024-01-02")).toEqual([["2024-01-05", 5]]);
  });

  it("takes all of an open range", () => {
    const all = mergeRange(old, frame([["2023-01-01", "0"]]), -Infinity, Infinity);
    expect(shown(all)).toEqual([["2023-01-01", 0]]);
  });

  it("begins with nothing", () => {
    const first = mergeRange(emptyFrame("day", ["figure"]), frame([["2024-01-01", "1"]]), -Infinity, Infinity);
    expect(shown(first)).toEqual([["2024-01-01", 1]]);
  });
});

describe("gaps and periods", () => {
  it("puts in a row for each day that has none", () => {
    const whole = withGaps(frame([["2024-02-28", "1"], ["2024-03-02", "2"]]));
    expect(shown(whole)).toEqual([["2024-02-28", 1], ["2024-02-29", NaN], ["2024-03-01", NaN], ["2024-03-02", 2]]);
  });

  it("leaves instants as they are", () => {
    const instants = frameOf("instant", ["at", "figure"], [["2024-01-01T00:00:00Z", "1"], ["2024-01-03T00:00:00Z", "2"]]);
    expect(withGaps(instants)).toBe(instants);
  });

  it("cuts both ends in, and nothing where the period is elsewhere", () => {
    const all = frame([["2024-01-01", "1"], ["2024-01-02", "2"], ["2024-01-03", "3"]]);
    expect(shown(slice(all, dayOf("2024-01-02"), dayOf("2024-01-03"))).length).toBe(2);
    expect(slice(all, dayOf("2025-01-01"), dayOf("2025-02-01")).at.length).toBe(0);
    expect(slice(all, -Infinity, Infinity).at.length).toBe(3);
  });
});
