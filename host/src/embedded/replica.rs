//! The file as a copy of what is kept elsewhere: state that knows how much of the changelog it reflects, positions that others
//! decide, rows applied from an outbox.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::SqliteConnection;

use super::writer::{self, WriteError};
use super::{Attempt, Commit, Note, Store, attempt, commit, outbox, state};
use crate::bindings::tables::sqlite;
use crate::delivery::HeldTable;
use crate::manifest::Application;

/// What a run of a changelog comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Entries of state; `None` deletes.
    pub state: BTreeMap<String, Option<Vec<u8>>>,
    /// When schedules are due next, and whether the function asked for that itself, by trigger.
    pub schedules: BTreeMap<String, (i64, bool)>,
}

/// What the writer does for a copy.
pub(super) enum Work {
    Restore { note: Note, changes: Changes, next: i64, anew: bool },
    Take { note: Note, position: i64, attempt: Option<Box<Attempt>> },
    Rows { note: Note, tables: BTreeMap<String, HeldTable>, next: i64 },
}

pub(super) async fn perform(
    connection: &mut SqliteConnection,
    application: &Application,
    work: &Work,
) -> Result<(), WriteError> {
    match work {
        Work::Restore { note, changes, next, anew } => {
            if *anew {
                forget(connection, note).await?;
            }
            state::write(connection, note, &changes.state).await?;
            for (trigger, (due_ms, again)) in &changes.schedules {
                sqlx::query("INSERT OR REPLACE INTO schedule (function, source, due_ms, again) VALUES (?, ?, ?, ?)")
                    .bind(note.function.as_ref())
                    .bind(trigger)
                    .bind(due_ms)
                    .bind(again)
                    .execute(&mut *connection)
                    .await?;
            }
            stand(connection, &application.name, &note.function, note.partition, *next).await
        }
        Work::Take { note, position, attempt } => {
            put(connection, note, *position).await?;
            match attempt {
                Some(attempt) => attempt::keep(connection, attempt).await,
                None => attempt::go_on(connection, note, None).await,
            }
        }
        Work::Rows { note, tables, next } => {
            for (name, held) in tables {
                let table = application.tables.get(name).ok_or_else(|| WriteError::UnknownTable(name.clone()))?;
                sqlite::apply(connection, table, held).await?;
            }
            put(connection, note, *next).await
        }
    }
}

/// Forgets the state of a function's partition, and its schedule: who has one has one partition.
async fn forget(connection: &mut SqliteConnection, note: &Note) -> Result<(), WriteError> {
    let sql = "DELETE FROM state WHERE function = (SELECT id FROM name WHERE name = ?) AND partition = ?";
    sqlx::query(sql).bind(note.function.as_ref()).bind(note.partition).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM schedule WHERE function = ?").bind(note.function.as_ref()).execute(connection).await?;
    Ok(())
}

/// Notes how much of its changelog the state of a function's partition reflects.
pub(super) async fn stand(
    connection: &mut SqliteConnection,
    application: &str,
    function: &Arc<str>,
    partition: u32,
    next: i64,
) -> Result<(), WriteError> {
    put(connection, &changelog(application, function, partition), next).await
}

/// Where that is noted.
fn changelog(application: &str, function: &Arc<str>, partition: u32) -> Note {
    let source = format!("{application}.{function}.state").into();
    Note { function: Arc::clone(function), source, partition }
}

async fn put(connection: &mut SqliteConnection, note: &Note, next: i64) -> Result<(), WriteError> {
    sqlx::query("INSERT OR REPLACE INTO position (function, source, partition, next) VALUES (?, ?, ?, ?)")
        .bind(note.function.as_ref())
        .bind(note.source.as_ref())
        .bind(note.partition)
        .bind(next)
        .execute(connection)
        .await?;
    Ok(())
}

impl Store {
    /// Asks whether what a commit stores may be stored.
    ///
    /// # Errors
    /// [`WriteError`] which limit it would pass.
    pub async fn admit(&self, commit: Commit) -> Result<(), WriteError> {
        self.submit(writer::Work::Admit(Box::new(commit))).await
    }

    /// How much of its changelog the state of a function's partition reflects; `None` where nothing is known of it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn changelog(&self, note: &Note) -> Result<Option<i64>, WriteError> {
        let kept = changelog(&self.application().name, &note.function, note.partition);
        Ok(commit::stored(&self.readers, &kept).await?)
    }

    /// Writes what the changelog holds before `next`, in the place of everything if `anew`.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn restore(&self, note: Note, changes: Changes, next: i64, anew: bool) -> Result<(), WriteError> {
        self.submit(writer::Work::Replica(Work::Restore { note, changes, next, anew })).await
    }

    /// Sets position and failed delivery of a partition that this host takes over.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn take(&self, note: Note, position: i64, attempt: Option<Attempt>) -> Result<(), WriteError> {
        let attempt = attempt.map(Box::new);
        self.submit(writer::Work::Replica(Work::Take { note, position, attempt })).await
    }

    /// How far the file has come in an outbox.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn rows_applied(&self, note: &Note) -> Result<i64, WriteError> {
        Ok(commit::stored(&self.readers, note).await?.unwrap_or_default())
    }

    /// Writes rows of an outbox, whose records before `next` they are.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn apply_rows(
        &self,
        note: Note,
        tables: BTreeMap<String, HeldTable>,
        next: i64,
    ) -> Result<(), WriteError> {
        self.submit(writer::Work::Replica(Work::Rows { note, tables, next })).await
    }

    /// Says how far the store of `note` has come in an outbox, for who waits for that.
    pub fn note_applied(&self, note: &Note, next: i64) {
        self.applied.advance(&outbox::named(&note.function, &note.source), note.partition, next);
    }
}
