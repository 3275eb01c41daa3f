// The frame of every chart: its rows, its states, its sources, and what can be done with it.

import { useRef, useState } from "preact/hooks";
import { href, hrefWith } from "../route";
import { Card } from "../parts/Card";
import { useStale } from "../parts/stale";
import { Empty, Failed, Hidden, Loading } from "../parts/states";
import type { Application } from "../types";
import { kindOf } from "./charts/kinds";
import type { ChartContext, KindProps, Seen } from "./charts/types";
import { saveText, savePicture } from "./data/save";
import type { Source } from "./data/series";
import { type Shown, useSeries } from "./data/store";
import type { SubjectRow } from "./data/subjects";
import { type Board, titleWithUnit } from "./logic/dashboard";
import { boundsText, queryOf } from "./logic/period";
import { csvOf, fileName } from "./logic/sheet";
import { type TimedChart, hiddenColumns, sourceOf, yearsSource } from "./logic/sources";
import { fullYears } from "./logic/whole";
import { whereOf } from "./logic/where";
import { Menu } from "./Menu";
import { SheetTable } from "./SheetTable";

export interface ChartCardProps {
  board: Board;
  application: Application;
  chart: TimedChart;
  chosen: readonly SubjectRow[];
  context: ChartContext;
  sensitive: boolean;
}

function withSubjects(source: Omit<Source, "subject"> | null, chosen: readonly SubjectRow[]): Source[] {
  return source ? chosen.map((one) => ({ ...source, subject: one.key })) : [];
}

function seenOf(board: Board, chosen: readonly SubjectRow[], own: readonly Shown[], years: readonly Shown[]): Seen[] | null {
  const seen: Seen[] = [];
  for (const [place, one] of chosen.entries()) {
    const frame = own[place]?.frame;
    if (!frame) return null;
    const told = years[place]?.frame;
    seen.push({
      key: one.key,
      name: one.name,
      frame,
      full: board.years && told ? fullYears(told, board.years) : null,
      years: told ? Array.from(told.at) : [],
    });
  }
  return seen;
}

function useSeen({ board, application, chart, chosen, sensitive }: ChartCardProps) {
  const own = withSubjects(sourceOf(board, application, chart, sensitive), chosen);
  const years = withSubjects(yearsSource(board, application, sensitive), chosen);
  const held = useSeries([...own, ...years]);
  const [first, second] = [held.slice(0, own.length), held.slice(own.length)];
  const isWaiting = second.some((one) => one.loading && !one.frame);
  return {
    seen: isWaiting ? null : seenOf(board, chosen, first, second),
    error: held.find((one) => one.error)?.error,
    notices: [...new Set(held.map((one) => one.notice).filter((notice): notice is string => notice !== null))],
    again: () => held.forEach((one) => one.again()),
  };
}

/** Where the data of a chart come from: the notice of its tables, and a way to its rows. */
function Sources({ board, chart, application, chosen, notices }: ChartCardProps & { notices: string[] }) {
  const table = application.tables.find((one) => one.name === chart.table);
  const more = chart.kind === "count" ? chart.where : undefined;
  const first = chosen[0];
  const where = table && first ? whereOf(table, [{ column: board.subject.key, op: "=", value: first.key }], more) : null;
  return (
    <>
      {chart.note && <p>{chart.note}</p>}
      <p>
        {notices.map((notice) => `${notice} · `)}
        <a href={href(`/tables/${encodeURIComponent(chart.table)}`, { where })}>{chart.table}</a>
      </p>
    </>
  );
}

/** A count's unit stands beside its number. */
function cardTitle(chart: TimedChart): string {
  return titleWithUnit(chart.title, chart.kind === "count" ? undefined : chart.unit);
}

function words({ chart, chosen, context, board }: ChartCardProps, notices: readonly string[]) {
  const names = chosen.map((one) => (one.name === one.key ? one.key : `${one.name} (${one.key})`));
  return {
    title: cardTitle(chart),
    lines: [`${board.subject.title}: ${names.join(" and ")} · ${boundsText(context.bounds)}`],
    foot: [...(chart.note ? [chart.note] : []), ...notices],
  };
}

function nameOf({ chart, chosen, context, board }: ChartCardProps, ending: string): string {
  return fileName([board.title, chart.id, ...chosen.map((one) => one.key), boundsText(context.bounds)], ending);
}

export function ChartCard(props: ChartCardProps) {
  const { chart, application, context, sensitive } = props;
  const body = useRef<HTMLDivElement>(null);
  const [isTable, showTable] = useState(false);
  const { seen, error, notices, again } = useSeen(props);
  const kind = kindOf(chart);
  const given: KindProps<TimedChart> | null = seen && { chart, seen, context };
  const isEmpty = given !== null && kind.isEmpty(given);
  const isReady = given !== null && !isEmpty;
  const actions = isReady && (
    <Menu
      label={`What can be done with ${chart.title}`}
      entries={[
        { title: isTable ? "Show as chart" : "Show as table", act: () => showTable(!isTable) },
        { title: "Download CSV", act: () => saveText(csvOf(kind.sheet(given), notices.join(" · ") || null), nameOf(props, "csv")) },
        { title: "Download PNG", act: () => void (body.current && savePicture(body.current, words(props, notices), nameOf(props, "png"))) },
      ]}
    />
  );
  useStale(given && error, again);
  const hidden = hiddenColumns(application, chart, sensitive);
  const shown = () => {
    if (!sourceOf(props.board, application, chart, sensitive)) return <Failed error={new Error(`the application has no table \`${chart.table}\``)} />;
    if (hidden.length > 0) return <Hidden what={`${hidden.join(", ")}:`} />;
    if (!given) return error ? <Failed error={error} again={again} /> : <Loading what="the rows" />;
    if (isEmpty) return <NothingYet {...props} seen={given.seen} />;
    return isTable ? <SheetTable sheet={kind.sheet(given)} caption={chart.title} /> : <kind.Body {...given} />;
  };
  return (
    <Card title={cardTitle(chart)} id={chart.id} wide={chart.wide ?? false} actions={actions}
      note={<Sources {...props} notices={notices} />}>
      <div ref={body} class={`chart ${chart.kind}`}>
        {shown()}
      </div>
    </Card>
  );
}

function NothingYet({ seen, context, chosen }: ChartCardProps & { seen: readonly Seen[] }) {
  const frames = seen.map((one) => one.frame).filter((frame) => frame.at.length > 0);
  const names = chosen.map((one) => one.name).join(" and ");
  if (frames.length === 0) return <Empty title={`No rows of ${names} yet.`}>They appear here by themselves as they are written.</Empty>;
  const days = frames.filter((frame) => frame.kind !== "number");
  const extent = { from: Math.min(...days.map((frame) => frame.at[0]!)), to: Math.max(...days.map((frame) => frame.at.at(-1)!)) };
  return (
    <Empty title={`No figures of ${names} in this period.`}>
      The period is {boundsText(context.bounds)}{days.length > 0 && `, and there are rows of ${boundsText(extent)}`}.{" "}
      <a href={hrefWith(queryOf({ name: "all" }))}>Show all</a>
    </Empty>
  );
}
