import { useAnswer } from "../../answer";
import { getLetters } from "../../api";
import { Card } from "../../parts/Card";
import { Ago } from "../../parts/Figures";
import { count, short } from "../../parts/format";
import { Answered } from "../../parts/states";
import type { Failure, LettersPage } from "../../types";
import { useNewLetters } from "../newLetters";
import { Reason } from "../Reason";

const SHOWN = 5;

function Letters({ name, page }: { name: string; page: LettersPage }) {
  const newest = [...page.letters].reverse().slice(0, SHOWN);
  return (
    <div class="entries">
      {newest.map((letter) => (
        <div class="entry" key={`${letter.topic}/${letter.partition}/${letter.offset}`}>
          <p class="muted">
            <Ago at_ms={letter.at_ms} /> · {letter.from_topic}/{letter.from_partition} at {letter.from_offset} · version{" "}
            <code>{short(letter.version)}</code> · <a href={hrefOf(name)}>dead letter {letter.offset}</a>
          </p>
          <Reason reason={letter.reason} frames={letter.frames} />
        </div>
      ))}
    </div>
  );
}

const hrefOf = (name: string) => `/dead-letters?function=${encodeURIComponent(name)}`;

/** What failed last: deliveries that are tried again, and records that were put aside. */
export function Failures({ name, failures }: { name: string; failures: Failure[] }) {
  const letters = useAnswer((signal) => getLetters(name, { limit: 1000 }, signal), [name]);
  useNewLetters([name], letters.again);
  const open = letters.value?.open ?? 0;
  return (
    <Card
      title="Last failures"
      wide
      actions={open > 0 && <a href={hrefOf(name)}>{count(open, "open dead letter")}</a>}
    >
      {failures.map((failure) => (
        <div class="entry" key={`${failure.source}/${failure.partition}`}>
          <p class="muted">
            <Ago at_ms={failure.at_ms} /> · {failure.source}/{failure.partition} · tried {count(failure.attempt, "time")}, goes on
          </p>
          <Reason reason={failure.reason} />
        </div>
      ))}
      <Answered answer={letters} what="dead letters">
        {(page) =>
          page.letters.length + failures.length === 0 ? (
            <p class="muted">Nothing failed that is still open.</p>
          ) : (
            <Letters name={name} page={page} />
          )
        }
      </Answered>
    </Card>
  );
}
