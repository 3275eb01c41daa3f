import { useLive } from "./live";
import { Ago } from "./parts/Figures";
import { number, rate } from "./parts/format";
import { Ticked } from "./parts/Ticked";
import { healthOf } from "./rates";

const LIVE = { connecting: "connecting", live: "live", reconnecting: "not live, reconnecting" };

/** Whether the machine is well, in one quiet line; each part leads to where it comes from. */
export function HealthLine() {
  const { state, pulses } = useLive();
  const health = healthOf(pulses);
  const first = health?.troubles[0];
  const others = (health?.troubles.length ?? 0) - 1;
  return (
    <div class="health" role="group" aria-label="How the machine is">
      <a href="/flow">{typeof health?.records === "number" ? rate(health.records) : "–"} events/s</a>
      <a href="/topics">lag {health ? number(health.lag) : "–"}</a>
      <a href="/flow">
        last commit <Ago at_ms={health?.last_commit_ms} />
      </a>
      {first ? (
        <a class="wrong" href={`/functions/${encodeURIComponent(first.function)}`} title={first.trouble}>
          {first.function}: <Ticked text={first.trouble} />
          {others > 0 && ` (and ${others} more)`}
        </a>
      ) : (
        <span>{health ? "nothing wrong" : ""}</span>
      )}
      <span class={`live ${state}`} role="status">
        {LIVE[state]}
      </span>
    </div>
  );
}
