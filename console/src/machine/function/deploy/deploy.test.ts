import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import type { FunctionPart, TablePart } from "../../../types";
import { partOf } from "./part";
import { bodyOf, outcome } from "./sending";
import { deployCommand, fate, noShadow, unfit } from "./words";

const SHOP = `
spin_manifest_version = 2
[application]
name = "shop"
[variables]
url = { default = "https://example.org" }
key = { default = "hunter2", secret = true }
other = { default = "" }
[application.trigger.isobar.topics]
orders = { partitions = 3 }
sums = {}
lost = {}
[application.trigger.isobar.tables.totals]
key = ["customer"]
columns = { customer = "text", total = "double?" }
[application.trigger.isobar.demo]
command = "make demo"
[[trigger.isobar]]
component = "count"
topic = "orders"
dead_letters = "lost"
share = 1.0
[[trigger.isobar]]
component = "sum"
topic = "sums"
[application.trigger.isobar.grants]
count = { publish = ["sums"] }
sum = { tables.totals = ["upsert"] }
[application.trigger.isobar.limits.sum]
memory_mb = 32
[component.count]
source = "count.wasm"
allowed_outbound_hosts = ["{{ url }}"]
variables = { token = "{{key}}" }
[component.sum]
source = "sum.wasm"
build.command = "make"
`;

describe("the part of a manifest that is sent", () => {
  it("says of its function what the whole does, and of nothing else", () => {
    const sum = parse(partOf(SHOP, "sum"));
    expect(sum).toEqual({
      spin_manifest_version: 2,
      application: {
        name: "shop",
        trigger: {
          isobar: {
            topics: { sums: {} },
            tables: { totals: { key: ["customer"], columns: { customer: "text", total: "double?" } } },
            grants: { sum: { tables: { totals: ["upsert"] } } },
            limits: { sum: { memory_mb: 32 } },
          },
        },
      },
      variables: {},
      trigger: { isobar: [{ component: "sum", topic: "sums" }] },
      component: { sum: { source: "sum.wasm" } },
    });
  });

  it("holds what the function refers to, and no value of a secret", () => {
    const text = partOf(SHOP, "count");
    const { variables, application } = parse(text) as Record<string, Record<string, Record<string, Record<string, object>>>>;
    expect(variables).toEqual({ url: { default: "https://example.org" }, key: { secret: true, required: true } });
    expect(Object.keys(application?.["trigger"]?.["isobar"]?.["topics"] ?? {}).sort()).toEqual(["lost", "orders", "sums"]);
    expect(text).not.toContain("hunter2");
    // A number with a point stays one.
    expect(text).toContain("share = 1.0");
    expect(text).toContain("partitions = 3\n");
  });

  it("is none where the manifest does not have the function", () => {
    expect(() => partOf(SHOP, "cuont")).toThrow("the manifest has no function `cuont`");
    expect(() => partOf(SHOP, "constructor")).toThrow("no function");
    expect(() => partOf("not toml", "sum")).toThrow();
  });
});

describe("what is sent", () => {
  it("is what the host reads", async () => {
    const body = JSON.parse(await bodyOf('a"b', "x = 1\n", "AGFzbQ==", "take-over").text()) as unknown;
    expect(body).toEqual({ part: "x = 1\n", way: "take-over", components: { 'a"b': "AGFzbQ==" } });
  });

  it("is refused here where the host would not take it", () => {
    expect(unfit({ name: "a.wasm", size: 64 * 1024 * 1024 })).toBeNull();
    expect(unfit({ name: "a.wasm", size: 64 * 1024 * 1024 + 1 })).toMatch(/takes components of 64.MiB at the most/);
    expect(unfit({ name: "a.wasm", size: 0 })).toMatch(/empty/);
  });
});

describe("what is said of a deploy", () => {
  const part: FunctionPart = {
    name: "sum", version: "v", triggers: [{ id: "sums", topic: "sums" }], publishes: [], state: false, hosts: [], memory_mb: 1,
    timeout_ms: 1, words: [], tables: [{ table: "totals", operations: ["upsert"] }, { table: "names", operations: ["get"] }],
  };
  const table = (name: string, store: string | null): TablePart => ({ name, store, key: [], columns: [], sensitive: false, notice: null, writer: null });

  it("is why a function has no shadow", () => {
    expect(noShadow(part, { tables: [table("totals", null), table("names", "postgres")] })).toBeNull();
    expect(noShadow(part, { tables: [table("totals", "postgres")] })).toContain("kept in `postgres`");
    expect(noShadow({ ...part, triggers: [{ id: "often", cron: "* * * * * *" }] }, { tables: [] })).toContain("schedule");
    expect(noShadow({ ...part, hosts: ["https://example.org"] }, { tables: [] })).toContain("requests");
  });

  it("is what becomes of the version in charge, and by which command", () => {
    expect(fate("shadow", "0123456789abcdef", false)).toMatch(/^Version `0123456789ab` is in charge now, and stays so/);
    expect(fate("take-over", "0123456789abcdef", false)).toMatch(/after the batch that it has.*Roll back/);
    expect([deployCommand("sum", "shadow"), deployCommand("sum", "take-over")]).toEqual(["isobar deploy sum --shadow", "isobar deploy sum"]);
  });

  it("is which version was made", () => {
    const taken = { function: "sum", version: "b".repeat(64), before: "a".repeat(64) };
    expect(outcome(taken, "take-over")).toBe("Version `bbbbbbbbbbbb` has taken over from `aaaaaaaaaaaa`.");
    expect(outcome(taken, "shadow")).toContain("follows `aaaaaaaaaaaa` in its shadow");
    expect(outcome({ ...taken, before: taken.version }, "take-over")).toContain("runs already");
    expect(outcome({ ...taken, before: null }, "take-over")).toBe("Version `bbbbbbbbbbbb` runs.");
  });
});
