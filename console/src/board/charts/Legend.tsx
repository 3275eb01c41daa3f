export interface LegendEntry {
  label: string;
  colour: string;
  mark: "line" | "dash" | "area" | "hollow";
}

/** What the marks of a chart mean; text, so that it is read and copied as such. */
export function Legend({ entries }: { entries: readonly LegendEntry[] }) {
  return (
    <ul class="legend">
      {entries.map((entry) => (
        <li key={entry.label}>
          <span class={`mark ${entry.mark}`} style={{ color: entry.colour }} aria-hidden="true" />
          {entry.label}
        </li>
      ))}
    </ul>
  );
}
