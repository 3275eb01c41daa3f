import { useAnswer, useEvery } from "../answer";
import { getTables } from "../api";
import { useApplication } from "../application";
import { useChanges } from "../live";
import { Card } from "../parts/Card";
import { DataTable } from "../parts/DataTable";
import { Num } from "../parts/Figures";
import { Answered, Empty } from "../parts/states";
import { Ticked } from "../parts/Ticked";
import type { TablePart, TableSummary } from "../types";
import "./machine.css";

function Notices({ tables }: { tables: TableSummary[] }) {
  const notices = [...new Set(tables.flatMap((table) => table.notice ?? []))];
  return notices.length > 0 ? <>{notices.join(" ")}</> : null;
}

function columns(parts: Map<string, TablePart>) {
  return [
    {
      name: "table",
      title: "Table",
      cell: (table: TableSummary) => (
        <>
          <a href={`/tables/${encodeURIComponent(table.table)}`}>{table.table}</a>
          {table.sensitive && <span class="muted"> sensitive</span>}
        </>
      ),
    },
    {
      name: "rows",
      title: "Rows",
      right: true,
      cell: (table: TableSummary) =>
        table.trouble === null ? (
          <Num value={table.rows} />
        ) : (
          <span class="failure">
            <Ticked text={table.trouble} />
          </span>
        ),
    },
    { name: "key", title: "Key", cell: (table: TableSummary) => table.key.join(", ") },
    {
      name: "writer",
      title: "Written by",
      cell: (table: TableSummary) =>
        table.writer ? (
          <a href={`/functions/${encodeURIComponent(table.writer)}`}>{table.writer}</a>
        ) : (
          <span class="muted">nobody: it is loaded</span>
        ),
    },
    {
      name: "store",
      title: "Kept in",
      cell: (table: TableSummary) => parts.get(table.table)?.store ?? <span class="muted">the data folder</span>,
    },
  ];
}

/** All tables. */
export default function Tables() {
  const tables = useAnswer(getTables, []);
  const application = useApplication();
  const parts = new Map(application.value?.tables.map((part) => [part.name, part]));
  useChanges(tables.value?.map(({ table }) => table) ?? [], tables.again, 5000);
  useEvery(30, tables.again);
  return (
    <>
      <div class="head">
        <h1>Tables</h1>
      </div>
      <Answered answer={tables} what="tables">
        {(value) =>
          value.length === 0 ? (
            <Empty title="No table yet.">
              Tables stand in spin.toml; <code>isobar new NAME --template aggregate</code> adds a function with one.
            </Empty>
          ) : (
            <Card title="All tables" wide note={<Notices tables={value} />}>
              <DataTable caption="Tables" columns={columns(parts)} rows={value} rowKey={(table) => table.table} />
            </Card>
          )
        }
      </Answered>
    </>
  );
}
