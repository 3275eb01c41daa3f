import type { EChartsCoreOption } from "echarts/core";
import type { GaugeChart, Scale } from "../logic/dashboard";
import { dayText } from "../logic/days";
import { type Frame, digitsIn, digitsOf, slice, valuesOf } from "../logic/frame";
import { fixed, withUnit } from "../logic/numbers";
import { scaleAround, segments } from "../logic/scale";
import type { Sheet } from "../logic/sheet";
import { wholeness } from "../logic/whole";
import { Plot } from "./Plot";
import type { Kind, KindProps, Seen } from "./types";

export interface Found {
  value: number;
  digits: number;
  when: string;
  /** What it is made of, where that is less than all. */
  partly: string | null;
}

/** The row with the highest or lowest value; the first one of equals. */
export function pick(frame: Frame, chart: GaugeChart): Found | null {
  const sign = chart.pick === "lowest" ? -1 : 1;
  let best = -1;
  const values = valuesOf(frame, chart.column);
  values.forEach((value, row) => {
    if (!Number.isNaN(value) && (best < 0 || sign * value > sign * values[best]!)) best = row;
  });
  if (best < 0) return null;
  const whole = wholeness(frame, chart.complete);
  return {
    value: values[best]!,
    digits: digitsOf(frame, chart.column),
    when: frame.kind === "number" ? String(frame.at[best]) : dayText(Math.floor(frame.at[best]!)),
    partly: whole.isWhole(best) ? null : whole.text(best),
  };
}

function foundOf({ chart, seen, context: { bounds } }: KindProps<GaugeChart>): { one: Seen; found: Found | null }[] {
  return seen.map((one) => ({ one, found: pick(slice(one.frame, bounds.from, bounds.to), chart) }));
}

function scaleOf({ chart, context }: KindProps<GaugeChart>): Scale {
  const named = chart.scale ? context.scales[chart.scale] : undefined;
  return named ?? scaleAround((chart.from + chart.to) / 2, [chart.from, chart.to]);
}

function option(props: KindProps<GaugeChart>, found: (Found | null)[]): EChartsCoreOption {
  const { chart, context } = props;
  const { palette } = context;
  const pointers = found.map((one, place) => ({ one, colour: palette.hues[place === 0 ? 0 : 1] }));
  return {
    animation: false,
    series: [
      {
        type: "gauge", min: chart.from, max: chart.to, startAngle: 190, endAngle: -10, radius: "150%", center: ["50%", "84%"], splitNumber: 5,
        axisLine: { lineStyle: { width: 12, color: segments(scaleOf(props), chart.from, chart.to) } },
        axisTick: { show: false },
        splitLine: { length: 12, distance: -12, lineStyle: { color: palette.paper, width: 1 } },
        axisLabel: { color: palette.muted, distance: 18, fontSize: 11, formatter: (value: number) => fixed(value, 0) },
        anchor: { show: true, size: 7, itemStyle: { color: palette.ink } },
        title: { show: false },
        detail: { show: false },
        data: pointers.flatMap(({ one, colour }) =>
          one ? [{ value: one.value, pointer: { width: 4, length: "58%", itemStyle: { color: pointers.length > 1 ? colour : palette.ink } } }] : [],
        ),
      },
    ],
  };
}

function Body(props: KindProps<GaugeChart>) {
  const { chart, seen, context } = props;
  const all = foundOf(props);
  const about = [JSON.stringify(all.map(({ found }) => found)), context.palette.theme, chart];
  return (
    <>
      <Plot option={() => option(props, all.map(({ found }) => found))} about={about} height={128} label={chart.title} />
      {all.map(({ one, found }, place) => (
        <p class="figure" key={one.key}>
          {seen.length > 1 && <span class={`who subject-${place}`}>{one.name}</span>}
          <strong>{found ? withUnit(found.value, found.digits, chart.unit) : "–"}</strong>
          {found && (
            <a href={context.rowAt(chart, one.key, found.when)} title={`Its row of ${chart.table}`}>
              <time dateTime={found.when}>{found.when}</time>
            </a>
          )}
          {found?.partly && <span class="partly">◦ {found.partly}</span>}
        </p>
      ))}
    </>
  );
}

function sheet(props: KindProps<GaugeChart>): Sheet {
  const { chart, context, seen } = props;
  return {
    columns: [
      { title: context.subjectTitle },
      { title: chart.title, isNumber: true, digits: digitsIn(seen.map((one) => one.frame), chart.column), ...(chart.unit && { unit: chart.unit }) },
      { title: "Date" },
      { title: "Remark" },
    ],
    rows: foundOf(props).map(({ one, found }) => [one.key, found?.value ?? null, found?.when ?? null, found?.partly ?? null]),
  };
}

export const gauge: Kind<GaugeChart> = {
  Body,
  sheet,
  isEmpty: (props) => foundOf(props).every(({ found }) => !found),
};
