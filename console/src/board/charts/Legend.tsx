export interface LegendEntry {
  label: string;
  colour: string;
  mark: "line" | "dash" | "area" | "hollow";
  /** Which line of the chart it is; none for what is not shown alone. */
  line?: number;
}

interface LegendProps {
  entries: readonly LegendEntry[];
  /** The line that is shown alone. */
  only?: number | null;
  /** Shows a line alone, or all again. */
  choose?: (only: number | null) => void;
  /** What else is to be known of the marks. */
  note?: string | null;
}

/** What the marks of a chart mean; text, so that it is read and copied as such. */
export function Legend({ entries, only = null, choose, note }: LegendProps) {
  return (
    <ul class="legend">
      {entries.map((entry) => {
        const { line, label } = entry;
        const mark = <span class={`mark ${entry.mark}`} style={{ color: entry.colour }} aria-hidden="true" />;
        return (
          <li key={label} class={only !== null && line !== undefined && line !== only ? "off" : undefined}>
            {choose && line !== undefined ? (
              <button type="button" class="entry" aria-pressed={only === line} title={only === line ? "Show all" : `Show ${label} alone`}
                onClick={() => choose(only === line ? null : line)}>
                {mark}
                {label}
              </button>
            ) : (
              <>
                {mark}
                {label}
              </>
            )}
          </li>
        );
      })}
      {note && <li>{note}</li>}
    </ul>
  );
}
