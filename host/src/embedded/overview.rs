//! What the file says of all functions at once: for status, where no host runs.

use sqlx::Row as _;

use super::writer::WriteError;
use super::{Attempt, Interval, Note, Store};

impl Store {
    /// Every position, with who stands there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn positions(&self) -> Result<Vec<(Note, i64)>, WriteError> {
        let rows =
            sqlx::query("SELECT function, source, partition, next FROM position").fetch_all(&self.readers).await?;
        Ok(rows.iter().map(|row| (note(row), row.get(3))).collect())
    }

    /// Every delivery that failed and is to be tried again.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn attempts(&self) -> Result<Vec<Attempt>, WriteError> {
        let rows = sqlx::query(
            "SELECT function, source, partition, first, next, attempt, reason, at_ms FROM attempt
             ORDER BY function, source, partition",
        )
        .fetch_all(&self.readers)
        .await?;
        let attempt = |row: &sqlx::sqlite::SqliteRow| Attempt {
            note: note(row),
            interval: Interval { first: row.get(3), next: row.get(4) },
            attempt: row.get(5),
            reason: row.get(6),
            at_ms: row.get(7),
        };
        Ok(rows.iter().map(attempt).collect())
    }
}

/// Who it is, in the first three columns.
fn note(row: &sqlx::sqlite::SqliteRow) -> Note {
    Note { function: row.get::<&str, _>(0).into(), source: row.get::<&str, _>(1).into(), partition: row.get(2) }
}
