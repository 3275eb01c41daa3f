/** What the host answers, as it writes it. */

/** What who looks may do. */
export interface May {
  sensitive: boolean;
  operate: boolean;
  deploy: boolean;
}

export interface Session {
  user: string;
  may: May;
  /** Whether one sees what a viewer would see. */
  as_viewer: boolean;
}

export type Standing =
  | { state: "idle" }
  | { state: "running" }
  | { state: "retrying"; attempt: number; reason: string }
  | { state: "waiting"; reason: string }
  | { state: "stopped"; reason: string }
  | { state: "elsewhere" }
  | { state: "paced"; reader: string };

/** One partition of one source of a function. */
export interface SourceStatus {
  function: string;
  source: string;
  partition: number;
  scheduled: boolean;
  position: number;
  lag: number;
  due_ms: number | null;
  standing: Standing;
  records: number;
  commits: number;
  dead_letters: number;
  call_micros: number;
  version: string;
}

export interface TopicStatus {
  topic: string;
  partition: number;
  /** The offset of the first record kept. */
  first: number;
  /** The offset that the next record gets. */
  next: number;
  bytes: number;
}

export interface Failure {
  function: string;
  source: string;
  partition: number;
  attempt: number;
  reason: string;
  at_ms: number;
}

export interface Status {
  application: string;
  made_up: boolean;
  running: boolean;
  sources: SourceStatus[];
  topics: TopicStatus[];
  failures: Failure[];
}

export interface TopicSummary {
  topic: string;
  sensitive: boolean;
  partitions: TopicStatus[];
}

/** Bytes: as text where they are UTF-8. */
export type Payload = { text: string } | { base64: string };

export interface RecordView {
  partition: number;
  offset: number;
  timestamp_ms: number;
  key: Payload | null;
  value: Payload | null;
  headers: [string, Payload][];
}

export interface RecordsPage {
  records: RecordView[];
  more: boolean;
}

export interface TableSummary {
  table: string;
  rows: number | null;
  trouble: string | null;
  key: string[];
  writer: string | null;
  sensitive: boolean;
  notice: string | null;
}

export type Cell = string | null;

export interface Rows {
  columns: string[];
  rows: Cell[][];
  notice: string | null;
  more: boolean;
}

export interface LetterView {
  topic: string;
  partition: number;
  offset: number;
  from_topic: string;
  from_partition: number;
  from_offset: number;
  version: string;
  attempts: number;
  at_ms: number;
  reason: string;
  frames: string[];
  key: Payload | null;
  value: Payload | null;
  fate: string | null;
}

export interface LettersPage {
  letters: LetterView[];
  more: boolean;
  /** How many are neither redriven nor dropped. */
  open: number;
}

export interface VersionSummary {
  version: string;
  component: string;
  at_ms: number;
  running: boolean;
  /** Whether it is what spin.toml said when the host was started last. */
  filed: boolean;
}

/** An entry of the audit log. */
export interface Entry {
  at_ms: number;
  who: string;
  action: string;
  function: string;
  version: string | null;
  before: string | null;
  refused: string | null;
}

export interface CellDifference {
  column: string;
  charge: string | null;
  shadow: string | null;
}

export interface RowDifference {
  key: [string, string][];
  in_charge: boolean;
  in_shadow: boolean;
  cells: CellDifference[];
}

export interface TableComparison {
  table: string;
  rows: number;
  differing: number;
  only_charge: number;
  only_shadow: number;
  first: RowDifference[];
  hidden: boolean;
}

/** A shadow beside the version in charge. */
export interface Comparison {
  function: string;
  version: string;
  since_ms: number;
  replays: boolean;
  of_part: boolean;
  reads_others: boolean;
  same_version: boolean;
  beside_others: boolean;
  ended: string | null;
  past: boolean;
  behind: number;
  batches: number;
  records: number;
  charge_micros: number;
  shadow_micros: number;
  failure: string | null;
  differing: number;
  tables: TableComparison[];
}

export interface Spoken {
  at_ms: number;
  function: string;
  version: string;
  line: string;
}

export interface LogsPage {
  lines: Spoken[];
  last: number;
}

export interface StateEntry {
  partition: number;
  key: string;
  bytes: number;
  value: Payload | null;
}

export interface StatePage {
  entries: StateEntry[];
  more: boolean;
}

export interface Trigger {
  id: string;
  topic?: string | null;
  cron?: string | null;
}

export interface FunctionPart {
  name: string;
  version: string;
  triggers: Trigger[];
  publishes: string[];
  tables: { table: string; operations: string[]; columns?: string[] }[];
  state: boolean;
  hosts: string[];
  memory_mb: number;
  timeout_ms: number;
  /** What it may and has, in words that follow "it". */
  words: string[];
}

export interface ColumnPart {
  name: string;
  type: string;
  optional: boolean;
  sensitive: boolean;
}

export interface TablePart {
  name: string;
  key: string[];
  columns: ColumnPart[];
  sensitive: boolean;
  store: string | null;
  notice: string | null;
  writer: string | null;
}

export interface Application {
  name: string;
  functions: FunctionPart[];
  topics: { name: string; partitions: number; sensitive: boolean }[];
  tables: TablePart[];
}

/** What the application says of its board; the board knows the rest of its shape. */
export interface Dashboard {
  title?: string;
  [part: string]: unknown;
}

/** What a function has done since the host began. */
export interface FunctionPulse {
  version: string;
  records: number;
  commits: number;
  dead_letters: number;
  call_micros: number;
  lag: number;
  troubles: string[];
  due_ms: number | null;
}

export interface Pulse {
  at_ms: number;
  functions: Record<string, FunctionPulse>;
  last_commit_ms: number | null;
}

/** Rows of a table that were written; the smallest and largest key, where they may be told. */
export interface TableChange {
  rows: number;
  first?: string[];
  last?: string[];
}

export interface Change {
  number: number;
  at_ms: number;
  tables: Record<string, TableChange>;
}
