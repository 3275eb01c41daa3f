import { useState } from "preact/hooks";
import { useAnswer } from "../answer";
import { getLetters } from "../api";
import { useApplication } from "../application";
import { Allowed } from "../parts/Allowed";
import { Card } from "../parts/Card";
import { CopyCommand } from "../parts/CopyCommand";
import { Ago } from "../parts/Figures";
import { count, number, word } from "../parts/format";
import { Answered, Empty } from "../parts/states";
import { Ticked } from "../parts/Ticked";
import { setQuery, useRoute } from "../route";
import { type FunctionLetter, type Group, grouped } from "./letters";
import { Decide, Letter } from "./letters/Letter";
import "./machine.css";
import { useNewLetters } from "./newLetters";

/** Most letters of a function that are asked for. */
const MOST = 1000;
/** Letters of a group that are shown at first. */
const SHOWN = 10;

interface Found {
  letters: FunctionLetter[];
  /** How many are open, by function. */
  open: Map<string, number>;
  /** Functions that have more letters than were asked for. */
  more: string[];
}

async function find(functions: string[], all: boolean, signal: AbortSignal): Promise<Found> {
  const found: Found = { letters: [], open: new Map(), more: [] };
  // One after the other: the host answers few long reads at one time.
  for (const name of functions) {
    const page = await getLetters(name, { limit: MOST, all }, signal);
    found.letters.push(...page.letters.map((letter) => ({ ...letter, function: name })));
    found.open.set(name, page.open);
    if (page.more) found.more.push(name);
  }
  return found;
}

function GroupCard({ group, first, all, again }: { group: Group; first: boolean; all: number; again: () => void }) {
  const [shown, setShown] = useState(SHOWN);
  const open = group.letters.filter((letter) => letter.fate === null);
  const isAll = open.length === all && open.length > 1;
  return (
    <Card
      wide
      title={
        <>
          <a href={`/functions/${encodeURIComponent(group.function)}`}>{group.function}</a>{" "}
          <span class="muted">
            {open.length > 0 ? `${number(open.length)} open` : "all settled"}, newest <Ago at_ms={group.newest_ms} />
          </span>
        </>
      }
      actions={
        open.length > 1 && (
          <Allowed need="operate" to="redrive or drop them">
            <Decide letters={open} all={isAll ? all : null} again={again} />
          </Allowed>
        )
      }
    >
      <p class="failure">
        <Ticked text={group.reason} />
      </p>
      <div class="entries">
        {group.letters.slice(0, shown).map((letter, at) => (
          <Letter
            key={`${letter.topic}/${letter.partition}/${letter.offset}`}
            letter={letter}
            opened={first && at === 0 && letter.fate === null}
            again={again}
          />
        ))}
      </div>
      {group.letters.length > shown && (
        <div class="actions">
          <button type="button" onClick={() => setShown(shown + 100)}>
            Show {number(Math.min(100, group.letters.length - shown))} more of {number(group.letters.length)}
          </button>
        </div>
      )}
    </Card>
  );
}

function Choice({ functions, chosen, all }: { functions: string[]; chosen: string | null; all: boolean }) {
  return (
    <div class="actions">
      <select
        aria-label="Function"
        value={chosen ?? ""}
        onChange={(event) => setQuery({ function: event.currentTarget.value || null })}
      >
        <option value="">All functions</option>
        {functions.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      <label>
        <input type="checkbox" checked={all} onChange={(event) => setQuery({ all: event.currentTarget.checked ? "true" : null })} /> settled
        ones too
      </label>
    </div>
  );
}

function Groups({ found, all, again }: { found: Found; all: boolean; again: () => void }) {
  const groups = grouped(found.letters);
  if (groups.length === 0) {
    return (
      <Empty title={all ? "There is no dead letter." : "No dead letter is open."}>
        A record that a function cannot handle comes here with its story, and the rest goes on.
      </Empty>
    );
  }
  return (
    <div class="cards">
      {found.more.length > 0 && (
        <p class="muted wide">
          Only the oldest {number(MOST)} of {found.more.join(", ")} are shown; redriving or dropping all of a function takes in the rest.
        </p>
      )}
      {groups.map((group, at) => (
        <GroupCard
          key={`${group.function}\n${group.reason}`}
          group={group}
          first={at === 0}
          all={found.open.get(group.function) ?? 0}
          again={again}
        />
      ))}
    </div>
  );
}

function Parts({ functions }: { functions: string[] }) {
  const { query } = useRoute();
  const chosen = query.get("function");
  const all = query.get("all") === "true";
  const asked = chosen ? [chosen] : functions;
  const found = useAnswer((signal) => find(asked, all, signal), [asked, all]);
  useNewLetters(asked, found.again);
  const open = [...(found.value?.open.values() ?? [])].reduce((sum, each) => sum + each, 0);
  return (
    <>
      <div class="head">
        <h1>Dead letters</h1>
        <span class="muted">{found.value && count(open, "open one")}</span>
        <span class="end actions">
          <Choice functions={functions} chosen={chosen} all={all} />
          <CopyCommand command={`isobar dead-letters list ${word(chosen ?? functions[0] ?? "FUNCTION")}`} short />
        </span>
      </div>
      <Answered answer={found} what="dead letters">
        {(value) => <Groups found={value} all={all} again={found.again} />}
      </Answered>
    </>
  );
}

/** Records that functions could not handle, by function and reason. */
export default function DeadLetters() {
  const application = useApplication();
  return (
    <Answered answer={application} what="the application">
      {({ functions }) => <Parts functions={functions.map(({ name }) => name)} />}
    </Answered>
  );
}
