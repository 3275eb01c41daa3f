import { useEffect, useState } from "preact/hooks";
import { setQuery } from "../../route";
import { parseMoment } from "../records";

export interface Place {
  partition: number | null;
  from: number | null;
  at: string | null;
}

interface FieldProps {
  title: string;
  size: number;
  value: string;
  placeholder: string;
  bad?: boolean;
  set: (value: string) => void;
}

function Field({ title, size, value, placeholder, bad, set }: FieldProps) {
  return (
    <label>
      {title}
      <input
        size={size}
        value={value}
        placeholder={placeholder}
        aria-invalid={bad}
        onInput={(event) => set(event.currentTarget.value)}
      />
    </label>
  );
}

function Partition({ chosen, partitions }: { chosen: number | null; partitions: number[] }) {
  return (
    <label>
      Partition
      <select
        value={chosen === null ? "" : String(chosen)}
        onChange={(event) => setQuery({ partition: event.currentTarget.value || null })}
      >
        <option value="">All</option>
        {partitions.map((partition) => (
          <option key={partition} value={String(partition)}>
            {partition}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A text of the address that is changed before it is looked for. */
function useDraft(text: string): [string, (text: string) => void] {
  const [draft, setDraft] = useState(text);
  useEffect(() => setDraft(text), [text]);
  return [draft, setDraft];
}

interface SearchProps {
  place: Place;
  partitions: number[];
  filter: string;
  setFilter: (filter: string) => void;
}

/** Where in the topic one looks: all of it is in the address. */
export function Search({ place, partitions, filter, setFilter }: SearchProps) {
  const [from, setFrom] = useDraft(place.from === null ? "" : String(place.from));
  const [at, setAt] = useDraft(place.at ?? "");
  const bad = at.trim() !== "" && parseMoment(at) === null;
  const look = (event: Event) => {
    event.preventDefault();
    if (bad) return;
    const offset = /^\d+$/.test(from.trim()) ? from.trim() : null;
    setQuery(at.trim() ? { at: at.trim(), from: null } : { from: offset, at: null });
  };
  return (
    <form class="fields" onSubmit={look}>
      <Partition chosen={place.partition} partitions={partitions} />
      <Field title="From offset" size={10} value={from} placeholder="newest first" set={setFrom} />
      <Field title="From time, UTC" size={20} value={at} placeholder="2024-05-01 12:30" bad={bad} set={setAt} />
      <button type="submit">Look</button>
      {(place.from !== null || place.at !== null) && (
        <button type="button" onClick={() => setQuery({ from: null, at: null })}>
          Newest first
        </button>
      )}
      <label class="grow">
        Only with
        <input
          data-search
          type="search"
          value={filter}
          placeholder="part of a key or value"
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
      </label>
      {bad && <p class="failure">Write a time as 2024-05-01 or 2024-05-01 12:30.</p>}
    </form>
  );
}
