// The option of a chart in which years are laid over each other, one of them foremost.

import type { EChartsCoreOption } from "echarts/core";
import { type LinesChart, titleOf } from "../logic/dashboard";
import { DAY_MS, dayOfPlace, dayText, daysIn, placeInYear } from "../logic/days";
import { digitsOf } from "../logic/frame";
import { withUnit } from "../logic/numbers";
import { byYear, extremes, pointsOf } from "../logic/overlay";
import { type LineSubject, axisStyle, lineStyle, unitOf, valueAxis } from "./lines";
import { type Palette, mix } from "./palette";
import { type TipRow, tip, tipOption } from "./tip";

export interface OverlayInput {
  chart: LinesChart;
  subjects: readonly LineSubject[];
  palette: Palette;
  /** The year that stands out. */
  year: number;
}

type Years = ReadonlyMap<number, Float64Array>;

function line(id: string, points: [number, number][], style: object, z: number) {
  const data = points.map(([place, value]) => [dayOfPlace(place) * DAY_MS, value]);
  return { id, type: "line", symbol: "none", connectNulls: false, silent: true, animation: false, z, lineStyle: style, data };
}

function seriesOf(input: OverlayInput, years: readonly Years[]): unknown[] {
  const { palette, subjects, year } = input;
  const grey = { color: mix(palette.faint, palette.paper, 0.55), width: 0.7 };
  const others = [...years[0]!].filter(([one]) => one !== year);
  const back = others.map(([one, places]) => line(`year ${one}`, pointsOf(places, daysIn(one) === 366), grey, 1));
  const front = subjects.flatMap((subject, place) => {
    const hue = palette.hues[place === 0 ? 0 : 1];
    const shown = years[place]!.get(year);
    const mean = subject.normals;
    const meanColour = place === 0 ? palette.ink : mix(hue, palette.ink, 0.5);
    return [
      ...(mean ? [line(`mean ${place}`, pointsOf(mean.means, true), { ...lineStyle(meanColour, place, 1.2) }, 3)] : []),
      ...(shown ? [line(`front ${place}`, pointsOf(shown, daysIn(year) === 366), lineStyle(hue, place, 1.8), 4)] : []),
    ];
  });
  return [...back, ...front];
}

function placeTip(input: OverlayInput, years: readonly Years[], day: number): HTMLElement {
  const { chart, subjects, palette, year } = input;
  const place = placeInYear(day);
  const rows = subjects.flatMap((subject, at): TipRow[] => {
    const digits = digitsOf(subject.frame, chart.series[0]!.column);
    const text = (value: number | undefined) => withUnit(value ?? NaN, digits, unitOf(chart, 0));
    const prefix = subjects.length > 1 ? `${subject.name} · ` : "";
    const colour = palette.hues[at === 0 ? 0 : 1];
    const shown: TipRow[] = [{ label: `${prefix}${year}`, value: text(years[at]!.get(year)?.[place]), colour }];
    if (subject.normals) shown.push({ label: `${prefix}Long-term mean`, value: text(subject.normals.means[place]) });
    const ends = extremes(years[at]!, place);
    if (ends) {
      shown.push({ label: `${prefix}Highest, ${ends.high.year}`, value: text(ends.high.value) });
      shown.push({ label: `${prefix}Lowest, ${ends.low.year}`, value: text(ends.low.value) });
    }
    return shown;
  });
  return tip(dayText(day).slice(5), rows);
}

export function overlayOption(input: OverlayInput): EChartsCoreOption {
  const { chart, palette, subjects } = input;
  const column = chart.series[0]!.column;
  const years = subjects.map((subject) => byYear(subject.frame, column));
  const axis = axisStyle(palette);
  const name = [titleOf(chart.series[0]!), unitOf(chart, 0)].filter(Boolean).join(", ");
  return {
    animation: false,
    grid: { left: 48, right: 16, top: 32, bottom: 28 },
    xAxis: {
      ...axis,
      type: "time",
      splitLine: { show: false },
      axisLabel: { ...axis.axisLabel, formatter: (at: number) => dayText(Math.round(at / DAY_MS)).slice(5) },
    },
    yAxis: valueAxis(palette, name),
    tooltip: {
      trigger: "axis",
      axisPointer: { type: "line", lineStyle: { color: palette.faint } },
      ...tipOption((params) => {
        const at = (params as { axisValue: number }[])[0]?.axisValue;
        return at === undefined ? "" : placeTip(input, years, Math.round(at / DAY_MS));
      }),
    },
    series: seriesOf(input, years),
  };
}
