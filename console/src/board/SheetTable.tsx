import { useState } from "preact/hooks";
import { DataTable } from "../parts/DataTable";
import { count, numberText } from "../parts/format";
import { fixed } from "./logic/numbers";
import { type Sheet, type SheetColumn, numberOf } from "./logic/sheet";

const STEP = 200;

function cellText(cell: string | number | null, { isNumber, digits }: SheetColumn): string {
  if (cell === null || (typeof cell === "number" && Number.isNaN(cell))) return "–";
  if (!isNumber || typeof cell === "string") return String(cell);
  return digits === undefined ? numberText(numberOf(cell)) : fixed(cell, digits);
}

/** What a chart shows, as a table; the newest rows, which stand last, come first. */
export function SheetTable({ sheet, caption }: { sheet: Sheet; caption: string }) {
  const [many, setMany] = useState(STEP);
  const rows = sheet.rows.slice(-many).reverse();
  const columns = sheet.columns.map((column, place) => ({
    name: `${place}`,
    title: column.title,
    unit: column.unit,
    right: column.isNumber ?? false,
    cell: (row: Sheet["rows"][number]) => cellText(row[place] ?? null, column),
  }));
  return (
    <>
      <div class="sheet">
        <DataTable caption={caption} columns={columns} rows={rows} rowKey={(_, at) => at} />
      </div>
      {sheet.rows.length > many && (
        <p class="remark">
          The newest {count(many, "row")} of {count(sheet.rows.length, "row")}.{" "}
          <button type="button" class="quiet" onClick={() => setMany(many + STEP)}>
            Show more
          </button>
        </p>
      )}
    </>
  );
}
