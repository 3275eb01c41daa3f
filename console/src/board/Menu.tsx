import { useEffect, useRef } from "preact/hooks";

interface Entry {
  title: string;
  act: () => void;
}

/** A few things that can be done, behind one button. */
export function Menu({ label, entries }: { label: string; entries: readonly Entry[] }) {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = (focus: boolean) => {
    if (!menu.current?.open) return;
    menu.current.open = false;
    if (focus) menu.current.querySelector("summary")?.focus();
  };
  useEffect(() => {
    const outside = (event: Event) => event.target instanceof Node && !menu.current?.contains(event.target) && close(false);
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, []);
  return (
    <details class="menu" ref={menu} onKeyDown={(event) => event.key === "Escape" && close(true)}>
      <summary aria-label={label} title={label}>
        ⋯
      </summary>
      <ul>
        {entries.map((entry) => (
          <li key={entry.title}>
            <button
              type="button"
              onClick={() => {
                close(true);
                entry.act();
              }}
            >
              {entry.title}
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}
