import { useEffect, useRef } from "preact/hooks";
import { useEvery } from "../answer";
import { useLive } from "../live";

/** How often letters are read without a sign of new ones: others may have redriven or dropped some. */
const SECONDS = 60;

/** Calls `again` when one of these functions has more dead letters: to read them all the time would cost the host much. */
export function useNewLetters(functions: readonly string[], again: () => void): void {
  const { pulses } = useLive();
  const told = pulses.at(-1)?.functions;
  const many = told && functions.reduce((sum, name) => sum + (told[name]?.dead_letters ?? 0), 0);
  const known = useRef(many);
  useEffect(() => {
    if (known.current !== undefined && many !== undefined && many !== known.current) again();
    known.current = many ?? known.current;
  }, [many]);
  useEvery(SECONDS, again);
}
