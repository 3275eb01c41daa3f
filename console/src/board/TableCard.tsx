// A table of rows as they are: one row stands upright, label by label; more of them in lines.

import { useRef } from "preact/hooks";
import { Card } from "../parts/Card";
import { DataTable } from "../parts/DataTable";
import { isNumber, numberText } from "../parts/format";
import { Answered, Empty, Failed, Hidden } from "../parts/states";
import { href } from "../route";
import type { Cell, Rows, TablePart } from "../types";
import type { ChartCardProps } from "./ChartCard";
import { useSubjectRows } from "./data/rows";
import { saveText, savePicture } from "./data/save";
import type { SubjectRow } from "./data/subjects";
import { type Shown, type TableChart, tableOf, titleOf, visible } from "./logic/dashboard";
import { type Sheet, csvOf, fileName } from "./logic/sheet";
import { whereOf } from "./logic/where";
import { Menu } from "./Menu";

type Props = Omit<ChartCardProps, "chart"> & { chart: TableChart };

export function TableCard(props: Props) {
  const table = tableOf(props.application, props.chart.table);
  if (table) return <KnownTable {...props} part={table} />;
  return (
    <Card title={props.chart.title} id={props.chart.id}>
      <Failed error={new Error(`the application has no table \`${props.chart.table}\``)} />
    </Card>
  );
}

function KnownTable(props: Props & { part: TablePart }) {
  const { board, chart, chosen, sensitive, part } = props;
  const body = useRef<HTMLDivElement>(null);
  const seen = visible(part, sensitive);
  const columns = chart.columns.filter((column) => seen.has(column.column));
  const hidden = chart.columns.filter((column) => !seen.has(column.column));
  const keys = chosen.map((one) => one.key);
  const answer = useSubjectRows(part, board.subject.key, keys, columns.map((column) => column.column));
  const sheet = sheetOf(columns, part, answer.value ?? []);
  const notice = answer.value?.find((rows) => rows.notice)?.notice ?? null;
  return (
    <Card title={chart.title} id={chart.id} wide={chart.wide ?? false} note={<Foot {...props} notice={notice} />}
      actions={sheet.rows.length > 0 && <Downloads {...props} sheet={sheet} notice={notice} body={body} />}>
      <div ref={body} class="chart upright">
        {columns.length === 0 ? (
          <Hidden what="This table is" />
        ) : (
          <Answered answer={answer} what="the rows">
            {(rows) => <Content columns={columns} part={part} rows={rows} chosen={chosen} />}
          </Answered>
        )}
        {columns.length > 0 && hidden.length > 0 && (
          <p class="remark">Hidden, as you may not see what is sensitive: {hidden.map(titleOf).join(", ")}.</p>
        )}
      </div>
    </Card>
  );
}

function Foot({ board, chart, chosen, part, notice }: Props & { part: TablePart; notice: string | null }) {
  const first = chosen[0];
  const where = first ? whereOf(part, [{ column: board.subject.key, op: "=", value: first.key }]) : null;
  return (
    <>
      {chart.note && <p>{chart.note}</p>}
      <p>
        {notice && `${notice} · `}
        <a href={href(`/tables/${encodeURIComponent(part.name)}`, { where })}>{part.name}</a>
      </p>
    </>
  );
}

interface DownloadsProps extends Props {
  sheet: Sheet;
  notice: string | null;
  body: { current: HTMLDivElement | null };
}

function Downloads({ board, chart, chosen, sheet, notice, body }: DownloadsProps) {
  const name = (ending: string) => fileName([board.title, chart.id, ...chosen.map((one) => one.key)], ending);
  const subjects = `${board.subject.title}: ${chosen.map((one) => one.name).join(" and ")}`;
  const words = { title: chart.title, lines: [subjects], foot: [chart.note ?? "", notice ?? ""].filter(Boolean) };
  const entries = [
    { title: "Download CSV", act: () => saveText(csvOf(sheet, notice), name("csv")) },
    { title: "Download PNG", act: () => void (body.current && savePicture(body.current, words, name("png"))) },
  ];
  return <Menu label={`What can be done with ${chart.title}`} entries={entries} />;
}

function cellText(cell: Cell, type: string): string {
  if (cell === null) return "–";
  if (type.startsWith("timestamp")) return `${cell.replace("T", " ").replace(/(\.0+)?Z$/, "")} UTC`;
  return isNumber(type) ? numberText(cell) : cell;
}

function typeOf(part: TablePart, column: string): string {
  return part.columns.find((one) => one.name === column)?.type ?? "text";
}

function sheetOf(columns: readonly Shown[], part: TablePart, rows: readonly Rows[]): Sheet {
  return {
    columns: columns.map((one) => ({ title: titleOf(one), isNumber: isNumber(typeOf(part, one.column)), ...(one.unit && { unit: one.unit }) })),
    rows: rows.flatMap((each) => each.rows),
  };
}

function Content({ columns, part, rows, chosen }: { columns: Shown[]; part: TablePart; rows: Rows[]; chosen: readonly SubjectRow[] }) {
  const all = rows.flatMap((each) => each.rows);
  if (all.length === 0) return <Empty title="No row yet.">It appears here by itself once it is written.</Empty>;
  if (all.length <= chosen.length) return <Upright columns={columns} part={part} rows={all} />;
  const parts = columns.map((one, place) => ({
    name: one.column,
    title: titleOf(one),
    unit: one.unit,
    right: isNumber(typeOf(part, one.column)),
    cell: (row: Cell[]) => cellText(row[place] ?? null, typeOf(part, one.column)),
  }));
  return <DataTable caption={part.name} columns={parts} rows={all} rowKey={(_, at) => at} />;
}

function Upright({ columns, part, rows }: { columns: Shown[]; part: TablePart; rows: Cell[][] }) {
  return (
    <div class="table">
      <table>
        <tbody>
          {columns.map((one, place) => (
            <tr key={one.column}>
              <th scope="row">
                {titleOf(one)}
                {one.unit && one.unit !== "°" && <span class="unit">, {one.unit}</span>}
              </th>
              {rows.map((row, at) => (
                <td key={at} class="right">
                  {cellText(row[place] ?? null, typeOf(part, one.column))}
                  {one.unit === "°" && row[place] !== null && "°"}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
