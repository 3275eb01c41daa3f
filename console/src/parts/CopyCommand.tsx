import { useEffect, useState } from "preact/hooks";

/** How long it is said that something was copied. */
const SAID_MS = 2000;

/** A command that does the same in a terminal, to be copied. `short` shows it only where one points at it. */
export function CopyCommand({ command, short = false }: { command: string; short?: boolean }) {
  const [said, setSaid] = useState<"copied" | "not copied" | null>(null);
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(null), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
      setSaid("copied");
    } catch {
      setSaid("not copied");
    }
  };
  return (
    <span class="command">
      {!short && <code>{command}</code>}
      <button type="button" class="quiet" title={command} aria-label={`Copy as command line: ${command}`} onClick={() => void copy()}>
        {said ?? (short ? "Copy as command line" : "Copy")}
      </button>
      <span class="unseen" role="status">
        {said ?? ""}
      </span>
    </span>
  );
}
