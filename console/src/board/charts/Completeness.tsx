import type { CompletenessChart } from "../logic/dashboard";
import { slice } from "../logic/frame";
import { sharesByMonth } from "../logic/months";
import { percent } from "../logic/numbers";
import type { Sheet } from "../logic/sheet";
import type { Kind, KindProps, Seen } from "./types";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function sharesOf({ chart, seen, context: { bounds } }: KindProps<CompletenessChart>): { one: Seen; years: Map<number, Float64Array> }[] {
  return seen.map((one) => ({ one, years: sharesByMonth(slice(one.frame, bounds.from, bounds.to), chart.column) }));
}

/** So much of the hue, in percent, that its number can be read on it, light and dark. */
const MOST_HUE = 50;

/** From paper, where there is nothing, to half the hue; a share of all is told from nearly all by its number. */
function shaded(share: number) {
  const part = Math.round(share * MOST_HUE);
  return { background: `color-mix(in srgb, var(--accent) ${part}%, var(--paper))`, color: "var(--ink)" };
}

function Heat({ years, name }: { years: Map<number, Float64Array>; name: string }) {
  return (
    <div class="table heat" role="region" aria-label={name} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Year</th>
            {MONTHS.map((month) => (
              <th key={month} scope="col">
                {month}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {[...years].reverse().map(([year, shares]) => (
            <tr key={year}>
              <th scope="row">{year}</th>
              {Array.from(shares, (share, month) =>
                Number.isNaN(share) ? (
                  <td key={month} />
                ) : (
                  <td key={month} style={shaded(share)} title={`${year}-${String(month + 1).padStart(2, "0")}: ${(share * 100).toFixed(1)} %`}>
                    {percent(share)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Body(props: KindProps<CompletenessChart>) {
  const all = sharesOf(props);
  return (
    <>
      {all.map(({ one, years }, place) => (
        <div key={one.key}>
          {all.length > 1 && <h3 class={`subject-${place}`}>{one.name}</h3>}
          <Heat years={years} name={`${props.chart.title}, ${one.name}`} />
        </div>
      ))}
    </>
  );
}

function sheet(props: KindProps<CompletenessChart>): Sheet {
  const rows = sharesOf(props).flatMap(({ one, years }) =>
    [...years].flatMap(([year, shares]) =>
      Array.from(shares, (share, month) => [one.key, year, month + 1, Number(share.toFixed(4))]).filter((row) => !Number.isNaN(row[3])),
    ),
  );
  return {
    columns: [{ title: props.context.subjectTitle }, { title: "Year" }, { title: "Month" }, { title: "Share", isNumber: true }],
    rows,
  };
}

export const completeness: Kind<CompletenessChart> = {
  Body,
  sheet,
  isEmpty: (props) => sharesOf(props).every(({ years }) => years.size === 0),
};
