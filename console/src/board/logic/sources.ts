// Which rows are fetched for which chart: charts that show the same table share them.

import type { Application, TablePart } from "../../types";
import type { Source } from "../data/series";
import { type Board, type Chart, columnsOf, completeColumns, tableOf, visible } from "./dashboard";

/** A chart whose rows are placed in time. */
export type TimedChart = Exclude<Chart, { kind: "table" }>;

export function isTimed(chart: Chart): chart is TimedChart {
  return chart.kind !== "table";
}

/** All columns of a table that charts without a condition of their own, and the years, want beside the time. */
function shared(board: Board, table: string, when: string): string[] {
  const wanted = board.charts
    .filter((chart) => isTimed(chart) && chart.kind !== "count" && chart.table === table && chart.when === when)
    .flatMap(columnsOf);
  const { years } = board;
  if (years?.table === table && years.when === when) wanted.push(...completeColumns(years));
  return [...new Set(wanted)];
}

function source(board: Board, table: TablePart, when: string, seen: ReadonlySet<string>): Omit<Source, "subject"> {
  const columns = shared(board, table.name, when).filter((name) => seen.has(name) && name !== when);
  return { table, key: board.subject.key, when, columns };
}

/** What a chart of a subject reads; null where its table is not there. */
export function sourceOf(board: Board, application: Application, chart: TimedChart, sensitive: boolean): Omit<Source, "subject"> | null {
  const table = tableOf(application, chart.table);
  if (!table) return null;
  if (chart.kind === "count") return { table, key: board.subject.key, when: chart.when, columns: [], where: chart.where };
  return source(board, table, chart.when, visible(table, sensitive));
}

/** What tells which years of a subject are full. */
export function yearsSource(board: Board, application: Application, sensitive: boolean): Omit<Source, "subject"> | null {
  const table = board.years && tableOf(application, board.years.table);
  return table && board.years ? source(board, table, board.years.when, visible(table, sensitive)) : null;
}

/** Columns that a chart shows and that who looks may not see. */
export function hiddenColumns(application: Application, chart: Chart, sensitive: boolean): string[] {
  const table = tableOf(application, chart.table);
  if (!table) return [];
  const seen = visible(table, sensitive);
  const known = new Set(table.columns.map((column) => column.name));
  return columnsOf(chart).filter((name) => known.has(name) && !seen.has(name));
}
