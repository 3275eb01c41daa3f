import type { EChartsCoreOption } from "echarts/core";
import type { Scale, StripesChart } from "../logic/dashboard";
import { type Frame, digitsIn, digitsOf, slice, valuesOf, withGaps } from "../logic/frame";
import { meanOfYears } from "../logic/normals";
import { fixed, withUnit } from "../logic/numbers";
import { yearsOf } from "../logic/period";
import { colourOf, scaleAround } from "../logic/scale";
import type { Sheet } from "../logic/sheet";
import { fullYears, wholeness, yearsText } from "../logic/whole";
import { ScaleBar } from "./ScaleBar";
import { axisStyle } from "./lines";
import type { Palette } from "./palette";
import { Plot } from "./Plot";
import { tip, tipOption } from "./tip";
import type { Kind, KindProps, Seen } from "./types";

interface Row {
  one: Seen;
  frame: Frame;
  /** Of the full years, in the period or not. */
  mean: number;
  full: ReadonlySet<number>;
}

function rowsOf({ chart, seen, context: { bounds } }: KindProps<StripesChart>): Row[] {
  const years = yearsOf(bounds);
  return seen.map((one) => {
    const full = one.full ?? (chart.complete ? fullYears(one.frame, chart.complete) : new Set(one.frame.at));
    const frame = withGaps(slice(one.frame, years.from, years.to));
    return { one, frame, mean: meanOfYears(one.frame, chart.column, full), full };
  });
}

/** How far any full year of any subject is from its own mean. */
function reachOf(chart: StripesChart, rows: readonly Row[]): Scale {
  const away = rows.flatMap(({ frame, mean, full }) =>
    Array.from(valuesOf(frame, chart.column)).map((value, row) => (full.has(frame.at[row]!) ? value - mean : NaN)),
  );
  return scaleAround(0, away);
}

function yearsIn(rows: readonly Row[]): number {
  const years = rows.flatMap(({ frame }) => [frame.at[0], frame.at.at(-1)]).filter((year) => year !== undefined);
  return Math.max(...years) - Math.min(...years) + 1;
}

interface DrawApi {
  value: (dimension: number) => number;
  coord: (point: [number, number]) => [number, number];
  size: (span: [number, number]) => [number, number];
}

/** A stripe, filled where its year is full; the hairline shows a hollow one of a colour that is near the paper's, too. */
function stripe(scale: Scale, { paper, faint }: Palette) {
  return (_: unknown, api: DrawApi) => {
    const [year, place, away, whole] = [0, 1, 2, 3].map((dimension) => api.value(dimension)) as [number, number, number, number];
    const [x, y] = api.coord([year, place]);
    const [width, height] = api.size([1, 1]);
    const colour = colourOf(scale, away);
    const left = Math.round(x - width / 2);
    const right = Math.round(x + width / 2);
    const rect = (inset: number, style: object) => {
      const shape = { x: left + inset, y: y - height / 2 + 1 + inset, width: right - left - 2 * inset, height: height - 2 - 2 * inset };
      return { type: "rect", shape, style };
    };
    if (whole) return rect(0, { fill: colour });
    const frame = Math.max(2, Math.min(5, (right - left) * 0.3));
    const children = [rect(0, { fill: faint }), rect(1, { fill: colour }), rect(frame, { fill: paper })];
    return { type: "group", children };
  };
}

function option({ chart, context }: KindProps<StripesChart>, rows: readonly Row[], scale: Scale): EChartsCoreOption {
  const { palette } = context;
  const axis = axisStyle(palette);
  const data = rows.flatMap(({ frame, mean, full }, place) =>
    Array.from(valuesOf(frame, chart.column), (value, row) => [frame.at[row]!, place, value - mean, full.has(frame.at[row]!) ? 1 : 0]).filter(
      (cells) => !Number.isNaN(cells[2]!),
    ),
  );
  const years = rows.flatMap(({ frame }) => Array.from(frame.at));
  const [first, last] = [Math.min(...years), Math.max(...years)];
  return {
    animation: false,
    grid: { left: 0, right: 0, top: 4, bottom: 24 },
    xAxis: { ...axis, type: "value", min: first - 0.5, max: last + 0.5, minInterval: 1, splitLine: { show: false },
      axisLabel: { ...axis.axisLabel, showMinLabel: false, showMaxLabel: false, formatter: (year: number) => (Number.isInteger(year) ? String(year) : "") } },
    yAxis: { type: "value", min: -0.5, max: rows.length - 0.5, inverse: true, show: false },
    tooltip: {
      trigger: "item",
      ...tipOption((params) => {
        const [year, place] = (params as { value: [number, number] }).value;
        return yearTip(chart, rows[place]!, year, rows.length > 1);
      }),
    },
    series: [{ id: "stripes", type: "custom", animation: false, emphasis: { disabled: true }, dimensions: ["year", "subject", "away", "whole"],
      encode: { x: 0, y: 1 }, renderItem: stripe(scale, palette), data }],
  };
}

