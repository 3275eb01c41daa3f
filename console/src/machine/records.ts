/** Records as people read them, and where in a topic they stand. Pure. */

import type { Payload, RecordView, TopicStatus } from "../types";

export interface Decoded {
  /** What it is taken for. */
  form: "json" | "text" | "bytes" | "nothing";
  /** As it is shown in full. */
  text: string;
  /** In one line. */
  line: string;
}

/** Longest text in a line of a list. */
const LINE = 160;

function hex(base64: string): string {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.slice(at, at + 16)];
    const digits = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    rows.push(`${at.toString(16).padStart(6, "0")}  ${digits.padEnd(47)}  ${letters}`);
  }
  return rows.join("\n");
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > LINE ? `${line.slice(0, LINE - 1)}…` : line;
}

/** Numbers are written as they came: what has more digits than a float has would be told wrong. */
function pretty(text: string): string | null {
  if (!/^\s*[[{]/.test(text)) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const isExact = !/[0-9]{16}/.test(text);
  return isExact ? JSON.stringify(value, null, 2) : text;
}

export function decode(payload: Payload | null): Decoded {
  if (payload === null) return { form: "nothing", text: "", line: "nothing (a tombstone)" };
  if ("base64" in payload) {
    const size = Math.floor((payload.base64.replace(/=+$/, "").length * 3) / 4);
    return { form: "bytes", text: hex(payload.base64), line: `${size} bytes` };
  }
  const formed = pretty(payload.text);
  return formed === null
    ? { form: "text", text: payload.text, line: shortened(payload.text) }
    : { form: "json", text: formed, line: shortened(payload.text) };
}

/** A key in one line. */
export function keyLine(key: Payload | null): string {
  return key === null ? "–" : decode(key).line;
}

/** The newest first; of the same time by partition and offset. */
export function newestFirst(a: RecordView, b: RecordView): number {
  return b.timestamp_ms - a.timestamp_ms || a.partition - b.partition || b.offset - a.offset;
}

export function oldestFirst(a: RecordView, b: RecordView): number {
  return a.timestamp_ms - b.timestamp_ms || a.partition - b.partition || a.offset - b.offset;
}

/** What is read of a partition. */
export interface Span {
  partition: number;
  from: number;
  limit: number;
}

/** The parts of all partitions that lie right before these offsets, of `size` records each. */
export function spansBefore(ends: readonly { partition: number; first: number; before: number }[], size: number): Span[] {
  return ends
    .filter(({ first, before }) => before > first)
    .map(({ partition, first, before }) => {
      const from = Math.max(first, before - size);
      return { partition, from, limit: before - from };
    });
}

export type ReadOne = (from: number) => Promise<RecordView | undefined>;

/**
 * The offset of the first record of a partition that is not older than `at_ms`, by halving what is left: some twenty single records
 * are read of a million. It goes by the order in which records came; where times do not grow with that, it is near.
 */
export async function offsetAt(extent: Pick<TopicStatus, "first" | "next">, at_ms: number, read: ReadOne): Promise<number> {
  let [low, high] = [extent.first, extent.next];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const record = await read(middle);
    // Offsets may be missing: what is read is the first one from there on.
    if (!record || record.offset >= high || record.timestamp_ms >= at_ms) high = middle;
    else low = record.offset + 1;
  }
  return low;
}

/** A moment as one writes it, in UTC: `2024-05-01`, `2024-05-01 12:30`, with seconds and `Z` or not. */
export function parseMoment(text: string): number | null {
  const found = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,3})?)?)?\s*(?:Z|UTC)?$/.exec(text.trim());
  if (!found) return null;
  const at = Date.parse(`${found[1]}T${found[2] ?? "00:00"}${found[3] ?? ":00"}Z`);
  return Number.isNaN(at) ? null : at;
}
