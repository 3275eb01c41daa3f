import { Ticked } from "../parts/Ticked";
import { reasonLines } from "./letters";

/** Why something failed: what says it first; where it was, and the way there, behind a fold. */
export function Reason({ reason, frames = [] }: { reason: string; frames?: readonly string[] }) {
  const { first, rest } = reasonLines(reason);
  const folded = [...rest, ...frames.map((frame) => `  at ${frame}`)];
  return (
    <div class="reason">
      <p class="failure">
        <Ticked text={first} />
      </p>
      {folded.length > 0 && (
        <details>
          <summary>{frames.length > 0 ? `${frames.length} frames` : "more"}</summary>
          <pre>{folded.join("\n")}</pre>
        </details>
      )}
    </div>
  );
}
