// What a chart shows, as a table: for reading, for CSV and for a picture of it.

export interface SheetColumn {
  title: string;
  unit?: string;
  /** Whether its cells are numbers, which stand at the right. */
  isNumber?: boolean;
  /** Decimals of its numbers, where all have as many. */
  digits?: number;
}

export interface Sheet {
  columns: SheetColumn[];
  rows: (string | number | null)[][];
}

/** A number that was written with `7.0` stays so; one that was computed in full stays in full. */
const MOST_DIGITS = 4;

export function numberOf(cell: number, digits = Infinity): string {
  return digits <= MOST_DIGITS ? cell.toFixed(digits) : String(cell);
}

function field(cell: string | number | null, column?: SheetColumn): string {
  if (cell === null || (typeof cell === "number" && Number.isNaN(cell))) return "";
  if (typeof cell === "number") return numberOf(cell, column?.digits);
  // A spreadsheet takes text that begins so for a formula and would carry it out.
  const text = /^[=+@\t\r-]/.test(cell) && Number.isNaN(Number(cell)) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** RFC 4180, with where the data come from in each row's last cell, so that no part of the file is without it. */
export function csvOf(sheet: Sheet, notice: string | null): string {
  const head = sheet.columns.map((column) => (column.unit ? `${column.title} (${column.unit})` : column.title));
  const tail = notice === null ? [] : [notice];
  const lines = [[...head, ...(notice === null ? [] : ["notice"])], ...sheet.rows.map((row) => [...row, ...tail])];
  return lines.map((line) => line.map((cell, place) => field(cell, sheet.columns[place])).join(",") + "\r\n").join("");
}

/** Parts of a file's name that say what it holds, in letters that every system takes. */
export function fileName(parts: readonly string[], ending: string): string {
  const plain = parts.map((part) =>
    part
      .replaceAll("ß", "ss")
      .normalize("NFKD")
      .replace(/[\u0300-\u036f]/g, "")
      .replace(/[^A-Za-z0-9.-]+/g, "-")
      .replace(/^[-.]+|[-.]+$/g, "")
      .toLowerCase(),
  );
  const name = plain.filter(Boolean).join("_").slice(0, 150);
  return `${name || "data"}.${ending}`;
}
