import { useMemo } from "preact/hooks";
import { useLive } from "../../live";
import { duration, number, rate as rateText, short } from "../../parts/format";
import { STILL } from "../../rates";
import type { Application, FunctionPart, Status } from "../../types";
import { conditionNow } from "../standing";
import { type FlowEdge, type FlowNode, graphOf, idOf } from "./graph";
import { columnsOf } from "./layout";
import { type Rates, lagOf, rateOf, useRates } from "./rates";

const PAGES = { schedule: "functions", function: "functions", topic: "topics", table: "tables" };

function Place({ node }: { node: FlowNode }) {
  return <a href={`/${PAGES[node.kind]}/${encodeURIComponent(node.of ?? node.name)}`}>{node.name}</a>;
}

interface EndProps {
  edge: FlowEdge;
  node: FlowNode;
  rates: Rates;
  status: Status | undefined;
}

/** Where records come from or go to, how many a second, and how many wait. */
function End({ edge, node, rates, status }: EndProps) {
  const [flow, lag] = [rateOf(edge, rates), lagOf(edge, status)];
  const unit = node.kind === "table" ? "rows/s" : node.kind === "schedule" ? "runs/s" : "records/s";
  return (
    <li>
      <span class="muted">{node.kind}</span> <Place node={node} />{" "}
      <span class="muted">
        {edge.reads ? "only read" : `${rateText(flow)} ${unit}`}
        {lag > 0 && <span class="waiting">, {number(lag)} wait</span>}
      </span>
    </li>
  );
}

interface StepsProps {
  application: Application;
  status: Status | undefined;
}

function Middle({ part, status, rates }: { part: FunctionPart; status: Status | undefined; rates: Rates }) {
  const { pulses } = useLive();
  const pulse = pulses.at(-1)?.functions[part.name];
  const { tone, word, reason } = conditionNow(pulse, status?.sources.filter((source) => source.function === part.name) ?? []);
  const { batch_ms } = rates.functions[part.name] ?? STILL;
  return (
    <div class="step">
      <p class="spread">
        <strong>
          <a href={`/functions/${encodeURIComponent(part.name)}`}>{part.name}</a>
        </strong>
        <span class={tone === "wrong" ? "failure" : tone} title={reason ?? undefined}>
          {word}
        </span>
      </p>
      <p class="spread muted">
        <code>{short(pulse?.version ?? part.version)}</code>
        <span>{batch_ms === null ? "no batch" : `${duration(batch_ms)} a batch`}</span>
      </p>
    </div>
  );
}

/** The flow from above to below, function by function, where there is no room for the drawing. */
export function Steps({ application, status }: StepsProps) {
  const rates = useRates(status);
  const graph = useMemo(() => graphOf(application), [application]);
  const columns = useMemo(() => columnsOf(graph), [graph]);
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const place = (part: FunctionPart) => columns.get(idOf("function", part.name)) ?? 0;
  const ends = (edges: FlowEdge[], other: (edge: FlowEdge) => string) =>
    edges.flatMap((edge) => {
      const node = nodes.get(other(edge));
      return node ? <End key={node.id} edge={edge} node={node} rates={rates} status={status} /> : [];
    });
  return (
    <ol class="steps" aria-label="The flow from schedules to tables">
      {[...application.functions].sort((a, b) => place(a) - place(b)).map((part) => {
        const own = idOf("function", part.name);
        return (
          <li key={part.name}>
            <ul class="comes">{ends(graph.edges.filter(({ to }) => to === own), ({ from }) => from)}</ul>
            <Middle part={part} status={status} rates={rates} />
            <ul class="goes">{ends(graph.edges.filter(({ from }) => from === own), ({ to }) => to)}</ul>
          </li>
        );
      })}
    </ol>
  );
}
