/** Rows as `isobar table query` tells them, and the same as the page shows or saves them. */

import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { choose } from "./board";
import type { Host } from "./host";

export type Row = Record<string, string | number | boolean | null>;

const ALL = "1000000";

export async function query(host: Host, table: string, where: string, ...more: string[]): Promise<Row[]> {
  const said = await host.command("table", "query", table, "--where", where, "--limit", ALL, "--format", "json", ...more);
  return (JSON.parse(said) as { rows: Row[] }).rows;
}

/** Fields of CSV (RFC 4180). */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  const fields = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n|$)/gy;
  for (let found = fields.exec(text); found && fields.lastIndex <= text.length; found = fields.exec(text)) {
    const [whole, field = "", end] = found;
    if (whole === "") break;
    rows.at(-1)?.push(field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field);
    if (end === "\r\n") rows.push([]);
  }
  return rows.filter((row) => row.length > 0);
}

export interface Saved {
  name: string;
  bytes: Buffer;
}

/** What a card's menu saves. */
export async function download(page: Page, id: string, title: string): Promise<Saved> {
  const saved = page.waitForEvent("download");
  await choose(page, id, title);
  const file = await saved;
  return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
}
