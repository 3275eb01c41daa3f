import { useLive } from "../../live";
import { Card } from "../../parts/Card";
import { DataTable, type TableColumn } from "../../parts/DataTable";
import { Num } from "../../parts/Figures";
import { duration, rate, short } from "../../parts/format";
import { type Rate, STILL, ratesOf } from "../../rates";
import type { Application, FunctionPart, FunctionPulse, Status } from "../../types";
import { type Condition, conditionNow } from "../standing";

interface Line {
  part: FunctionPart;
  pulse: FunctionPulse | undefined;
  rate: Rate;
  condition: Condition;
}

const pathOf = (page: string, name: string) => `${page}${encodeURIComponent(name)}`;

function State({ tone, word, reason }: Condition) {
  return (
    <span class={tone === "wrong" ? "failure" : tone} title={reason ?? undefined}>
      {word}
    </span>
  );
}

const COLUMNS: TableColumn<Line>[] = [
  { name: "function", title: "Function", cell: ({ part }) => <a href={pathOf("/functions/", part.name)}>{part.name}</a> },
  { name: "version", title: "Version", cell: ({ part, pulse }) => <code>{short(pulse?.version ?? part.version)}</code> },
  { name: "rate", title: "Records a second", right: true, cell: (line) => <span class="num">{rate(line.rate.records)}</span> },
  {
    name: "batch",
    title: "Batch time",
    right: true,
    cell: ({ rate: { batch_ms } }) => <span class="num">{batch_ms === null ? "–" : duration(batch_ms)}</span>,
  },
  { name: "lag", title: "Lag, records", right: true, cell: ({ pulse }) => <Num value={pulse?.lag} /> },
  {
    name: "letters",
    title: "Dead letters since the host began",
    right: true,
    cell: ({ part, pulse }) => (
      <a href={pathOf("/dead-letters?function=", part.name)}>
        <Num value={pulse?.dead_letters} />
      </a>
    ),
  },
  { name: "state", title: "State", cell: ({ condition }) => <State {...condition} /> },
];

/** The same as the drawing in lines, for who reads it so. */
export function FunctionList({ application, status }: { application: Application; status: Status | undefined }) {
  const { pulses } = useLive();
  const rates = ratesOf(pulses);
  const lines = application.functions.map((part): Line => {
    const pulse = pulses.at(-1)?.functions[part.name];
    const sources = status?.sources.filter((source) => source.function === part.name) ?? [];
    return { part, pulse, rate: rates[part.name] ?? STILL, condition: conditionNow(pulse, sources) };
  });
  return (
    <Card title="Functions" wide>
      <DataTable caption="Functions" columns={COLUMNS} rows={lines} rowKey={({ part }) => part.name} />
    </Card>
  );
}
