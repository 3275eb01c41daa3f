import { describe, expect, it } from "vitest";
import { merged } from "./live";

describe("changes of a table", () => {
  const change = (first: string[], last: string[], rows = 1) => ({ rows, first, last });

  it("become one range", () => {
    const both = merged(change(["00433", "2024-01-01"], ["00433", "2024-02-01"], 2), change(["00044", "2024-01-05"], ["00433", "2024-01-05"]));
    expect(both).toEqual({ rows: 3, first: ["00044", "2024-01-05"], last: ["00433", "2024-02-01"] });
  });

  it("have no range where one of them has none", () => {
    expect(merged(change(["a"], ["b"]), { rows: 4 })).toEqual({ rows: 5 });
  });

  it("have no range where their order depends on what the cells are", () => {
    expect(merged(change(["9"], ["9"]), change(["10"], ["10"]))).toEqual({ rows: 2 });
    expect(merged(change(["8"], ["8"]), change(["9"], ["9"]))).toEqual({ rows: 2, first: ["8"], last: ["9"] });
  });
});
