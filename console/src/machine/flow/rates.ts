/** How much goes where, and how much waits there. */

import { useLive } from "../../live";
import { type Rate, ratesOf } from "../../rates";
import type { Status } from "../../types";
import type { FlowEdge } from "./graph";
import { useTableRates, useTopicRates } from "./meter";

export interface Rates {
  functions: Record<string, Rate>;
  topics: Map<string, number>;
  tables: Map<string, number>;
}

export function useRates(status: Status | undefined): Rates {
  const { pulses } = useLive();
  return { functions: ratesOf(pulses), topics: useTopicRates(status), tables: useTableRates() };
}

const after = (prefix: string, id: string) => (id.startsWith(prefix) ? id.slice(prefix.length) : null);

/** What goes over a line, a second: as its narrower end tells it. */
export function rateOf(edge: FlowEdge, rates: Rates): number {
  const table = after("table ", edge.to);
  if (table !== null) return edge.reads ? 0 : (rates.tables.get(table) ?? 0);
  const topic = after("topic ", edge.to);
  if (topic !== null) return rates.topics.get(topic) ?? 0;
  const reader = rates.functions[after("function ", edge.to) ?? ""];
  return (edge.from.startsWith("schedule ") ? reader?.commits : reader?.records) ?? 0;
}

/** Records of a topic that a function has still to handle. */
export function lagOf(edge: FlowEdge, status: Status | undefined): number {
  const [topic, reader] = [after("topic ", edge.from), after("function ", edge.to)];
  const ours = status?.sources.filter((source) => source.function === reader && source.source === topic) ?? [];
  return ours.reduce((sum, source) => sum + source.lag, 0);
}
