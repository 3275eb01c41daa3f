import { describe, expect, it } from "vitest";
import type { SourceStatus, Standing } from "../types";
import { conditionNow, isStopped, overall, paragraph } from "./standing";

function source(standing: Standing): SourceStatus {
  const counters = { position: 0, lag: 0, due_ms: null, records: 0, commits: 0, dead_letters: 0, call_micros: 0 };
  return { function: "sum", source: "raw", partition: 0, scheduled: false, version: "v", standing, ...counters };
}

describe("how a function is", () => {
  it("is how its worst partition is", () => {
    const waiting = source({ state: "waiting", reason: "the store is away" });
    const stopped = source({ state: "stopped", reason: "by hand" });
    expect(overall([source({ state: "idle" }), waiting, stopped])).toEqual({ tone: "wrong", word: "stopped", reason: "by hand" });
    expect(overall([waiting, source({ state: "running" })]).tone).toBe("waiting");
    expect(isStopped([waiting, stopped])).toBe(true);
  });

  it("is running where one partition runs", () => {
    expect(overall([source({ state: "idle" }), source({ state: "running" })]).word).toBe("running");
    expect(overall([]).word).toBe("idle");
  });

  it("is paused, and not wrong, where somebody wanted that", () => {
    const reason = "an operator paused it; `isobar resume sum` lets it go on";
    const paused = source({ state: "stopped", reason });
    expect(overall([source({ state: "idle" }), paused])).toEqual({
      tone: "paused",
      word: "paused",
      reason: "`isobar resume sum` lets it go on",
    });
    expect(overall([paused, source({ state: "stopped", reason: "too many died" })]).tone).toBe("wrong");
    expect(isStopped([paused])).toBe(true);
  });

  it("tells why it tries again", () => {
    const retrying = source({ state: "retrying", attempt: 3, reason: "panicked at a.rs:1:1:\ntoo hot" });
    expect(overall([retrying]).reason).toBe("after 3 deliveries: too hot");
  });

  it("is as the pulse says where that is worse", () => {
    const pulse = { version: "v", records: 0, commits: 0, dead_letters: 0, call_micros: 0, lag: 0, troubles: ["gone"], due_ms: null };
    expect(conditionNow(pulse, [source({ state: "idle" })])).toMatchObject({ tone: "wrong", reason: "gone" });
    const paused = { ...pulse, troubles: ["`raw`/0 stands still: an operator paused it; `isobar resume sum` lets it go on"] };
    expect(conditionNow(paused, [source({ state: "idle" })]).word).toBe("paused");
    expect(conditionNow(pulse, [source({ state: "stopped", reason: "an operator paused it" })]).tone).toBe("wrong");
    expect(conditionNow(pulse, [source({ state: "stopped", reason: "by hand" })]).word).toBe("stopped");
  });
});

describe("grants", () => {
  it("are one sentence", () => {
    expect(paragraph([])).toBe("It may touch nothing.");
    expect(paragraph(["may keep state"])).toBe("It may keep state.");
    expect(paragraph(["may send requests to `{{ dwd_url }}`"])).toBe(
      "It may send requests to an address that the operator sets by the variable `dwd_url`.",
    );
    expect(paragraph(["may send requests to `https://{{ host }}:443`"])).toBe(
      "It may send requests to `https://…:443`, where the operator sets `host`.",
    );
    expect(paragraph(["runs for records of a", "may write b"])).toBe("It runs for records of a; may write b.");
  });
});
