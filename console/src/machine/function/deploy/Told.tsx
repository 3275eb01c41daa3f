import { Refused } from "../../../api";
import { CopyCommand } from "../../../parts/CopyCommand";
import { bytes, number, word } from "../../../parts/format";
import { words } from "../../../parts/states";
import { Ticked } from "../../../parts/Ticked";
import { type Taken, type Way, outcome } from "./sending";

/** How much is sent; then that the host looks at it, which is not broken off. */
export function Sending({ share, size, stop }: { share: number; size: number; stop: () => void }) {
  const isSent = share >= 1;
  const told = isSent ? "Sent. The host holds it against its grants, compiles it and starts it on trial …" : `Sending ${bytes(size)}: ${number(share * 100)} %`;
  return (
    <>
      <progress aria-label="How much is sent" max={1} value={isSent ? undefined : share} />
      <p role="status">{told}</p>
      <div class="actions">
        <button type="button" data-first disabled={isSent} onClick={stop}>
          Break off
        </button>
      </div>
    </>
  );
}

/** Which version was made, and where one sees what comes of it. */
export function Done({ taken, way, close }: { taken: Taken; way: Way; close: () => void }) {
  const command = way === "shadow" ? `isobar shadow show ${word(taken.function)}` : `isobar versions ${word(taken.function)}`;
  return (
    <>
      <p role="status">
        <Ticked text={outcome(taken, way)} />
      </p>
      <CopyCommand command={command} />
      <div class="actions">
        <button type="button" class="main" data-first onClick={close}>
          Close
        </button>
      </div>
    </>
  );
}

/** Whether an error says that nothing was done: what the host has against it, or that it was not sent at all. */
function isKnown(error: unknown): boolean {
  return !(error instanceof Refused) || (error.status >= 400 && error.status < 500) || error.status === 503;
}

/** Why the host did not take it, line by line as it says it, and what to do. */
export function Refusal({ error, back, close }: { error: unknown; back: () => void; close: () => void }) {
  const { message, hint } = words(error);
  return (
    <>
      <div role="alert" class="lines" tabIndex={-1} data-first>
        <p>
          {isKnown(error)
            ? "It was not deployed, and nothing has changed."
            : "It is not known whether it was deployed: the versions and the audit log tell, once the host does."}
        </p>
        {message.split("\n").map((line, at) => (
          <p key={at} class={/^\s*hint: /.test(line) ? undefined : "failure"}>
            <Ticked text={line.replace(/^\s*hint: /, "What to do: ")} />
          </p>
        ))}
        {hint && (
          <p>
            What to do: <Ticked text={hint} />
          </p>
        )}
      </div>
      <div class="actions">
        <button type="button" onClick={close}>
          Close
        </button>
        <button type="button" class="main" onClick={back}>
          Choose another file
        </button>
      </div>
    </>
  );
}
