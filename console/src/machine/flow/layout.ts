/** Where everything stands in the flow: by rule, so that the same application always looks the same. Pure. */

import type { FlowEdge, FlowNode, Graph, NodeKind } from "./graph";

export interface Placed extends FlowNode {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Line extends FlowEdge {
  /** From border to border, by the lanes that are kept free for it in the columns between. */
  points: [number, number][];
}

export interface Layout {
  nodes: Placed[];
  lines: Line[];
  width: number;
  height: number;
}

const HEIGHT: Record<NodeKind, number> = { schedule: 44, topic: 44, function: 76, table: 44 };
const LEAST_WIDTH: Record<NodeKind, number> = { schedule: 120, topic: 112, function: 200, table: 128 };
/** About so much of a name's letter. */
const LETTER = 8;
const PAD = 24;
const COLUMN_GAP = 60;
const ROW_GAP = 20;
const LANE = 14;
const MARGIN = 8;
const SWEEPS = 8;

interface Slot {
  /** The node; none in a lane for lines that pass. */
  node: FlowNode | null;
  height: number;
  width: number;
  y: number;
  before: Slot[];
  after: Slot[];
}

/** Edges that would lead back are found by walking on from what nothing leads to. */
function forward(graph: Graph): FlowEdge[] {
  const out = new Map<string, FlowEdge[]>(graph.nodes.map((node) => [node.id, []]));
  for (const edge of graph.edges) out.get(edge.from)?.push(edge);
  const entered = new Set(graph.edges.map((edge) => edge.to));
  const state = new Map<string, "open" | "done">();
  const kept: FlowEdge[] = [];
  const walk = (id: string) => {
    state.set(id, "open");
    for (const edge of out.get(id) ?? []) {
      if (state.get(edge.to) === "open") continue;
      kept.push(edge);
      if (!state.has(edge.to)) walk(edge.to);
    }
    state.set(id, "done");
  };
  const starts = [...graph.nodes.filter((node) => !entered.has(node.id)), ...graph.nodes];
  for (const node of starts) if (!state.has(node.id)) walk(node.id);
  return kept;
}

/** In which column each stands: behind all that leads to it; functions never stand where topics do, and tables stand last. */
export function columnsOf(graph: Graph): Map<string, number> {
  const edges = forward(graph);
  const columns = new Map(graph.nodes.map((node) => [node.id, node.kind === "function" ? 1 : 0]));
  for (let turn = 0; turn < graph.nodes.length; turn += 1) {
    for (const edge of edges) {
      const wanted = (columns.get(edge.from) ?? 0) + 1;
      if ((columns.get(edge.to) ?? 0) < wanted) columns.set(edge.to, wanted);
    }
  }
  const others = graph.nodes.filter((node) => node.kind !== "table");
  const last = Math.max(0, ...others.map((node) => columns.get(node.id) ?? 0));
  for (const node of graph.nodes) if (node.kind === "table") columns.set(node.id, last + 1);
  return columns;
}

function slotOf(node: FlowNode | null): Slot {
  const width = node ? Math.max(LEAST_WIDTH[node.kind], Math.ceil(node.name.length * LETTER) + PAD) : 0;
  return { node, height: node ? HEIGHT[node.kind] : LANE, width, y: 0, before: [], after: [] };
}

function join(before: Slot, after: Slot): void {
  before.after.push(after);
  after.before.push(before);
}

interface Route {
  edge: FlowEdge;
  slots: Slot[];
}

/** Gives lines that pass columns a lane in each, so that they do not run behind boxes. */
function route(edge: FlowEdge, columns: Map<string, number>, slots: Map<string, Slot>, grid: Slot[][]): Route | null {
  const [from, to] = [slots.get(edge.from), slots.get(edge.to)];
  if (!from || !to) return null;
  const [start, end] = [columns.get(edge.from) ?? 0, columns.get(edge.to) ?? 0];
  const way = [from];
  for (let column = start + 1; column < end; column += 1) {
    const lane = slotOf(null);
    grid[column]?.push(lane);
    way.push(lane);
  }
  way.push(to);
  if (end > start) way.forEach((slot, at) => at > 0 && join(way[at - 1] as Slot, slot));
  return { edge, slots: way };
}

function mean(values: number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Orders each column by the places of its neighbours, to and fro, which takes out most crossings. */
function untangle(grid: Slot[][]): void {
  const place = new Map<Slot, number>();
  const number = (column: Slot[]) => column.forEach((slot, at) => place.set(slot, (at + 0.5) / column.length));
  grid.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const toRight = sweep % 2 === 0;
    for (const column of toRight ? grid : [...grid].reverse()) {
      const wanted = (slot: Slot) =>
        mean((toRight ? slot.before : slot.after).map((other) => place.get(other) ?? 0)) ?? place.get(slot) ?? 0;
      const ranked = column.map((slot, at) => ({ slot, at, by: wanted(slot) }));
      ranked.sort((a, b) => a.by - b.by || a.at - b.at);
      column.splice(0, column.length, ...ranked.map(({ slot }) => slot));
      number(column);
    }
  }
}

const middle = (slot: Slot) => slot.y + slot.height / 2;

/** Puts each as near to `wanted` as its neighbours in the column allow. */
function settle(column: Slot[], wanted: (slot: Slot) => number): void {
  const aims = column.map((slot) => wanted(slot) - slot.height / 2);
  let least = Number.NEGATIVE_INFINITY;
  column.forEach((slot, at) => {
    slot.y = Math.max(aims[at] ?? 0, least);
    least = slot.y + slot.height + ROW_GAP;
  });
  // What was pushed down is drawn back by half, so that a group stands around what it belongs to.
  const drift = mean(column.map((slot, at) => slot.y - (aims[at] ?? 0))) ?? 0;
  for (const slot of column) slot.y -= drift;
}

function stack(grid: Slot[][]): void {
  for (const column of grid) settle(column, () => 0);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const toRight = sweep % 2 === 0;
    for (const column of toRight ? grid : [...grid].reverse()) {
      settle(column, (slot) => mean((toRight ? slot.before : slot.after).map(middle)) ?? middle(slot));
    }
  }
  const top = Math.min(...grid.flat().map((slot) => slot.y));
  for (const slot of grid.flat()) slot.y = Math.round(slot.y - top + MARGIN);
}

