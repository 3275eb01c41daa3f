import { useMemo, useState } from "preact/hooks";
import { setQuery, useRoute } from "../../route";
import { type LinesChart, columnsOf, titleOf } from "../logic/dashboard";
import { dayText, yearOf } from "../logic/days";
import { digitsIn, slice, valuesOf, withGaps } from "../logic/frame";
import { type Normals, normals, yearsByDays } from "../logic/normals";
import type { Sheet } from "../logic/sheet";
import { yearsText } from "../logic/whole";
import { envelopeIn, tint } from "./band";
import { Legend, type LegendEntry } from "./Legend";
import { type LineSubject, lineTitle, linesOption, unitOf } from "./lines";
import { overlayOption } from "./overlay";
import { type Palette, mix } from "./palette";
import { Plot } from "./Plot";
import type { ChartContext, Kind, KindProps, Seen } from "./types";

const HEIGHT = 320;
/** How lines are drawn that lie close together. */
const CLOSE = "Several days at one point: their highest, lowest and mean";

function normalsOf(chart: LinesChart, seen: Seen): Normals | null {
  if (!chart.long_term_mean || !chart.series[0] || seen.frame.kind === "number") return null;
  const column = chart.series[0].column;
  return normals(seen.frame, column, seen.full ?? yearsByDays(seen.frame, column));
}

function useSubjects(chart: LinesChart, seen: readonly Seen[], { bounds }: ChartContext): LineSubject[] {
  const frames = seen.map((one) => one.frame);
  const full = seen.map((one) => (one.full ? [...one.full].join() : null));
  const means = useMemo(() => seen.map((one) => normalsOf(chart, one)), [chart, ...frames, ...full]);
  return useMemo(
    () =>
      seen.map((one, place) => ({
        name: one.name,
        frame: withGaps(slice(one.frame, bounds.from, bounds.to)),
        normals: means[place] ?? null,
      })),
    [means, bounds.from, bounds.to],
  );
}

function legendOf(chart: LinesChart, subjects: readonly LineSubject[], palette: Palette): LegendEntry[] {
  return subjects.flatMap((subject, at): LegendEntry[] => {
    const prefix = subjects.length > 1 ? `${subject.name} · ` : "";
    const hue = palette.hues[at === 0 ? 0 : 1];
    const dashed = at > 0;
    const entries: LegendEntry[] = chart.series.map((part, place) => ({
      label: prefix + titleOf(part),
      colour: tint({ chart, subjects, palette }, at, place),
      mark: dashed ? "dash" : "line",
      line: place,
    }));
    if (chart.complete) entries.push({ label: `${prefix}Not whole`, colour: hue, mark: "hollow" });
    if (chart.band) {
      entries.push({ label: prefix + (chart.band.title ?? "Range"), colour: mix(hue, palette.paper, 0.75), mark: "area" });
    }
    if (subject.normals) entries.push(meanEntry(prefix, subject.normals, at === 0 ? palette.ink : mix(hue, palette.ink, 0.5), dashed));
    return entries;
  });
}

function meanEntry(prefix: string, { years }: Normals, colour: string, dashed: boolean): LegendEntry {
  const of = years.length === 1 ? "the only full year" : `${years.length} full years`;
  const label = `${prefix}Long-term mean, ${yearsText(years)} (${of}, ±7 days)`;
  return { label, colour, mark: dashed ? "dash" : "line" };
}

function yearsIn(subjects: readonly LineSubject[]): number[] {
  const ends = subjects.flatMap(({ frame }) => (frame.at.length ? [yearOf(frame.at[0]!), yearOf(frame.at.at(-1)!)] : []));
  const [first, last] = [Math.min(...ends), Math.max(...ends)];
  return ends.length ? Array.from({ length: last - first + 1 }, (_, step) => last - step) : [];
}

function Switch({ isOverlaid, name }: { isOverlaid: boolean; name: string }) {
  const choose = (value: string | null) => setQuery({ [name]: value }, { replace: true });
  return (
    <div class="choices" role="group" aria-label="How time runs">
      <button type="button" aria-pressed={!isOverlaid} onClick={() => choose(null)}>
        By date
      </button>
      <button type="button" aria-pressed={isOverlaid} onClick={() => choose("years")}>
        Years over each other
      </button>
    </div>
  );
}

