//! What one transaction of the file does for one call: the unit that takes effect whole or not at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::{Row as _, SqliteConnection};

use super::writer::WriteError;
use super::{log, state};
use crate::bindings::tables::sqlite;
use crate::delivery::{HeldTable, frame};
use crate::manifest::Application;

/// The effects of one successful call, with the position that they stand for.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Which function, source (topic or trigger) and partition.
    pub note: Note,
    /// The positions that it moves from and to; `None` for a call that only read records again.
    pub interval: Option<Interval>,
    /// Records of the input that it handled.
    pub records: u32,
    /// The function's version.
    pub version: Arc<str>,
    /// Which delivery it was.
    pub attempt: u32,
    /// Microseconds that the call took.
    pub micros: u64,
    /// Milliseconds since the Unix epoch, for the ledger.
    pub at_ms: i64,
    /// Records to append.
    pub frames: Vec<Frame>,
    /// State by key; `None` deletes.
    pub state: BTreeMap<String, Option<Vec<u8>>>,
    /// Writes by table.
    pub tables: BTreeMap<String, HeldTable>,
    /// For a schedule: when it is due next, and whether the function asked for that itself.
    pub schedule: Option<(i64, bool)>,
}

/// Who commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// The function.
    pub function: Arc<str>,
    /// The topic, or the id of the schedule's trigger.
    pub source: Arc<str>,
    /// The partition; 0 for a schedule.
    pub partition: u32,
}

/// Positions `[first, next)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// The position before.
    pub first: i64,
    /// The position after.
    pub next: i64,
}

/// Records of one partition, encoded before the writer numbers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Where they go.
    pub topic: Arc<str>,
    /// The partition there.
    pub partition: u32,
    /// How many there are.
    pub records: u32,
    /// The last one's timestamp, in milliseconds since the Unix epoch.
    pub last_ms: i64,
    /// As [`frame::encode`] gives it.
    pub bytes: Vec<u8>,
}

/// A failed delivery, kept so that a restart goes on counting.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Who failed.
    pub note: Note,
    /// The records under trial.
    pub interval: Interval,
    /// How many deliveries there were.
    pub attempt: u32,
    /// What the last one said.
    pub reason: String,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
}

impl Frame {
    /// Encodes records for `partition` of `topic`.
    ///
    /// # Errors
    /// As [`frame::encode`].
    pub fn encode(
        topic: Arc<str>,
        partition: u32,
        records: &crate::delivery::Records,
    ) -> Result<Self, frame::FrameError> {
        Ok(Frame {
            topic,
            partition,
            records: records.len() as u32,
            last_ms: records.timestamps.last().copied().unwrap_or_default(),
            bytes: frame::encode(records)?,
        })
    }
}

/// New ends of partitions, to be told once the transaction is through.
pub(super) type Grown = HashMap<(Arc<str>, u32), i64>;

/// Does all of `commit` on the open transaction.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    application: &Application,
    commit: &Commit,
    grown: &mut Grown,
) -> Result<(), WriteError> {
    move_position(connection, commit).await?;
    for frame in &commit.frames {
        let next = log::append(connection, frame).await?;
        grown.insert((Arc::clone(&frame.topic), frame.partition), next);
    }
    state::write(connection, &commit.note, &commit.state).await?;
    for (name, held) in &commit.tables {
        let table = application.tables.get(name).ok_or_else(|| WriteError::UnknownTable(name.clone()))?;
        sqlite::apply(connection, table, held).await?;
    }
    if let Some((due_ms, again)) = commit.schedule {
        sqlx::query("INSERT OR REPLACE INTO schedule (function, source, due_ms, again) VALUES (?, ?, ?, ?)")
            .bind(commit.note.function.as_ref())
            .bind(commit.note.source.as_ref())
            .bind(due_ms)
            .bind(again)
            .execute(&mut *connection)
            .await?;
    }
    note(connection, commit).await
}

