import { describe, expect, it } from "vitest";
import { type FunctionLetter, groupReason, grouped, reasonLines, story } from "./letters";

function letter(offset: number, reason: string, more: Partial<FunctionLetter> = {}): FunctionLetter {
  return {
    function: "sum",
    topic: "dead.sum",
    partition: 0,
    offset,
    from_topic: "raw",
    from_partition: 1,
    from_offset: 70 + offset,
    version: "0123456789abcdef",
    attempts: 5,
    at_ms: offset * 1000,
    reason,
    frames: [],
    key: null,
    value: null,
    fate: null,
    ...more,
  };
}

describe("reasons", () => {
  it("begin with why, where a panic says where first", () => {
    const panic = "panicked at src/lib.rs:4:5:\ntoo hot\nnote: run with more";
    expect(reasonLines(panic)).toEqual({ first: "too hot", rest: ["panicked at src/lib.rs:4:5:", "note: run with more"] });
    expect(reasonLines("panicked at src/lib.rs:4:5")).toEqual({ first: "panicked at src/lib.rs:4:5", rest: [] });
    expect(reasonLines("late")).toEqual({ first: "late", rest: [] });
    expect(reasonLines("").first).toBe("no reason was given");
  });

  it("are the same where only values differ", () => {
    expect(groupReason("value 4.5 of 'a' is too high")).toBe(groupReason("value 12 of 'b' is too high"));
    expect(groupReason("too high")).not.toBe(groupReason("too low"));
  });
});

describe("groups", () => {
  it("are by function and reason, the newest first", () => {
    const groups = grouped([letter(1, "value 1"), letter(5, "late"), letter(3, "value 3"), letter(2, "late", { function: "other" })]);
    expect(groups.map(({ function: name, letters }) => [name, letters.map(({ offset }) => offset)])).toEqual([
      ["sum", [5]],
      ["sum", [3, 1]],
      ["other", [2]],
    ]);
  });

  it("that are settled stand last", () => {
    const groups = grouped([letter(9, "late", { fate: "dropped" }), letter(1, "value 1")]);
    expect(groups.map(({ open, reason }) => [reason, open])).toEqual([
      ["value 1", 1],
      ["late", 0],
    ]);
  });
});

describe("the story", () => {
  it("leads from where the record came from to what became of it", () => {
    const events = story(letter(4, "late", { fate: "redriven" }), 500);
    expect(events.map(({ what }) => what)).toEqual([
      "came to raw/1 at offset 74",
      "was delivered 5 times to sum, version 0123456789ab",
      "was put aside in dead.sum/0 at offset 4",
      "was redriven",
    ]);
    expect(events[0]).toMatchObject({ at_ms: 500, href: "/topics/raw?partition=1&from=74" });
  });
});
