/** What is asked of the host: typed, with the right to sensitive data of who looks. */

import type {
  Application, Comparison, Dashboard, Entry, LettersPage, LogsPage, RecordsPage, Rows, StatePage, Status, TableSummary,
  TopicSummary, VersionSummary,
} from "./types";

const ROOT = "/api/v1";

/** How one signs in: by a link from the terminal, or by name and password. */
export type SignInWay = "link" | "password";

/** What the host says of a failure (RFC 9457). */
interface Problem {
  detail?: string;
  hint?: string;
  sign_in?: SignInWay[];
}

/** Why something is not answered, and what to do. */
export class Refused extends Error {
  constructor(
    /** The HTTP status; 0 where the host was not reached. */
    readonly status: number,
    message: string,
    readonly hint: string | null = null,
    /** How one may sign in, where nobody is. */
    readonly ways: readonly SignInWay[] = [],
  ) {
    super(message);
    this.name = "Refused";
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>;

let sensitive = false;
let whenSignedOut: () => void = () => {};

/** Says whether what is sensitive is asked for from now on. */
export function askSensitive(may: boolean): void {
  sensitive = may;
}

/** Whether what is sensitive is asked for. */
export function asksSensitive(): boolean {
  return sensitive;
}

/** What is done once the host does not know who asks any more. */
export function onSignedOut(listener: () => void): void {
  whenSignedOut = listener;
}

/** A path with its query; what is not set is left out. */
export function withQuery(path: string, query: Query = {}): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parts.set(name, String(value));
  }
  const text = parts.toString();
  return text ? `${path}?${text}` : path;
}

/** The address of something of the API. */
export function address(path: string, query: Query = {}): string {
  return withQuery(ROOT + path, query);
}

/** Names in paths, as they may hold anything. */
export function named(strings: TemplateStringsArray, ...names: string[]): string {
  return strings.reduce((path, part, at) => path + encodeURIComponent(names[at - 1] ?? "") + part);
}

/** A refusal in the host's words; where they are not its own, the status has to do. */
function refusal(status: number, statusText: string, text: string): Refused {
  let told: Problem = {};
  try {
    told = (JSON.parse(text) ?? {}) as Problem;
  } catch {
    // Not the host's own words.
  }
  const message = told.detail ?? `the host answered ${status} ${statusText}`.trim();
  return new Refused(status, message, told.hint ?? null, told.sign_in ?? []);
}

function away(): Refused {
  return new Refused(0, "the host does not answer", "see whether `isobar up` still runs; the page goes on by itself when it does");
}

async function ask<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(ROOT + path, { credentials: "same-origin", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw away();
  }
  if (response.status === 401 && path !== "/session") whenSignedOut();
  const text = await response.text();
  if (!response.ok) throw refusal(response.status, response.statusText, text);
  return (text ? JSON.parse(text) : null) as T;
}

/** The host reads only so much at one time: what it is too busy for is asked again so often, each time after so long. */
const MOST_AGAIN = 5;
const AGAIN_MS = 500;

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  for (let again = 0; ; again++) {
    try {
      return await ask<T>(withQuery(path, query), signal ? { signal } : {});
    } catch (error) {
      if (again === MOST_AGAIN || !(error instanceof Refused) || error.status !== 503) throw error;
    }
    await new Promise((done) => setTimeout(done, AGAIN_MS));
  }
}

/** What is sent with all that changes something. */
const HEADERS = { "content-type": "application/json", "x-isobar-page": "1" };

export function post<T>(path: string, body: unknown = {}): Promise<T> {
  return ask<T>(path, { method: "POST", headers: HEADERS, body: JSON.stringify(body) });
}

