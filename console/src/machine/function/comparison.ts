/** What a shadow makes otherwise, by column and cell. Pure. */

import type { Comparison, TableComparison } from "../../types";

export interface Difference {
  table: string;
  key: string;
  column: string;
  old: string | null;
  new: string | null;
  /** Where only one of both has the row. */
  only: "old" | "new" | null;
}

function keyText(key: [string, string][]): string {
  return key.map(([, cell]) => cell).join(", ");
}

export function differencesOf(table: TableComparison): Difference[] {
  return table.first.flatMap((row): Difference[] => {
    const only = row.in_charge && row.in_shadow ? null : row.in_charge ? "old" : "new";
    const key = keyText(row.key);
    if (only !== null && row.cells.length === 0) {
      return [{ table: table.table, key, column: "", old: null, new: null, only }];
    }
    return row.cells.map((cell) => ({
      table: table.table,
      key,
      column: cell.column,
      old: cell.charge,
      new: cell.shadow,
      only,
    }));
  });
}

/** How often each column differs among the rows that were given, the most often first. */
export function byColumn(differences: readonly Difference[]): { column: string; many: number }[] {
  const many = new Map<string, number>();
  for (const { column, only } of differences) {
    if (only === null) many.set(column, (many.get(column) ?? 0) + 1);
  }
  return [...many].map(([column, count]) => ({ column, many: count })).sort((a, b) => b.many - a.many);
}

/** What one has to know of the comparison to judge it. */
export function remarks(shadow: Comparison): string[] {
  const said: [boolean, string][] = [
    [shadow.past, "It still has batches of the past to handle: more may differ."],
    [!shadow.past && shadow.behind > 0, "It has not compared all yet."],
    [shadow.of_part, "It replays a part of the past: only rows that it made are compared, and it cannot take over."],
    [shadow.reads_others, "It reads tables that others write, and sees what stands in them now."],
    [shadow.replays && !shadow.same_version, "Other versions made some of what it is compared with."],
    [shadow.beside_others, "Other hosts went on while the tables were read."],
  ];
  return said.filter(([is]) => is).map(([, text]) => text);
}
