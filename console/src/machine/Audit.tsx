import { useState } from "preact/hooks";
import { useAnswer, useEvery } from "../answer";
import { getAudit } from "../api";
import { Card } from "../parts/Card";
import { CopyCommand } from "../parts/CopyCommand";
import { DataTable } from "../parts/DataTable";
import { Moment } from "../parts/Figures";
import { short } from "../parts/format";
import { Answered, Empty } from "../parts/states";
import { Ticked } from "../parts/Ticked";
import { useQuery } from "../route";
import type { Entry } from "../types";
import "./machine.css";

const SIZE = 100;
const MOST = 1000;

const digest = (version: string | null) =>
  version === null ? <span class="none">–</span> : <code title={version}>{short(version)}</code>;

const COLUMNS = [
  { name: "at", title: "When", cell: (entry: Entry) => <Moment at_ms={entry.at_ms} /> },
  { name: "who", title: "Who", cell: (entry: Entry) => entry.who },
  { name: "action", title: "What", cell: (entry: Entry) => entry.action },
  {
    name: "function",
    title: "Function",
    cell: (entry: Entry) => <a href={`/functions/${encodeURIComponent(entry.function)}`}>{entry.function}</a>,
  },
  { name: "version", title: "Version", cell: (entry: Entry) => digest(entry.version) },
  { name: "before", title: "Before", cell: (entry: Entry) => digest(entry.before) },
  {
    name: "refused",
    title: "Outcome",
    cell: (entry: Entry) =>
      entry.refused === null ? (
        "done"
      ) : (
        <span class="failure refusal">
          refused: <Ticked text={entry.refused} />
        </span>
      ),
  },
];

function matches(entry: Entry, part: string): boolean {
  const wanted = part.toLowerCase();
  return [entry.who, entry.action, entry.function, entry.version ?? "", entry.refused ?? ""].some((text) =>
    text.toLowerCase().includes(wanted),
  );
}

interface LogProps {
  entries: Entry[];
  part: string | null;
  /** Asks for older ones; null where there are none. */
  more: (() => void) | null;
}

function Log({ entries, part, more }: LogProps) {
  return (
    <Card title="The newest first" wide>
      <DataTable
        caption="Audit log"
        columns={COLUMNS}
        rows={part ? entries.filter((entry) => matches(entry, part)) : entries}
        rowKey={(entry, at) => `${entry.at_ms} ${at}`}
        empty="No entry holds this."
      />
      {more && (
        <div class="actions">
          <button type="button" onClick={more}>
            Show older ones
          </button>
        </div>
      )}
    </Card>
  );
}

/** Who changed what, and what was refused. */
export default function Audit() {
  const [limit, setLimit] = useState(SIZE);
  const [part, setPart] = useQuery("with");
  const audit = useAnswer((signal) => getAudit(limit, signal), [limit], { keep: true });
  useEvery(10, audit.again);
  return (
    <>
      <div class="head">
        <h1>Audit</h1>
        <span class="end actions">
          <input
            data-search
            type="search"
            aria-label="Only entries with"
            placeholder="Only entries with …"
            value={part ?? ""}
            onInput={(event) => setPart(event.currentTarget.value || null, { replace: true })}
          />
          <CopyCommand command="isobar audit" short />
        </span>
      </div>
      <Answered answer={audit} what="the audit log">
        {(entries) =>
          entries.length === 0 ? (
            <Empty title="Nothing was changed yet.">
              <code>isobar deploy NAME</code> is what stands here first.
            </Empty>
          ) : (
            <Log entries={entries} part={part} more={limit < MOST && entries.length >= limit ? () => setLimit(MOST) : null} />
          )
        }
      </Answered>
    </>
  );
}
