// The board: what the application says of itself, for one subject or two beside each other.

import { useEffect, useMemo } from "preact/hooks";
import { useApplication, useDashboard } from "../application";
import { Answered, Empty, Failed, Hidden, Loading } from "../parts/states";
import { href, setQuery, useRoute } from "../route";
import { useSession } from "../session";
import type { Application, Dashboard, TablePart } from "../types";
import { Bar } from "./Bar";
import "./board.css";
import { ChartCard } from "./ChartCard";
import { usePalette } from "./charts/palette";
import type { ChartContext } from "./charts/types";
import { StoreContext, useNewStore } from "./data/store";
import { type SubjectRow, useSubjects } from "./data/subjects";
import { type Board, boardOf, tableOf, visible } from "./logic/dashboard";
import { today } from "./logic/days";
import { boundsOf, periodOf } from "./logic/period";
import { isTimed } from "./logic/sources";
import { whereOf } from "./logic/where";
import { SubjectMap } from "./SubjectMap";
import { TableCard } from "./TableCard";

export default function BoardPage() {
  const dashboard = useDashboard();
  const application = useApplication();
  return (
    <Answered answer={dashboard} what="the board">
      {(told) =>
        told === null ? (
          <NoDashboard />
        ) : (
          <Answered answer={application} what="the application">
            {(known) => <Told dashboard={told} application={known} />}
          </Answered>
        )
      }
    </Answered>
  );
}

function NoDashboard() {
  return (
    <Empty title="This application has no board.">
      A file <code>dashboard.toml</code> beside its <code>spin.toml</code> gives it one: it says which table holds what can be chosen and
      which charts are drawn of which tables. Start the host anew after adding it. What the machine does is under <a href="/flow">Flow</a>,
      and all rows are under <a href="/tables">Tables</a>.
    </Empty>
  );
}

function Told({ dashboard, application }: { dashboard: Dashboard; application: Application }) {
  const board = useMemo((): Board | Error => {
    try {
      return boardOf(dashboard);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }, [dashboard]);
  const { may } = useSession();
  if (board instanceof Error) return <Failed error={board} />;
  const table = tableOf(application, board.subject.table);
  if (!table) return <Failed error={new Error(`the dashboard's subject is of a table \`${board.subject.table}\` that the application does not have`)} />;
  if (!visible(table, may.sensitive).has(board.subject.key)) return <Hidden what={`What can be chosen here (${table.name}) is`} />;
  return <Choosing board={board} application={application} table={table} sensitive={may.sensitive} />;
}

interface ChoosingProps {
  board: Board;
  application: Application;
  table: TablePart;
  sensitive: boolean;
}

function Choosing({ board, application, table, sensitive }: ChoosingProps) {
  const seen = useMemo(() => visible(table, sensitive), [table, sensitive]);
  const subjects = useSubjects(board.subject, table, seen);
  const { query } = useRoute();
  const { rows } = subjects;
  const told = query.get("subject");
  const first = rows.find((row) => row.key === told);
  const second = rows.find((row) => row.key === query.get("with") && row.key !== first?.key);
  // A link shows what its sender saw, though nothing was chosen by hand.
  const fallback = told === null ? rows[0]?.key : undefined;
  useEffect(() => {
    if (fallback !== undefined) setQuery({ subject: fallback }, { replace: true });
  }, [fallback]);
  if (rows.length === 0 && subjects.loading) return <Loading what={board.subject.title} />;
  if (rows.length === 0 && subjects.error) return <Failed error={subjects.error} again={subjects.again} />;
  if (rows.length === 0) return <NoSubject board={board} />;
  const chosen = [first, second].filter((row): row is SubjectRow => row !== undefined);
  return <Chosen board={board} application={application} sensitive={sensitive} rows={rows} chosen={chosen} told={told} />;
}

function NoSubject({ board }: { board: Board }) {
  return (
    <Empty title={`No ${board.subject.title.toLowerCase()} yet.`}>
      The table <code>{board.subject.table}</code> has no rows. They appear here by themselves as they are written; under{" "}
      <a href="/flow">Flow</a> one sees what is on its way.
    </Empty>
  );
}

interface ChosenProps {
  board: Board;
  application: Application;
  sensitive: boolean;
  rows: readonly SubjectRow[];
  chosen: readonly SubjectRow[];
  told: string | null;
}

function Chosen({ board, application, sensitive, rows, chosen, told }: ChosenProps) {
  const { query } = useRoute();
  const store = useNewStore();
  const palette = usePalette();
  const day = today();
  const period = useMemo(() => periodOf(Object.fromEntries(query)), [query]);
  const bounds = boundsOf(period, day);
  const rowAt: ChartContext["rowAt"] = (chart, subject, when) => {
    const table = tableOf(application, chart.table);
    const conditions = [{ column: board.subject.key, op: "=" as const, value: subject }, { column: chart.when, op: "=" as const, value: when }];
    return href(`/tables/${encodeURIComponent(chart.table)}`, { where: table ? whereOf(table, conditions) : null });
  };
  const context: ChartContext = { bounds, scales: board.scales, palette, today: day, subjectTitle: board.subject.title, rowAt };
  const choose = (key: string) => setQuery({ subject: key, with: query.get("with") === key ? null : query.get("with") });
  const given = { board, application, chosen, context, sensitive };
  return (
    <StoreContext.Provider value={store}>
      <h1 class="unseen">{board.title}</h1>
      <Bar subject={board.subject} rows={rows} chosen={chosen} period={period} bounds={bounds} choose={choose} compare={(key) => setQuery({ with: key })} />
      <div class="board">
        <SubjectMap board={board} application={application} rows={rows} chosen={chosen} choose={choose} sensitive={sensitive} />
        {chosen.length === 0
          ? told !== null && <Unknown board={board} told={told} />
          : board.charts.map((chart) =>
              isTimed(chart) ? <ChartCard key={chart.id} {...given} chart={chart} /> : <TableCard key={chart.id} {...given} chart={chart} />,
            )}
      </div>
    </StoreContext.Provider>
  );
}

function Unknown({ board, told }: { board: Board; told: string }) {
  return (
    <Empty title={`There is no ${board.subject.title.toLowerCase()} ${told}.`}>
      Choose another one above; this one appears by itself once its row is written.
    </Empty>
  );
}