function yearTip(chart: StripesChart, { one, frame, mean }: Row, year: number, many: boolean): HTMLElement {
  const row = frame.at.indexOf(year);
  const digits = digitsOf(frame, chart.column);
  const value = valuesOf(frame, chart.column)[row]!;
  const count = wholeness(frame, chart.complete).text(row);
  const sign = value - mean > 0 ? "+" : "";
  return tip(many ? `${one.name} · ${year}` : String(year), [
    { label: "Mean of the year", value: withUnit(value, digits, chart.unit) },
    ...(Number.isNaN(mean) ? [] : [{ label: "To the mean of full years", value: sign + withUnit(value - mean, digits, chart.unit) }]),
    ...(count ? [{ label: "Made of", value: count }] : []),
  ]);
}

function Body(props: KindProps<StripesChart>) {
  const { chart, seen, context } = props;
  const rows = rowsOf(props);
  // Without a full year there is no mean to be warmer or colder than.
  const drawn = rows.map((row) => (Number.isNaN(row.mean) ? { ...row, mean: valuesOf(row.frame, chart.column).find((v) => !Number.isNaN(v)) ?? 0 } : row));
  const scale = reachOf(chart, drawn);
  const about = [chart, context.palette.theme, context.bounds.from, context.bounds.to, ...seen.map((one) => one.frame), ...rows.map(({ full }) => [...full].join())];
  return (
    <>
      <div class="stripes-columns" style={{ "--years": yearsIn(rows) }}>
        <Plot option={() => option(props, drawn, scale)} about={about} height={24 + 96 * rows.length} label={`${chart.title}, by year`} />
      </div>
      <div class="stripes-foot">
        <ul class="plain">
          {rows.map(({ one, mean, full, frame }) => (
            <li key={one.key}>
              {seen.length > 1 && `${one.name}: `}
              {Number.isNaN(mean)
                ? "no full year yet, so no mean to compare with."
                : `White is the mean of the full years ${yearsText(full)}: ${withUnit(mean, digitsOf(frame, chart.column), chart.unit)}.`}
            </li>
          ))}
          <li>A hollow stripe is a year that is not full; no stripe is a year without data.</li>
        </ul>
        <ScaleBar scale={scale} low={`−${fixed(scale.reach, 1)}`} high={`+${withUnit(scale.reach, 1, chart.unit)}`} />
      </div>
    </>
  );
}

function sheet(props: KindProps<StripesChart>): Sheet {
  const { chart, context, seen } = props;
  const digits = digitsIn(seen.map((one) => one.frame), chart.column);
  const figure = { isNumber: true, digits, ...(chart.unit && { unit: chart.unit }) };
  const rows = rowsOf(props).flatMap(({ one, frame, mean, full }) =>
    Array.from(valuesOf(frame, chart.column)).map((value, row) => {
      const year = frame.at[row]!;
      return [one.key, year, value, value - mean, wholeness(frame, chart.complete).text(row), full.has(year) ? "yes" : "no"];
    }),
  );
  return {
    columns: [
      { title: context.subjectTitle },
      { title: "Year" },
      { title: "Mean", ...figure },
      { title: "To the mean of full years", ...figure },
      { title: "Made of" },
      { title: "Full year" },
    ],
    rows,
  };
}

export const stripes: Kind<StripesChart> = {
  Body,
  sheet,
  isEmpty: (props) => rowsOf(props).every(({ frame }) => valuesOf(frame, props.chart.column).every(Number.isNaN)),
};
