import { describe, expect, it } from "vitest";
import { STILL, healthOf, historyOf, isByHand, ratesOf } from "./rates";
import type { FunctionPulse, Pulse } from "./types";

function pulse(at_ms: number, records: number, commits: number, more: Partial<FunctionPulse> = {}): Pulse {
  const sum = { version: "v", records, commits, dead_letters: 0, call_micros: commits * 2000, lag: 5, troubles: [], due_ms: null };
  return { at_ms, functions: { sum: { ...sum, ...more } }, last_commit_ms: at_ms };
}

describe("rates", () => {
  it("are differences of counters over the time between", () => {
    expect(ratesOf([pulse(0, 0, 0), pulse(1000, 100, 4), pulse(2000, 300, 8)])["sum"]).toEqual({ records: 150, commits: 4, batch_ms: 2 });
  });

  it("are taken over the last seconds only", () => {
    const pulses = [pulse(0, 0, 0), pulse(60_000, 1000, 0), pulse(61_000, 1010, 0)];
    expect(ratesOf(pulses)["sum"]?.records).toBe(10);
  });

  it("are none with one pulse, and none where a host began anew", () => {
    expect(ratesOf([pulse(0, 10, 1)])["sum"]).toEqual(STILL);
    expect(ratesOf([pulse(0, 10, 1), pulse(1000, 2, 0)])["sum"]).toEqual(STILL);
    expect(ratesOf([])).toEqual({});
  });

  it("follow each other from pulse to pulse", () => {
    const history = historyOf([pulse(0, 0, 0), pulse(1000, 10, 0), pulse(3000, 50, 1)], "sum");
    expect(history.map(({ records, batch_ms }) => [records, batch_ms])).toEqual([
      [10, null],
      [20, 2],
    ]);
  });
});

describe("health", () => {
  it("sums up and names what is wrong", () => {
    const health = healthOf([pulse(0, 0, 0), pulse(1000, 50, 1, { troubles: ["too hot"], lag: 7 })]);
    expect(health).toEqual({ records: 50, lag: 7, last_commit_ms: 1000, troubles: [{ function: "sum", trouble: "too hot" }], paused: [] });
    expect(healthOf([pulse(0, 10, 1)])?.records).toBeNull();
    expect(healthOf([])).toBeNull();
  });

  it("finds nothing wrong with what somebody has paused", () => {
    const feigned = "`raw`/0: try 2: it says stands still: an operator paused it";
    expect(isByHand(feigned), "a failure's own words").toBe(false);
    const byHand = "`raw`/0 stands still: an operator paused it; `isobar resume sum` lets it go on";
    expect(healthOf([pulse(0, 0, 0, { troubles: [byHand] })])).toMatchObject({ troubles: [], paused: ["sum"] });
    const byToll = "`raw`/0 stands still: 11 of the last 10000 records would die";
    expect(healthOf([pulse(0, 0, 0, { troubles: [byToll] })])).toMatchObject({ troubles: [{ trouble: byToll }], paused: [] });
  });
});
