import { useAnswer, useEvery } from "../../answer";
import { getLogs } from "../../api";
import { Card } from "../../parts/Card";
import { CopyCommand } from "../../parts/CopyCommand";
import { moment, word } from "../../parts/format";
import { Answered } from "../../parts/states";

/** The last lines that the function wrote. */
export function Logs({ name }: { name: string }) {
  const logs = useAnswer((signal) => getLogs(name, 50, signal), [name]);
  useEvery(5, logs.again);
  return (
    <Card title="Last lines, the newest first" wide actions={<CopyCommand command={`isobar logs ${word(name)} --follow`} short />}>
      <Answered answer={logs} what="lines">
        {({ lines }) =>
          lines.length === 0 ? (
            <p class="muted">It wrote nothing since the host began. Of a function that reads what is sensitive nothing is kept.</p>
          ) : (
            <pre class="log" tabIndex={0} aria-label="Last lines">
              {[...lines].reverse().map((line) => `${moment(line.at_ms).slice(11, 19)}  ${line.line}\n`).join("")}
            </pre>
          )
        }
      </Answered>
    </Card>
  );
}
