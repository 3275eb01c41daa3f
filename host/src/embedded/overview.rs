//! What the file says of all functions at once: for status, where no host runs.

use sqlx::Row as _;

use super::writer::WriteError;
use super::{Note, Store};

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
}

/// Who it is, in the first three columns.
fn note(row: &sqlx::sqlite::SqliteRow) -> Note {
    Note { function: row.get::<&str, _>(0).into(), source: row.get::<&str, _>(1).into(), partition: row.get(2) }
}
