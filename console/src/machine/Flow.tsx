import { useMemo } from "preact/hooks";
import { useAnswer, useEvery } from "../answer";
import { getStatus } from "../api";
import { useApplication } from "../application";
import { useLive } from "../live";
import { number } from "../parts/format";
import { Answered, Empty } from "../parts/states";
import { type Rate, ratesOf } from "../rates";
import type { Application, Status } from "../types";
import { Box } from "./flow/Box";
import "./flow/flow.css";
import { type FlowEdge, graphOf, idOf } from "./flow/graph";
import { FunctionList } from "./flow/FunctionList";
import { type Line, layoutOf, pathOf, widthOf } from "./flow/layout";
import { useTableRates, useTopicRates } from "./flow/meter";
import { MadeUp } from "./MadeUp";

interface Rates {
  functions: Record<string, Rate>;
  topics: Map<string, number>;
  tables: Map<string, number>;
}

/** The drawing becomes so much smaller, to fit; then it scrolls. */
const LEAST_SCALE = 0.82;

const after = (prefix: string, id: string) => (id.startsWith(prefix) ? id.slice(prefix.length) : null);

/** What goes over a line, a second: as its narrower end tells it. */
function rateOf(edge: FlowEdge, rates: Rates): number {
  const table = after("table ", edge.to);
  if (table !== null) return edge.reads ? 0 : (rates.tables.get(table) ?? 0);
  const topic = after("topic ", edge.to);
  if (topic !== null) return rates.topics.get(topic) ?? 0;
  const reader = rates.functions[after("function ", edge.to) ?? ""];
  return (edge.from.startsWith("schedule ") ? reader?.commits : reader?.records) ?? 0;
}

/** Records of a topic that a function has still to handle. */
function lagOf(edge: FlowEdge, status: Status | undefined): number {
  const [topic, reader] = [after("topic ", edge.from), after("function ", edge.to)];
  const ours = status?.sources.filter((source) => source.function === reader && source.source === topic) ?? [];
  return ours.reduce((sum, source) => sum + source.lag, 0);
}

function LineView({ line, rate, lag }: { line: Line; rate: number; lag: number }) {
  const end = line.points[line.points.length - 1] ?? [0, 0];
  const width = widthOf(rate);
  const classes = ["line", rate > 0 && "busy", line.reads && "reads"].filter(Boolean).join(" ");
  return (
    <g>
      <path class={classes} d={pathOf(line.points)} stroke-width={width} />
      {lag > 0 && (
        <text class="lag" x={end[0] - 8} y={end[1] - 8} text-anchor="end">
          {number(lag)}
          <title>{number(lag)} records wait</title>
        </text>
      )}
    </g>
  );
}

function Drawing({ application, status }: { application: Application; status: Status | undefined }) {
  const { pulses } = useLive();
  const layout = useMemo(() => layoutOf(graphOf(application)), [application]);
  const rates = { functions: ratesOf(pulses), topics: useTopicRates(status), tables: useTableRates() };
  const pulse = pulses.at(-1);
  // A line passes behind all boxes, and boxes are read from left to right.
  const nodes = [...layout.nodes].sort((a, b) => a.x - b.x || a.y - b.y);
  return (
    <div class="flow" role="region" aria-label="The flow from schedules to tables" tabIndex={0}>
      <svg
        viewBox={`0 0 ${layout.width} ${layout.height}`}
        style={{ minWidth: `${Math.round(layout.width * LEAST_SCALE)}px`, maxWidth: `${layout.width}px` }}
      >
        <g aria-hidden="true">
          {layout.lines.map((line) => (
            <LineView
              key={`${line.from}\n${line.to}`}
              line={line}
              rate={rateOf(line, rates)}
              lag={lagOf(line, status)}
            />
          ))}
        </g>
        {nodes.map((node) => (
          <Box
            key={node.id}
            node={node}
            application={application}
            pulse={node.kind === "function" ? pulse?.functions[node.name] : undefined}
            sources={status?.sources.filter((source) => source.function === (node.of ?? node.name)) ?? []}
            rate={rates.functions[node.name]}
            inflow={node.id === idOf("topic", node.name) ? rates.topics.get(node.name) : rates.tables.get(node.name)}
          />
        ))}
      </svg>
    </div>
  );
}

/** What flows where, and how much of it now. */
export default function Flow() {
  const application = useApplication();
  const status = useAnswer(getStatus, []);
  useEvery(3, status.again);
  return (
    <>
      <div class="head">
        <h1>Flow</h1>
        <span class="muted">Line width: records or rows a second. Number on a line: records that wait. Dashed: only read.</span>
        <MadeUp status={status.value} />
      </div>
      <Answered answer={application} what="the application">
        {(value) =>
          value.functions.length === 0 ? (
            <Empty title="No function yet.">
              <code>isobar new NAME</code> adds one.
            </Empty>
          ) : (
            <>
              <Drawing application={value} status={status.value} />
              <FunctionList application={value} status={status.value} />
            </>
          )
        }
      </Answered>
    </>
  );
}
