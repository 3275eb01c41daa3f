/** Of what is shown, what could not be asked for anew. Told in one place of the page, which is always there: nothing moves for it. */

import { useEffect, useRef, useState } from "preact/hooks";

export interface Stale {
  error: unknown;
  again: () => void;
}

const held = new Set<Stale>();
const watchers = new Set<() => void>();

function tell(): void {
  for (const watcher of [...watchers]) watcher();
}

/** Says, for as long as there is an error, that what is shown is not as it is now. */
export function useStale(error: unknown, again: () => void): void {
  const latest = useRef(again);
  latest.current = again;
  useEffect(() => {
    if (error === undefined || error === null) return;
    const stale = { error, again: () => latest.current() };
    held.add(stale);
    tell();
    return () => {
      held.delete(stale);
      tell();
    };
  }, [error]);
}

/** All of it. */
export function useAllStale(): readonly Stale[] {
  const [all, setAll] = useState<readonly Stale[]>([]);
  useEffect(() => {
    const watcher = () => setAll([...held]);
    watchers.add(watcher);
    watcher();
    return () => void watchers.delete(watcher);
  }, []);
  return all;
}
