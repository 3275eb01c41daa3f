/** How much comes to topics and tables, as rates of what was seen while the page was open. */

import { useEffect, useRef, useState } from "preact/hooks";
import { onChange } from "../../live";
import type { Status } from "../../types";

interface Mark {
  at_ms: number;
  /** Records that each topic has had. */
  ends: Map<string, number>;
}

export function endsOf(status: Status): Map<string, number> {
  const ends = new Map<string, number>();
  for (const { topic, next } of status.topics) ends.set(topic, (ends.get(topic) ?? 0) + next);
  return ends;
}

/** Records a second between two looks, by topic. */
export function topicRates(before: Mark | null, after: Mark): Map<string, number> {
  const seconds = before ? (after.at_ms - before.at_ms) / 1000 : 0;
  const rates = new Map<string, number>();
  for (const [topic, end] of after.ends) {
    const grown = end - (before?.ends.get(topic) ?? end);
    rates.set(topic, seconds > 0 && grown > 0 ? grown / seconds : 0);
  }
  return rates;
}

/** What comes to each topic, from one status to the next. */
export function useTopicRates(status: Status | undefined): Map<string, number> {
  const marks = useRef<{ before: Mark | null; seen: Status | undefined }>({ before: null, seen: undefined });
  const rates = useRef(new Map<string, number>());
  if (status && marks.current.seen !== status) {
    const after = { at_ms: Date.now(), ends: endsOf(status) };
    rates.current = topicRates(marks.current.before, after);
    marks.current = { before: after, seen: status };
  }
  return rates.current;
}

/** Rows a second written to each table, over some seconds. */
export function useTableRates(span_ms = 5000): Map<string, number> {
  const [rates, setRates] = useState(new Map<string, number>());
  useEffect(() => {
    let seen: { at: number; table: string; rows: number }[] = [];
    const stop = onChange((change) => {
      for (const [table, { rows }] of Object.entries(change.tables)) seen.push({ at: Date.now(), table, rows });
    });
    const timer = setInterval(() => {
      seen = seen.filter(({ at }) => Date.now() - at < span_ms);
      const sums = new Map<string, number>();
      for (const { table, rows } of seen) sums.set(table, (sums.get(table) ?? 0) + (rows * 1000) / span_ms);
      setRates((now) => (now.size === 0 && sums.size === 0 ? now : sums));
    }, 1000);
    return () => {
      stop();
      clearInterval(timer);
    };
  }, [span_ms]);
  return rates;
}
