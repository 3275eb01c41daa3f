/** Parts of the flow that have nothing to do with each other: each is laid out by itself, so that none leaves a hole in another. Pure. */

import type { Graph } from "./graph";
import { type Layout, layoutOfPart } from "./layout";

const GAP = 8;

/** The parts in which each node is led to from each other, whichever way the lines go. */
export function partsOf({ nodes, edges }: Graph): Graph[] {
  const part = new Map(nodes.map((node, at) => [node.id, at]));
  for (const { from, to } of edges) {
    const [kept, gone] = [part.get(from), part.get(to)];
    if (kept === gone) continue;
    for (const [id, at] of part) if (at === gone && kept !== undefined) part.set(id, kept);
  }
  return [...new Set(part.values())].map((at) => ({
    nodes: nodes.filter(({ id }) => part.get(id) === at),
    edges: edges.filter(({ from }) => part.get(from) === at),
  }));
}

function moved({ nodes, lines, ...size }: Layout, x: number, y: number): Layout {
  return {
    ...size,
    nodes: nodes.map((node) => ({ ...node, x: node.x + x, y: node.y + y })),
    lines: lines.map((line) => ({ ...line, points: line.points.map(([left, top]) => [left + x, top + y]) })),
  };
}

/** The parts in rows no wider than the widest of them, those with the most in them first. */
export function layoutOf(graph: Graph): Layout {
  const parts = partsOf(graph).map(layoutOfPart).sort((a, b) => b.nodes.length - a.nodes.length);
  const whole: Layout = { nodes: [], lines: [], width: Math.max(0, ...parts.map(({ width }) => width)), height: 0 };
  let [x, y] = [0, 0];
  for (const part of parts) {
    if (x > 0 && x + part.width > whole.width) [x, y] = [0, whole.height + GAP];
    const { nodes, lines } = moved(part, x, y);
    whole.nodes.push(...nodes);
    whole.lines.push(...lines);
    whole.height = Math.max(whole.height, y + part.height);
    x += part.width + GAP;
  }
  return whole;
}
