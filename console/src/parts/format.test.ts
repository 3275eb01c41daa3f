import { describe, expect, it } from "vitest";
import { bytes, count, duration, isNumber, moment, number, numberText, rate, relative, word } from "./format";

const thin = (text: string) => text.replaceAll("_", "\u202f");

describe("numbers", () => {
  it("keep their digits and are grouped from five on", () => {
    expect(numberText("1234567.80")).toBe(thin("1_234_567.80"));
    expect(numberText("2024")).toBe("2024");
    expect(numberText("-12345")).toBe(thin("−12_345"));
    expect(numberText("1e9")).toBe("1e9");
    expect(numberText("NaN")).toBe("NaN");
  });

  it("have no more digits than asked for", () => {
    expect(number(3.14159, 2)).toBe("3.14");
    expect(number(3, 2)).toBe("3");
    expect(number(Number.NaN)).toBe("–");
    expect([rate(0.05), rate(9.94), rate(1234.5)]).toEqual(["0.1", "9.9", "1235"]);
  });

  it("come with fitting units", () => {
    expect([bytes(512), bytes(1536), bytes(200 * 1024 * 1024)]).toEqual([thin("512_B"), thin("1.5_KiB"), thin("200_MiB")]);
    expect([duration(0.25), duration(4.26), duration(450), duration(2500), duration(59_000), duration(120_000)]).toEqual(
      ["250_µs", "4.3_ms", "450_ms", "2.5_s", "59_s", "2_min"].map(thin),
    );
    expect([count(1, "row"), count(12345, "row"), count(2, "batch", "batches")]).toEqual(["1 row", thin("12_345 rows"), "2 batches"]);
  });
});

describe("times", () => {
  it("are in UTC", () => {
    expect(moment(0)).toBe("1970-01-01 00:00:00 UTC");
    expect(moment(1, true)).toBe("1970-01-01 00:00:00.001 UTC");
    expect(moment(Number.NaN)).toBe("–");
  });

  it("are told from now", () => {
    expect(relative(100_000, 112_400)).toBe(thin("12_s ago"));
    expect(relative(112_000, 100_000)).toBe(thin("in 12_s"));
    expect(relative(100_000, 100_400)).toBe("now");
  });
});

describe("words", () => {
  it("are quoted for the shell where they have to be", () => {
    expect(word("daily_temp-data")).toBe("daily_temp-data");
    expect(word("a = 'b'")).toBe(`'a = '\\''b'\\'''`);
    expect(word("")).toBe("''");
  });

  it("tell types of numbers", () => {
    expect(["double", "int", "bigint"].every(isNumber)).toBe(true);
    expect(["text", "date", "timestamp", "boolean"].some(isNumber)).toBe(false);
  });
});
