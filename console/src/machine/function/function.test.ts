import { describe, expect, it } from "vitest";
import type { Comparison, TableComparison } from "../../types";
import { barsOf, percentile } from "./bars";
import { byColumn, differencesOf, remarks } from "./comparison";

describe("bars", () => {
  it("stand at the right, the highest in full", () => {
    expect(barsOf([1, null, 4], 4, 40, 8)).toEqual([
      { x: 10, y: 6, width: 9, height: 2 },
      { x: 30, y: 0, width: 9, height: 8 },
    ]);
    expect(barsOf([0, 0], 4, 40, 8)).toEqual([]);
    expect(barsOf([1, 2, 3], 2, 40, 8)).toHaveLength(2);
  });

  it("have percentiles", () => {
    const values = Array.from({ length: 100 }, (_, at) => 100 - at);
    expect([percentile(values, 0.5), percentile(values, 0.95), percentile(values, 1)]).toEqual([50, 95, 100]);
    expect(percentile([], 0.5)).toBeNull();
  });
});

const table: TableComparison = {
  table: "days",
  rows: 9,
  differing: 3,
  only_charge: 1,
  only_shadow: 0,
  hidden: false,
  first: [
    { key: [["id", "a"], ["day", "1"]], in_charge: true, in_shadow: true, cells: [{ column: "mean", charge: "1", shadow: "2" }] },
    { key: [["id", "b"], ["day", "1"]], in_charge: true, in_shadow: true, cells: [{ column: "mean", charge: null, shadow: "2" }] },
    { key: [["id", "c"], ["day", "1"]], in_charge: true, in_shadow: false, cells: [] },
  ],
};

describe("what a shadow makes otherwise", () => {
  it("is told cell by cell", () => {
    expect(differencesOf(table)).toEqual([
      { table: "days", key: "a, 1", column: "mean", old: "1", new: "2", only: null },
      { table: "days", key: "b, 1", column: "mean", old: null, new: "2", only: null },
      { table: "days", key: "c, 1", column: "", old: null, new: null, only: "old" },
    ]);
  });

  it("is counted by column", () => {
    expect(byColumn(differencesOf(table))).toEqual([{ column: "mean", many: 2 }]);
  });

  it("comes with what one has to know of it", () => {
    const shadow = { past: false, behind: 3, of_part: false, reads_others: true, replays: false, same_version: true, beside_others: false };
    expect(remarks(shadow as Comparison)).toHaveLength(2);
  });
});
