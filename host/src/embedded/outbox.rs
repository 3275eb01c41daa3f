//! Writes to tables of the operator's stores: records of a function's outbox, applied behind the commit. Here is how far each
//! store has come.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use super::writer::{Work, WriteError};
use super::{LogEnds, Note, Store, folder};
use crate::manifest::{Application, Table};

/// Names the outboxes of a data folder. It is in no backup: a restored folder has other records at the same offsets.
const LINEAGE: &str = "lineage";

/// Moves the position of a store in an outbox.
pub(super) async fn applied(
    connection: &mut SqliteConnection,
    note: &Note,
    first: i64,
    next: i64,
) -> Result<(), WriteError> {
    let moved = sqlx::query(
        "UPDATE position SET next = ? WHERE function = ? AND source = ? AND partition = ? AND next = ? RETURNING next",
    )
    .bind(next)
    .bind(note.function.as_ref())
    .bind(note.source.as_ref())
    .bind(note.partition)
    .bind(first)
    .fetch_optional(connection)
    .await?;
    moved.map(|_| ()).ok_or_else(|| WriteError::Position { note: note.clone(), first })
}

/// The lineage of the outboxes in `folder`; a new one where it has none.
pub(super) fn lineage(folder: &Path) -> anyhow::Result<Arc<str>> {
    let path = folder.join(LINEAGE);
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().len() == 32 => return Ok(text.trim().into()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
    let lineage = format!("{:032x}", rand::random::<u128>());
    let unfinished = path.with_extension("unfinished");
    folder::make_private(&unfinished)
        .and_then(|()| std::fs::write(&unfinished, &lineage))
        .and_then(|()| std::fs::rename(&unfinished, &path))
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(lineage.into())
}

/// How far each store has come in each outbox.
pub(super) async fn positions(readers: &SqlitePool, application: &Application) -> Result<LogEnds, sqlx::Error> {
    let positions = LogEnds::default();
    for (topic, (function, partitions)) in application.outboxes() {
        for connection in application.connections_of(function) {
            for partition in 0..partitions {
                let row = sqlx::query("SELECT next FROM position WHERE function = ? AND source = ? AND partition = ?")
                    .bind(connection)
                    .bind(&topic)
                    .bind(partition)
                    .fetch_optional(readers)
                    .await?;
                let next = row.map_or(Ok(0), |row| row.try_get(0))?;
                positions.add(&named(connection, &topic), partition, next);
            }
        }
    }
    Ok(positions)
}

/// A store's place in an outbox.
fn named(connection: &str, topic: &str) -> String {
    format!("{connection} {topic}")
}

impl Store {
    /// The lineage of the outboxes.
    #[must_use]
    pub fn lineage(&self) -> &Arc<str> {
        &self.lineage
    }

    /// Notes that the store of `note` has applied what lies before `next`.
    ///
    /// # Errors
    /// [`WriteError`]; it is applied again then, to the same effect.
    pub async fn applied(&self, note: Note, first: i64, next: i64) -> Result<(), WriteError> {
        let (key, partition) = (named(&note.function, &note.source), note.partition);
        self.submit(Work::Applied { note, first, next }).await?;
        self.applied.grow(&key, partition, next);
        Ok(())
    }

    /// Waits until everything that is committed now is applied to the store of `table`.
    pub(super) async fn all_applied(&self, table: &Table) {
        let Some((writer, connection)) = self.application.writer_of(&table.name).zip(table.connection.as_ref()) else {
            return;
        };
        let outboxes = self.application.outboxes();
        for (topic, (_, partitions)) in outboxes.iter().filter(|(_, (function, _))| *function == writer) {
            for partition in 0..*partitions {
                let end = self.ends().of(topic, partition);
                if let Some(mut applied) = self.applied.watch(&named(connection, topic), partition) {
                    // It ends with the store, and the read after it says so.
                    let _ = applied.wait_for(|next| *next >= end).await;
                }
            }
        }
    }
}
