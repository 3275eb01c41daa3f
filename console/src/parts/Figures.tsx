/** Numbers and times as they stand on pages. */

import { useEffect, useState } from "preact/hooks";
import { moment, number, relative } from "./format";

/** A number, with its unit where it has one. */
export function Num({ value, digits = 0, unit }: { value: number | null | undefined; digits?: number; unit?: string }) {
  if (value === null || value === undefined) return <span class="none">–</span>;
  return (
    <span class="num">
      {number(value, digits)}
      {unit && <span class="unit">{"\u202f" + unit}</span>}
    </span>
  );
}

const ticks = new Set<() => void>();
let ticking: ReturnType<typeof setInterval> | undefined;

/** The time now, about every second; one clock for all that show it. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const tick = () => setNow(Date.now());
    ticks.add(tick);
    ticking ??= setInterval(() => ticks.forEach((each) => each()), 1000);
    return () => {
      ticks.delete(tick);
      if (ticks.size === 0) {
        clearInterval(ticking);
        ticking = undefined;
      }
    };
  }, []);
  return now;
}

/** How long ago something was; when exactly, in UTC, where one points at it. */
export function Ago({ at_ms }: { at_ms: number | null | undefined }) {
  const now = useNow();
  if (at_ms === null || at_ms === undefined) return <span class="none">–</span>;
  return (
    <time dateTime={new Date(at_ms).toISOString()} title={moment(at_ms, true)}>
      {relative(at_ms, now)}
    </time>
  );
}

/** A moment in UTC; how long ago that was where one points at it. */
export function Moment({ at_ms, exact = false }: { at_ms: number; exact?: boolean }) {
  const now = useNow();
  return (
    <time dateTime={new Date(at_ms).toISOString()} title={relative(at_ms, now)}>
      {moment(at_ms, exact)}
    </time>
  );
}
