import { useEffect, useState } from "preact/hooks";
import { useAnswer } from "../../answer";
import { getAudit, getDiff, getVersions, named, post } from "../../api";
import { useLive } from "../../live";
import { Action } from "../../parts/Action";
import { Allowed } from "../../parts/Allowed";
import { Card } from "../../parts/Card";
import { Ago } from "../../parts/Figures";
import { short, word } from "../../parts/format";
import { Answered } from "../../parts/states";
import { Ticked } from "../../parts/Ticked";
import { useSession } from "../../session";
import type { Application, Entry, FunctionPart, VersionSummary } from "../../types";
import { inWords } from "../standing";
import { Deploy } from "./deploy/Deploy";

/** In what a version differs from another. */
function Changes({ name, from, to }: { name: string; from: string; to: string }) {
  const diff = useAnswer((signal) => getDiff(name, from, to, signal), [name, from, to]);
  return (
    <Answered answer={diff} what="what changed">
      {(lines) =>
        lines.length === 0 ? (
          <p class="muted">Nothing that can be told.</p>
        ) : (
          <ul class="plain">
            {lines.map((line) => (
              <li key={line}>
                <Ticked text={inWords(line)} />
              </li>
            ))}
          </ul>
        )
      }
    </Answered>
  );
}

interface RowProps {
  name: string;
  version: VersionSummary;
  before: VersionSummary | undefined;
  entry: Entry | undefined;
  again: () => void;
}

function Row({ name, version, before, entry, again }: RowProps) {
  const { may } = useSession();
  const [open, setOpen] = useState(false);
  const marks = [version.running && "in charge", version.filed && "as in spin.toml"].filter(Boolean).join(", ");
  const command = `isobar rollback ${word(name)} ${short(version.version)}`;
  return (
    <div class="entry">
      <div class="spread">
        <p>
          <code title={version.version}>{short(version.version)}</code> <Ago at_ms={version.at_ms} />
          {entry && ` by ${entry.who} (${entry.action})`} {marks && <strong>{marks}</strong>}
        </p>
        <div class="actions">
          {before && (
            <button type="button" class="quiet" aria-expanded={open} onClick={() => setOpen(!open)}>
              What changed
            </button>
          )}
          {may.deploy && !version.running && (
            <Action
              label="Roll back"
              title={`Put ${short(version.version)} in charge of ${name} again?`}
              command={command}
              act={() => post(named`/functions/${name}/rollback`, { version: version.version })}
              then={again}
              bare
            >
              <p>Each partition goes on with it after the batch that it has. Rows that another version wrote stay as they are.</p>
            </Action>
          )}
        </div>
      </div>
      {open && before && <Changes name={name} from={before.version} to={version.version} />}
    </div>
  );
}

/** The versions that are kept, the newest first: who put them in charge, when, and what changed. */
export function Versions({ part, application, then }: { part: FunctionPart; application: Application; then: () => void }) {
  const { name } = part;
  const versions = useAnswer((signal) => getVersions(name, signal), [name]);
  const audit = useAnswer((signal) => getAudit(1000, signal), []);
  const entryOf = (version: VersionSummary) =>
    audit.value?.find((entry) => entry.function === name && entry.version === version.version && entry.refused === null);
  const again = () => {
    versions.again();
    audit.again();
  };
  const { pulses } = useLive();
  const inCharge = pulses.at(-1)?.functions[name]?.version;
  const running = versions.value?.find((version) => version.running);
  const shown = running?.version;
  // Another one may have taken over by what was done elsewhere: by a promotion, in a terminal, or by the host itself.
  useEffect(() => {
    if (inCharge && shown && !shown.startsWith(inCharge)) again();
  }, [inCharge]);
  const deployed = () => {
    again();
    then();
  };
  const actions = (
    <Allowed need="deploy" to="deploy or roll back">
      <Deploy part={part} application={application} running={shown ?? part.version} component={running?.component} then={deployed} />
    </Allowed>
  );
  return (
    <Card title="Versions" actions={actions} wide>
      <Answered answer={versions} what="versions">
        {(list) =>
          list.length === 0 ? (
            <p class="muted">No version is kept yet.</p>
          ) : (
            <div class="entries">
              {list.map((version, at) => (
                <Row
                  key={version.version}
                  name={name}
                  version={version}
                  before={list[at + 1]}
                  entry={entryOf(version)}
                  again={again}
                />
              ))}
            </div>
          )
        }
      </Answered>
    </Card>
  );
}
