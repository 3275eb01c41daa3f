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

/** Digits behind the point that a list has room for; figures near zero have as many as tell them apart. */
const DECIMALS = 4;
const FRACTION = /^-?(\d+)\.(0*)\d+$/;

/** A number as it is shown: what was worked out has fifteen digits, of which the last are noise. Its export has them all. */
export function shownCell(cell: string): string {
  const found = FRACTION.exec(cell);
  if (!found) return numberText(cell);
  const zeros = Number(found[1]) === 0 ? (found[2]?.length ?? 0) : 0;
  const decimals = DECIMALS + zeros;
  const has = cell.length - cell.indexOf(".") - 1;
  if (has <= decimals || decimals > 100) return numberText(cell);
  return numberText(Number(cell).toFixed(decimals).replace(/\.?0+$/, ""));
}

/** Why no row is shown. */
export function noRows({ where, offset }: View): string {
  if (offset > 0) return "There are no more rows.";
  return where === null ? "The table is empty." : "No row meets this.";
}
