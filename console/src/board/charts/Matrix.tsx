import { useEffect, useRef } from "preact/hooks";
import { type MatrixChart, titleOf, titleWithUnit } from "../logic/dashboard";
import { digitsIn, digitsOf, slice, valuesOf, withGaps } from "../logic/frame";
import { fixed } from "../logic/numbers";
import { yearsOf } from "../logic/period";
import { colourOf, inkOn } from "../logic/scale";
import type { Sheet } from "../logic/sheet";
import { wholeness } from "../logic/whole";
import type { Kind, KindProps, Seen } from "./types";

interface Part {
  one: Seen;
  frame: Seen["frame"];
  /** The row of each year that is shown. */
  rowOf: Map<number, number>;
}

function partsOf({ seen, context: { bounds } }: KindProps<MatrixChart>): { parts: Part[]; years: number[] } {
  const span = yearsOf(bounds);
  const parts = seen.map((one) => {
    const frame = withGaps(slice(one.frame, span.from, span.to));
    return { one, frame, rowOf: new Map(Array.from(frame.at, (year, row) => [year, row] as const)) };
  });
  const years = [...new Set(parts.flatMap(({ frame }) => Array.from(frame.at)))].sort((a, b) => a - b);
  return { parts, years };
}

type Metric = MatrixChart["rows"][number];

function Cell({ part, year, metric, props }: { part: Part; year: number; metric: Metric; props: KindProps<MatrixChart> }) {
  const row = part.rowOf.get(year);
  const value = row === undefined ? NaN : valuesOf(part.frame, metric.column)[row]!;
  if (row === undefined || Number.isNaN(value)) return <td class="right none">–</td>;
  const whole = wholeness(part.frame, props.chart.complete);
  const scale = metric.scale ? props.context.scales[metric.scale] : undefined;
  const colour = scale && colourOf(scale, value);
  const isWhole = whole.isWhole(row);
  const style = !colour ? {} : isWhole ? { background: colour, color: inkOn(scale, value) } : { borderColor: colour };
  const count = whole.text(row);
  const title = [props.seen.length > 1 ? part.one.name : "", String(year), count ? `made of ${count}` : ""].filter(Boolean).join(", ");
  return (
    <td class={`right${scale ? " tinted" : ""}${isWhole ? "" : " partial"}`} style={style} title={title}>
      {fixed(value, digitsOf(part.frame, metric.column))}
    </td>
  );
}

function YearHead({ year, parts, chart }: { year: number; parts: readonly Part[]; chart: MatrixChart }) {
  const partly = parts.flatMap(({ frame, rowOf }) => {
    const row = rowOf.get(year);
    const whole = wholeness(frame, chart.complete);
    return row === undefined || whole.isWhole(row) || whole.text(row) === null ? [] : [whole.text(row)!];
  });
  return (
    <th scope="col" class="right" title={partly.length ? `made of ${partly.join("; ")}` : undefined}>
      {year}
      {partly.length > 0 && "*"}
    </th>
  );
}

/** The figure, and whose it is where there are two; said to the eye only once. */
function RowHead({ metric, place, name }: { metric: Metric; place: number; name: string | null }) {
  return (
    <th scope="row" class={`pinned${name === null ? "" : ` subject-${place}`}`}>
      <span class={place > 0 ? "unseen" : ""}>
        {titleWithUnit(titleOf(metric), metric.unit)}
        {name !== null && " · "}
      </span>
      {name !== null && <span class="who">{name}</span>}
    </th>
  );
}

/** Shows the newest years first where not all have room. */
function useEndInSight(years: number) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (box.current) box.current.scrollLeft = box.current.scrollWidth;
  }, [years]);
  return box;
}

function Body(props: KindProps<MatrixChart>) {
  const { chart } = props;
  const { parts, years } = partsOf(props);
  const box = useEndInSight(years.length);
  const isOne = parts.length === 1;
  const isPartial = parts.some(({ frame }) => frame.at.some((_, row) => !wholeness(frame, chart.complete).isWhole(row)));
  return (
    <>
      <div class="table matrix" ref={box} role="region" aria-label={chart.title} tabIndex={0}>
        <table style={{ "--years": years.length }}>
          <thead>
            <tr>
              <th scope="col" class="pinned">
                <span class="unseen">Figure</span>
              </th>
              {years.map((year) => (
                <YearHead key={year} year={year} parts={parts} chart={chart} />
              ))}
            </tr>
          </thead>
          <tbody>
            {chart.rows.flatMap((metric) =>
              parts.map((part, place) => (
                <tr key={`${metric.column} ${part.one.key}`}>
                  <RowHead metric={metric} place={place} name={isOne ? null : part.one.name} />
                  {years.map((year) => (
                    <Cell key={year} part={part} year={year} metric={metric} props={props} />
                  ))}
                </tr>
              )),
            )}
          </tbody>
        </table>
      </div>
      {isPartial && <p class="remark">* Not a full year: its cells are hollow.</p>}
    </>
  );
}

function sheet(props: KindProps<MatrixChart>): Sheet {
  const { chart, context } = props;
  const { parts, years } = partsOf(props);
  const rows = parts.flatMap(({ one, frame, rowOf }) =>
    years.map((year) => {
      const row = rowOf.get(year);
      const cell = (name: string) => (row === undefined ? null : valuesOf(frame, name)[row]!);
      const count = row === undefined ? null : wholeness(frame, chart.complete).text(row);
      return [one.key, year, ...chart.rows.map((metric) => cell(metric.column)), count];
    }),
  );
  const frames = parts.map((part) => part.frame);
  const metrics = chart.rows.map((metric) => {
    const digits = digitsIn(frames, metric.column);
    return { title: titleOf(metric), isNumber: true, digits, ...(metric.unit && { unit: metric.unit }) };
  });
  return { columns: [{ title: context.subjectTitle }, { title: "Year" }, ...metrics, { title: "Made of" }], rows };
}

export const matrix: Kind<MatrixChart> = {
  Body,
  sheet,
  isEmpty: (props) => partsOf(props).years.length === 0,
};
