import { DataTable } from "../../parts/DataTable";
import { isNumber, numberText } from "../../parts/format";
import { setQuery } from "../../route";
import type { Cell, Rows, TablePart } from "../../types";
import { type View, literal, noRows, shownCell } from "./filter";

type Row = Cell[];

/** A number with as many digits as one reads; all of them where one points at it. */
function Figure({ value }: { value: string }) {
  const shown = shownCell(value);
  return shown === numberText(value) ? <>{shown}</> : <span title={value}>{shown}</span>;
}

/** Rows as they are; a key's cell leads to the rows that have it. */
export function RowsView({ part, rows, view }: { part: TablePart; rows: Rows; view: View }) {
  const columns = rows.columns.map((name, at) => {
    const column = part.columns.find((found) => found.name === name);
    const isKey = part.key.includes(name);
    const isFigure = isNumber(column?.type ?? "") && !isKey;
    const cell = (row: Row) => {
      const value = row[at] ?? null;
      if (value === null) return <span class="none">null</span>;
      if (isFigure) return <Figure value={value} />;
      if (!isKey || part.key.length < 2) return value;
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
      order={view.order ?? (part.key.length > 0 ? (part.key[0] ?? null) : null)}
      onSort={(next) => setQuery({ order: next, offset: null })}
      empty={noRows(view)}
    />
  );
}
