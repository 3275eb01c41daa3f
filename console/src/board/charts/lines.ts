// The option of a chart of lines by date: gaps are gaps, what is not whole is hollow, a band is broken with its line.

import type { EChartsCoreOption } from "echarts/core";
import { lone } from "../logic/buckets";
import { type LinesChart, titleOf, titleWithUnit } from "../logic/dashboard";
import { DAY_MS, dayText, placeInYear } from "../logic/days";
import { type Frame, digitsOf, indexFrom, valuesOf } from "../logic/frame";
import type { Normals } from "../logic/normals";
import { fixed, withUnit } from "../logic/numbers";
import { wholeness } from "../logic/whole";
import { band, envelope, envelopeIn, tint } from "./band";
import { type Palette, mix } from "./palette";
import { type TipRow, tip, tipOption } from "./tip";

/** A subject's rows in the period, with a row for each day that has none. */
export interface LineSubject {
  name: string;
  frame: Frame;
  normals: Normals | null;
}

export interface LinesInput {
  chart: LinesChart;
  subjects: readonly LineSubject[];
  palette: Palette;
  /** The only one of its series that is drawn; null: all. */
  only: number | null;
}

/** Of each pixel's days the lowest and the highest. `lttb` takes wrong rows where a gap meets a zoom. */
const SAMPLING = "minmax";

export type SeriesOption = Record<string, unknown>;

export function unitOf(chart: LinesChart, place: number): string | undefined {
  return chart.series[place]?.unit ?? chart.unit;
}

/** `x, y, x, y …`, as ECharts takes it without a copy for each row. */
function pairs(at: Float64Array, values: Float64Array, rows?: readonly number[]): Float64Array {
  const count = rows?.length ?? at.length;
  const flat = new Float64Array(2 * count);
  for (let place = 0; place < count; place++) {
    const row = rows ? rows[place]! : place;
    flat[2 * place] = at[row]! * DAY_MS;
    flat[2 * place + 1] = values[row]!;
  }
  return flat;
}

export function lineStyle(colour: string, subject: number, width = 1.2) {
  return { color: colour, width, type: subject === 0 ? "solid" : [5, 3] };
}

function lines(input: LinesInput, subject: number): SeriesOption[] {
  const { chart, palette, subjects } = input;
  const { frame } = subjects[subject]!;
  const whole = wholeness(frame, chart.complete);
  // What is drawn otherwise is pointed at all the same.
  const opacity = envelopeIn(input) ? 0 : 1;
  return chart.series.flatMap((one, place) => {
    if (input.only !== null && input.only !== place) return [];
    const values = valuesOf(frame, one.column);
    const colour = tint(input, subject, place);
    const base = { yAxisIndex: one.axis ?? 0, dimensions: ["x", "y"], animation: false, silent: true };
    const hollow: number[] = [];
    values.forEach((value, row) => !Number.isNaN(value) && !whole.isWhole(row) && hollow.push(row));
    // Many marks are small, so that the line behind them is still seen.
    const symbolSize = hollow.length <= 60 ? 5 : hollow.length <= 200 ? 4 : 3;
    const marks = { ...base, type: "scatter", symbolSize, z: 4 };
    const solid = lone(values).filter((row) => whole.isWhole(row));
    return [
      { ...base, id: `line ${subject} ${place}`, type: "line", symbol: "none", sampling: SAMPLING, connectNulls: false, z: 3,
        lineStyle: { ...lineStyle(colour, subject), opacity }, data: pairs(frame.at, values) },
      { ...marks, id: `hollow ${subject} ${place}`, data: pairs(frame.at, values, hollow),
        itemStyle: { color: palette.paper, borderColor: colour, borderWidth: 1 } },
      { ...marks, id: `lone ${subject} ${place}`, symbolSize: 3, data: pairs(frame.at, values, solid), itemStyle: { color: colour } },
    ];
  });
}

function normal(input: LinesInput, subject: number): SeriesOption[] {
  const { palette, subjects } = input;
  const { frame, normals } = subjects[subject]!;
  if (!normals) return [];
  const means = frame.at.map((day) => normals.means[placeInYear(day)]!);
  const colour = subject === 0 ? palette.ink : mix(palette.hues[1], palette.ink, 0.5);
  return [
    { id: `mean ${subject}`, type: "line", dimensions: ["x", "y"], data: pairs(frame.at, means), symbol: "none", z: 5, sampling: SAMPLING,
      animation: false, silent: true, lineStyle: lineStyle(colour, subject, 0.9) },
  ];
}

export function axisStyle(palette: Palette) {
  return {
    axisLine: { lineStyle: { color: palette.line } },
    axisTick: { lineStyle: { color: palette.line } },
    axisLabel: { color: palette.muted, hideOverlap: true },
    splitLine: { lineStyle: { color: palette.line } },
  };
}

