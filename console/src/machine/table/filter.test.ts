import { describe, expect, it } from "vitest";
import { fileName, hiddenColumns, literal, noRows, queryCommand, shownCell, viewOf } from "./filter";

describe("a view of a table", () => {
  it("stands in the address", () => {
    expect(viewOf(new URLSearchParams("where=a = 1&order=-b&offset=200"))).toEqual({ where: "a = 1", order: "-b", offset: 200 });
    expect(viewOf(new URLSearchParams("where= &offset=-4"))).toEqual({ where: null, order: null, offset: 0 });
  });

  it("names files after what they hold", () => {
    expect(fileName("days", null, "csv")).toBe("days.csv");
    expect(fileName("days", "id = '00433' and day >= '2024-01-01'", "json")).toBe("days-id-00433-and-day-from-2024-01-01.json");
    expect(fileName("days", "mean < 0", "parquet")).toBe("days-mean-below-0.parquet");
  });

  it("is a command line", () => {
    expect(queryCommand("days", "id = 'a'", true)).toBe(`isobar table query days --where 'id = '\\''a'\\''' --sensitive`);
    expect(queryCommand("days", null, false)).toBe("isobar table query days");
  });
});

describe("cells", () => {
  it("are written as the filter reads them", () => {
    expect(literal("text", "it's")).toBe("'it''s'");
    expect(literal("double", "1.5")).toBe("1.5");
    expect(literal("date", "2024-01-31")).toBe("'2024-01-31'");
  });

  it("have no more digits than one reads, and all that tell small ones apart", () => {
    expect(["11.283333333333333", "2456.7999999999997", "-0.00001234567", "9.0", "0.99999999", "1234567"].map(shownCell)).toEqual(
      ["11.2833", "2456.8", "−0.00001235", "9.0", "1", "1\u202f234\u202f567"],
    );
    expect(["1e-7", "NaN", "50.7358"].map(shownCell)).toEqual(["1e-7", "NaN", "50.7358"]);
  });

  it("that are not there are told of", () => {
    const view = { where: null, order: null, offset: 0 };
    expect(noRows(view)).toBe("The table is empty.");
    expect(noRows({ ...view, where: "a = 1" })).toBe("No row meets this.");
    expect(noRows({ ...view, offset: 100 })).toBe("There are no more rows.");
  });

  it("that are sensitive are known by what is missing", () => {
    const column = (name: string, sensitive: boolean) => ({ name, type: "text", optional: false, sensitive });
    expect(hiddenColumns([column("a", false), column("b", true), column("c", true)], ["a", "c"])).toEqual(["b"]);
  });
});
