import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { CopyCommand } from "./CopyCommand";
import { words } from "./states";
import { Ticked } from "./Ticked";

interface ConfirmProps {
  title: string;
  /** What the button says: what is done. */
  verb: string;
  /** Whether it cannot be taken back. */
  grave?: boolean;
  /** The command line that does the same. */
  command?: string;
  act: () => Promise<unknown>;
  close: () => void;
  children?: ComponentChildren;
}

/** Asks once, does it, and stays open with the reason where that fails. */
export function ConfirmDialog({ title, verb, grave, command, act, close, children }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const heading = useId();
  useEffect(() => dialog.current?.showModal(), []);
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await act();
      close();
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  const failure = error ? words(error) : null;
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby={heading}>
      <h2 id={heading}>{title}</h2>
      {children}
      {failure && (
        <p class="failure" role="alert">
          <Ticked text={failure.hint ? `${failure.message}: ${failure.hint}` : failure.message} />
        </p>
      )}
      {command && <CopyCommand command={command} />}
      <div class="actions">
        <button type="button" onClick={close} disabled={busy}>
          Cancel
        </button>
        <button type="button" class={grave ? "main grave" : "main"} onClick={() => void run()} disabled={busy}>
          {busy ? "Working …" : verb}
        </button>
      </div>
    </dialog>
  );
}