async fn move_position(connection: &mut SqliteConnection, commit: &Commit) -> Result<(), WriteError> {
    let Some(interval) = commit.interval else { return Ok(()) };
    let moved =
        sqlx::query("UPDATE position SET next = ? WHERE function = ? AND source = ? AND partition = ? AND next = ?")
            .bind(interval.next)
            .bind(commit.note.function.as_ref())
            .bind(commit.note.source.as_ref())
            .bind(commit.note.partition)
            .bind(interval.first)
            .execute(&mut *connection)
            .await?;
    if moved.rows_affected() != 1 {
        return Err(WriteError::Position { note: commit.note.clone(), first: interval.first });
    }
    if commit.attempt > 1 {
        clear_attempt(connection, &commit.note).await?;
    }
    Ok(())
}

async fn note(connection: &mut SqliteConnection, commit: &Commit) -> Result<(), WriteError> {
    sqlx::query(
        "INSERT INTO ledger (function, source, partition, first, next, records, version, attempt, micros, at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(commit.note.function.as_ref())
    .bind(commit.note.source.as_ref())
    .bind(commit.note.partition)
    .bind(commit.interval.map(|i| i.first))
    .bind(commit.interval.map(|i| i.next))
    .bind(commit.records)
    .bind(commit.version.as_ref())
    .bind(commit.attempt)
    .bind(commit.micros as i64)
    .bind(commit.at_ms)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Keeps a failed delivery.
pub(super) async fn keep_attempt(connection: &mut SqliteConnection, attempt: &Attempt) -> Result<(), WriteError> {
    sqlx::query(
        "INSERT OR REPLACE INTO attempt (function, source, partition, first, next, attempt, reason, at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(attempt.note.function.as_ref())
    .bind(attempt.note.source.as_ref())
    .bind(attempt.note.partition)
    .bind(attempt.interval.first)
    .bind(attempt.interval.next)
    .bind(attempt.attempt)
    .bind(&attempt.reason)
    .bind(attempt.at_ms)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn clear_attempt(connection: &mut SqliteConnection, note: &Note) -> Result<(), WriteError> {
    sqlx::query("DELETE FROM attempt WHERE function = ? AND source = ? AND partition = ?")
        .bind(note.function.as_ref())
        .bind(note.source.as_ref())
        .bind(note.partition)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

impl super::Store {
    /// The position of a function in a source, 0 where it never ran; a place for it is made.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub async fn position(&self, note: &Note) -> Result<i64, WriteError> {
        self.begin(note.clone()).await?;
        let row = sqlx::query("SELECT next FROM position WHERE function = ? AND source = ? AND partition = ?")
            .bind(note.function.as_ref())
            .bind(note.source.as_ref())
            .bind(note.partition)
            .fetch_one(&self.readers)
            .await?;
        Ok(row.get(0))
    }

    /// The deliveries that failed of what a function stands at, if there were any.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn attempt(&self, note: &Note) -> Result<Option<Attempt>, WriteError> {
        let row = sqlx::query(
            "SELECT first, next, attempt, reason, at_ms FROM attempt WHERE function = ? AND source = ? AND partition = ?",
        )
        .bind(note.function.as_ref())
        .bind(note.source.as_ref())
        .bind(note.partition)
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(|row| Attempt {
            note: note.clone(),
            interval: Interval { first: row.get(0), next: row.get(1) },
            attempt: row.get(2),
            reason: row.get(3),
            at_ms: row.get(4),
        }))
    }

    /// When a schedule is due next, and whether the function asked for that itself; `None` where it never ran.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn schedule(&self, note: &Note) -> Result<Option<(i64, bool)>, WriteError> {
        let row = sqlx::query("SELECT due_ms, again FROM schedule WHERE function = ? AND source = ?")
            .bind(note.function.as_ref())
            .bind(note.source.as_ref())
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    }
}
