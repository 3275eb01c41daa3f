import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface CardProps {
  title: ComponentChildren;
  /** What can be done with it, at the right of its title. */
  actions?: ComponentChildren;
  /** A sentence or source at its foot. */
  note?: ComponentChildren;
  wide?: boolean;
  id?: string;
  children: ComponentChildren;
}

/** A part of a page with a plain title. */
export function Card({ title, actions, note, wide, id, children }: CardProps) {
  const heading = useId();
  return (
    <section class={wide ? "card wide" : "card"} id={id} aria-labelledby={heading}>
      <header>
        <h2 id={heading}>{title}</h2>
        {actions && <div class="actions">{actions}</div>}
      </header>
      <div class="body">{children}</div>
      {note && <footer>{note}</footer>}
    </section>
  );
}
