// Conditions for the host: which rows of a table, written as its filter reads them.

import type { TablePart } from "../../types";

const QUOTED = /^(text|date|timestamp)/;

/** A literal of a column's type. */
export function literal(type: string, value: string): string {
  return QUOTED.test(type) ? `'${value.replaceAll("'", "''")}'` : value;
}

export interface Condition {
  column: string;
  op: "=" | "!=" | "<" | "<=" | ">" | ">=";
  value: string;
}

/** Conditions that must all hold, and one more that is written already. */
export function whereOf(table: TablePart, conditions: readonly Condition[], more?: string): string {
  const type = (name: string) => table.columns.find((column) => column.name === name)?.type ?? "text";
  const terms = conditions.map(({ column, op, value }) => `${column} ${op} ${literal(type(column), value)}`);
  if (more) terms.push(more);
  return terms.join(" and ");
}
