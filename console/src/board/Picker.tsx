import { useId, useRef, useState } from "preact/hooks";
import type { SubjectRow } from "./data/subjects";
import { find } from "./logic/find";

const MOST = 12;

interface PickerProps {
  label: string;
  placeholder: string;
  rows: readonly SubjectRow[];
  choose: (key: string) => void;
  /** Whether `/` leads here. */
  isSearch?: boolean;
}

/** What is typed, what fits it, and which of that is marked. */
function useFinding({ rows, choose }: Pick<PickerProps, "rows" | "choose">) {
  const [typed, setTyped] = useState("");
  const [isOpen, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const found = isOpen ? find(rows, typed, MOST) : [];
  const marked = Math.min(at, found.length - 1);
  const close = () => {
    setTyped("");
    setOpen(false);
  };
  const type = (text: string) => {
    setTyped(text);
    setAt(0);
    setOpen(true);
  };
  const take = (row: SubjectRow | undefined) => {
    if (!row) return;
    choose(row.key);
    close();
  };
  const mark = (place: number) => {
    setAt(Math.max(0, Math.min(place, found.length - 1)));
    setOpen(true);
  };
  return { typed, isOpen, found, marked, close, type, take, mark, setOpen };
}

/** A box to search in and a list below it of what fits. */
export function Picker({ label, placeholder, rows, choose, isSearch }: PickerProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const finding = useFinding({ rows, choose });
  const { typed, isOpen, found, marked, mark } = finding;
  const take = (row: SubjectRow | undefined) => {
    finding.take(row);
    // What was chosen is shown there, and keys are no letters any more.
    if (row) input.current?.closest("main")?.focus({ preventScroll: true });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") mark(isOpen ? marked + 1 : 0);
    else if (event.key === "ArrowUp") mark(marked - 1);
    else if (event.key === "Enter") return take(found[marked]);
    else if (event.key === "Escape") return finding.close();
    else return;
    event.preventDefault();
  };
  return (
    <div class="picker">
      <input
        ref={input}
        type="search"
        role="combobox"
        aria-label={label}
        placeholder={placeholder}
        autocomplete="off"
        spellcheck={false}
        list={undefined}
        aria-expanded={isOpen && found.length > 0}
        aria-controls={`${id}-list`}
        aria-activedescendant={isOpen && found[marked] ? `${id}-${marked}` : undefined}
        data-search={isSearch ? "" : undefined}
        value={typed}
        onInput={(event) => finding.type(event.currentTarget.value)}
        onFocus={() => finding.setOpen(true)}
        onBlur={() => finding.setOpen(false)}
        onKeyDown={onKeyDown}
      />
      <Options id={id} label={label} found={found} marked={marked} take={take} />
      {isOpen && typed && found.length === 0 && (
        <p class="none-found" role="status">
          Nothing fits “{typed}”.
        </p>
      )}
    </div>
  );
}

interface OptionsProps {
  id: string;
  label: string;
  found: readonly SubjectRow[];
  marked: number;
  take: (row: SubjectRow) => void;
}

function Options({ id, label, found, marked, take }: OptionsProps) {
  return (
    <ul id={`${id}-list`} role="listbox" aria-label={label} hidden={found.length === 0}>
      {found.map((row, place) => (
        <li
          key={row.key}
          id={`${id}-${place}`}
          role="option"
          aria-selected={place === marked}
          // Before the box loses the focus, which closes the list.
          onPointerDown={(event) => {
            event.preventDefault();
            take(row);
          }}
        >
          {row.name}
          {row.name !== row.key && <span class="muted"> {row.key}</span>}
        </li>
      ))}
    </ul>
  );
}
