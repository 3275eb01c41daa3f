// The subjects that can be chosen: every row of the subject's table, followed as it changes.

import { useEffect, useRef, useState } from "preact/hooks";
import { getRows } from "../../api";
import { onChange, useEpoch } from "../../live";
import { isNumber } from "../../parts/format";
import type { Cell, TablePart } from "../../types";
import type { Subject } from "../logic/dashboard";
import { isolated } from "../logic/isolated";
import { whereOf } from "../logic/where";

const PAGE = 10_000;
const WAIT_MS = 2000;

export interface SubjectRow {
  key: string;
  /** The name, or the key where there is none or it may not be seen. */
  name: string;
  cells: Record<string, Cell>;
}

export interface Subjects {
  rows: SubjectRow[];
  notice: string | null;
  error: unknown;
  loading: boolean;
  again: () => void;
}

/** The columns that are asked for: the key and what may be seen of the rest. */
export function subjectColumns(subject: Subject, seen: ReadonlySet<string>): string[] {
  const { map } = subject;
  const wanted = [subject.name, ...(subject.details ?? []).map((one) => one.column), map?.latitude, map?.longitude];
  const rest = wanted.filter((name): name is string => name !== undefined && seen.has(name) && name !== subject.key);
  return [subject.key, ...new Set(rest)];
}

interface Ends {
  first: string | null;
  last: string | null;
}

const ALL: Ends = { first: null, last: null };

async function read(table: TablePart, key: string, columns: string[], ends: Ends, signal: AbortSignal) {
  const found = new Map<string, Record<string, Cell>>();
  let [after, notice]: [string | null, string | null] = [null, null];
  for (;;) {
    const low = after ?? ends.first;
    const conditions = [
      ...(low === null ? [] : [{ column: key, op: after === null ? (">=" as const) : (">" as const), value: low }]),
      ...(ends.last === null ? [] : [{ column: key, op: "<=" as const, value: ends.last }]),
    ];
    const where = whereOf(table, conditions) || null;
    const page = await getRows(table.name, { where, columns: columns.join(","), limit: PAGE }, signal);
    notice = page.notice;
    for (const row of page.rows) {
      after = row[0] ?? null;
      if (after !== null) found.set(after, Object.fromEntries(columns.map((name, place) => [name, row[place] ?? null])));
    }
    if (!page.more || page.rows.length === 0) return { found, notice };
  }
}

type Rows = ReadonlyMap<string, Record<string, Cell>>;

/** The rows with those of a range replaced. */
function merge(old: Rows, fresh: Rows, ends: Ends): Rows {
  const kept = [...old].filter(([key]) => (ends.first !== null && key < ends.first) || (ends.last !== null && key > ends.last));
  return new Map([...kept, ...fresh]);
}

function sameCells(one: Record<string, Cell> | undefined, other: Record<string, Cell>): boolean {
  return one !== undefined && Object.entries(other).every(([name, cell]) => one[name] === cell);
}

function listOf(rows: Rows, subject: Subject): SubjectRow[] {
  const nameOf = (key: string, cells: Record<string, Cell>) => isolated((subject.name && cells[subject.name]) || "") || key;
  const list = [...rows].map(([key, cells]) => ({ key, name: nameOf(key, cells), cells }));
  return list.sort((a, b) => (a.name === b.name ? (a.key < b.key ? -1 : 1) : a.name.localeCompare(b.name)));
}

export function useSubjects(subject: Subject, table: TablePart, seen: ReadonlySet<string>): Subjects {
  const columns = subjectColumns(subject, seen);
  const [held, setHeld] = useState<Omit<Subjects, "again">>({ rows: [], notice: null, error: null, loading: true });
  const [turn, setTurn] = useState(0);
  const known = useRef<Rows>(new Map());
  const epoch = useEpoch();
  const sorts = !isNumber(table.columns.find((column) => column.name === subject.key)?.type ?? "text");
  useEffect(() => {
    const abort = new AbortController();
    let pending: Ends | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const load = async (ends: Ends) => {
      try {
        const { found, notice } = await read(table, subject.key, columns, ends, abort.signal);
        const isKnown = [...found].every(([at, cells]) => sameCells(known.current.get(at), cells));
        const merged = merge(known.current, found, ends);
        // Most changes are of columns that are not shown here: then nothing is drawn anew.
        if (isKnown && merged.size === known.current.size && found.size > 0) return;
        known.current = merged;
        setHeld({ rows: listOf(known.current, subject), notice, error: null, loading: false });
      } catch (error) {
        if (!abort.signal.aborted) setHeld((now) => ({ ...now, error, loading: false }));
      }
    };
    const later = () => {
      const ends = pending ?? ALL;
      [pending, timer] = [null, undefined];
      void load(ends);
    };
    const stop = onChange((change) => {
      const range = change.tables[table.name];
      if (!range) return;
      // Numbers do not sort as their texts do: then all is read.
      const ends = sorts ? { first: range.first?.[0] ?? null, last: range.last?.[0] ?? null } : ALL;
      pending = pending ? widen(pending, ends) : ends;
      timer ??= setTimeout(later, WAIT_MS);
    });
    void load(ALL);
    return () => {
      stop();
      clearTimeout(timer);
      abort.abort();
    };
  }, [table.name, columns.join(","), turn, epoch]);
  return { ...held, again: () => setTurn((now) => now + 1) };
}

function widen(a: Ends, b: Ends): Ends {
  return {
    first: a.first === null || b.first === null ? null : a.first < b.first ? a.first : b.first,
    last: a.last === null || b.last === null ? null : a.last > b.last ? a.last : b.last,
  };
}
