/** What is asked of a table, as it stands in the address and in files' names. Pure. */

import { isNumber, numberText, word } from "../../parts/format";
import type { ColumnPart } from "../../types";

export interface View {
  where: string | null;
  order: string | null;
  offset: number;
}

export function viewOf(query: URLSearchParams): View {
  const offset = Number(query.get("offset"));
  return {
    where: query.get("where")?.trim() || null,
    order: query.get("order"),
    offset: Number.isInteger(offset) && offset > 0 ? offset : 0,
  };
}

/** A file is named after what it holds: the table and what its rows meet. */
export function fileName(table: string, where: string | null, format: string): string {
  const condition = (where ?? "")
    .replace(/<=/g, " up to ")
    .replace(/>=/g, " from ")
    .replace(/!=/g, " not ")
    .replace(/</g, " below ")
    .replace(/>/g, " above ")
    .replace(/[^\p{L}\p{N}._-]+/gu, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 80);
  return condition ? `${table}-${condition}.${format}` : `${table}.${format}`;
}

export function queryCommand(table: string, where: string | null, sensitive: boolean): string {
  const parts = [`isobar table query ${word(table)}`];
  if (where) parts.push(`--where ${word(where)}`);
  if (sensitive) parts.push("--sensitive");
  return parts.join(" ");
}

/** Columns that the table has and the answer has not: they are sensitive. */
export function hiddenColumns(declared: readonly ColumnPart[], shown: readonly string[]): string[] {
  return declared.filter((column) => column.sensitive && !shown.includes(column.name)).map(({ name }) => name);
}

/** A literal of the filter's language. */
export function literal(type: string, cell: string): string {
  const plain = isNumber(type) || /^bool/i.test(type);
  return plain ? cell : `'${cell.replaceAll("'", "''")}'`;
}

/** A cell as it is shown: numbers grouped, but not those that are keys, which are names. */
export function shownCell(cell: string | null, isFigure: boolean): string | null {
  return cell !== null && isFigure ? numberText(cell) : cell;
}
