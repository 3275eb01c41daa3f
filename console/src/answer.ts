/** Loading: what was loaded stays while it is loaded anew, so that nothing jumps. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { useEpoch } from "./live";

export interface Answer<T> {
  /** What came last, also while it is loaded anew or that failed. */
  value: T | undefined;
  /** Why the last try failed. */
  error: unknown;
  loading: boolean;
  /** Loads it anew. */
  again: () => void;
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

interface Held<T> extends Pick<Answer<T>, "value" | "error" | "loading"> {
  /** What is asked for. */
  subject: string;
  /** What the value is of. */
  of: string;
}

function nothing<T>(subject: string): Held<T> {
  return { value: undefined, error: undefined, loading: true, subject, of: subject };
}

/**
 * What `load` gives, anew whenever `about` changes, the stream of events was broken, or `again` is called. With another `about`
 * the old value goes, for it is of something else, unless it is to be kept until the new one comes.
 */
export function useAnswer<T>(
  load: (signal: AbortSignal) => Promise<T>,
  about: readonly unknown[],
  { keep = false }: { keep?: boolean } = {},
): Answer<T> {
  const subject = JSON.stringify(about);
  const [held, setHeld] = useState<Held<T>>(() => nothing(subject));
  const [turn, setTurn] = useState(0);
  const epoch = useEpoch();
  const current: Held<T> = held.subject === subject || keep ? held : nothing(subject);
  const latest = useRef(current);
  latest.current = current;
  useEffect(() => {
    const abort = new AbortController();
    const came = (next: (now: Held<T>) => Held<T>) => !abort.signal.aborted && setHeld(next);
    setHeld({ ...latest.current, loading: true, subject });
    load(abort.signal).then(
      (value) => came(() => ({ value, error: undefined, loading: false, subject, of: subject })),
      (error: unknown) =>
        !isAbort(error) &&
        came((now) => ({ value: now.of === subject ? now.value : undefined, error, loading: false, subject, of: subject })),
    );
    return () => abort.abort();
  }, [subject, turn, epoch]);
  const again = useCallback(() => setTurn((now) => now + 1), []);
  return { value: current.value, error: current.error, loading: current.loading, again };
}

/** Calls `again` every `seconds` while the page is seen. */
export function useEvery(seconds: number, again: () => void): void {
  const latest = useRef(again);
  latest.current = again;
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && latest.current(), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
}
