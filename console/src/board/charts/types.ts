// What every chart of the board is given, and what it gives.

import type { ComponentType } from "preact";
import type { Chart, Scale } from "../logic/dashboard";
import type { Frame } from "../logic/frame";
import type { Bounds } from "../logic/period";
import type { Sheet } from "../logic/sheet";
import type { Palette } from "./palette";

/** One of the subjects that are shown, with the rows that a chart asked for. */
export interface Seen {
  key: string;
  name: string;
  /** All rows, whatever the period. */
  frame: Frame;
  /** Its full years; null where no table tells them. */
  full: ReadonlySet<number> | null;
  /** Years that the table of years has; none where there is no such table. */
  years: readonly number[];
}

export interface ChartContext {
  bounds: Bounds;
  scales: Record<string, Scale>;
  palette: Palette;
  today: number;
  subjectTitle: string;
  /** The address of a row of a chart's table. */
  rowAt: (chart: { table: string; when: string }, subject: string, when: string) => string;
}

export interface KindProps<C extends Chart> {
  chart: C;
  seen: readonly Seen[];
  context: ChartContext;
}

export interface Kind<C extends Chart> {
  Body: ComponentType<KindProps<C>>;
  /** What is shown, as a table. */
  sheet: (props: KindProps<C>) => Sheet;
  /** Whether there is nothing to draw in the period. */
  isEmpty: (props: KindProps<C>) => boolean;
}
