import { CopyCommand } from "../../../parts/CopyCommand";
import { bytes, short } from "../../../parts/format";
import { Ticked } from "../../../parts/Ticked";
import type { FunctionPart } from "../../../types";
import type { Chosen } from "./sending";
import { deployCommand, fate } from "./words";

interface ConfirmProps {
  chosen: Chosen;
  part: FunctionPart;
  running: string;
  component: string | undefined;
  back: () => void;
  go: () => void;
}

/** What is sent, and what becomes of the version in charge. */
export function Confirm({ chosen, part, running, component, back, go }: ConfirmProps) {
  const { file, digest, manifest, way } = chosen;
  const isSame = digest !== null && digest === component;
  return (
    <>
      <p>
        {bytes(file.size)}
        {digest && (
          <>
            , component <code title={digest}>{short(digest)}</code>
            {isSame && ", the one that runs already"}
          </>
        )}
        ; with what {manifest ? <code>{manifest.name}</code> : "runs now"} says of the function. The host holds it against its grants and
        starts it on trial before anything changes.
      </p>
      <p>
        <Ticked text={fate(way, running, part.triggers.every((trigger) => trigger.cron))} />
      </p>
      <p class="muted">The same in a terminal, with the component that spin.toml names:</p>
      <CopyCommand command={deployCommand(part.name, way)} />
      <div class="actions">
        <button type="button" data-first onClick={back}>
          Back
        </button>
        <button type="button" class="main" onClick={go}>
          {way === "shadow" ? "Deploy as a shadow" : "Deploy"}
        </button>
      </div>
    </>
  );
}
