/** What flows where, from what the application says of itself. Pure. */

import type { Application, FunctionPart } from "../../types";

export type NodeKind = "schedule" | "topic" | "function" | "table";

export interface FlowNode {
  id: string;
  kind: NodeKind;
  name: string;
  /** Of a schedule the function that it calls: two with the same name are two. */
  of: string | null;
}

export interface FlowEdge {
  from: string;
  to: string;
  /** Whether rows are only looked at: then the line leads from the function to the table all the same, and is told apart. */
  reads: boolean;
}

export interface Graph {
  nodes: FlowNode[];
  edges: FlowEdge[];
}

const READS = new Set(["get", "scan"]);

export function idOf(kind: NodeKind, name: string): string {
  return `${kind} ${name}`;
}

/** Whether any of these operations changes a table. */
export function writes(operations: readonly string[]): boolean {
  return operations.some((operation) => !READS.has(operation));
}

function scheduleId(name: string, trigger: string): string {
  return idOf("schedule", `${name}/${trigger}`);
}

function edgesOf(part: FunctionPart): FlowEdge[] {
  const own = idOf("function", part.name);
  const comes = part.triggers.map((trigger) => {
    const from = trigger.topic ? idOf("topic", trigger.topic) : scheduleId(part.name, trigger.id);
    return { from, to: own, reads: false };
  });
  const goes = part.publishes.map((topic) => ({ from: own, to: idOf("topic", topic), reads: false }));
  const rows = part.tables.map(({ table, operations }) => ({
    from: own,
    to: idOf("table", table),
    reads: !writes(operations),
  }));
  return [...comes, ...goes, ...rows];
}

export function graphOf(application: Application): Graph {
  const edges = application.functions.flatMap(edgesOf);
  const nodes = new Map<string, FlowNode>();
  const add = (kind: NodeKind, name: string) => nodes.set(idOf(kind, name), { id: idOf(kind, name), kind, name, of: null });
  for (const part of application.functions) {
    for (const trigger of part.triggers) {
      const id = scheduleId(part.name, trigger.id);
      if (!trigger.topic) nodes.set(id, { id, kind: "schedule", name: trigger.id, of: part.name });
    }
  }
  for (const part of application.functions) add("function", part.name);
  for (const topic of application.topics) add("topic", topic.name);
  for (const table of application.tables) add("table", table.name);
  return { nodes: [...nodes.values()], edges: edges.filter((edge) => nodes.has(edge.from) && nodes.has(edge.to)) };
}
