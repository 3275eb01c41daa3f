import { expect, test } from "vitest";
import { find } from "./find";
import { isolated, unisolated } from "./isolated";

test("only what could turn its neighbours around is held apart, and nothing in it ends that", () => {
  expect(isolated("Grünhausen")).toBe("Grünhausen");
  expect(isolated("\u05d7\u05d9\u05e4\u05d4")).toBe("\u2068\u05d7\u05d9\u05e4\u05d4\u2069");
  expect(isolated("a\u2069\u202eb")).toBe("\u2068a\u202eb\u2069");
  expect(unisolated(isolated("a\u202eb"))).toBe("a\u202eb");
});

test("a name that is held apart is found by how it begins", () => {
  const rows = [{ key: "1", name: "Inner Haifa" }, { key: "2", name: isolated("Haifa \u05d7") }];
  expect(find(rows, "haifa", 1)[0]?.key).toBe("2");
});
