import { describe, expect, it } from "vitest";
import type { TablePart } from "../../types";
import { bucketed, lone, runs } from "./buckets";
import { envelopeOf } from "./envelope";
import { find } from "./find";
import { neighbour, pathOf, projection, ringsOf } from "./geo";
import { rangeFor, unite } from "./ranges";
import { colourOf, inkOn, placeOn, scaleAround, segments } from "./scale";
import { csvOf, fileName } from "./sheet";
import { whereOf } from "./where";

describe("conditions", () => {
  const columns = [["name", "text"], ["year", "int"], ["day", "date"]].map(([name, type]) => ({ name: name!, type: type!, optional: false, sensitive: false }));
  const table: TablePart = { name: "t", key: ["name", "day"], columns, sensitive: false, store: null, notice: null, writer: null };

  it("quote what is text and escape quotes in it", () => {
    const where = whereOf(table, [{ column: "name", op: "=", value: "O'Hara' or 1=1" }, { column: "day", op: ">", value: "2024-01-31" }], "year > 3");
    expect(where).toBe("name = 'O''Hara'' or 1=1' and day > '2024-01-31' and year > 3");
    expect(whereOf(table, [{ column: "year", op: "<=", value: "2024" }])).toBe("year <= 2024");
  });
});

describe("changed ranges", () => {
  const change = { rows: 9, first: ["b", "2024-01-05"], last: ["d", "2024-01-09"] };

  it("are known at the ends and open between", () => {
    expect(rangeFor(change, "b")).toEqual({ from: "2024-01-05" });
    expect(rangeFor(change, "c")).toEqual({});
    expect(rangeFor(change, "d")).toEqual({ to: "2024-01-09" });
    expect([rangeFor(change, "a"), rangeFor(change, "e")]).toEqual([null, null]);
  });

  it("are of numbers where subjects are numbers", () => {
    const numbers = { rows: 1, first: ["9", "2024-01-01"], last: ["11", "2024-01-02"] };
    expect([rangeFor(numbers, "10", true), rangeFor(numbers, "8", true)]).toEqual([{}, null]);
  });

  it("are all where they may not be told", () => {
    expect(rangeFor({ rows: 1 }, "a")).toEqual({});
  });

  it("unite, and an open end stays open", () => {
    expect(unite({ from: "9", to: "10" }, { from: "10", to: "9" }, true)).toEqual({ from: "9", to: "10" });
    expect(unite({ from: "2024-01-05", to: "2024-01-06" }, { to: "2024-01-07" }, false)).toEqual({ to: "2024-01-07" });
    expect(unite({}, { from: "1", to: "2" }, true)).toEqual({});
    expect(unite(null, { from: "1" }, true)).toEqual({ from: "1" });
  });
});

describe("the scale", () => {
  const scale = { middle: 9, reach: 12 };

  it("is white in the middle, blue below, red above, and ends at its ends", () => {
    expect(colourOf(scale, 9)).toBe("rgb(247, 247, 247)");
    expect(colourOf(scale, -100)).toBe("rgb(5, 48, 97)");
    expect(colourOf(scale, 100)).toBe("rgb(103, 0, 31)");
    expect([placeOn(scale, -3), placeOn(scale, 21)]).toEqual([0, 1]);
  });

  it("is written on in what reads better", () => {
    expect([inkOn(scale, 9), inkOn(scale, -3), inkOn(scale, 21)]).toEqual(["#000000", "#ffffff", "#ffffff"]);
  });

  it("reaches to the farthest value, and somewhere where there is none", () => {
    expect(scaleAround(10, [8, NaN, 13])).toEqual({ middle: 10, reach: 3 });
    expect(scaleAround(10, [])).toEqual({ middle: 10, reach: 1 });
  });

  it("gives a gauge segments up to its whole way", () => {
    expect(segments(scale, -30, 45).at(-1)![0]).toBe(1);
  });
});

