// The figure by which subjects are coloured on the map: of each the last row, or the last full one.

import { useEffect, useState } from "preact/hooks";
import { getRows } from "../../api";
import { onChange, useEpoch } from "../../live";
import type { Rows, TablePart } from "../../types";
import { type Board, type MapPart, visible } from "../logic/dashboard";
import { frameOf } from "../logic/frame";
import { wholeness } from "../logic/whole";

/** Rows from the last back: some years of some hundred subjects. */
const MOST = 4000;
const WAIT_MS = 5000;

export interface MapFigure {
  text: string;
  value: number;
  when: string;
}

/** Of each subject the first row of those from the last back that is whole. */
function figures(rows: Rows, board: Board, color: NonNullable<MapPart["color"]>): Map<string, MapFigure> {
  const [key, when] = [board.subject.key, color.when!];
  const at = (name: string) => rows.columns.indexOf(name);
  const isTold = board.years?.table === color.table && board.years.when === when;
  const names = [when, ...(isTold ? [board.years!.column, String(board.years!.of)] : [])].filter((name) => at(name) >= 0);
  const frame = frameOf("number", names, rows.rows.map((row) => names.map((name) => row[at(name)] ?? null)));
  const whole = wholeness(frame, isTold ? board.years : undefined);
  const found = new Map<string, MapFigure>();
  rows.rows.forEach((row, place) => {
    const [subject, text] = [row[at(key)], row[at(color.column)]];
    if (!subject || !text || found.has(subject) || !whole.isWhole(place)) return;
    found.set(subject, { text, value: Number(text), when: row[at(when)] ?? "" });
  });
  return found;
}

export function useMapFigures(board: Board, table: TablePart | undefined, sensitive: boolean): ReadonlyMap<string, MapFigure> {
  const color = board.subject.map?.color;
  const [found, setFound] = useState<ReadonlyMap<string, MapFigure>>(new Map());
  const epoch = useEpoch();
  useEffect(() => {
    if (!color?.when || !table || !visible(table, sensitive).has(color.column)) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const years = board.years?.table === table.name ? [board.years.column, board.years.of] : [];
    const named = new Set([board.subject.key, color.when, color.column, ...years.filter((name) => typeof name === "string")]);
    const load = () => {
      timer = undefined;
      const ask = { columns: [...named].join(","), limit: MOST, order: `-${color.when}` };
      // Without it, the map is grey: it says so in its legend.
      getRows(table.name, ask, abort.signal).then((rows) => setFound(figures(rows, board, color)), () => {});
    };
    const stop = onChange((change) => {
      if (change.tables[table.name]) timer ??= setTimeout(load, WAIT_MS);
    });
    load();
    return () => {
      stop();
      clearTimeout(timer);
      abort.abort();
    };
  }, [board, table?.name, sensitive, epoch]);
  return found;
}
