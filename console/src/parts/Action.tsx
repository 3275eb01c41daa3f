import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ConfirmDialog } from "./ConfirmDialog";
import { CopyCommand } from "./CopyCommand";

interface ActionProps {
  label: string;
  /** What is asked before. */
  title: string;
  verb?: string;
  grave?: boolean;
  command: string;
  act: () => Promise<unknown>;
  /** What is done once it worked. */
  then?: () => void;
  /** Leaves out the command beside the button; the question has it. */
  bare?: boolean;
  disabled?: boolean;
  children?: ComponentChildren;
}

/** A button that asks once and then acts, with the command line that does the same. */
export function Action({ label, title, verb, grave, command, act, then, bare, disabled, children }: ActionProps) {
  const [asking, setAsking] = useState(false);
  const run = async () => {
    await act();
    then?.();
  };
  return (
    <>
      <button type="button" disabled={disabled} onClick={() => setAsking(true)}>
        {label}
      </button>
      {!bare && <CopyCommand command={command} short />}
      {asking && (
        <ConfirmDialog title={title} verb={verb ?? label} grave={grave} command={command} act={run} close={() => setAsking(false)}>
          {children}
        </ConfirmDialog>
      )}
    </>
  );
}
