import { describe, expect, it } from "vitest";
import { placeOf } from "./pages";

describe("addresses", () => {
  it("mean pages, and what they are of", () => {
    const titles = ["/flow", "/functions/sum", "/topics", "/topics/a%2Fb", "/dead-letters", "/tables", "/tables/days", "/audit"].map((path) => {
      const { kind, name } = placeOf(path);
      return kind.title(name);
    });
    expect(titles).toEqual(["Flow", "sum", "Topics", "a/b", "Dead letters", "Tables", "days", "Audit"]);
  });

  it("that mean nothing say so", () => {
    expect(placeOf("/nowhere").kind.title("")).toBe("Nothing here");
    expect(placeOf("/tables/%E0%A4%A").name).toBe("%E0%A4%A");
  });
});
