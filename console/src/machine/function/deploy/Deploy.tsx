import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Application, FunctionPart } from "../../../types";
import { Choose, type Wish } from "./Choose";
import { Confirm } from "./Confirm";
import { type Chosen, type Taken, digestOf, send } from "./sending";
import { Done, Refusal, Sending } from "./Told";
import { noShadow } from "./words";

export interface DeployProps {
  part: FunctionPart;
  application: Application;
  /** The digest of the version in charge. */
  running: string;
  /** The digest of its component, where it is known. */
  component: string | undefined;
  /** What is done once a version was made. */
  then: () => void;
}

/** A button by which a component file becomes the next version of a function. */
export function Deploy(props: DeployProps) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Deploy a component
      </button>
      {open && <DeployDialog {...props} close={() => setOpen(false)} />}
    </>
  );
}

type Step =
  | { at: "choosing" }
  | { at: "asking"; chosen: Chosen }
  | { at: "sending"; chosen: Chosen; share: number }
  | { at: "refused"; chosen: Chosen; error: unknown }
  | { at: "done"; taken: Taken; chosen: Chosen };

function titleOf(step: Step, name: string): string {
  return step.at === "asking" ? `Deploy ${step.chosen.file.name} as the next version of ${name}?` : `Deploy the next version of ${name}`;
}

function useSteps({ part, then }: DeployProps) {
  const [step, setStep] = useState<Step>({ at: "choosing" });
  const abort = useRef(new AbortController());
  useEffect(() => () => abort.current.abort(), []);
  const go = async (chosen: Chosen) => {
    const { signal } = (abort.current = new AbortController());
    setStep({ at: "sending", chosen, share: 0 });
    try {
      const taken = await send(part.name, chosen, (share) => setStep({ at: "sending", chosen, share }), signal);
      setStep({ at: "done", taken, chosen });
      then();
    } catch (error) {
      setStep(signal.aborted ? { at: "asking", chosen } : { at: "refused", chosen, error });
    }
  };
  return { step, setStep, go, stop: () => abort.current.abort() };
}

function focusFirst(dialog: HTMLElement | null): void {
  const marked = [...(dialog?.querySelectorAll<HTMLElement>("[data-first]") ?? [])];
  marked.find((one) => one.offsetParent !== null)?.focus();
}

function DeployDialog(props: DeployProps & { close: () => void }) {
  const { part, application, running, component, close } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const { step, setStep, go, stop } = useSteps(props);
  const [wish, setWish] = useState<Wish>({ file: null, manifest: null, way: noShadow(part, application) === null ? "shadow" : "take-over" });
  useEffect(() => dialog.current?.showModal(), []);
  // Each step begins at its first button or field, as the one that was pressed is gone.
  useEffect(() => focusFirst(dialog.current), [step.at]);
  const choose = async (file: File) => setStep({ at: "asking", chosen: { ...wish, file, digest: await digestOf(file) } });
  return (
    // What is sent goes on without the dialog, and nobody would learn what became of it.
    <dialog ref={dialog} class="deploy" onClose={close} onCancel={(event) => step.at === "sending" && event.preventDefault()}
      aria-labelledby={heading}>
      <h2 id={heading}>{titleOf(step, part.name)}</h2>
      <div hidden={step.at !== "choosing"}>
        <Choose part={part} application={application} wish={wish} change={setWish} go={(file) => void choose(file)} close={close} />
      </div>
      {step.at === "asking" && (
        <Confirm chosen={step.chosen} part={part} running={running} component={component} back={() => setStep({ at: "choosing" })}
          go={() => void go(step.chosen)} />
      )}
      {step.at === "sending" && <Sending share={step.share} size={step.chosen.file.size} stop={stop} />}
      {step.at === "refused" && <Refusal error={step.error} back={() => setStep({ at: "choosing" })} close={close} />}
      {step.at === "done" && <Done taken={step.taken} way={step.chosen.way} close={close} />}
    </dialog>
  );
}
