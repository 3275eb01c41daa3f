import { named, post } from "../../api";
import { Action } from "../../parts/Action";
import { Allowed } from "../../parts/Allowed";
import { word } from "../../parts/format";
import type { FunctionPart, SourceStatus } from "../../types";
import { isStopped } from "../standing";

interface ActionsProps {
  part: FunctionPart;
  sources: SourceStatus[];
  again: () => void;
}

type How = "run" | "resume" | "pause";

const WORDS: Record<How, { label: string; title: (name: string) => string; text: string }> = {
  run: {
    label: "Run now",
    title: (name) => `Run ${name} now?`,
    text: "It runs once beside its schedule, as if it were due.",
  },
  resume: {
    label: "Resume",
    title: (name) => `Let ${name} go on?`,
    text: "It goes on where it stopped. If it stopped because it lost too many records, its next batch goes on whatever it loses.",
  },
  pause: {
    label: "Pause",
    title: (name) => `Let ${name} stand still?`,
    text: "It stops after the batch that it has, until it is resumed. What comes meanwhile waits for it.",
  },
};

/** What can be done with a function that runs. */
export function Actions({ part, sources, again }: ActionsProps) {
  const { name } = part;
  const stopped = isStopped(sources);
  const scheduled = part.triggers.some((trigger) => trigger.cron);
  const possible: How[] = stopped ? ["resume"] : scheduled ? ["run", "pause"] : ["pause"];
  return (
    <Allowed need="operate" to="pause it or let it go on">
      <div class="actions">
        {possible.map((how) => (
          <Action
            key={how}
            label={WORDS[how].label}
            title={WORDS[how].title(name)}
            command={`isobar ${how} ${word(name)}`}
            act={() => post(`${named`/functions/${name}`}/${how}`)}
            then={again}
          >
            <p>{WORDS[how].text}</p>
          </Action>
        ))}
      </div>
    </Allowed>
  );
}
