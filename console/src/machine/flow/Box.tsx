import { useNow } from "../../parts/Figures";
import { duration, rate as rateText, relative, short } from "../../parts/format";
import type { Rate } from "../../rates";
import type { Application, FunctionPulse, SourceStatus } from "../../types";
import { conditionNow } from "../standing";
import type { Placed } from "./layout";

interface BoxProps {
  node: Placed;
  application: Application;
  pulse: FunctionPulse | undefined;
  sources: SourceStatus[];
  rate: Rate | undefined;
  /** Records or rows a second that come to a topic or table. */
  inflow: number | undefined;
}

const PAD = 12;

function hrefOf(node: Placed): string {
  const name = encodeURIComponent(node.of ?? node.name);
  const pages = { schedule: "functions", function: "functions", topic: "topics", table: "tables" };
  return `/${pages[node.kind]}/${name}`;
}

function FunctionLines({ node, application, pulse, sources, rate }: BoxProps) {
  const part = application.functions.find((found) => found.name === node.name);
  // One that runs by a schedule only handles no records.
  const reads = part?.triggers.some((trigger) => trigger.topic) ?? true;
  const condition = conditionNow(pulse, sources);
  const version = short(pulse?.version ?? sources[0]?.version ?? "");
  const batch = rate?.batch_ms ?? null;
  return (
    <>
      <text class="fine mono" x={PAD} y={38}>
        {version}
      </text>
      <text class={`fine ${condition.tone}`} x={node.width - PAD} y={38} text-anchor="end">
        {condition.word}
      </text>
      <text class="fine" x={PAD} y={62}>
        {reads ? `${rateText(rate?.records ?? 0)}/s` : `${rateText(rate?.commits ?? 0)} runs/s`}
      </text>
      <text class="fine" x={node.width - PAD} y={62} text-anchor="end">
        {batch === null ? "no batch" : `${duration(batch)} a batch`}
      </text>
      <line class="rule" x1={PAD} x2={node.width - PAD} y1={46} y2={46} />
      {condition.reason && <title>{condition.reason}</title>}
    </>
  );
}

function ScheduleLines({ node, application, sources }: BoxProps) {
  const now = useNow();
  const caller = application.functions.find((part) => part.name === node.of);
  const cron = caller?.triggers.find((trigger) => trigger.id === node.name)?.cron;
  const due = sources.find((source) => source.source === node.name)?.due_ms;
  return (
    <text class="fine" x={PAD} y={34}>
      {due ? relative(due, now) : cron}
      <title>{cron}</title>
    </text>
  );
}

function PlainLine({ node, application, inflow }: BoxProps) {
  const table = node.kind === "table" ? application.tables.find((part) => part.name === node.name) : undefined;
  const unit = node.kind === "table" ? "rows/s" : "records/s";
  const still = node.kind === "table" ? (table?.store ?? "table") : "topic";
  return (
    <text class="fine" x={PAD} y={34}>
      {inflow ? `${rateText(inflow)} ${unit}` : still}
    </text>
  );
}

/** A box of the flow that leads to the page of what it stands for. */
export function Box(props: BoxProps) {
  const { node } = props;
  const round = node.kind === "topic" ? node.height / 2 : 3;
  return (
    <g transform={`translate(${node.x} ${node.y})`}>
      <a class={`box ${node.kind}`} href={hrefOf(node)}>
        <rect width={node.width} height={node.height} rx={round} />
        <text class="title" x={PAD} y={node.kind === "function" ? 20 : 19}>
          {node.name}
        </text>
        {node.kind === "function" && <FunctionLines {...props} />}
        {node.kind === "schedule" && <ScheduleLines {...props} />}
        {(node.kind === "topic" || node.kind === "table") && <PlainLine {...props} />}
      </a>
    </g>
  );
}
