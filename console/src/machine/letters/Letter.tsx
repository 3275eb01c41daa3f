import { useState } from "preact/hooks";
import { useAnswer } from "../../answer";
import { getRecords, named, post } from "../../api";
import { Action } from "../../parts/Action";
import { Allowed } from "../../parts/Allowed";
import { Ago, Moment } from "../../parts/Figures";
import { short, word } from "../../parts/format";
import type { RecordView } from "../../types";
import { type FunctionLetter, story } from "../letters";
import { Reason } from "../Reason";
import { RecordDetail } from "../RecordDetail";
import { decode, keyLine } from "../records";

/** The record as it came, where it is still kept and may be seen: the letter does not say when it came. */
async function origin(letter: FunctionLetter, signal: AbortSignal): Promise<RecordView | null> {
  const { from_topic, from_partition: partition, from_offset: from } = letter;
  try {
    const { records } = await getRecords(from_topic, { partition, from, limit: 1 }, signal);
    return records.find((record) => record.offset === from) ?? null;
  } catch {
    return null;
  }
}

function Story({ letter }: { letter: FunctionLetter }) {
  const record = useAnswer((signal) => origin(letter, signal), [letter.from_topic, letter.from_partition, letter.from_offset]);
  return (
    <ol class="timeline">
      {story(letter, record.value?.timestamp_ms ?? null).map((event) => (
        <li key={event.what}>
          {event.href ? <a href={event.href}>{event.what}</a> : event.what}{" "}
          {event.at_ms !== null && (
            <span class="muted">
              <Moment at_ms={event.at_ms} />
            </span>
          )}
        </li>
      ))}
    </ol>
  );
}

export function Decide({ letters, all, again }: { letters: FunctionLetter[]; all: number | null; again: () => void }) {
  const name = letters[0]?.function ?? "";
  const many = all ?? letters.length;
  const what = many === 1 ? "1 dead letter" : `${many} dead letters`;
  const offsets = all === null ? letters.map((letter) => letter.offset) : [];
  const which = all === null ? offsets.join(" ") : "--all";
  const settle = (how: "redrive" | "drop") => () => post(`${named`/functions/${name}/dead-letters`}/${how}`, { offsets });
  const these = all !== null ? `all ${all}` : many === 1 ? "" : `these ${many}`;
  return (
    <div class="actions">
      <Action
        label={`Redrive ${these}`.trim()}
        verb="Redrive"
        title={`Send ${what} back to ${name}?`}
        command={`isobar dead-letters redrive ${word(name)} ${which}`}
        act={settle("redrive")}
        then={again}
        bare
      >
        <p>Their records go to this function and to no other. What it cannot handle becomes a dead letter again.</p>
      </Action>
      <Action
        label={`Drop ${these}`.trim()}
        verb="Drop"
        title={`Give up ${what} of ${name}?`}
        grave
        command={`isobar dead-letters drop ${word(name)} ${which}`}
        act={settle("drop")}
        then={again}
        bare
      >
        <p>Their records will not be handled by it. This cannot be taken back.</p>
      </Action>
    </div>
  );
}

interface LetterProps {
  letter: FunctionLetter;
  opened: boolean;
  again: () => void;
}

function Detail({ letter, again }: { letter: FunctionLetter; again: () => void }) {
  const isHidden = letter.key === null && letter.value === null;
  return (
    <div class="letter">
      <Reason reason={letter.reason} frames={letter.frames} />
      <Story letter={letter} />
      {isHidden ? (
        <p class="muted">The record is hidden, or has neither key nor value.</p>
      ) : (
        <RecordDetail payloadKey={letter.key} value={letter.value} />
      )}
      {letter.fate === null && (
        <Allowed need="operate" to="redrive or drop it">
          <Decide letters={[letter]} all={null} again={again} />
        </Allowed>
      )}
    </div>
  );
}

/** A dead letter in a line; it opens to its story and its record. */
export function Letter({ letter, opened, again }: LetterProps) {
  const [open, setOpen] = useState(opened);
  return (
    <div class="entry">
      <button type="button" class="row" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span class="fold" aria-hidden="true">
          {open ? "▾" : "▸"}
        </span>{" "}
        {letter.offset} · <Ago at_ms={letter.at_ms} /> · {letter.from_topic}/{letter.from_partition} at {letter.from_offset} · version{" "}
        {short(letter.version)}
        {letter.fate && ` · ${letter.fate}`}
        <span class="muted ellipsis">
          {" "}
          {letter.key !== null && <code>{keyLine(letter.key)}</code>}{" "}
          {!open && letter.value !== null && <code>{decode(letter.value).line}</code>}
        </span>
      </button>
      {open && <Detail letter={letter} again={again} />}
    </div>
  );
}
