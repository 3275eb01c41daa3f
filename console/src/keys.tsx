/** What can be done by keys alone. */

import { useEffect, useRef, useState } from "preact/hooks";
import { go } from "./route";

const PAGES: Record<string, string> = { w: "/", f: "/flow", t: "/topics", d: "/dead-letters", b: "/tables", a: "/audit" };
/** How long after `g` the second key may come. */
const PAUSE_MS = 1500;

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName);
}

/** Where `/` leads: to what a page marks as its search. */
function focusSearch(): boolean {
  const search = document.querySelector<HTMLInputElement>("[data-search]");
  search?.focus();
  search?.select?.();
  return search !== null;
}

export function useKeys(): { shown: boolean; open: () => void; close: () => void } {
  const [shown, setShown] = useState(false);
  const since = useRef(0);
  useEffect(() => {
    const listener = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (document.querySelector("dialog[open]")) return;
      const to = PAGES[event.key];
      const isSecond = event.timeStamp - since.current < PAUSE_MS;
      since.current = event.key === "g" ? event.timeStamp : 0;
      if (isSecond && to) go(to);
      else if (event.key === "?") setShown(true);
      else if (event.key !== "/" || !focusSearch()) return;
      event.preventDefault();
    };
    document.addEventListener("keydown", listener);
    return () => document.removeEventListener("keydown", listener);
  }, []);
  return { shown, open: () => setShown(true), close: () => setShown(false) };
}

export function KeysDialog({ close, board }: { close: () => void; board: string }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const keys: [string[], string][] = [
    [["/"], "Search on this page"],
    [["g", "w"], board],
    [["g", "f"], "Flow"],
    [["g", "t"], "Topics"],
    [["g", "d"], "Dead letters"],
    [["g", "b"], "Tables"],
    [["g", "a"], "Audit"],
    [["?"], "This list"],
    [["Esc"], "Close"],
  ];
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">
        {keys.map(([strokes, meaning]) => (
          <div key={meaning}>
            <dt>
              {strokes.map((stroke) => (
                <kbd key={stroke}>{stroke}</kbd>
              ))}
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <div class="actions">
        <button type="button" onClick={close}>
          Close
        </button>
      </div>
    </dialog>
  );
}
