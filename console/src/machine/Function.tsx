import { useState } from "preact/hooks";
import { useAnswer, useEvery } from "../answer";
import { getStatus } from "../api";
import { useApplication } from "../application";
import type { PageProps } from "../pages";
import { Card } from "../parts/Card";
import { Ago } from "../parts/Figures";
import { short } from "../parts/format";
import { Answered, Empty } from "../parts/states";
import { Ticked } from "../parts/Ticked";
import type { Application, FunctionPart, SourceStatus, Status } from "../types";
import { Actions } from "./function/Actions";
import { Failures } from "./function/Failures";
import { Lag } from "./function/Lag";
import { Logs } from "./function/Logs";
import { Shadow } from "./function/Shadow";
import { State } from "./function/State";
import { Throughput } from "./function/Throughput";
import { Versions } from "./function/Versions";
import "./machine.css";
import { MadeUp } from "./MadeUp";
import { overall, paragraph } from "./standing";

function Links({ title, path, names }: { title: string; path: string; names: string[] }) {
  if (names.length === 0) return null;
  return (
    <p class="muted">
      {title}{" "}
      {names.map((name, at) => (
        <span key={name}>
          {at > 0 && ", "}
          <a href={`/${path}/${encodeURIComponent(name)}`}>{name}</a>
        </span>
      ))}
    </p>
  );
}

function May({ part }: { part: FunctionPart }) {
  return (
    <Card title="What it may touch">
      <div class="lines">
        <p>
          <Ticked text={paragraph(part.words)} />
        </p>
        <Links title="Reads" path="topics" names={part.triggers.flatMap(({ topic }) => topic ?? [])} />
        <Links title="Publishes to" path="topics" names={part.publishes} />
        <Links title="Tables" path="tables" names={part.tables.map(({ table }) => table)} />
      </div>
    </Card>
  );
}

function Head({ part, status, again }: { part: FunctionPart; status: Status | undefined; again: () => void }) {
  const sources = status?.sources.filter((source) => source.function === part.name) ?? [];
  const condition = overall(sources);
  const due = sources.flatMap((source) => source.due_ms ?? []);
  return (
    <div class="head">
      <h1>{part.name}</h1>
      <code title={part.version}>{short(sources[0]?.version || part.version)}</code>
      <span class={condition.tone === "wrong" ? "failure" : condition.tone} title={condition.reason ?? undefined}>
        {status && condition.word}
      </span>
      {due.length > 0 && (
        <span class="muted">
          due <Ago at_ms={Math.min(...due)} />
        </span>
      )}
      <MadeUp status={status} />
      <div class="end">{status && <Actions part={part} sources={sources} again={again} />}</div>
    </div>
  );
}

function bySource(a: SourceStatus, b: SourceStatus): number {
  return a.source.localeCompare(b.source) || a.partition - b.partition;
}

function Parts({ part, application }: { part: FunctionPart; application: Application }) {
  const { name } = part;
  const [deploys, setDeploys] = useState(0);
  const scheduled = !part.triggers.some((trigger) => trigger.topic);
  const status = useAnswer(getStatus, []);
  useEvery(3, status.again);
  return (
    <>
      <Head part={part} status={status.value} again={status.again} />
      <div class="cards two">
        <May part={part} />
        <Throughput name={name} scheduled={scheduled} />
        <Answered answer={status} what="where it stands">
          {(value) => <Lag sources={value.sources.filter((source) => source.function === name).sort(bySource)} />}
        </Answered>
        <Failures name={name} failures={status.value?.failures.filter((failure) => failure.function === name) ?? []} />
        <Shadow name={name} scheduled={scheduled} turn={deploys} />
        <Versions part={part} application={application} then={() => setDeploys((now) => now + 1)} />
        <Logs name={name} />
        {part.state && <State key={name} name={name} />}
      </div>
    </>
  );
}

/** All there is to know of a function. */
export default function FunctionPage({ name }: PageProps) {
  const application = useApplication();
  return (
    <Answered answer={application} what="the application">
      {(value) => {
        const part = value.functions.find((found) => found.name === name);
        if (part) return <Parts part={part} application={value} />;
        return (
          <Empty title={`There is no function ${name}.`}>
            The <a href="/flow">flow</a> shows those there are. One that was removed comes back by <code>isobar rollback {name}</code>.
          </Empty>
        );
      }}
    </Answered>
  );
}
