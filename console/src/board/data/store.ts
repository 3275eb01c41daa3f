// The series of a page: each is loaded once, however many charts show it, and ends when none shows it any more.

import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import { onChange, useEpoch } from "../../live";
import type { Change } from "../../types";
import { type Held, Series, type Source } from "./series";

const LOADING: Held = { frame: null, notice: null, error: null, loading: true };
/** A series that nobody shows is kept so long, as who looks often goes back to it. */
const KEPT_MS = 30_000;

interface Kept {
  series: Series;
  users: number;
  timer?: ReturnType<typeof setTimeout>;
}

export class Store {
  private readonly kept = new Map<string, Kept>();
  private readonly stop = onChange((change) => this.changed(change));

  take(id: string, source: Source): Series {
    const kept = this.kept.get(id) ?? { series: new Series(source), users: 0 };
    clearTimeout(kept.timer);
    kept.users += 1;
    this.kept.set(id, kept);
    return kept.series;
  }

  give(id: string): void {
    const kept = this.kept.get(id);
    if (!kept || --kept.users > 0) return;
    kept.timer = setTimeout(() => {
      kept.series.end();
      this.kept.delete(id);
    }, KEPT_MS);
  }

  again(): void {
    for (const { series } of this.kept.values()) series.again();
  }

  end(): void {
    this.stop();
    for (const { series, timer } of this.kept.values()) {
      clearTimeout(timer);
      series.end();
    }
    this.kept.clear();
  }

  private changed(change: Change): void {
    for (const { series } of this.kept.values()) {
      const range = change.tables[series.source.table.name];
      if (range) series.changed(range);
    }
  }
}

export const StoreContext = createContext<Store | null>(null);

/** A store that lives as long as the page, and fetches all anew when the stream of events was broken. */
export function useNewStore(): Store | null {
  const [store, setStore] = useState<Store | null>(null);
  useEffect(() => {
    const made = new Store();
    setStore(made);
    return () => made.end();
  }, []);
  const epoch = useEpoch();
  useEffect(() => {
    if (epoch > 0) store?.again();
  }, [epoch]);
  return store;
}

function idOf(source: Source): string {
  return JSON.stringify([source.table.name, source.subject, source.when, source.columns, source.where ?? null]);
}

export interface Shown extends Held {
  again: () => void;
}

const NOTHING = () => {};

/** What is held of some sources, in their order. */
export function useSeries(sources: readonly Source[]): Shown[] {
  const store = useContext(StoreContext);
  const ids = sources.map(idOf);
  const about = ids.join("\n");
  const [shown, setShown] = useState<{ about: string; series: Series[] }>({ about: "", series: [] });
  const [, setTurn] = useState(0);
  useEffect(() => {
    if (!store) return;
    const series = sources.map((source, place) => store.take(ids[place]!, source));
    setShown({ about, series });
    const stops = series.map((one) => one.watch(() => setTurn((turn) => turn + 1)));
    return () => {
      stops.forEach((stop) => stop());
      ids.forEach((id) => store.give(id));
    };
  }, [store, about]);
  if (shown.about !== about) return sources.map(() => ({ ...LOADING, again: NOTHING }));
  return shown.series.map((series) => ({ ...series.held, again: () => series.again() }));
}
