//! Functions that stand still, as the file keeps them.

use std::sync::Arc;

use sqlx::{Row as _, SqliteConnection};

use super::Store;
use super::writer::{Work, WriteError};

/// A function that stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The function.
    pub function: Arc<str>,
    /// Why.
    pub reason: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Whether it is because too many of its records would have become dead letters.
    pub by_toll: bool,
}

/// Keeps a pause in the place of the one before.
pub(super) async fn keep(connection: &mut SqliteConnection, pause: &Pause) -> Result<(), WriteError> {
    sqlx::query("INSERT OR REPLACE INTO pause (function, reason, at_ms, by_toll) VALUES (?, ?, ?, ?)")
        .bind(pause.function.as_ref())
        .bind(&pause.reason)
        .bind(pause.at_ms)
        .bind(pause.by_toll)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets a pause. A function that stood still because it would have lost too many records is pardoned: its next batch may
/// lose as many as it has.
pub(super) async fn pardon(connection: &mut SqliteConnection, function: &str) -> Result<(), WriteError> {
    sqlx::query("INSERT OR IGNORE INTO pardon (function) SELECT function FROM pause WHERE function = ? AND by_toll")
        .bind(function)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM pause WHERE function = ?").bind(function).execute(connection).await?;
    Ok(())
}

/// Forgets a pardon, because a batch has lost records.
pub(super) async fn use_up(connection: &mut SqliteConnection, function: &str) -> Result<(), WriteError> {
    sqlx::query("DELETE FROM pardon WHERE function = ?").bind(function).execute(connection).await?;
    Ok(())
}

impl Store {
    /// Every function that stands still.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn pauses(&self) -> Result<Vec<Pause>, WriteError> {
        let rows = sqlx::query("SELECT function, reason, at_ms, by_toll FROM pause").fetch_all(&self.readers).await?;
        let pause = |row: &sqlx::sqlite::SqliteRow| {
            let function = row.try_get::<&str, _>(0)?.into();
            Ok(Pause { function, reason: row.try_get(1)?, at_ms: row.try_get(2)?, by_toll: row.try_get(3)? })
        };
        rows.iter().map(pause).collect()
    }

    /// Every function that stood still because it would have lost too many records, was told to go on, and has lost none since.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn pardons(&self) -> Result<Vec<Arc<str>>, WriteError> {
        let rows = sqlx::query("SELECT function FROM pardon").fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok(row.try_get::<&str, _>(0)?.into())).collect()
    }

    /// Keeps that a function stands still.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn pause(&self, pause: Pause) -> Result<(), WriteError> {
        self.submit(Work::Pause(pause)).await
    }

    /// Keeps that a function goes on; see [`Store::pardons`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn resume(&self, function: &str) -> Result<(), WriteError> {
        self.submit(Work::Resume(function.into())).await
    }
}
