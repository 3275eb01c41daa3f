import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Rows, TablePart } from "../../types";
import { dayText } from "../logic/days";
import { valuesOf } from "../logic/frame";
import { Series } from "./series";

const column = (name: string, type: string) => ({ name, type, optional: false, sensitive: false });
const table: TablePart = {
  name: "figures", key: ["place", "day"], columns: [column("place", "text"), column("day", "date"), column("mean", "double")],
  sensitive: false, store: null, notice: null, writer: null,
};

let cells: Map<string, string>;
let asked: string[];

/** A host with pages of three rows. */
async function host(_: string, ask: { where: string }): Promise<Rows> {
  asked.push(ask.where);
  const end = (op: string) => new RegExp(`day ${op} '([^']+)'`).exec(ask.where)?.[1];
  const found = [...cells].sort().filter(([day]) => {
    return day > (end(">") ?? "") && day >= (end(">=") ?? "") && day <= (end("<=") ?? "9");
  });
  return { columns: ["day", "mean"], rows: found.slice(0, 3), notice: "Source", more: found.length > 3 };
}

function shown(series: Series) {
  const { frame } = series.held;
  return frame && Array.from(frame.at, (day, row) => `${dayText(day)} ${valuesOf(frame, "mean")[row]}`);
}

describe("a series", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    cells = new Map(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"].map((day, place) => [day, String(place)]));
    asked = [];
  });
  afterEach(() => vi.useRealTimers());

  const begin = async (fetch = host) => {
    const series = new Series({ table, key: "place", subject: "a", when: "day", columns: ["mean"] }, fetch);
    await vi.advanceTimersByTimeAsync(1);
    return series;
  };

  it("is read page by page", async () => {
    const series = await begin();
    expect(shown(series)).toHaveLength(4);
    expect(asked).toEqual(["place = 'a'", "place = 'a' and day > '2024-01-03'"]);
    expect(series.held).toMatchObject({ notice: "Source", error: null, loading: false });
  });

  it("fetches only the range of a change, once for several and at most once a second", async () => {
    const series = await begin();
    asked = [];
    cells.set("2024-01-02", "20").set("2024-01-05", "4");
    series.changed({ rows: 1, first: ["a", "2024-01-02"], last: ["a", "2024-01-02"] });
    series.changed({ rows: 1, first: ["a", "2024-01-04"], last: ["a", "2024-01-05"] });
    series.changed({ rows: 1, first: ["b", "2024-01-01"], last: ["c", "2024-01-05"] });
    await vi.advanceTimersByTimeAsync(900);
    expect(asked).toEqual([]);
    await vi.advanceTimersByTimeAsync(200);
    expect(asked[0]).toBe("place = 'a' and day >= '2024-01-02' and day <= '2024-01-05'");
    expect(shown(series)).toEqual(["2024-01-01 0", "2024-01-02 20", "2024-01-03 2", "2024-01-04 3", "2024-01-05 4"]);
  });

  it("loses rows that are gone", async () => {
    const series = await begin();
    cells.delete("2024-01-02");
    series.changed({ rows: 1, first: ["a", "2024-01-02"], last: ["a", "2024-01-03"] });
    await vi.advanceTimersByTimeAsync(1100);
    expect(shown(series)).toEqual(["2024-01-01 0", "2024-01-03 2", "2024-01-04 3"]);
  });

  it("keeps what it has where a fetch fails, and fetches that again by itself", async () => {
    let fails = false;
    const series = await begin((name, ask) => (fails ? Promise.reject(new Error("away")) : host(name, ask)));
    fails = true;
    series.changed({ rows: 1, first: ["a", "2024-01-02"], last: ["a", "2024-01-02"] });
    await vi.advanceTimersByTimeAsync(1100);
    expect(series.held.error).toBeInstanceOf(Error);
    expect(shown(series)).toHaveLength(4);
    fails = false;
    cells.set("2024-01-02", "20");
    await vi.advanceTimersByTimeAsync(5100);
    expect(series.held.error).toBeNull();
    expect(shown(series)![1]).toBe("2024-01-02 20");
  });
});
