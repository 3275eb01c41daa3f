import type { ComponentChildren } from "preact";
import { useLive } from "./live";
import { Ago } from "./parts/Figures";
import { count, number, rate } from "./parts/format";
import { useAllStale } from "./parts/stale";
import { words } from "./parts/states";
import { Ticked } from "./parts/Ticked";
import { type Health, healthOf } from "./rates";

const LIVE = { connecting: "connecting", live: "live", reconnecting: "not live, reconnecting" };

const pathOf = (name: string) => `/functions/${encodeURIComponent(name)}`;

/** What is wrong, in red; what somebody has paused, calmly. Each leads to where one sees to it. */
function Wrong({ troubles, paused }: Health) {
  const [first] = troubles;
  const others = troubles.length - 1;
  if (first) {
    return (
      <a class="wrong" href={pathOf(first.function)} title={first.trouble}>
        {first.function}: <Ticked text={first.trouble} />
        {others > 0 && ` (and ${others} more)`}
      </a>
    );
  }
  if (paused[0] === undefined) return <span>nothing wrong</span>;
  return <a href={pathOf(paused[0])}>{paused.length === 1 ? `${paused[0]} is paused` : `${count(paused.length, "function")} are paused`}</a>;
}

/** Figures, as far as they are known. */
function Figures({ health, children }: { health: Health | null; children: ComponentChildren }) {
  return (
    <>
      <a href="/flow">{typeof health?.records === "number" ? rate(health.records) : "–"} events/s</a>
      <a href="/topics">lag {health ? number(health.lag) : "–"}</a>
      <a href="/flow">
        last commit <Ago at_ms={health?.last_commit_ms} />
      </a>
      {children}
    </>
  );
}

/** Whether the machine is well, in one quiet line; and that what is shown is not as it is now, where that is so. */
export function HealthLine() {
  const { state, pulses } = useLive();
  const stale = useAllStale();
  // What was told last says nothing of a host that tells nothing more.
  const isAway = state === "reconnecting";
  const health = isAway ? null : healthOf(pulses);
  const [first] = stale;
  return (
    <aside class={first ? "health old" : "health"} aria-label="How the machine is">
      {first ? (
        <span class="stale" role="status">
          <span title={words(first.error).message}>
            Not as it is now: <Ticked text={words(first.error).message} />.
          </span>
          <button type="button" class="quiet" onClick={() => stale.forEach(({ again }) => again())}>
            Try again
          </button>
        </span>
      ) : (
        <Figures health={health}>
          {health ? <Wrong {...health} /> : <span>{isAway && "not known whether anything is wrong"}</span>}
        </Figures>
      )}
      <span class={`live ${state}`} role="status">
        {LIVE[state]}
      </span>
    </aside>
  );
}