function YearChoice({ years, year, choose }: { years: number[]; year: number; choose: (year: number) => void }) {
  return (
    <label>
      Foremost{" "}
      <select value={year} onChange={(event) => choose(Number(event.currentTarget.value))}>
        {years.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
    </label>
  );
}

function overlayLegend(subjects: readonly LineSubject[], year: number, palette: Palette): LegendEntry[] {
  const entries = subjects.flatMap((subject, at): LegendEntry[] => {
    const prefix = subjects.length > 1 ? `${subject.name} · ` : "";
    const hue = palette.hues[at === 0 ? 0 : 1];
    const front: LegendEntry = { label: `${prefix}${year}`, colour: hue, mark: at > 0 ? "dash" : "line" };
    const colour = at === 0 ? palette.ink : mix(hue, palette.ink, 0.5);
    return subject.normals ? [front, meanEntry(prefix, subject.normals, colour, at > 0)] : [front];
  });
  const others = subjects.length > 1 ? `Other years of ${subjects[0]!.name}` : "Other years";
  return [...entries, { label: others, colour: mix(palette.faint, palette.paper, 0.55), mark: "line" }];
}

function Body({ chart, seen, context }: KindProps<LinesChart>) {
  const { palette, bounds } = context;
  const subjects = useSubjects(chart, seen, context);
  const { query } = useRoute();
  // The address holds the year that stands out, or only that years are laid over each other.
  const told = query.get(chart.id);
  const isOverlaid = chart.overlay_years === true && told !== null;
  const years = isOverlaid ? yearsIn(subjects) : [];
  const year = years.includes(Number(told)) ? Number(told) : (years[0] ?? 0);
  const choose = (one: number) => setQuery({ [chart.id]: one }, { replace: true });
  const [only, showOnly] = useState<number | null>(null);
  const zoomOf = `${bounds.from} ${bounds.to} ${seen.map((one) => one.key).join(" ")}`;
  const input = { chart, subjects, palette, only };
  return (
    <>
      {chart.overlay_years && (
        <div class="controls">
          <Switch isOverlaid={isOverlaid} name={chart.id} />
          {isOverlaid && <YearChoice years={years} year={year} choose={choose} />}
        </div>
      )}
      {isOverlaid ? (
        <Legend entries={overlayLegend(subjects, year, palette)} />
      ) : (
        <Legend entries={legendOf(chart, subjects, palette)} only={only} note={envelopeIn(input) && CLOSE}
          {...(chart.series.length > 1 && { choose: showOnly })} />
      )}
      {isOverlaid ? (
        <Plot key="years" option={() => overlayOption({ ...input, year })} about={[subjects, palette.theme, year]} height={HEIGHT}
          label={`${chart.title}: the years over each other`} />
      ) : (
        <Plot key="dates" option={() => linesOption(input)} about={[subjects, palette.theme, only]} zoomOf={zoomOf} height={HEIGHT}
          label={`${chart.title}: lines by date`} />
      )}
    </>
  );
}

function sheet({ chart, seen, context: { bounds, subjectTitle } }: KindProps<LinesChart>): Sheet {
  const names = columnsOf(chart);
  const series = new Map(chart.series.map((part, place) => [part.column, lineTitle(chart, place)] as const));
  const titles = names.map((column) => {
    const place = chart.series.findIndex((part) => part.column === column);
    const isEnd = column === chart.band?.low || column === chart.band?.high;
    const unit = place >= 0 ? unitOf(chart, place) : isEnd ? chart.unit : undefined;
    const title = series.has(column) ? titleOf(chart.series[place]!) : titleOf({ column });
    const digits = digitsIn(seen.map((one) => one.frame), column);
    return { title, isNumber: true, digits, ...(unit && { unit }) };
  });
  const rows = seen.flatMap((one) => {
    const frame = slice(one.frame, bounds.from, bounds.to);
    const columns = names.map((name) => valuesOf(frame, name));
    const at = (time: number) => (frame.kind === "number" ? time : dayText(Math.floor(time)));
    return Array.from(frame.at, (time, row) => [one.key, at(time), ...columns.map((values) => values[row]!)]);
  });
  return { columns: [{ title: subjectTitle }, { title: "Date" }, ...titles], rows };
}

function isEmpty({ chart, seen, context: { bounds } }: KindProps<LinesChart>): boolean {
  return seen.every((one) => {
    const frame = slice(one.frame, bounds.from, bounds.to);
    return chart.series.every((part) => valuesOf(frame, part.column).every(Number.isNaN));
  });
}

export const lines: Kind<LinesChart> = { Body, sheet, isEmpty };
