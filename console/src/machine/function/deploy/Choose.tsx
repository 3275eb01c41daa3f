import { useId, useState } from "preact/hooks";
import { bytes } from "../../../parts/format";
import { Ticked } from "../../../parts/Ticked";
import type { Application, FunctionPart } from "../../../types";
import { MOST_BYTES, type Way } from "./sending";
import { noShadow, unfit } from "./words";

export interface Wish {
  file: File | null;
  manifest: File | null;
  way: Way;
}

interface ChooseProps {
  part: FunctionPart;
  application: Application;
  wish: Wish;
  change: (wish: Wish) => void;
  go: (file: File) => void;
  close: () => void;
}

/** Which file, and whether it is tried first. */
export function Choose({ part, application, wish, change, go, close }: ChooseProps) {
  const [fault, setFault] = useState<string | null>(null);
  const [said, about] = [useId(), useId()];
  const next = (event: Event) => {
    event.preventDefault();
    const wrong = wish.file ? unfit(wish.file) : "choose the component that was built, such as `target/wasm32-wasip2/release/….wasm`";
    setFault(wrong);
    if (wrong === null && wish.file) go(wish.file);
  };
  // A file that was built anew under the same name counts as another one, and a browser tells of no change where the name is the same.
  const forget = (event: Event) => ((event.currentTarget as HTMLInputElement).value = "");
  const takes = (event: Event) => (event.currentTarget as HTMLInputElement).files?.[0] ?? null;
  return (
    <form class="lines" onSubmit={next}>
      <label class="file">
        The component that was built (.wasm), {bytes(MOST_BYTES)} at the most
        <input type="file" accept=".wasm,application/wasm" data-first aria-invalid={fault !== null}
          aria-describedby={fault === null ? undefined : said} onClick={(event) => {
            forget(event);
            change({ ...wish, file: null });
          }} onChange={(event) => change({ ...wish, file: takes(event) })} />
      </label>
      <p class="failure" id={said} role="alert">
        {fault !== null && <Ticked text={fault} />}
      </p>
      <label class="file">
        <span>
          A <code>spin.toml</code>, if what it says of the function has changed
        </span>
        <input type="file" accept=".toml" aria-describedby={about} onClick={(event) => {
            forget(event);
            change({ ...wish, manifest: null });
          }} onChange={(event) => change({ ...wish, manifest: takes(event) })} />
      </label>
      <p class="muted" id={about}>
        Without one, grants and limits stay as they are now. What others share with the function is changed by{" "}
        <code>isobar deploy --all</code>.
      </p>
      <Ways part={part} application={application} way={wish.way} choose={(way) => change({ ...wish, way })} />
      <div class="actions">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="main">
          Next
        </button>
      </div>
    </form>
  );
}

const WAYS: { way: Way; title: string }[] = [
  { way: "shadow", title: "As a shadow first: it writes nothing until it is promoted" },
  { way: "take-over", title: "It takes over at once" },
];

interface WaysProps extends Pick<ChooseProps, "part" | "application"> {
  way: Way;
  choose: (way: Way) => void;
}

function Ways({ part, application, way, choose }: WaysProps) {
  const group = useId();
  const without = noShadow(part, application);
  return (
    <fieldset>
      <legend class="unseen">How it begins</legend>
      {WAYS.map((one) => (
        <label key={one.way}>
          <input type="radio" name={group} checked={way === one.way} disabled={one.way === "shadow" && without !== null}
            onChange={() => choose(one.way)} />
          {one.title}
        </label>
      ))}
      {without !== null && (
        <p class="muted">
          Not as a shadow: <Ticked text={without} />.
        </p>
      )}
    </fieldset>
  );
}
