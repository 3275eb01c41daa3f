import { useAnswer, useEvery } from "../answer";
import { getStatus, getTopics } from "../api";
import { useApplication } from "../application";
import { Card } from "../parts/Card";
import { DataTable, type TableColumn } from "../parts/DataTable";
import { Num } from "../parts/Figures";
import { bytes, rate } from "../parts/format";
import { Answered, Empty } from "../parts/states";
import type { Application, Status, TopicSummary } from "../types";
import { useTopicRates } from "./flow/meter";
import "./machine.css";
import { MadeUp } from "./MadeUp";

interface Reader {
  name: string;
  lag: number;
}

function readersOf(topic: string, application: Application | undefined, status: Status | undefined): Reader[] {
  const readers = application?.functions.filter((part) => part.triggers.some((trigger) => trigger.topic === topic)) ?? [];
  const lag = (name: string) =>
    status?.sources.filter((s) => s.function === name && s.source === topic).reduce((sum, s) => sum + s.lag, 0) ?? 0;
  return readers.map(({ name }) => ({ name, lag: lag(name) }));
}

function sum(topic: TopicSummary, what: (partition: TopicSummary["partitions"][number]) => number): number {
  return topic.partitions.reduce((total, partition) => total + what(partition), 0);
}

function Readers({ readers }: { readers: Reader[] }) {
  if (readers.length === 0) return <span class="none">none</span>;
  return (
    <>
      {readers.map((reader, at) => (
        <span key={reader.name}>
          {at > 0 && ", "}
          <a href={`/functions/${encodeURIComponent(reader.name)}`}>{reader.name}</a>{" "}
          {reader.lag > 0 ? (
            <span class="waiting">
              <Num value={reader.lag} /> behind
            </span>
          ) : (
            <span class="muted">caught up</span>
          )}
        </span>
      ))}
    </>
  );
}

interface Line {
  topic: TopicSummary;
  rate: number;
  readers: Reader[];
}

const COLUMNS: TableColumn<Line>[] = [
  {
    name: "topic",
    title: "Topic",
    cell: ({ topic }) => (
      <>
        <a href={`/topics/${encodeURIComponent(topic.topic)}`}>{topic.topic}</a>
        {topic.sensitive && <span class="muted"> sensitive</span>}
      </>
    ),
  },
  {
    name: "records",
    title: "Records kept",
    right: true,
    cell: ({ topic }) => <Num value={sum(topic, ({ first, next }) => next - first)} />,
  },
  { name: "rate", title: "Records a second", right: true, cell: (line) => <span class="num">{rate(line.rate)}</span> },
  { name: "partitions", title: "Partitions", right: true, cell: ({ topic }) => <Num value={topic.partitions.length} /> },
  {
    name: "bytes",
    title: "On disk",
    right: true,
    cell: ({ topic }) => <span class="num">{bytes(sum(topic, (partition) => partition.bytes))}</span>,
  },
  { name: "readers", title: "Readers and their lag", cell: ({ readers }) => <Readers readers={readers} /> },
];

interface ListProps {
  topics: TopicSummary[];
  application: Application | undefined;
  status: Status | undefined;
}

function List({ topics, application, status }: ListProps) {
  const rates = useTopicRates(status);
  const declared = new Set(application?.topics.map(({ name }) => name));
  const isOwn = (line: Line) => application !== undefined && !declared.has(line.topic.topic);
  const lines = topics.map((topic): Line => {
    const readers = readersOf(topic.topic, application, status);
    return { topic, rate: rates.get(topic.topic) ?? 0, readers };
  });
  const own = lines.filter(isOwn);
  const rowKey = ({ topic }: Line) => topic.topic;
  return (
    <div class="cards">
      <Card title="Of the application" wide>
        <DataTable caption="Topics" columns={COLUMNS} rows={lines.filter((line) => !isOwn(line))} rowKey={rowKey} />
      </Card>
      {own.length > 0 && (
        <Card title="Of dead letters and outboxes" wide>
          <DataTable caption="Topics of dead letters and outboxes" columns={COLUMNS} rows={own} rowKey={rowKey} />
        </Card>
      )}
    </div>
  );
}

/** All topics, with who reads them and how far behind. */
export default function Topics() {
  const topics = useAnswer(getTopics, []);
  const status = useAnswer(getStatus, []);
  const application = useApplication();
  useEvery(3, () => {
    topics.again();
    status.again();
  });
  return (
    <>
      <div class="head">
        <h1>Topics</h1>
        <MadeUp status={status.value} />
      </div>
      <Answered answer={topics} what="topics">
        {(value) =>
          value.length === 0 ? (
            <Empty title="No topic yet.">
              <code>isobar new NAME</code> adds a function; topics stand in spin.toml.
            </Empty>
          ) : (
            <List topics={value} application={application.value} status={status.value} />
          )
        }
      </Answered>
    </>
  );
}
