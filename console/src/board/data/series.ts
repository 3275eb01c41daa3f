// One subject's rows of one table, kept in memory and followed: of a change only the range it touched is fetched.

import { Refused, getRows } from "../../api";
import { isNumber } from "../../parts/format";
import type { Rows, TableChange, TablePart } from "../../types";
import { type Cells, type Frame, emptyFrame, frameOf, mergeRange, timeKind, timeOf } from "../logic/frame";
import { type Range, rangeFor, unite } from "../logic/ranges";
import { type Condition, whereOf } from "../logic/where";

/** Most rows of one answer. */
const PAGE = 10_000;
const LEAST_WAIT_MS = 1000;
/** After a failure it is tried again so soon, */
const RETRY_MS = 5000;
/** and so soon where the host refused it, which only another version or another right would change. */
const FINAL_WAIT_MS = 60_000;
/** Fetching takes at most a tenth of the time, so that a large range that changes all the time burdens nobody. */
const REST = 9;

export interface Source {
  table: TablePart;
  /** The column that holds the subject. */
  key: string;
  subject: string;
  when: string;
  columns: readonly string[];
  where?: string;
}

export interface Held {
  frame: Frame | null;
  notice: string | null;
  error: unknown;
  loading: boolean;
}

type Fetch = (table: string, ask: { where: string; columns: string; limit: number }, signal: AbortSignal) => Promise<Rows>;

/** All rows of a range, page by page. */
async function read(source: Source, range: Range, fetch: Fetch, signal: AbortSignal): Promise<Rows> {
  const rows: Cells[] = [];
  let after: string | null = null;
  for (;;) {
    const conditions: Condition[] = [{ column: source.key, op: "=", value: source.subject }];
    if (after !== null) conditions.push({ column: source.when, op: ">", value: after });
    else if (range.from !== undefined) conditions.push({ column: source.when, op: ">=", value: range.from });
    if (range.to !== undefined) conditions.push({ column: source.when, op: "<=", value: range.to });
    const where = whereOf(source.table, conditions, source.where);
    const columns = [source.when, ...source.columns].join(",");
    const page = await fetch(source.table.name, { where, columns, limit: PAGE }, signal);
    for (const row of page.rows) rows.push(row);
    const last = page.rows.at(-1)?.[0] ?? null;
    if (!page.more || last === null) return { ...page, rows: rows as Rows["rows"], more: false };
    after = last;
  }
}

export class Series {
  held: Held = { frame: null, notice: null, error: null, loading: true };
  private readonly watchers = new Set<() => void>();
  private readonly abort = new AbortController();
  private pending: Range | null = {};
  private timer: ReturnType<typeof setTimeout> | undefined;
  private busy = false;
  private free = 0;

  constructor(
    readonly source: Source,
    private readonly fetch: Fetch = getRows,
  ) {
    this.plan();
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  }

  end(): void {
    clearTimeout(this.timer);
    this.abort.abort();
    this.watchers.clear();
  }

  /** Fetches all of it anew. */
  again(): void {
    this.pending = {};
    this.free = 0;
    this.plan();
  }

  changed(change: TableChange): void {
    const range = rangeFor(change, this.source.subject, isNumber(this.typeOf(this.source.key)));
    if (!range) return;
    this.pending = unite(this.pending, range, this.kind() === "number");
    this.plan();
  }

  private kind() {
    return timeKind(this.typeOf(this.source.when));
  }

  private typeOf(name: string): string {
    return this.source.table.columns.find((column) => column.name === name)?.type ?? "text";
  }

  private set(changes: Partial<Held>): void {
    this.held = { ...this.held, ...changes };
    for (const watcher of [...this.watchers]) watcher();
  }

  private plan(): void {
    if (this.busy || !this.pending) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.load(), Math.max(0, this.free - performance.now()));
  }

  private async load(): Promise<void> {
    const range = this.pending ?? {};
    this.pending = null;
    this.busy = true;
    const start = performance.now();
    try {
      const page = await read(this.source, range, this.fetch, this.abort.signal);
      this.set({ frame: this.merge(page, range), notice: page.notice, error: null, loading: false });
    } catch (error) {
      if (this.abort.signal.aborted) return;
      this.set({ error, loading: false });
      this.owe(range, error);
    }
    this.busy = false;
    const now = performance.now();
    this.free = Math.max(this.free, now + Math.max(LEAST_WAIT_MS, REST * (now - start)));
    this.plan();
  }

  /** What could not be fetched is fetched later: soon, unless the host said that it never will. */
  private owe(range: Range, error: unknown): void {
    this.pending = unite(this.pending, range, this.kind() === "number");
    const isFinal = error instanceof Refused && error.status >= 400 && error.status < 500;
    this.free = performance.now() + (isFinal ? FINAL_WAIT_MS : RETRY_MS);
  }

  private merge(page: Rows, range: Range): Frame {
    const kind = this.kind();
    const fresh = frameOf(kind, [this.source.when, ...this.source.columns], page.rows);
    const old = this.held.frame ?? emptyFrame(kind, this.source.columns);
    const from = range.from === undefined ? -Infinity : timeOf(kind, range.from);
    const to = range.to === undefined ? Infinity : timeOf(kind, range.to);
    return mergeRange(old, fresh, from, to);
  }
}
