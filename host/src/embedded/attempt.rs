//! Failed deliveries: kept in transactions of their own, positions unchanged, so that a restart goes on where a trial was.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::writer::WriteError;
use super::{Note, Store};
use crate::delivery::{Interval, Trial};

/// A failed delivery.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Who failed.
    pub note: Note,
    /// What is delivered next, and how often it was.
    pub trial: Trial,
    /// What kind of failure the last one was.
    pub code: String,
    /// What the last delivery said.
    pub reason: String,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// Keeps a failed delivery in the place of the one before.
pub(super) async fn keep(connection: &mut SqliteConnection, attempt: &Attempt) -> Result<(), WriteError> {
    let Attempt { note, trial, code, reason, at_ms } = attempt;
    sqlx::query(
        "INSERT OR REPLACE INTO attempt (function, source, partition, first, next, upper, until, split, deliveries, whole, \
         attempts, spent_ms, reason, at_ms, code) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(note.function.as_ref())
    .bind(note.source.as_ref())
    .bind(note.partition)
    .bind(trial.range.first)
    .bind(trial.range.next)
    .bind(trial.upper)
    .bind(trial.until)
    .bind(trial.split)
    .bind(trial.deliveries)
    .bind(trial.whole)
    .bind(trial.attempts)
    .bind(i64::try_from(trial.spent_ms).unwrap_or(i64::MAX))
    .bind(reason)
    .bind(at_ms)
    .bind(code)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Notes what is left of a trial whose first records were handled; with nothing left it is over.
pub(super) async fn go_on(
    connection: &mut SqliteConnection,
    note: &Note,
    rest: Option<&Trial>,
) -> Result<(), WriteError> {
    let query = match rest {
        None => sqlx::query("DELETE FROM attempt WHERE function = ? AND source = ? AND partition = ?"),
        Some(trial) => sqlx::query(
            "UPDATE attempt SET first = ?, next = ?, upper = ?, split = ?, deliveries = ?, attempts = ? \
             WHERE function = ? AND source = ? AND partition = ?",
        )
        .bind(trial.range.first)
        .bind(trial.range.next)
        .bind(trial.upper)
        .bind(trial.split)
        .bind(trial.deliveries)
        .bind(trial.attempts),
    };
    query
        .bind(note.function.as_ref())
        .bind(note.source.as_ref())
        .bind(note.partition)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

const READ: &str = "SELECT function, source, partition, first, next, upper, until, split, deliveries, whole, attempts, \
                    spent_ms, reason, at_ms, code FROM attempt";

impl Store {
    /// The deliveries that failed of what a function stands at, if there were any.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn attempt(&self, note: &Note) -> Result<Option<Attempt>, WriteError> {
        let attempts = self.attempts().await?;
        Ok(attempts.into_iter().find(|a| a.note == *note))
    }

    /// Every delivery that failed and is to be tried again.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn attempts(&self) -> Result<Vec<Attempt>, WriteError> {
        let rows = sqlx::query(READ).fetch_all(&self.readers).await?;
        rows.iter().map(attempt).collect()
    }
}

fn attempt(row: &SqliteRow) -> Result<Attempt, WriteError> {
    let (function, source): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Attempt {
        note: Note { function: function.into(), source: source.into(), partition: row.try_get(2)? },
        trial: Trial {
            range: Interval { first: row.try_get(3)?, next: row.try_get(4)? },
            upper: row.try_get(5)?,
            until: row.try_get(6)?,
            split: row.try_get(7)?,
            deliveries: row.try_get(8)?,
            whole: row.try_get(9)?,
            attempts: row.try_get(10)?,
            spent_ms: row.try_get::<i64, _>(11)?.unsigned_abs(),
        },
        reason: row.try_get(12)?,
        at_ms: row.try_get(13)?,
        code: row.try_get(14)?,
    })
}
