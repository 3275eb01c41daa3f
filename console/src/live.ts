/** The one stream of events of the page: what the host does, once a second, and which rows were written. */

import { useEffect, useRef, useState } from "preact/hooks";
import { address, get, whenFollowed } from "./api";
import type { Change, Pulse, TableChange } from "./types";

export type LiveState = "connecting" | "live" | "reconnecting";

/** Pulses that are kept, for rates and short histories. */
const MOST_PULSES = 180;
/** Changes come once a second; those of one moment are told together. */
const GATHER_MS = 50;
/** Rows are not waited for longer than so, where the stream does not open. */
const MOST_OPENING_MS = 2000;
/** After so long without a pulse, the stream is taken for broken. */
const SILENCE_MS = 6000;
/** A page that nobody has seen for so long gives its stream back: browsers allow few to one host. */
const UNSEEN_MS = 60_000;
/** Longest wait before the stream is opened anew, where the browser does not do so by itself. */
const MOST_WAIT_MS = 30_000;

interface Live {
  state: LiveState;
  /** Counts how often something may have been missed: whoever shows something fetches it anew then. */
  epoch: number;
  pulses: readonly Pulse[];
}

let now: Live = { state: "connecting", epoch: 0, pulses: [] };
let source: EventSource | null = null;
let wait = 1000;
let opened = () => {};
/** Whether rows were asked for before the stream was open. */
let isLate = false;
let retry: ReturnType<typeof setTimeout> | undefined;
let silence: ReturnType<typeof setTimeout> | undefined;
let unseen: ReturnType<typeof setTimeout> | undefined;
const watchers = new Set<() => void>();
const changeListeners = new Set<(change: Change) => void>();

function set(changes: Partial<Live>): void {
  now = { ...now, ...changes };
  for (const watcher of [...watchers]) watcher();
}

function heard(pulse: Pulse): void {
  clearTimeout(silence);
  silence = setTimeout(() => set({ state: "reconnecting" }), SILENCE_MS);
  const back = now.state === "reconnecting";
  wait = 1000;
  set({ state: "live", epoch: back ? now.epoch + 1 : now.epoch, pulses: [...now.pulses.slice(1 - MOST_PULSES), pulse] });
}

function failed(): void {
  set({ state: "reconnecting" });
  if (!source || source.readyState !== EventSource.CLOSED) return;
  // The host refused it, or is away behind a proxy: the browser tries no more. Asking for something says which, and notices a
  // session that has ended.
  source = null;
  get("/status").catch(() => {});
  clearTimeout(retry);
  retry = setTimeout(open, wait);
  wait = Math.min(wait * 2, MOST_WAIT_MS);
}

function close(): void {
  clearTimeout(retry);
  clearTimeout(silence);
  source?.close();
  source = null;
}

function looked(): void {
  clearTimeout(unseen);
  if (document.hidden) {
    unseen = setTimeout(close, UNSEEN_MS);
  } else if (!source) {
    // Whatever happened meanwhile was not told.
    set({ state: "reconnecting", pulses: [] });
    open();
  }
}

/** Opens the stream, which stays open while the page is seen. Rows are asked for once it is: what is written later is told. */
export function startLive(): void {
  whenFollowed(new Promise((follow) => {
    const late = setTimeout(() => {
      isLate = true;
      follow();
    }, MOST_OPENING_MS);
    opened = () => {
      clearTimeout(late);
      follow();
      if (isLate) set({ epoch: now.epoch + 1 });
      isLate = false;
    };
  }));
  document.addEventListener("visibilitychange", looked);
  open();
}

function open(): void {
  if (source) return;
  source = new EventSource(address("/events"));
  source.addEventListener("open", () => opened());
  source.addEventListener("pulse", (event) => heard(JSON.parse(event.data) as Pulse));
  source.addEventListener("change", (event) => {
    const change = JSON.parse(event.data) as Change;
    for (const listener of [...changeListeners]) listener(change);
  });
  // The host could not tell some of it: what is shown is fetched anew.
  source.addEventListener("gap", () => set({ epoch: now.epoch + 1 }));
  source.addEventListener("error", failed);
}

/** Closes the stream. */
export function stopLive(): void {
  document.removeEventListener("visibilitychange", looked);
  clearTimeout(unseen);
  close();
  set({ state: "connecting", pulses: [] });
}

/** The newest pulses, the newest last, and whether they still come. */
export function useLive(): Live {
  const [live, setLive] = useState(now);
  useEffect(() => {
    const watcher = () => setLive(now);
    watchers.add(watcher);
    watcher();
    return () => void watchers.delete(watcher);
  }, []);
  return live;
}

/** Counts how often something may have been missed. */
export function useEpoch(): number {
  const [epoch, setEpoch] = useState(now.epoch);
  useEffect(() => {
    const watcher = () => setEpoch(now.epoch);
    watchers.add(watcher);
    watcher();
    return () => void watchers.delete(watcher);
  }, []);
  return epoch;
}

/** Listens to changes of tables; gives how to stop. */
export function onChange(listener: (change: Change) => void): () => void {
  changeListeners.add(listener);
  return () => void changeListeners.delete(listener);
}

/** Which of two keys is smaller; undefined where that depends on whether their cells are numbers or text. */
function order(a: readonly string[], b: readonly string[]): number | undefined {
  for (const [at, cell] of a.entries()) {
    const other = b[at] ?? "";
    if (cell === other) continue;
    const asText = cell < other ? -1 : 1;
    const numbers = Number(cell) - Number(other);
    return Number.isNaN(numbers) || Math.sign(numbers) === asText ? asText : undefined;
  }
  return 0;
}

/** All changes of a table so far and one more, as one range; without a range where it cannot be told. */
export function merged(before: TableChange | undefined, change: TableChange): TableChange {
  if (!before) return change;
  const rows = before.rows + change.rows;
  if (!before.first || !before.last || !change.first || !change.last) return { rows };
  const [first, last] = [order(change.first, before.first), order(change.last, before.last)];
  if (first === undefined || last === undefined) return { rows };
  return { rows, first: first < 0 ? change.first : before.first, last: last > 0 ? change.last : before.last };
}

/** Tells of changes of some tables, together and at most once in `every_ms`. */
export function useChanges(
  tables: readonly string[],
  listener: (changes: Record<string, TableChange>) => void,
  every_ms = GATHER_MS,
): void {
  const latest = useRef(listener);
  latest.current = listener;
  const wanted = tables.join("\n");
  useEffect(() => {
    let gathered: Record<string, TableChange> = {};
    let timer: ReturnType<typeof setTimeout> | undefined;
    const names = new Set(wanted.split("\n"));
    const flush = () => {
      timer = undefined;
      const told = gathered;
      gathered = {};
      latest.current(told);
    };
    const stop = onChange((change) => {
      for (const [table, range] of Object.entries(change.tables)) {
        if (names.has(table)) gathered[table] = merged(gathered[table], range);
      }
      if (timer === undefined && Object.keys(gathered).length > 0) timer = setTimeout(flush, every_ms);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [wanted, every_ms]);
}
