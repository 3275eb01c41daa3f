//! What the file says of all functions at once: for status, where no host runs.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

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
        rows.iter().map(|row| Ok((note(row)?, row.try_get(3)?))).collect()
    }
}

/// Who it is, in the first three columns.
fn note(row: &SqliteRow) -> Result<Note, sqlx::Error> {
    let (function, source): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Note { function: function.into(), source: source.into(), partition: row.try_get(2)? })
}
