import { DataTable } from "../../parts/DataTable";
import { isNumber } from "../../parts/format";
import { setQuery } from "../../route";
import type { Cell, Rows, TablePart } from "../../types";
import { literal, shownCell } from "./filter";

type Row = Cell[];

/** Rows as they are; a key's cell leads to the rows that have it. */
export function RowsView({ part, rows, order }: { part: TablePart; rows: Rows; order: string | null }) {
  const columns = rows.columns.map((name, at) => {
    const column = part.columns.find((found) => found.name === name);
    const isKey = part.key.includes(name);
    const isFigure = isNumber(column?.type ?? "") && !isKey;
    const cell = (row: Row) => {
      const value = row[at] ?? null;
      if (value === null) return <span class="none">null</span>;
      if (!isKey || part.key.length < 2) return shownCell(value, isFigure);
      const where = `${name} = ${literal(column?.type ?? "text", value)}`;
      return (
        <button type="button" class="row" title={`Only rows with ${where}`} onClick={() => setQuery({ where, offset: null })}>
          {value}
        </button>
      );
    };
    return { name, right: isNumber(column?.type ?? ""), sorts: true, cell };
  });
  return (
    <DataTable
      caption={`Rows of ${part.name}`}
      columns={columns}
      rows={rows.rows}
      rowKey={(_, at) => at}
      order={order ?? (part.key.length > 0 ? (part.key[0] ?? null) : null)}
      onSort={(next) => setQuery({ order: next, offset: null })}
      empty="No row meets this."
    />
  );
}
