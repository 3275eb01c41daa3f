//! What one transaction of the file does for one call: the unit that takes effect whole or not at all.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, SqlitePool};

use super::writer::WriteError;
use super::{attempt, log, pauses, replica, state};
use crate::bindings::tables::sqlite;
use crate::delivery::{Effects, Interval, Records, Trial, frame};
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
    /// Records of the input that become dead letters.
    pub dead_letters: u32,
    /// Records to append.
    pub frames: Vec<Frame>,
    /// State and rows to write; what it published is in `frames`.
    pub effects: Arc<Effects>,
    /// For a schedule: when it is due next, and whether the function asked for that itself.
    pub schedule: Option<(i64, bool)>,
    /// Whether the records were under trial; then what is left of that.
    pub trial: Option<Option<Trial>>,
    /// Whether it is committed elsewhere and noted here: nothing is asked any more.
    pub is_decided: bool,
    /// Where the changelog stands that holds its state, if that is another than before.
    pub changelog: Option<i64>,
    /// The records that become dead letters, by their offsets.
    pub refused: Vec<i64>,
    /// For a call that only read records again: their offsets.
    pub reread: Vec<i64>,
    /// What it comes to, where that is kept for a shadow; see `shadows::made_by`.
    pub made: Option<Vec<u8>>,
    /// The application that the call knew, whose columns its rows have; where none is said, that of the moment.
    pub application: Option<Arc<Application>>,
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

/// Records of one partition, encoded before the writer numbers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Where they go.
    pub topic: Arc<str>,
    /// The partition there.
    pub partition: u32,
    /// What they are, their offsets counted from 0.
    pub records: Records,
    /// As [`frame::encode`] gives it.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// Encodes records for `partition` of `topic`.
    ///
    /// # Errors
    /// As [`frame::encode`].
    pub fn encode(topic: Arc<str>, partition: u32, records: Records) -> Result<Self, frame::FrameError> {
        let bytes = frame::encode(&records)?;
        Ok(Frame { topic, partition, records, bytes })
    }
}

/// Does all of `commit` on the open transaction; gives the offset that each frame begins at.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    application: &Application,
    commit: &Commit,
) -> Result<Vec<i64>, WriteError> {
    enter(connection, commit).await?;
    let application = commit.application.as_deref().unwrap_or(application);
    if let Some(next) = commit.changelog {
        let (application, function) = (&application.name, &commit.note.function);
        replica::stand(connection, application, function, commit.note.partition, next).await?;
    }
    if let Some(rest) = &commit.trial {
        attempt::go_on(connection, &commit.note, rest.as_ref()).await?;
    }
    if commit.dead_letters > 0 {
        pauses::use_up(connection, &commit.note.function).await?;
    }
    let mut bases = Vec::with_capacity(commit.frames.len());
    for frame in &commit.frames {
        bases.push(log::append(connection, frame, &commit.note.function).await?);
    }
    state::write(connection, &commit.note, &commit.effects.state).await?;
    for (name, held) in &commit.effects.tables {
        let table = application.tables.get(name).ok_or_else(|| WriteError::UnknownTable(name.clone()))?;
        if table.connection.is_some() {
            // Its rows are in a frame of the outbox.
            continue;
        }
        sqlite::apply(connection, table, held).await?;
    }
    Ok(bases)
}

const LEDGER: &str =
    "INSERT INTO ledger (function, source, partition, first, next, records, version, attempt, micros, at_ms)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10";
/// Runs of a schedule that follow each other within an hour are one entry, so that a function which asks to be called
/// again and again does not fill the disk by that alone.
const JOINED_MS: i64 = 60 * 60 * 1000;
const JOIN: &str =
    "UPDATE ledger SET next = ?5, records = records + ?6, micros = micros + ?9, attempt = max(attempt, ?8)
WHERE function = ?1 AND source = ?2 AND partition = ?3 AND next = ?4 AND version = ?7 AND at_ms > ?11
AND first = (SELECT max(first) FROM ledger WHERE function = ?1 AND source = ?2 AND partition = ?3); ";
const UNLESS_JOINED: &str = " WHERE changes() = 0";
const POSITION: &str = "; UPDATE position SET next = ?5 WHERE function = ?1 AND source = ?2 AND partition = ?3 AND next = ?4 RETURNING next";
const DECIDED: &str =
    "; UPDATE position SET next = ?5 WHERE function = ?1 AND source = ?2 AND partition = ?3 RETURNING next";
const SCHEDULE: &str = "; INSERT OR REPLACE INTO schedule (function, source, due_ms, again) VALUES (?1, ?2, ?12, ?13)";

/// Moves the position, or fails where another did, and notes the commit: one round trip to the connection's thread.
async fn enter(connection: &mut SqliteConnection, commit: &Commit) -> Result<(), WriteError> {
    let mut sql = match commit.schedule {
        Some(_) => [JOIN, LEDGER, UNLESS_JOINED].concat(),
        None => LEDGER.to_owned(),
    };
    sql.extend(commit.interval.map(|_| if commit.is_decided { DECIDED } else { POSITION }));
    sql.extend(commit.schedule.map(|_| SCHEDULE));
    let moved = sqlx::query(AssertSqlSafe(sql))
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
        .bind(commit.at_ms - JOINED_MS)
        .bind(commit.schedule.map(|(due_ms, _)| due_ms))
        .bind(commit.schedule.map(|(_, again)| again))
        .fetch_all(&mut *connection)
        .await?;
    match commit.interval {
        Some(interval) if moved.is_empty() => {
            Err(WriteError::Position { note: commit.note.clone(), first: interval.first })
        }
        _ => Ok(()),
    }
}

/// The position of a note, where it has one.
pub(super) async fn stored(readers: &SqlitePool, note: &Note) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query("SELECT next FROM position WHERE function = ? AND source = ? AND partition = ?")
        .bind(note.function.as_ref())
        .bind(note.source.as_ref())
        .bind(note.partition)
        .fetch_optional(readers)
        .await?;
    row.map(|row| row.try_get(0)).transpose()
}

impl super::Store {
    /// The position of a function in a source, 0 where it never ran; a place for it is made.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub async fn position(&self, note: &Note) -> Result<i64, WriteError> {
        self.begin(note.clone()).await?;
        Ok(stored(&self.readers, note).await?.unwrap_or_default())
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
        row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
    }
}