/** As `post`, for what is large: tells which share of it is sent. `fetch` would not. */
export function upload<T>(path: string, body: Blob, sent: (share: number) => void, signal: AbortSignal): Promise<T> {
  const request = new XMLHttpRequest();
  return new Promise<T>((done, fail) => {
    request.upload.onprogress = ({ loaded, total }) => sent(total > 0 ? loaded / total : 1);
    request.onerror = () => fail(away());
    request.onabort = () => fail(new DOMException("it was broken off", "AbortError"));
    request.onload = () => {
      const { status, statusText, responseText } = request;
      if (status === 401) whenSignedOut();
      if (status < 200 || status >= 300) return fail(refusal(status, statusText, responseText));
      try {
        done(JSON.parse(responseText) as T);
      } catch {
        fail(new Refused(0, "what was answered is no answer of the host", "does something stand between here and it?"));
      }
    };
    signal.addEventListener("abort", () => request.abort());
    request.open("POST", ROOT + path);
    for (const [name, value] of Object.entries(HEADERS)) request.setRequestHeader(name, value);
    request.send(body);
  });
}

/** As `get`, with what is sensitive where who looks may see it. */
export function getShown<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return get<T>(path, sensitive ? { ...query, sensitive: true } : query, signal);
}

export interface RowsAsk {
  where?: string | null;
  columns?: string | null;
  limit?: number;
  /** A column, with `-` before it from the highest down. */
  order?: string | null;
  offset?: number;
}

export type ExportFormat = "csv" | "json" | "parquet";

export const getStatus = (signal?: AbortSignal) => get<Status>("/status", {}, signal);
export const getApplication = (signal?: AbortSignal) => get<Application>("/application", {}, signal);
export const getTopics = (signal?: AbortSignal) => get<TopicSummary[]>("/topics", {}, signal);
export const getTables = (signal?: AbortSignal) => get<TableSummary[]>("/tables", {}, signal);
/** The text of the manifest that runs. */
export const getManifest = (signal?: AbortSignal) => get<{ manifest: string }>("/manifest", {}, signal);
export const getAudit = (limit: number, signal?: AbortSignal) => get<Entry[]>("/audit", { limit }, signal);

/** The application's dashboard; `null` where it has none. */
export async function getDashboard(signal?: AbortSignal): Promise<Dashboard | null> {
  try {
    return await get<Dashboard>("/dashboard", {}, signal);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return null;
    throw error;
  }
}

/** Done when changes are told: rows that are read earlier could lack some for ever. */
let followed: Promise<void> = Promise.resolve();

/** Lets rows be asked for when `promise` is done. */
export function whenFollowed(promise: Promise<void>): void {
  followed = promise;
}

/** Rows that hold all changes that were told; the host may have put them together for another page, too. */
export async function getRows(table: string, rows: RowsAsk, signal?: AbortSignal): Promise<Rows> {
  await followed;
  return getShown<Rows>(named`/tables/${table}/rows`, { ...rows, shared: true }, signal);
}

/** Where a table's rows are downloaded. */
export const exportAddress = (table: string, format: ExportFormat, rows: Pick<RowsAsk, "where" | "columns"> = {}) =>
  address(named`/tables/${table}/export`, { format, ...rows, sensitive: sensitive || null });

export interface RecordsAsk {
  partition?: number;
  from?: number;
  limit?: number;
}

export const getRecords = (topic: string, records: RecordsAsk, signal?: AbortSignal) =>
  getShown<RecordsPage>(named`/topics/${topic}/records`, { ...records }, signal);

export interface LettersAsk {
  limit?: number;
  all?: boolean;
  offset?: number;
}

export const getLetters = (name: string, letters: LettersAsk, signal?: AbortSignal) =>
  getShown<LettersPage>(named`/functions/${name}/dead-letters`, { ...letters }, signal);

/** `null` where there is none. */
export const getShadow = (name: string, differences: number, signal?: AbortSignal) =>
  getShown<Comparison | null>(named`/functions/${name}/shadow`, { differences }, signal);

export const getState = (name: string, prefix: string, limit: number, signal?: AbortSignal) =>
  getShown<StatePage>(named`/functions/${name}/state`, { prefix, limit }, signal);

export const getVersions = (name: string, signal?: AbortSignal) =>
  get<VersionSummary[]>(named`/functions/${name}/versions`, {}, signal);

export const getDiff = (name: string, from: string, to: string | null, signal?: AbortSignal) =>
  get<string[]>(named`/functions/${name}/diff`, { from, to }, signal);

export const getLogs = (name: string, limit: number, signal?: AbortSignal) =>
  get<LogsPage>("/logs", { function: name, limit }, signal);
