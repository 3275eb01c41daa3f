/** The made-up stations of the demo, and how what is known of one is changed. */

import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "./host";
import { type Row, query } from "./rows";

export type Station = Row & { station_id: string };

export async function stations(host: Host): Promise<Station[]> {
  return (await query(host, "station_metadata", "station_id != ''", "--sensitive")) as Station[];
}

function field(cell: Row[string] | undefined): string {
  return cell === null || cell === undefined ? "" : `"${String(cell).replaceAll('"', '""')}"`;
}

/** Loads a row of what is known of a station; gives when that began and when it was done. */
export async function load(host: Host, station: Station): Promise<[number, number]> {
  const file = join(host.folder, `${station.station_id}.csv`);
  const names = Object.keys(station);
  await writeFile(file, `${names.join(",")}\n${names.map((name) => field(station[name])).join(",")}\n`);
  const began = Date.now();
  await host.command("table", "load", "station_metadata", file);
  const done = Date.now();
  await rm(file);
  return [began, done];
}
