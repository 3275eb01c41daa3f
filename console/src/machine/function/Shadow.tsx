import { useState } from "preact/hooks";
import { useAnswer, useEvery } from "../../answer";
import { Refused, getShadow, named, post } from "../../api";
import { Action } from "../../parts/Action";
import { Allowed } from "../../parts/Allowed";
import { Card } from "../../parts/Card";
import { CopyCommand } from "../../parts/CopyCommand";
import { DataTable } from "../../parts/DataTable";
import { Ago } from "../../parts/Figures";
import { count, duration, number, short, word } from "../../parts/format";
import { Answered } from "../../parts/states";
import type { Comparison, TableComparison } from "../../types";
import { Reason } from "../Reason";
import { type Difference, byColumn, differencesOf, remarks } from "./comparison";

const DIFFERENCES = 100;

function value(cell: string | null) {
  return cell === null ? <span class="none">null</span> : cell;
}

const COLUMNS = [
  { name: "key", title: "Key", cell: (row: Difference) => row.key },
  {
    name: "column",
    title: "Column",
    cell: (row: Difference) => row.column || <span class="muted">whole row</span>,
  },
  {
    name: "old",
    title: "Old",
    right: true,
    cell: (row: Difference) => (row.only === "new" ? <span class="none">no row</span> : value(row.old)),
  },
  {
    name: "new",
    title: "New",
    right: true,
    cell: (row: Difference) => (row.only === "old" ? <span class="none">no row</span> : value(row.new)),
  },
];

function TableDifferences({ table }: { table: TableComparison }) {
  if (table.differing === 0) {
    return (
      <p class="muted">
        <strong>{table.table}</strong>: {count(table.rows, "row")}, all the same.
      </p>
    );
  }
  const differences = differencesOf(table);
  const columns = byColumn(differences);
  return (
    <section class="entry">
      <p>
        <strong>{table.table}</strong>: {number(table.differing)} of {count(table.rows, "row")} differ
        {table.only_charge > 0 && `; ${number(table.only_charge)} only the old version has`}
        {table.only_shadow > 0 && `; ${number(table.only_shadow)} only the new one has`}.
      </p>
      {columns.length > 0 && (
        <p class="muted">
          Of the first {table.first.length}:{" "}
          {columns.map(({ column, many }) => `${column} ${number(many)}`).join(", ")}
        </p>
      )}
      {table.hidden && <p class="muted">Some values are sensitive and hidden.</p>}
      {differences.length > 0 && (
        <DataTable
          caption={`What differs in ${table.table}`}
          columns={COLUMNS}
          rows={differences}
          rowKey={(_, at) => at}
        />
      )}
    </section>
  );
}

function Decide({ shadow, again }: { shadow: Comparison; again: () => void }) {
  const [any, setAny] = useState(false);
  const { function: name, differing } = shadow;
  const allow = any ? differing : 0;
  const command = `isobar promote ${word(name)}${allow > 0 ? ` --allow-differences ${allow}` : ""}`;
  return (
    <Allowed need="deploy" to="promote or drop it">
      <div class="actions">
        {differing > 0 && (
          <label>
            <input type="checkbox" checked={any} onChange={(event) => setAny(event.currentTarget.checked)} />
            {count(differing, "difference is", "differences are")} meant
          </label>
        )}
        <Action
          label="Promote"
          title={`Put the shadow ${short(shadow.version)} in charge of ${name}?`}
          command={command}
          act={() => post(named`/functions/${name}/shadow/promote`, { allow_differences: allow })}
          then={again}
          bare
          disabled={differing > 0 && !any}
        >
          <p>
            It takes over with its state
            {differing > 0 && ` and writes what differs: ${count(differing, "row or record", "rows and records")}`}.
          </p>
        </Action>
        <Action
          label="Drop"
          title={`End the shadow ${short(shadow.version)} of ${name}?`}
          grave
          command={`isobar shadow drop ${word(name)}`}
          act={() => post(named`/functions/${name}/shadow/drop`)}
          then={again}
          bare
        >
          <p>What it has made is let go; the version in charge goes on as it does.</p>
        </Action>
      </div>
    </Allowed>
  );
}

function Compared({ shadow, again }: { shadow: Comparison; again: () => void }) {
  const each = (micros: number) => (shadow.batches > 0 ? duration(micros / 1000 / shadow.batches) : "–");
  return (
    <>
      <p>
        <code title={shadow.version}>{short(shadow.version)}</code> follows since <Ago at_ms={shadow.since_ms} />:{" "}
        {count(shadow.batches, "batch", "batches")} with {count(shadow.records, "record")} compared, {number(shadow.behind)} to
        come. A batch takes it {each(shadow.shadow_micros)}, the version in charge {each(shadow.charge_micros)}.
      </p>
      {shadow.ended !== null && <Reason reason={`It has ended: ${shadow.ended}`} />}
      {shadow.failure !== null && <Reason reason={shadow.failure} />}
      {remarks(shadow).map((remark) => (
        <p class="muted" key={remark}>
          {remark}
        </p>
      ))}
      {shadow.tables.map((table) => (
        <TableDifferences key={table.table} table={table} />
      ))}
      <Decide shadow={shadow} again={again} />
    </>
  );
}

/** Nothing, where there is no shadow: that is how it mostly is. */
async function shadowOf(name: string, signal: AbortSignal): Promise<Comparison | null> {
  try {
    return await getShadow(name, DIFFERENCES, signal);
  } catch (error) {
    if (error instanceof Refused && (error.status === 404 || error.status === 400)) return null;
    throw error;
  }
}

/** A version that follows the one in charge, and what it would make otherwise. */
export function Shadow({ name, scheduled, turn }: { name: string; scheduled: boolean; turn: number }) {
  // With another turn, one may have begun.
  const shadow = useAnswer((signal) => shadowOf(name, signal), [name, turn], { keep: true });
  useEvery(30, shadow.again);
  return (
    <Card title="Shadow" wide>
      <Answered answer={shadow} what="the shadow">
        {(found) =>
          found ? (
            <Compared shadow={found} again={shadow.again} />
          ) : scheduled ? (
            <p class="muted">A function that runs by a schedule has none.</p>
          ) : (
            <p class="muted">
              None. A version can be tried on the same batches before it takes over:{" "}
              <CopyCommand command={`isobar deploy ${word(name)} --build --shadow`} />
            </p>
          )
        }
      </Answered>
    </Card>
  );
}
