import { describe, expect, it } from "vitest";
import type { Application, FunctionPart } from "../../types";
import { graphOf } from "./graph";
import { columnsOf, pathOf, widthOf } from "./layout";
import { layoutOf, partsOf } from "./parts";

function part(name: string, from: string | null, publishes: string[], tables: Record<string, string[]> = {}): FunctionPart {
  const trigger = from === null ? { id: "often", cron: "0 * * * * *" } : { id: "records", topic: from };
  return {
    name,
    version: "v",
    triggers: [trigger],
    publishes,
    tables: Object.entries(tables).map(([table, operations]) => ({ table, operations })),
    state: false,
    hosts: [],
    memory_mb: 64,
    timeout_ms: 5000,
    words: [],
  };
}

function application(functions: FunctionPart[], topics: string[], tables: string[]): Application {
  const table = (name: string) => ({ name, key: [], columns: [], sensitive: false, store: null, notice: null, writer: null });
  return { name: "test", functions, topics: topics.map((name) => ({ name, partitions: 1, sensitive: false })), tables: tables.map(table) };
}

const chain = application(
  [
    part("crawl", null, ["raw"]),
    part("sum", "raw", ["sums"], { days: ["upsert"] }),
    part("enrich", "sums", [], { names: ["get"], told: ["get", "upsert"] }),
  ],
  ["raw", "sums"],
  ["days", "names", "told"],
);

describe("the graph", () => {
  it("tells what is only read", () => {
    const reads = graphOf(chain).edges.filter((edge) => edge.reads);
    expect(reads.map(({ to }) => to)).toEqual(["table names"]);
  });

  it("leaves out what is not declared", () => {
    const edges = graphOf(application([part("lone", "gone", ["away"])], [], [])).edges;
    expect(edges).toEqual([]);
  });
});

describe("columns", () => {
  it("lead from schedules to tables, which stand last", () => {
    const columns = columnsOf(graphOf(chain));
    const found = (id: string) => columns.get(id);
    expect(["schedule crawl/often", "function crawl", "topic raw", "function sum", "topic sums", "function enrich"].map(found)).toEqual([
      0, 1, 2, 3, 4, 5,
    ]);
    expect(["table days", "table names", "table told"].map(found)).toEqual([6, 6, 6]);
  });

  it("are found where records come back to a function", () => {
    const circle = application([part("turn", "round", ["round"]), part("see", "round", [])], ["round"], []);
    const columns = columnsOf(graphOf(circle));
    expect(columns.get("function see")).toBeGreaterThan(columns.get("topic round") ?? 0);
    expect(layoutOf(graphOf(circle)).lines).toHaveLength(3);
  });
});

describe("the layout", () => {
  it("lets no boxes overlap and none leave the drawing", () => {
    const { nodes, width, height } = layoutOf(graphOf(chain));
    for (const [at, a] of nodes.entries()) {
      expect(a.x >= 0 && a.y >= 0 && a.x + a.width <= width && a.y + a.height <= height).toBe(true);
      for (const b of nodes.slice(at + 1)) {
        const apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
        expect(apart, `${a.id} and ${b.id}`).toBe(true);
      }
    }
  });

  it("leaves no hole where two parts have nothing to do with each other", () => {
    const two = application(
      [...chain.functions, part("other", null, ["alone"]), part("end", "alone", [], { last: ["upsert"] })],
      [...chain.topics.map(({ name }) => name), "alone"],
      [...chain.tables.map(({ name }) => name), "last", "loaded"],
    );
    expect(partsOf(graphOf(two)).map(({ nodes }) => nodes.length).sort()).toEqual([1, 5, 9]);
    const { nodes, height } = layoutOf(graphOf(two));
    const heights = partsOf(graphOf(two)).map((one) => layoutOf(one).height);
    expect(height).toBeLessThan(heights.reduce((sum, one) => sum + one, 0) + 20);
    expect(new Set(nodes.map(({ id }) => id)).size).toBe(15);
    for (const [at, a] of nodes.entries()) {
      const hit = nodes.slice(at + 1).find((b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height);
      expect(hit, a.id).toBeUndefined();
    }
  });

  it("is the same each time", () => {
    expect(layoutOf(graphOf(chain))).toEqual(layoutOf(graphOf(chain)));
  });

  it("leads long lines past the boxes between", () => {
    const { nodes, lines } = layoutOf(graphOf(chain));
    const line = lines.find(({ from, to }) => from === "function sum" && to === "table days");
    for (const [x, y] of line?.points.slice(1, -1) ?? []) {
      const hit = nodes.find((node) => x > node.x && x < node.x + node.width && y > node.y && y < node.y + node.height);
      expect(hit).toBeUndefined();
    }
    expect(line?.points.length).toBe(6);
  });

  it("is empty for an application without functions", () => {
    expect(layoutOf(graphOf(application([], [], [])))).toMatchObject({ nodes: [], lines: [] });
  });
});

describe("lines", () => {
  it("grow with the logarithm of the rate", () => {
    expect(widthOf(0)).toBe(1.25);
    expect(widthOf(1000)).toBeGreaterThan(widthOf(100));
    expect(widthOf(1e12)).toBe(10);
  });

  it("go straight on one level and bend between two", () => {
    expect(pathOf([[0, 5], [10, 5]])).toBe("M0 5L10 5");
    expect(pathOf([[0, 0], [100, 50]])).toBe("M0 0C50 0 50 50 100 50");
  });
});
