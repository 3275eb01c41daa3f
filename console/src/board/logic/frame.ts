// Rows of one subject held by column in typed arrays, in the order of time. A gap is NaN, never a number.

import { DAY_MS, dayOf } from "./days";

/** What places rows in time: days and instants are in days since 1970, years and other numbers as they are. */
export type TimeKind = "day" | "instant" | "number";

export interface Column {
  values: Float64Array;
  /** Most decimals that any cell has. */
  digits: number;
}

export interface Frame {
  kind: TimeKind;
  at: Float64Array;
  columns: ReadonlyMap<string, Column>;
}

/** Cells as the host gives them. */
export type Cells = readonly (string | null)[];

export function timeKind(type: string): TimeKind {
  if (type === "date") return "day";
  return type === "timestamp" ? "instant" : "number";
}

export function timeOf(kind: TimeKind, cell: string | null): number {
  if (cell === null) return NaN;
  if (kind === "day") return dayOf(cell.slice(0, 10));
  if (kind === "number") return cell === "" ? NaN : Number(cell);
  const text = cell.includes("T") ? cell : cell.replace(" ", "T");
  return Date.parse(/Z|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}Z`) / DAY_MS;
}

/** Decimals of a number's text; an exponent has none that could be counted. */
export function decimals(text: string): number {
  const point = text.indexOf(".");
  return point < 0 || /[eE]/.test(text) ? 0 : text.length - point - 1;
}

function numberOf(cell: string | null): number {
  if (cell === null || cell === "") return NaN;
  if (cell === "true") return 1;
  return cell === "false" ? 0 : Number(cell);
}

export function emptyFrame(kind: TimeKind, names: readonly string[]): Frame {
  const columns = names.map((name) => [name, { values: new Float64Array(0), digits: 0 }] as const);
  return { kind, at: new Float64Array(0), columns: new Map(columns) };
}

/** A frame of rows that are in the order of time; `names` are the columns asked for, the first one is the time. */
export function frameOf(kind: TimeKind, names: readonly string[], rows: readonly Cells[]): Frame {
  const at = new Float64Array(rows.length);
  rows.forEach((row, index) => (at[index] = timeOf(kind, row[0] ?? null)));
  const columns = new Map<string, Column>();
  names.slice(1).forEach((name, place) => {
    const values = new Float64Array(rows.length);
    let digits = 0;
    rows.forEach((row, index) => {
      const cell = row[place + 1] ?? null;
      values[index] = numberOf(cell);
      if (cell !== null) digits = Math.max(digits, decimals(cell));
    });
    columns.set(name, { values, digits });
  });
  return { kind, at, columns };
}

/** The first index whose time is not below `time`. */
export function indexFrom(at: Float64Array, time: number): number {
  let [low, high] = [0, at.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first index whose time is above `time`. */
export function indexAfter(at: Float64Array, time: number): number {
  let [low, high] = [0, at.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle]! <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

/** `old` with all of its rows from `from` to `to` replaced by those of `fresh`: rows that are gone are gone. */
export function mergeRange(old: Frame, fresh: Frame, from: number, to: number): Frame {
  const [start, end] = [indexFrom(old.at, from), indexAfter(old.at, to)];
  const splice = (kept: Float64Array, put: Float64Array) => joined([kept.subarray(0, start), put, kept.subarray(end)]);
  const columns = new Map<string, Column>();
  for (const [name, column] of fresh.columns) {
    const kept = old.columns.get(name) ?? { values: new Float64Array(old.at.length).fill(NaN), digits: 0 };
    const digits = Math.max(kept.digits, column.digits);
    columns.set(name, { values: splice(kept.values, column.values), digits });
  }
  return { kind: fresh.kind, at: splice(old.at, fresh.at), columns };
}

/** The rows from `from` to `to`, both in; nothing is copied. */
export function slice(frame: Frame, from: number, to: number): Frame {
  const [start, end] = [indexFrom(frame.at, from), Math.max(indexFrom(frame.at, from), indexAfter(frame.at, to))];
  const columns = new Map<string, Column>();
  for (const [name, column] of frame.columns) {
    columns.set(name, { values: column.values.subarray(start, end), digits: column.digits });
  }
  return { kind: frame.kind, at: frame.at.subarray(start, end), columns };
}

/** The values of a column; all gaps where the frame has no such column. */
export function valuesOf(frame: Frame, name: string): Float64Array {
  return frame.columns.get(name)?.values ?? new Float64Array(frame.at.length).fill(NaN);
}

export function digitsOf(frame: Frame, name: string): number {
  return frame.columns.get(name)?.digits ?? 0;
}

/** Most decimals of a column in any of some frames. */
export function digitsIn(frames: readonly Frame[], name: string): number {
  return Math.max(0, ...frames.map((frame) => digitsOf(frame, name)));
}

/**
 * The frame with a row of gaps for every step that has none, so that a line breaks there. Instants have no step that
 * could be known: they stay as they are.
 */
export function withGaps(frame: Frame): Frame {
  const count = frame.at.length;
  if (frame.kind === "instant" || count < 2) return frame;
  const [first, last] = [frame.at[0]!, frame.at[count - 1]!];
  const length = last - first + 1;
  if (length === count || !Number.isInteger(length)) return frame;
  const at = new Float64Array(length);
  for (let step = 0; step < length; step++) at[step] = first + step;
  const columns = new Map<string, Column>();
  for (const [name, column] of frame.columns) {
    const values = new Float64Array(length).fill(NaN);
    for (let row = 0; row < count; row++) values[frame.at[row]! - first] = column.values[row]!;
    columns.set(name, { values, digits: column.digits });
  }
  return { kind: frame.kind, at, columns };
}
