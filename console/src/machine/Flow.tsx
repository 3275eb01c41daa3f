import { useMemo } from "preact/hooks";
import { useAnswer, useEvery } from "../answer";
import { getStatus } from "../api";
import { useApplication } from "../application";
import { useLive } from "../live";
import { number } from "../parts/format";
import { Answered, Empty } from "../parts/states";
import type { Application, Status } from "../types";
import { Box } from "./flow/Box";
import "./flow/flow.css";
import "./machine.css";
import { graphOf, idOf } from "./flow/graph";
import { FunctionList } from "./flow/FunctionList";
import { type Line, pathOf, widthOf } from "./flow/layout";
import { useNarrow } from "./flow/narrow";
import { layoutOf } from "./flow/parts";
import { lagOf, rateOf, useRates } from "./flow/rates";
import { Steps } from "./flow/Steps";
import { MadeUp } from "./MadeUp";

/** The drawing becomes so much smaller, to fit; then it scrolls. */
const LEAST_SCALE = 0.82;

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
  const rates = useRates(status);
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
  const Shown = useNarrow() ? Steps : Drawing;
  return (
    <>
      <div class="head">
        <h1>Flow</h1>
        {Shown === Drawing && (
          <span class="muted">Line width: records or rows a second. Number on a line: records that wait. Dashed: only read.</span>
        )}
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
              <Shown application={value} status={status.value} />
              <FunctionList application={value} status={status.value} />
            </>
          )
        }
      </Answered>
    </>
  );
}
