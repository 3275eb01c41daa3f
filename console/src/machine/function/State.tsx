import { useState } from "preact/hooks";
import { useAnswer } from "../../answer";
import { getState } from "../../api";
import { Card } from "../../parts/Card";
import { CopyCommand } from "../../parts/CopyCommand";
import { bytes, word } from "../../parts/format";
import { Answered } from "../../parts/states";
import type { StateEntry } from "../../types";
import { decode } from "../records";

const SHOWN = 8;

function EntryView({ entry }: { entry: StateEntry }) {
  return (
    <details>
      <summary>
        <code>{entry.key}</code>{" "}
        <span class="muted">
          partition {entry.partition}, {bytes(entry.bytes)}
        </span>
      </summary>
      {entry.value === null ? <p class="muted">Too large to be shown here.</p> : <pre>{decode(entry.value).text}</pre>}
    </details>
  );
}

/** What the function keeps, by key. */
export function State({ name }: { name: string }) {
  const [prefix, setPrefix] = useState("");
  const state = useAnswer((signal) => getState(name, prefix, SHOWN, signal), [prefix], { keep: true });
  return (
    <Card title="State" wide actions={<CopyCommand command={`isobar state list ${word(name)}`} short />}>
      <input
        type="search"
        aria-label="Keys that begin with"
        placeholder="Keys that begin with …"
        value={prefix}
        onInput={(event) => setPrefix(event.currentTarget.value)}
      />
      <Answered answer={state} what="state">
        {({ entries, more }) => (
          <>
            {entries.length === 0 && <p class="muted">{prefix ? "No key begins so." : "It keeps nothing yet."}</p>}
            {entries.map((entry) => (
              <EntryView key={`${entry.partition} ${entry.key}`} entry={entry} />
            ))}
            {more && <p class="muted">There are more: write how the key begins.</p>}
          </>
        )}
      </Answered>
    </Card>
  );
}
