/** Reads a topic piece by piece, backwards from its end or forwards from a place. */

import { getRecords } from "../../api";
import type { RecordView, TopicStatus } from "../../types";
import { newestFirst, offsetAt, oldestFirst, spansBefore } from "../records";

/** How far each partition was read: the next offset forwards, or the one before which all was read backwards. */
export type Places = Map<number, number>;

export interface Piece {
  records: RecordView[];
  places: Places;
  /** Whether there is nothing more in this direction. */
  done: boolean;
}

/** The newest records before `places`, about `size` of all partitions together. */
export async function readBack(topic: string, extents: TopicStatus[], places: Places, size: number, signal: AbortSignal): Promise<Piece> {
  const each = Math.max(1, Math.ceil(size / Math.max(1, extents.length)));
  const ends = extents.map(({ partition, first, next }) => ({ partition, first, before: places.get(partition) ?? next }));
  const spans = spansBefore(ends, each);
  const pages = await Promise.all(
    spans.map(async (span) => {
      const page = await getRecords(topic, span, signal);
      // Where offsets are missing, what was asked for reaches beyond the place before which it was to be.
      return page.records.filter((record) => record.offset < span.from + span.limit);
    }),
  );
  const next: Places = new Map(ends.map(({ partition, before }) => [partition, before]));
  for (const { partition, from } of spans) next.set(partition, from);
  const done = extents.every(({ partition, first }) => (next.get(partition) ?? first) <= first);
  return { records: pages.flat().sort(newestFirst), places: next, done };
}

/** Records from `places` on, about `size` of all partitions together. */
export async function readOn(topic: string, extents: TopicStatus[], places: Places, size: number, signal: AbortSignal): Promise<Piece> {
  const each = Math.max(1, Math.ceil(size / Math.max(1, extents.length)));
  const next: Places = new Map(places);
  const pages = await Promise.all(
    extents.map(async ({ partition, first }) => {
      const from = Math.max(first, places.get(partition) ?? first);
      const { records } = await getRecords(topic, { partition, from, limit: each }, signal);
      const last = records[records.length - 1];
      next.set(partition, last ? last.offset + 1 : from);
      return records;
    }),
  );
  const done = pages.every((records) => records.length < each);
  return { records: pages.flat().sort(oldestFirst), places: next, done };
}

/** Records that are read in one go while something is sought, and at most before one is asked whether to go on. */
const SOUGHT_SIZE = 2000;
const MOST_SOUGHT = 20_000;

export interface Sought extends Piece {
  /** How many were read. */
  read: number;
}

type Read = typeof readBack;

/** Reads on until something fits, keeping only what does. */
export async function seek(
  read: Read,
  [topic, extents, start]: [string, TopicStatus[], Places],
  fits: (record: RecordView) => boolean,
  signal: AbortSignal,
): Promise<Sought> {
  let [places, many] = [start, 0];
  for (;;) {
    const piece = await read(topic, extents, places, SOUGHT_SIZE, signal);
    many += piece.records.length;
    places = piece.places;
    const records = piece.records.filter(fits);
    if (records.length > 0 || piece.done || many >= MOST_SOUGHT) return { records, places, done: piece.done, read: many };
  }
}

/** Where each partition stood at a time. */
export async function placesAt(topic: string, extents: TopicStatus[], at_ms: number, signal: AbortSignal): Promise<Places> {
  const found = await Promise.all(
    extents.map(async (extent): Promise<[number, number]> => {
      const { partition } = extent;
      const one = async (from: number) => (await getRecords(topic, { partition, from, limit: 1 }, signal)).records[0];
      return [partition, await offsetAt(extent, at_ms, one)];
    }),
  );
  return new Map(found);
}
