// What is shown and when: always in sight.

import { setQuery } from "../route";
import type { SubjectRow } from "./data/subjects";
import type { Subject } from "./logic/dashboard";
import { type Bounds, PERIODS, type Period, boundsText, queryOf } from "./logic/period";
import { dayOf, dayText } from "./logic/days";
import { isolated } from "./logic/isolated";
import { withUnit } from "./logic/numbers";
import { decimals } from "./logic/frame";
import { Picker } from "./Picker";

interface BarProps {
  subject: Subject;
  rows: readonly SubjectRow[];
  chosen: readonly SubjectRow[];
  period: Period;
  bounds: Bounds;
  choose: (key: string) => void;
  compare: (key: string | null) => void;
}

export function Bar({ subject, rows, chosen, period, bounds, choose, compare }: BarProps) {
  const [first, second] = chosen;
  const others = rows.filter((row) => row.key !== first?.key);
  return (
    <div class="bar">
      <Picker label={`Choose: ${subject.title}`} placeholder={`${subject.title}: name or key  /`} rows={rows} choose={choose} isSearch />
      {first && <Chosen row={first} subject={subject} place={0} />}
      {second && (
        <>
          <Chosen row={second} subject={subject} place={1} />
          <button type="button" class="quiet" aria-label={`Stop comparing with ${second.name}`} title="Stop comparing" onClick={() => compare(null)}>
            ×
          </button>
        </>
      )}
      {first && !second && others.length > 0 && (
        <Picker label="Compare with" placeholder="Compare with …" rows={others} choose={compare} />
      )}
      <Periods period={period} bounds={bounds} />
    </div>
  );
}

function Chosen({ row, subject, place }: { row: SubjectRow; subject: Subject; place: number }) {
  const details = (subject.details ?? []).flatMap((detail) => {
    const cell = row.cells[detail.column];
    if (!cell) return [];
    const value = detail.unit ? withUnit(Number(cell), decimals(cell), detail.unit) : isolated(cell);
    return [detail.title ? `${detail.title} ${value}` : value];
  });
  return (
    <p class={`chosen subject-${place}`}>
      <strong>{row.name}</strong>
      <span class="muted">{[row.name === row.key ? "" : row.key, ...details].filter(Boolean).join(" · ")}</span>
    </p>
  );
}

function Periods({ period, bounds }: { period: Period; bounds: Bounds }) {
  const choose = (next: Period) => setQuery(queryOf(next));
  const set = (end: "from" | "to", text: string) => {
    const day = dayOf(text);
    if (text && Number.isNaN(day)) return;
    const { [end]: _, ...rest } = period;
    choose({ ...rest, name: "dates", ...(text && { [end]: day }) });
  };
  const named = (name: Period["name"]): Period => {
    if (name !== "dates") return { name };
    const from = Number.isFinite(bounds.from) ? { from: bounds.from } : {};
    return { name, ...from, ...(Number.isFinite(bounds.to) && { to: bounds.to }) };
  };
  return (
    <div class="periods">
      <div class="choices" role="group" aria-label="Period">
        {PERIODS.map((one) => (
          <button key={one.name} type="button" aria-pressed={one.name === period.name} onClick={() => choose(named(one.name))}>
            {one.title}
          </button>
        ))}
      </div>
      {period.name === "dates" ? (
        <span class="dates">
          <input type="date" aria-label="First day" value={period.from === undefined ? "" : dayText(period.from)} onChange={(event) => set("from", event.currentTarget.value)} />
          {" to "}
          <input type="date" aria-label="Last day" value={period.to === undefined ? "" : dayText(period.to)} onChange={(event) => set("to", event.currentTarget.value)} />
        </span>
      ) : (
        <span class="muted">{boundsText(bounds)}</span>
      )}
    </div>
  );
}
