import { useEffect, useState } from "preact/hooks";
import { useAnswer } from "../answer";
import { type ExportFormat, exportAddress, getRows } from "../api";
import { useApplication } from "../application";
import { useChanges } from "../live";
import type { PageProps } from "../pages";
import { Card } from "../parts/Card";
import { CopyCommand } from "../parts/CopyCommand";
import { number, short } from "../parts/format";
import { Answered, Empty, Hidden } from "../parts/states";
import { setQuery, useRoute } from "../route";
import { useSession } from "../session";
import type { Application, Rows, TablePart } from "../types";
import "./machine.css";
import { type View, fileName, hiddenColumns, queryCommand, viewOf } from "./table/filter";
import { RowsView } from "./table/Rows";

const SIZE = 100;
const FORMATS: ExportFormat[] = ["csv", "json", "parquet"];

function Filter({ part, where }: { part: TablePart; where: string | null }) {
  const [text, setText] = useState(where ?? "");
  useEffect(() => setText(where ?? ""), [where]);
  const look = (event: Event) => {
    event.preventDefault();
    setQuery({ where: text.trim() || null, offset: null });
  };
  const example = part.columns.find((column) => column.name === part.key[0]) ?? part.columns[0];
  return (
    <form class="fields" onSubmit={look}>
      <label class="grow">
        Only rows where
        <input
          data-search
          type="search"
          spellcheck={false}
          value={text}
          placeholder={example ? `${example.name} = ${/^(text|date|timestamp)$/.test(example.type) ? "'…'" : "…"}` : ""}
          title="column op literal and …: = != < <= > >= in, is null, is not null; text and dates in single quotes"
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <button type="submit">Look</button>
      {where !== null && (
        <button type="button" onClick={() => setQuery({ where: null, offset: null })}>
          All rows
        </button>
      )}
    </form>
  );
}

function Downloads({ table, where }: { table: string; where: string | null }) {
  return (
    <>
      {FORMATS.map((format) => (
        <a
          key={format}
          class="button"
          href={exportAddress(table, format, { where })}
          download={fileName(table, where, format)}
          title={fileName(table, where, format)}
        >
          {format === "parquet" ? "Parquet" : format.toUpperCase()}
        </a>
      ))}
    </>
  );
}

/** Which rows are shown; nothing where there are none, as the table says so itself. */
function span(view: View, { rows, more }: Rows): string {
  if (rows.length === 0) return "";
  return `Rows ${number(view.offset + 1)} to ${number(view.offset + rows.length)}${more ? "" : ", the last"}`;
}

function Pages({ view, rows }: { view: View; rows: Rows }) {
  if (rows.rows.length === 0 && view.offset === 0) return null;
  return (
    <div class="actions">
      <span class="muted">{span(view, rows)}</span>
      <button
        type="button"
        disabled={view.offset === 0}
        onClick={() => setQuery({ offset: view.offset > SIZE ? view.offset - SIZE : null })}
      >
        Before
      </button>
      <button type="button" disabled={!rows.more} onClick={() => setQuery({ offset: view.offset + SIZE })}>
        Next
      </button>
    </div>
  );
}

function Note({ part, rows }: { part: TablePart; rows: Rows }) {
  const { may } = useSession();
  const hidden = may.sensitive ? [] : hiddenColumns(part.columns, rows.columns);
  const notice = rows.notice ?? part.notice;
  if (hidden.length === 0 && !notice) return null;
  return (
    <>
      {hidden.length > 0 && <p>Hidden, because sensitive: {hidden.join(", ")}.</p>}
      {notice && <p>{notice}</p>}
    </>
  );
}

function Found({ part, view }: { part: TablePart; view: View }) {
  const { name } = part;
  const ask = { where: view.where, order: view.order, offset: view.offset || undefined, limit: SIZE };
  const rows = useAnswer((signal) => getRows(name, ask, signal), [view], { keep: true });
  // To order all rows by another column than the key is dear.
  useChanges([name], rows.again, view.order === null ? undefined : 5000);
  return (
    <Answered answer={rows} what="rows">
      {(value) => (
        <Card title="Rows" wide actions={<Pages view={view} rows={value} />} note={<Note part={part} rows={value} />}>
          <RowsView part={part} rows={value} view={view} />
        </Card>
      )}
    </Answered>
  );
}

function Writer({ part, application }: { part: TablePart; application: Application }) {
  if (!part.writer) return <>loaded, written by no function</>;
  const version = application.functions.find((found) => found.name === part.writer)?.version;
  return (
    <>
      written by <a href={`/functions/${encodeURIComponent(part.writer)}`}>{part.writer}</a>
      {version && <code> {short(version)}</code>}
    </>
  );
}

function Parts({ part, application }: { part: TablePart; application: Application }) {
  const { may } = useSession();
  const { query } = useRoute();
  const view = viewOf(query);
  const visible = !part.sensitive || may.sensitive;
  const asksSensitive = part.sensitive || part.columns.some((column) => column.sensitive);
  return (
    <>
      <div class="head">
        <h1>{part.name}</h1>
        <span class="muted">
          by {part.key.join(", ")}; <Writer part={part} application={application} />
          {part.store && `; kept in ${part.store}`}
          {part.sensitive && "; sensitive"}
        </span>
        <span class="end actions">
          {visible && <Downloads table={part.name} where={view.where} />}
          <CopyCommand command={queryCommand(part.name, view.where, asksSensitive && may.sensitive)} short />
        </span>
      </div>
      {visible ? (
        <>
          <Filter part={part} where={view.where} />
          <Found key={part.name} part={part} view={view} />
        </>
      ) : (
        <Hidden what="Its rows are" />
      )}
    </>
  );
}

/** The rows of a table. */
export default function TablePage({ name }: PageProps) {
  const application = useApplication();
  return (
    <Answered answer={application} what="the application">
      {(value) => {
        const part = value.tables.find((table) => table.name === name);
        if (part) return <Parts part={part} application={value} />;
        return (
          <Empty title={`There is no table ${name}.`}>
            <a href="/tables">Tables</a> shows those there are.
          </Empty>
        );
      }}
    </Answered>
  );
}
