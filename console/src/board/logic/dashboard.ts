// The application's dashboard as the host gives it, and what of it may be seen.

import type { Application, Dashboard, TablePart } from "../../types";

export interface Shown {
  column: string;
  title?: string;
  unit?: string;
}

export interface MapPart {
  latitude: string;
  longitude: string;
  /** GeoJSON; the host puts it in the place of the file's name. */
  outline?: unknown;
  color?: Shown & { table: string; when?: string; scale?: string };
}

export interface Subject {
  title: string;
  table: string;
  key: string;
  name?: string;
  details?: Shown[];
  map?: MapPart;
}

/** From when on a figure counts as whole: `column` is of `of`, a number or another column. */
export interface Complete {
  column: string;
  of: number | string;
  /** The share that is enough; all where it is not said. */
  enough?: number;
  title?: string;
}

export interface YearsPart extends Complete {
  table: string;
  when: string;
}

export interface Scale {
  middle: number;
  reach: number;
}

interface ChartBase {
  id: string;
  title: string;
  table: string;
  unit?: string;
  note?: string;
  wide?: boolean;
  complete?: Complete;
}

export interface GaugeChart extends ChartBase {
  kind: "gauge";
  column: string;
  when: string;
  pick: "highest" | "lowest";
  from: number;
  to: number;
  scale?: string;
}

export interface CountChart extends ChartBase {
  kind: "count";
  when: string;
  where: string;
}

export interface LinePart extends Shown {
  axis?: 0 | 1;
}

export interface LinesChart extends ChartBase {
  kind: "lines";
  when: string;
  series: LinePart[];
  band?: { low: string; high: string; title?: string };
  zoom?: boolean;
  long_term_mean?: boolean;
  overlay_years?: boolean;
}

export interface StripesChart extends ChartBase {
  kind: "stripes";
  when: string;
  column: string;
}

export interface MatrixChart extends ChartBase {
  kind: "matrix";
  when: string;
  rows: (Shown & { scale?: string })[];
}

export interface CompletenessChart extends ChartBase {
  kind: "completeness";
  when: string;
  column: string;
}

export interface TableChart extends ChartBase {
  kind: "table";
  columns: Shown[];
}

export type Chart = GaugeChart | CountChart | LinesChart | StripesChart | MatrixChart | CompletenessChart | TableChart;

export interface Board {
  title: string;
  subject: Subject;
  years?: YearsPart;
  scales: Record<string, Scale>;
  charts: Chart[];
}

/** The board of a dashboard; ids are given to charts that say none. */
export function boardOf(dashboard: Dashboard): Board {
  const told = dashboard as unknown as Partial<Board>;
  if (!told.subject) throw new Error("the dashboard names no subject");
  const charts = (told.charts ?? []).map((chart, place) => ({ ...chart, id: chart.id ?? `chart-${place + 1}` }) as Chart);
  const board: Board = { title: told.title ?? "Board", subject: told.subject, scales: told.scales ?? {}, charts };
  return told.years ? { ...board, years: told.years } : board;
}

/** Columns of a table that may be seen by who looks. */
export function visible(table: TablePart | undefined, sensitive: boolean): Set<string> {
  if (!table || (table.sensitive && !sensitive)) return new Set();
  return new Set(table.columns.filter((column) => sensitive || !column.sensitive).map((column) => column.name));
}

export function tableOf(application: Application, name: string): TablePart | undefined {
  return application.tables.find((table) => table.name === name);
}

/** The columns of the figures that say whether a row is whole. */
export function completeColumns(complete: Complete | undefined): string[] {
  if (!complete) return [];
  return typeof complete.of === "string" ? [complete.column, complete.of] : [complete.column];
}

/** The columns that a chart reads beside the time. */
export function columnsOf(chart: Chart): string[] {
  const named = (): string[] => {
    switch (chart.kind) {
      case "lines":
        return [...chart.series.map((one) => one.column), ...(chart.band ? [chart.band.low, chart.band.high] : [])];
      case "matrix":
        return chart.rows.map((row) => row.column);
      case "table":
        return chart.columns.map((column) => column.column);
      case "count":
        return [];
      default:
        return [chart.column];
    }
  };
  return [...new Set([...named(), ...completeColumns(chart.complete)])];
}

/** What a column is called: its title, or its name in words. */
export function titleOf(shown: Shown): string {
  if (shown.title) return shown.title;
  const words = shown.column.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** `Mean, °C`. */
export function titleWithUnit(title: string, unit: string | undefined): string {
  return unit ? `${title}, ${unit}` : title;
}