describe("files", () => {
  it("quote what has to be quoted and carry the notice in each row", () => {
    const sheet = { columns: [{ title: "Name" }, { title: "Mean", unit: "°C", digits: 1 }], rows: [['a "b", c', 7], ["d", NaN], [null, -1.25]] };
    expect(csvOf(sheet, "Source: x, y")).toBe(
      'Name,Mean (°C),notice\r\n"a ""b"", c",7.0,"Source: x, y"\r\nd,,"Source: x, y"\r\n,-1.3,"Source: x, y"\r\n'.replace("-1.3", (-1.25).toFixed(1)),
    );
    expect(csvOf(sheet, null).split("\r\n")[0]).toBe("Name,Mean (°C)");
  });

  it("hold no text that a spreadsheet would run", () => {
    const cells = ["=1+1", "+x", "@x", "-x", "-3.5", "plain"];
    expect(csvOf({ columns: [{ title: "T" }], rows: cells.map((cell) => [cell]) }, null).trim().split("\r\n").slice(1)).toEqual(
      ["'=1+1", "'+x", "'@x", "'-x", "-3.5", "plain"],
    );
  });

  it("are named after what they hold, in letters that every system takes", () => {
    expect(fileName(["Weather", "max", "München/Straße <b>", "2016-12-01 to 2026-11-30"], "csv")).toBe(
      "weather_max_munchen-strasse-b_2016-12-01-to-2026-11-30.csv",
    );
    expect(fileName(["…", "../.."], "png")).toBe("data.png");
  });
});

describe("bands", () => {
  const low = Float64Array.of(1, 2, NaN, 4, 5, 6);
  const high = Float64Array.of(11, 12, 13, 14, 15, 16);
  const at = Float64Array.of(0, 1, 2, 3, 4, 5);

  it("break where a value is missing", () => {
    expect(runs(low, high)).toEqual([[0, 1], [3, 5]]);
    expect(runs(Float64Array.of(), Float64Array.of())).toEqual([]);
  });

  it("keep the lowest and the highest of what shares a pixel", () => {
    expect(bucketed(at, low, high, [3, 5], 2)).toEqual([{ at: 3, low: 4, high: 15, mean: 9.5 }, { at: 5, low: 6, high: 16, mean: 11 }]);
    expect(bucketed(at, low, high, [0, 1], 0.1)).toHaveLength(2);
  });

  it("lie around lines of which one is the highest and one the lowest everywhere", () => {
    const [high, mean, low] = [[5, NaN, 7], [3, 4, 7], [1, NaN, 6]].map((values) => Float64Array.from(values)) as [Float64Array, Float64Array, Float64Array];
    expect(envelopeOf([mean, low, high])).toEqual({ high: 2, low: 1 });
    expect(envelopeOf([high, low])).toBeNull();
    expect(envelopeOf([high, mean, Float64Array.from([6, 4, 1])])).toBeNull();
    expect(envelopeOf([high, high, high])).toEqual({ high: 0, low: 2 });
  });

  it("show days that stand alone", () => {
    expect(lone(Float64Array.of(1, NaN, 2, NaN, 3, 4))).toEqual([0, 2]);
  });
});

describe("finding", () => {
  const all = [{ key: "00433", name: "Berlin-Tempelhof" }, { key: "03379", name: "München-Stadt" }, { key: "01975", name: "Tempel am See" }];
  const keys = (typed: string) => find(all, typed, 10).map((one) => one.key);

  it("takes name and key, whatever the accents, the best first", () => {
    expect(keys("tempel")).toEqual(["01975", "00433"]);
    expect(keys("munchen")).toEqual(["03379"]);
    expect(keys("0433")).toEqual(["00433"]);
    expect(keys("xyz")).toEqual([]);
    expect(find(all, " ", 2)).toHaveLength(2);
  });
});

describe("the map", () => {
  const outline = { type: "Feature", geometry: { type: "MultiPolygon", coordinates: [[[[5, 47], [15, 47], [15, 55], [5, 55]]]] } };

  it("reads outlines, and nothing from what is none", () => {
    expect(ringsOf(outline)).toHaveLength(1);
    expect(ringsOf({ type: "FeatureCollection", features: [outline, outline] })).toHaveLength(2);
    expect([ringsOf(null), ringsOf("germany.geojson"), ringsOf({})]).toEqual([[], [], []]);
  });

  it("keeps proportions and fits the width", () => {
    const onMap = projection(ringsOf(outline).flat(), 320, 10)!;
    expect([onMap.x(5), onMap.x(15)].map(Math.round)).toEqual([10, 310]);
    expect(onMap.y(55)).toBe(10);
    expect(Math.round(onMap.height)).toBe(Math.round(20 + (300 * 8) / (10 * Math.cos((51 * Math.PI) / 180))));
    expect(pathOf([[[5, 55], [15, 55]]], onMap)).toBe("M10.0 10.0L310.0 10.0Z");
    expect(projection([], 320, 10)).toBeNull();
  });

  it("leads from place to place by arrows", () => {
    const places = [{ x: 0, y: 0 }, { x: 10, y: 1 }, { x: 0, y: 10 }];
    expect([neighbour(places, 0, 1, 0), neighbour(places, 0, 0, 1), neighbour(places, 0, -1, 0)]).toEqual([1, 2, null]);
  });
});
