import { useLive } from "../../live";
import { Card } from "../../parts/Card";
import { duration, rate } from "../../parts/format";
import { STILL, historyOf, ratesOf } from "../../rates";
import { barsOf, percentile } from "./bars";

const SECONDS = 120;
const [WIDTH, HEIGHT] = [480, 56];

function Bars({ values, what }: { values: (number | null)[]; what: string }) {
  return (
    <svg class="bars" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={what}>
      {barsOf(values, SECONDS, WIDTH, HEIGHT).map((bar) => (
        <rect key={bar.x} {...bar} />
      ))}
    </svg>
  );
}

function Figures({ figures }: { figures: [string, string][] }) {
  return (
    <dl class="figures">
      {figures.map(([title, figure]) => (
        <div key={title}>
          <dt>{title}</dt>
          <dd>{figure}</dd>
        </div>
      ))}
    </dl>
  );
}

const told = (ms: number | null) => (ms === null ? "–" : duration(ms));

/** What the function does now and did in the last two minutes. */
export function Throughput({ name, scheduled }: { name: string; scheduled: boolean }) {
  const { pulses } = useLive();
  const history = historyOf(pulses, name).slice(-SECONDS);
  const now = ratesOf(pulses)[name] ?? STILL;
  // One that runs by a schedule handles no records: its runs are counted.
  const what = scheduled ? "commits" : "records";
  const title = scheduled ? "Runs a second" : "Records a second";
  const flows = history.map((step) => step[what]);
  const batches = history.map((step) => step.batch_ms);
  const known = batches.filter((ms) => ms !== null);
  const median = told(percentile(known, 0.5));
  const flow: [string, string][] = [
    [title, rate(now[what])],
    ["Highest", rate(Math.max(0, ...flows))],
    ["Commits a second", rate(now.commits)],
  ];
  const times: [string, string][] = [
    ["Batch time, median", median],
    ["95th percentile", told(percentile(known, 0.95))],
    ["Longest", told(percentile(known, 1))],
  ];
  const note = `The last ${history.length} s as this page saw them, one bar a second. Batch time: means of each second with a batch.`;
  return (
    <Card title="Throughput and batch time" note={note}>
      <Figures figures={flow} />
      <Bars values={flows} what={`${title}, now ${rate(now[what])}`} />
      <Figures figures={times} />
      <Bars values={batches} what={`Batch time, median ${median}`} />
    </Card>
  );
}
