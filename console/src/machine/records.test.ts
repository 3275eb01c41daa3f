import { describe, expect, it } from "vitest";
import type { RecordView } from "../types";
import { decode, newestFirst, offsetAt, parseMoment, spansBefore } from "./records";

describe("decoding", () => {
  it("shows JSON with its parts in lines, and leaves other text as it is", () => {
    expect(decode({ text: '{"a":[1,2]}' })).toEqual({ form: "json", text: '{\n  "a": [\n    1,\n    2\n  ]\n}', line: '{"a":[1,2]}' });
    expect(decode({ text: "{no" }).form).toBe("text");
    expect(decode({ text: "12" })).toEqual({ form: "text", text: "12", line: "12" });
  });

  it("changes no digit of a long number", () => {
    const text = '{"id":12345678901234567890}';
    expect(decode({ text }).text).toBe(text);
  });

  it("shows bytes as such", () => {
    const { form, text, line } = decode({ base64: "/wBB" });
    expect([form, line]).toEqual(["bytes", "3 bytes"]);
    expect(text).toBe(`000000  ff 00 41${" ".repeat(39)}  ··A`);
  });

  it("tells a tombstone, and shortens what is long", () => {
    expect(decode(null).form).toBe("nothing");
    expect(decode({ text: "x".repeat(500) }).line).toHaveLength(160);
  });
});

function record(offset: number, timestamp_ms: number, partition = 0): RecordView {
  return { partition, offset, timestamp_ms, key: null, value: null, headers: [] };
}

describe("places in a topic", () => {
  it("are sought by halving", async () => {
    // Every third offset is missing.
    const log = Array.from({ length: 3000 }, (_, at) => record(100 + at, at * 10)).filter(({ offset }) => offset % 3 !== 0);
    let reads = 0;
    const read = async (from: number) => {
      reads += 1;
      return log.find(({ offset }) => offset >= from);
    };
    const first = async (at_ms: number) => {
      const from = await offsetAt({ first: 100, next: 3100 }, at_ms, read);
      return log.find(({ offset }) => offset >= from)?.timestamp_ms;
    };
    expect(await first(12_345)).toBe(log.find(({ timestamp_ms }) => timestamp_ms >= 12_345)?.timestamp_ms);
    expect(reads).toBeLessThan(14);
    expect(await first(0)).toBe(log[0]?.timestamp_ms);
    expect(await first(1e9)).toBeUndefined();
  });

  it("are read backwards without going beyond the first record kept", () => {
    const ends = [
      { partition: 0, first: 0, before: 500 },
      { partition: 1, first: 90, before: 100 },
      { partition: 2, first: 7, before: 7 },
    ];
    expect(spansBefore(ends, 50)).toEqual([
      { partition: 0, from: 450, limit: 50 },
      { partition: 1, from: 90, limit: 10 },
    ]);
  });

  it("are ordered by time, then by offset", () => {
    const sorted = [record(1, 5), record(2, 5), record(0, 9, 1)].sort(newestFirst);
    expect(sorted.map(({ offset }) => offset)).toEqual([0, 2, 1]);
  });
});

describe("moments", () => {
  it("are read in UTC", () => {
    expect(parseMoment("2024-05-01")).toBe(Date.UTC(2024, 4, 1));
    expect(parseMoment(" 2024-05-01 12:30 UTC")).toBe(Date.UTC(2024, 4, 1, 12, 30));
    expect(parseMoment("2024-05-01T12:30:15.5Z")).toBe(Date.UTC(2024, 4, 1, 12, 30, 15, 500));
  });

  it("are refused otherwise", () => {
    expect(["", "yesterday", "2024-13-01", "12:30"].map(parseMoment)).toEqual([null, null, null, null]);
  });
});
