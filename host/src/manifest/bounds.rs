//! The ranges that numbers in spin.toml must keep to, each with its reason.

use std::ops::RangeInclusive;

/// A partition is a worker of its own with a batch in memory.
pub(super) const PARTITIONS: RangeInclusive<u32> = 1..=256;
/// Up to where a longer batch still makes a record cheaper; far beyond it only costs memory.
pub(super) const BATCH_RECORDS: RangeInclusive<u32> = 1..=65_536;
/// A batch is copied into the function's memory, and a function may hand back 128 MiB in a call.
pub(super) const BATCH_BYTES: RangeInclusive<u32> = 1_024..=64 * 1_024 * 1_024;
/// Longer than a minute is a schedule, not a batch.
pub(super) const BATCH_WAIT_MS: RangeInclusive<u32> = 0..=60_000;
/// With the backoff's ceiling of a minute, a hundred attempts are well over an hour.
pub(super) const ATTEMPTS: RangeInclusive<u32> = 1..=100;
/// The backoff doubles up to a minute, so it cannot begin above it.
pub(super) const BACKOFF_MS: RangeInclusive<u32> = 0..=60_000;
/// A batch that cannot be handled in an hour of trying will not be by waiting longer.
pub(super) const RETRY_TIMEOUT_MS: RangeInclusive<u32> = 0..=3_600_000;
/// Later than an hour is another time.
pub(super) const JITTER_MS: RangeInclusive<u32> = 0..=3_600_000;
/// Address space is reserved for so much in each slot of the pool.
pub(super) const MEMORY_MB: RangeInclusive<u32> = 1..=1_024;
/// A call is a transaction that holds its effects in memory: long work goes in several.
pub(super) const TIMEOUT_MS: RangeInclusive<u32> = 10..=600_000;
/// Bodies pass through in pieces: what a function keeps of them counts as its memory.
pub(super) const HTTP_BYTES: RangeInclusive<u32> = 0..=1 << 30;
/// A call that fails repeats its requests, so that many of them belong in several calls.
pub(super) const HTTP_REQUESTS: RangeInclusive<u32> = 1..=10_000;
/// Each is a socket, of which a process usually has 1024 for all calls.
pub(super) const HTTP_CONCURRENT: RangeInclusive<u32> = 1..=64;
/// Less than a mebibyte does not hold the batches being read.
pub(super) const RETENTION_BYTES: RangeInclusive<u64> = 1_048_576..=1 << 50;
/// A century.
pub(super) const RETENTION_HOURS: RangeInclusive<u32> = 1..=876_600;
/// A reader is always a batch behind; beyond 2^53 a number is no longer exact in JSON.
pub(super) const LAG_RECORDS: RangeInclusive<u64> = 1..=1 << 53;
/// What a slot of the pool has room for.
pub(super) const TABLE_ELEMENTS: RangeInclusive<u32> = 1..=40_000;
/// Output is held in memory until the call ends, and logs are read by people.
pub(super) const OUTPUT_BYTES: RangeInclusive<u32> = 0..=16 * 1_024 * 1_024;
/// SQLite and Kafka both take values of some MiB well and larger ones badly.
pub(super) const STATE_VALUE_BYTES: RangeInclusive<u32> = 1..=4 * 1_024 * 1_024;
/// Up to a pebibyte: what is stored is bounded by disks.
pub(super) const STORED_BYTES: RangeInclusive<u64> = 0..=1 << 50;
/// Effects are held in memory by several calls at one time.
pub(super) const HELD_BYTES: RangeInclusive<u32> = 1_024..=256 * 1_024 * 1_024;
/// Records and rows of a call, for the same reason.
pub(super) const HELD_ITEMS: RangeInclusive<u32> = 0..=10_000_000;
/// A loop that needs more rounds than that has no end.
pub(super) const ROUNDS: RangeInclusive<u32> = 0..=1_000;
/// Of 10,000 records.
pub(super) const DEAD_LETTERS: RangeInclusive<u32> = 0..=10_000;
/// People count them up.
pub(super) const STATE_VERSION: RangeInclusive<u32> = 1..=1_000_000;
