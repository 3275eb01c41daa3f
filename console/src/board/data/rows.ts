// Rows as they are, for what is shown as a table; followed as they change.

import { type Answer, useAnswer } from "../../answer";
import { getRows } from "../../api";
import { useChanges } from "../../live";
import { isNumber } from "../../parts/format";
import type { Rows, TablePart } from "../../types";
import { rangeFor } from "../logic/ranges";
import { whereOf } from "../logic/where";

const MOST = 200;

/** The rows of some subjects, at most some hundred each. */
export function useSubjectRows(table: TablePart, key: string, subjects: readonly string[], columns: readonly string[]): Answer<Rows[]> {
  const load = (signal: AbortSignal) =>
    Promise.all(
      subjects.map((value) => {
        const where = whereOf(table, [{ column: key, op: "=", value }]);
        return getRows(table.name, { where, columns: columns.join(","), limit: MOST }, signal);
      }),
    );
  const answer = useAnswer(load, [table.name, columns, subjects]);
  useChanges([table.name], (changes) => {
    const change = changes[table.name];
    const keyType = table.columns.find((column) => column.name === key)?.type ?? "text";
    if (change && subjects.some((subject) => rangeFor(change, subject, isNumber(keyType)) !== null)) answer.again();
  });
  return answer;
}
