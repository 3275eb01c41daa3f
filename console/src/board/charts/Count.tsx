import type { EChartsCoreOption } from "echarts/core";
import type { CountChart } from "../logic/dashboard";
import { type Counts, counts } from "../logic/counts";
import { fixed } from "../logic/numbers";
import type { Sheet } from "../logic/sheet";
import { yearsText } from "../logic/whole";
import { Plot } from "./Plot";
import { tip, tipOption } from "./tip";
import type { Kind, KindProps, Seen } from "./types";

function countsOf({ seen, context: { bounds } }: KindProps<CountChart>): { one: Seen; counted: Counts }[] {
  return seen.map((one) => ({ one, counted: counts(one.frame, bounds, one.years, one.full ?? new Set()) }));
}

function option(props: KindProps<CountChart>, all: { one: Seen; counted: Counts }[]): EChartsCoreOption {
  const { chart, context } = props;
  const { palette } = context;
  const years = [...new Set(all.flatMap(({ counted }) => counted.years.map((year) => year.year)))].sort((a, b) => a - b);
  const barOf = (counted: Counts, year: number, colour: string) => {
    const found = counted.years.find((one) => one.year === year);
    if (!found) return { value: null };
    return { value: found.count, itemStyle: found.full ? { color: colour } : { color: palette.paper, borderColor: colour, borderWidth: 1 } };
  };
  return {
    animation: false,
    grid: { left: 0, right: 0, top: 6, bottom: 18 },
    xAxis: {
      type: "category", data: years.map(String), axisTick: { show: false }, axisLine: { lineStyle: { color: palette.line } },
      axisLabel: { color: palette.muted, fontSize: 11, hideOverlap: true },
    },
    yAxis: { type: "value", min: 0, show: false },
    tooltip: {
      trigger: "axis",
      axisPointer: { type: "shadow", shadowStyle: { color: palette.fill, opacity: 0.6 } },
      ...tipOption((params) => {
        const year = years[(params as { dataIndex: number }[])[0]?.dataIndex ?? 0]!;
        const rows = all.flatMap(({ one, counted }, place) => {
          const found = counted.years.find((each) => each.year === year);
          if (!found) return [];
          const label = all.length > 1 ? one.name : chart.title;
          const remark = found.full ? null : "not a full year";
          return [{ label, value: `${found.count} ${chart.unit ?? ""}`, colour: palette.hues[place === 0 ? 0 : 1], remark }];
        });
        return tip(String(year), rows);
      }),
    },
    series: all.map(({ counted }, place) => ({
      id: `count ${place}`, type: "bar", barCategoryGap: "20%", barMaxWidth: 28, silent: true, animation: false,
      data: years.map((year) => barOf(counted, year, palette.hues[place === 0 ? 0 : 1])),
    })),
  };
}

function Figures({ one, counted, place, many, unit }: { one: Seen; counted: Counts; place: number; many: boolean; unit: string }) {
  const last = counted.years.at(-1);
  return (
    <div class="counted">
      <p class="figure">
        {many && <span class={`who subject-${place}`}>{one.name}</span>}
        <strong>{fixed(counted.inPeriod, 0)}</strong> <span class="unit">{Number.isNaN(counted.inPeriod) ? "no data in the period" : `${unit} in the period`}</span>
      </p>
      <p class="beside">
        {last && `${last.year}${last.full ? "" : ", not full"}: ${fixed(last.count, 0)}`}
        {counted.full.length > 0 && ` · mean of ${yearsText(counted.full)}: ${fixed(counted.mean, 1)} a year`}
        {counted.full.length === 0 && " · no full year to compare with"}
      </p>
    </div>
  );
}

function Body(props: KindProps<CountChart>) {
  const { chart, seen, context } = props;
  const all = countsOf(props);
  const about = [JSON.stringify(all.map(({ counted }) => counted.years)), context.palette.theme, chart];
  return (
    <>
      {all.map(({ one, counted }, place) => (
        <Figures key={one.key} one={one} counted={counted} place={place} many={seen.length > 1} unit={chart.unit ?? ""} />
      ))}
      <Plot option={() => option(props, all)} about={about} height={84} label={`${chart.title} by year; years that are not full are hollow`} />
    </>
  );
}

function sheet(props: KindProps<CountChart>): Sheet {
  const { chart, context } = props;
  return {
    columns: [
      { title: context.subjectTitle },
      { title: "Year" },
      { title: chart.title, isNumber: true, ...(chart.unit && { unit: chart.unit }) },
      { title: "Full year" },
    ],
    rows: countsOf(props).flatMap(({ one, counted }) =>
      counted.years.map((year) => [one.key, year.year, year.count, year.full ? "yes" : "no"]),
    ),
  };
}

export const count: Kind<CountChart> = {
  Body,
  sheet,
  isEmpty: ({ seen }) => seen.every((one) => one.frame.at.length === 0 && one.years.length === 0),
};
