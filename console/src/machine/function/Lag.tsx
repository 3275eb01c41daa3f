import type { ComponentChildren } from "preact";
import { Card } from "../../parts/Card";
import { Ago, Num } from "../../parts/Figures";
import { Ticked } from "../../parts/Ticked";
import type { SourceStatus } from "../../types";
import { conditionOf } from "../standing";

function Source({ source }: { source: SourceStatus }) {
  if (source.scheduled) return <>{source.source}</>;
  return (
    <a href={`/topics/${encodeURIComponent(source.source)}?partition=${source.partition}&from=${source.position}`}>
      {source.source}/{source.partition}
    </a>
  );
}

function Behind({ source, most }: { source: SourceStatus; most: number }) {
  if (source.scheduled) {
    return (
      <span class="muted">
        due <Ago at_ms={source.due_ms} />
      </span>
    );
  }
  return (
    <svg class="lagbar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect width={most > 0 ? (source.lag / most) * 100 : 0} height={8} />
    </svg>
  );
}

function State({ source }: { source: SourceStatus }) {
  const { tone, word, reason } = conditionOf(source.standing);
  return (
    <>
      <span class={tone === "wrong" ? "failure" : tone}>{reason ? `${word}:` : word}</span>{" "}
      {reason && (
        <span class="muted">
          <Ticked text={reason.split("\n")[0] ?? ""} />
        </span>
      )}
    </>
  );
}

const COLUMNS: { title: string; kind?: string; cell: (source: SourceStatus, most: number) => ComponentChildren }[] = [
  { title: "Source", cell: (source) => <Source source={source} /> },
  { title: "Behind", kind: "meter", cell: (source, most) => <Behind source={source} most={most} /> },
  { title: "Lag, records", kind: "right", cell: (source) => <Num value={source.scheduled ? null : source.lag} /> },
  { title: "Position", kind: "right", cell: (source) => <Num value={source.position} /> },
  { title: "State", kind: "broad", cell: (source) => <State source={source} /> },
];

/** How far each partition is behind. */
export function Lag({ sources }: { sources: SourceStatus[] }) {
  const most = Math.max(0, ...sources.map((source) => source.lag));
  return (
    <Card title={sources.every((source) => source.scheduled) ? "Schedule" : "Lag by partition"} wide>
      <div class="table" role="group" aria-label="Lag by partition" tabIndex={0}>
        <table>
          <thead>
            <tr>
              {COLUMNS.map(({ title, kind }) => (
                <th key={title} scope="col" class={kind}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sources.map((source) => (
              <tr key={`${source.source}/${source.partition}`}>
                {COLUMNS.map(({ title, kind, cell }) => (
                  <td key={title} class={kind}>
                    {cell(source, most)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