function lineOf({ edge, slots }: Route, xs: Map<Slot, [number, number]>): Line {
  const points = slots.flatMap((slot, at): [number, number][] => {
    const [left, right] = xs.get(slot) ?? [0, 0];
    const y = middle(slot);
    if (at === 0) return [[right, y]];
    if (at === slots.length - 1) return [[left, y]];
    return [
      [left, y],
      [right, y],
    ];
  });
  return { ...edge, points };
}

/** Where everything stands of one part, in which each hangs together with each. */
export function layoutOfPart(graph: Graph): Layout {
  const columns = columnsOf(graph);
  const grid: Slot[][] = Array.from({ length: Math.max(-1, ...columns.values()) + 1 }, () => []);
  const slots = new Map(graph.nodes.map((node) => [node.id, slotOf(node)]));
  for (const [id, slot] of slots) grid[columns.get(id) ?? 0]?.push(slot);
  const routes = graph.edges.map((edge) => route(edge, columns, slots, grid)).filter((found) => found !== null);
  untangle(grid);
  if (grid.length > 0) stack(grid);
  const xs = new Map<Slot, [number, number]>();
  let x = MARGIN;
  for (const column of grid) {
    const width = Math.max(0, ...column.map((slot) => slot.width));
    for (const slot of column) xs.set(slot, [x, x + width]);
    x += width + COLUMN_GAP;
  }
  const nodes = graph.nodes.flatMap((node): Placed[] => {
    const slot = slots.get(node.id);
    const [left, right] = (slot && xs.get(slot)) ?? [0, 0];
    return slot ? [{ ...node, x: left, y: slot.y, width: right - left, height: slot.height }] : [];
  });
  const bottom = Math.max(0, ...grid.flat().map((slot) => slot.y + slot.height));
  const lines = routes.map((found) => lineOf(found, xs));
  return { nodes, lines, width: Math.max(0, x - COLUMN_GAP + MARGIN), height: bottom + MARGIN };
}

/** A line through its points, leaving and reaching each level. */
export function pathOf(points: [number, number][]): string {
  return points
    .map(([x, y], at) => {
      const before = points[at - 1];
      if (!before) return `M${x} ${y}`;
      if (before[1] === y) return `L${x} ${y}`;
      const bend = Math.max(24, Math.abs(x - before[0]) / 2);
      return `C${before[0] + bend} ${before[1]} ${x - bend} ${y} ${x} ${y}`;
    })
    .join("");
}

/** How wide a line is drawn for so many a second: each tenfold a step. */
export function widthOf(rate: number): number {
  return Math.round(Math.min(10, 1.25 + 1.5 * Math.log10(1 + Math.max(0, rate))) * 100) / 100;
}
