import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RecordView, TopicStatus } from "../../types";
import { placesAt, readBack, readOn, seek } from "./read";

const extents: TopicStatus[] = [0, 1].map((partition) => ({ topic: "raw", partition, first: 10, next: 1010, bytes: 0 }));
const { signal } = new AbortController();

/** A topic of two partitions in which every seventh offset is missing. */
function record(partition: number, offset: number): RecordView {
  return { partition, offset, timestamp_ms: offset * 10 + partition, key: null, value: { text: String(offset) }, headers: [] };
}

beforeEach(() => {
  vi.stubGlobal("fetch", async (path: string) => {
    const query = new URL(path, "http://host").searchParams;
    const [partition, from, limit] = ["partition", "from", "limit"].map((name) => Number(query.get(name))) as [number, number, number];
    const records: RecordView[] = [];
    for (let offset = Math.max(from, 10); offset < 1010 && records.length < Math.min(limit, 1000); offset += 1) {
      if (offset % 7 !== 0) records.push(record(partition, offset));
    }
    return new Response(JSON.stringify({ records, more: false }));
  });
});

afterEach(() => vi.unstubAllGlobals());

describe("a topic", () => {
  it("is read backwards, each record once", async () => {
    const offsets: number[] = [];
    let piece = await readBack("raw", extents, new Map(), 300, signal);
    for (;;) {
      offsets.push(...piece.records.filter(({ partition }) => partition === 0).map(({ offset }) => offset));
      if (piece.done) break;
      piece = await readBack("raw", extents, piece.places, 300, signal);
    }
    const all = Array.from({ length: 1000 }, (_, at) => 1009 - at).filter((offset) => offset % 7 !== 0);
    expect(offsets).toEqual(all);
  });

  it("is read on from a place to its end", async () => {
    const first = await readOn("raw", extents, new Map([[0, 1000], [1, 1005]]), 8, signal);
    expect(first.records.map(({ partition, offset }) => `${partition}/${offset}`)).toEqual(["0/1000", "0/1002", "0/1003", "0/1004", "1/1005", "1/1006", "1/1007", "1/1009"]);
    expect(first.done).toBe(false);
    expect((await readOn("raw", extents, first.places, 20, signal)).done).toBe(true);
  });

  it("is found at a time in each partition", async () => {
    const places = await placesAt("raw", extents, 5000, signal);
    const { records } = await readOn("raw", extents, places, 2, signal);
    expect(records.map(({ timestamp_ms }) => timestamp_ms)).toEqual([5000, 5001]);
  });

  it("is searched until something fits", async () => {
    const found = await seek(readBack, ["raw", extents, new Map()], ({ offset }) => offset === 99, signal);
    expect(found.records.map(({ offset }) => offset)).toEqual([99, 99]);
    expect(found.read).toBeGreaterThan(1500);
    const nothing = await seek(readBack, ["raw", extents, new Map()], () => false, signal);
    expect([nothing.records.length, nothing.done]).toEqual([0, true]);
  });
});