export function valueAxis(palette: Palette, name: string, isRight = false) {
  const style = axisStyle(palette);
  return {
    ...style,
    type: "value",
    scale: true,
    name,
    nameGap: 14,
    nameTextStyle: { color: palette.muted, align: isRight ? "right" : "left", padding: isRight ? [0, 0, 0, 0] : [0, 0, 0, -24] },
    axisLabel: { ...style.axisLabel, formatter: (value: number) => fixed(value, 1).replace(/\.0$/, "") },
    splitLine: isRight ? { show: false } : style.splitLine,
  };
}

function yAxes(chart: LinesChart, palette: Palette): unknown[] {
  const named = ([0, 1] as const).map((axis) => {
    const on = chart.series.filter((one) => (one.axis ?? 0) === axis);
    const units = [...new Set(on.map((one) => one.unit ?? chart.unit))];
    const title = on.length === 1 && !chart.unit ? titleOf(on[0]!) : "";
    return on.length === 0 ? null : [title, units.join(", ")].filter(Boolean).join(", ");
  });
  return named.filter((name): name is string => name !== null).map((name, axis) => valueAxis(palette, name, axis === 1));
}

export function zoomOption(palette: Palette, bottom: number): unknown[] {
  const handle = { color: palette.paper, borderColor: palette.faint };
  return [
    { type: "inside", filterMode: "weakFilter", start: 0, end: 100, zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false },
    { type: "slider", filterMode: "weakFilter", start: 0, end: 100, height: 22, bottom, borderColor: palette.line, brushSelect: false,
      backgroundColor: "transparent", fillerColor: mix(palette.hues[0], palette.paper, 0.8) + "88", handleStyle: handle, moveHandleSize: 0,
      dataBackground: { lineStyle: { color: palette.faint, width: 0.5 }, areaStyle: { color: palette.fill } },
      selectedDataBackground: { lineStyle: { color: palette.faint, width: 0.5 }, areaStyle: { color: palette.fill } },
      textStyle: { color: palette.muted }, labelFormatter: (at: number) => dayText(Math.round(at / DAY_MS)) },
  ];
}

/** What is known of a day, of all subjects. */
function dayTip(input: LinesInput, day: number): HTMLElement {
  const { chart, subjects } = input;
  const rows = subjects.flatMap((one, subject): TipRow[] => {
    const { frame, normals } = one;
    const row = indexFrom(frame.at, day);
    if (frame.at[row] !== day) return [];
    const whole = wholeness(frame, chart.complete);
    const value = (name: string) => valuesOf(frame, name)[row]!;
    const prefix = subjects.length > 1 ? `${one.name} · ` : "";
    const shown = chart.series.map((part, place): TipRow => ({
      label: prefix + titleOf(part),
      value: withUnit(value(part.column), digitsOf(frame, part.column), unitOf(chart, place)),
      colour: tint(input, subject, place),
    }));
    if (chart.band) {
      const [low, high] = [chart.band.low, chart.band.high].map((name) => fixed(value(name), digitsOf(frame, name)));
      shown.push({ label: prefix + (chart.band.title ?? "Range"), value: `${low} … ${high}` });
    }
    const digits = digitsOf(frame, chart.series[0]!.column);
    if (normals) {
      shown.push({ label: `${prefix}Long-term mean`, value: withUnit(normals.means[placeInYear(day)]!, digits, unitOf(chart, 0)) });
    }
    const count = whole.text(row);
    if (count) shown.push({ label: whole.isWhole(row) ? "Made of" : "Not whole: made of", value: count });
    return shown;
  });
  return tip(dayText(day), rows);
}

/** The option of lines by date. */
export function linesOption(input: LinesInput): EChartsCoreOption {
  const { chart, palette, subjects } = input;
  const each = subjects.map((_, subject) => subject);
  const axis = axisStyle(palette);
  return {
    animation: false,
    grid: { left: 48, right: chart.series.some((one) => one.axis === 1) ? 48 : 16, top: 32, bottom: chart.zoom ? 64 : 28 },
    xAxis: { ...axis, type: "time", splitLine: { show: false } },
    yAxis: yAxes(chart, palette),
    ...(chart.zoom && { dataZoom: zoomOption(palette, 8) }),
    tooltip: {
      trigger: "axis",
      axisPointer: { type: "line", lineStyle: { color: palette.faint } },
      ...tipOption((params) => {
        const at = (params as { axisValue: number }[])[0]?.axisValue;
        return at === undefined ? "" : dayTip(input, Math.round(at / DAY_MS));
      }),
    },
    series: [
      ...each.flatMap((subject) => band(input, subject)).reverse(),
      ...each.flatMap((subject) => envelope(input, subject)).reverse(),
      ...each.flatMap((subject) => normal(input, subject)),
      ...each.flatMap((subject) => lines(input, subject)),
    ],
  };
}

export function lineTitle(chart: LinesChart, place: number): string {
  return titleWithUnit(titleOf(chart.series[place]!), unitOf(chart, place));
}
