//! Writes to tables of the operator's stores: records of a function's outbox, applied behind the commit. Here is how far each
//! store has come.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Row as _, SqliteConnection, SqlitePool};

use super::writer::{Work, WriteError};
use super::{LogEnds, Note, Store, commit, folder};
use crate::manifest::{Application, Function, Table};

/// How long rows may take to get from an outbox into the data folder.
const DATA_FOLDER_TIMEOUT: Duration = Duration::from_secs(10);

/// Names the outboxes of a data folder. It is in no backup: a restored folder has other records at the same offsets.
const LINEAGE: &str = "lineage";
const LINEAGE_DIGITS: usize = 32;

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

/// Holds where tables were kept until now against where isobar.toml keeps them: what a store has is not in another one, and what
/// waits for a store has to get there.
///
/// # Errors
/// Which tables were elsewhere, or which outbox nobody would apply, with the remedy.
pub(super) async fn check(readers: &SqlitePool, ends: &LogEnds, application: &Application) -> anyhow::Result<()> {
    let rows = sqlx::query("SELECT function, source, partition, next FROM position WHERE source LIKE '%.tables'");
    for row in rows.fetch_all(readers).await? {
        let (before, topic, partition): (String, String, u32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (next, end) = (row.try_get::<i64, _>(3)?, ends.of(&topic, partition));
        let writer = application.functions.values().find(|f| f.outbox_topic(&application.name) == topic);
        let connections = writer.map(|f| application.connections_of(&f.name)).unwrap_or_default();
        if application.topics.contains_key(&topic) || end == 0 || connections.contains(before.as_str()) {
            continue;
        }
        if let Some(writer) = writer.filter(|f| writes_to_store(application, f, &before)) {
            anyhow::bail!(
                "function `{}` has written to tables in `{before}`, which no isobar.toml keeps there now: name the file with \
                 `--config`, or start with an empty data folder, which computes everything anew",
                writer.name
            );
        }
        anyhow::ensure!(
            next >= end,
            "{} records of `{topic}` wait for `{before}`, and spin.toml has nobody left who writes there: start once more as it \
             was before until nothing waits, or start with an empty data folder, which computes everything anew",
            end - next
        );
    }
    Ok(())
}

/// Whether `function` writes to a table of the store that the connection `before` belongs to.
fn writes_to_store(application: &Application, function: &Function, before: &str) -> bool {
    let store = before.split('.').next().unwrap_or_default();
    let written = function.grants.tables.iter().filter(|(_, grant)| grant.operations.iter().any(|o| o.writes()));
    written.filter_map(|(table, _)| application.tables.get(table)).any(|table| table.store == store)
}

/// The lineage of the outboxes in `folder`; a new one where it has none.
pub(super) fn lineage(folder: &Path) -> anyhow::Result<Arc<str>> {
    folder::own_number(folder, LINEAGE, LINEAGE_DIGITS)
}

/// How far each store has come in each outbox.
pub(super) async fn positions(readers: &SqlitePool, application: &Application) -> Result<LogEnds, sqlx::Error> {
    let positions = LogEnds::default();
    for (topic, (function, partitions)) in application.outboxes() {
        for connection in application.connections_of(function) {
            for partition in 0..partitions {
                let note = Note { function: connection.into(), source: topic.as_str().into(), partition };
                let next = commit::stored(readers, &note).await?.unwrap_or_default();
                positions.add(&named(connection, &topic), partition, next);
            }
        }
    }
    Ok(positions)
}

/// A store's place in an outbox.
pub(super) fn named(connection: &str, topic: &str) -> String {
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

    /// Waits until everything that is committed now is in the tables that `function` writes to.
    ///
    /// # Errors
    /// As of a question about one of them.
    pub async fn all_applied_of(&self, function: &str) -> Result<(), WriteError> {
        let application = self.application();
        for table in application.tables.values().filter(|table| application.writer_of(&table.name) == Some(function)) {
            self.all_applied(table).await?;
        }
        Ok(())
    }

    /// Waits until everything that is committed now is applied to the store of `table`, as long as it gets on.
    ///
    /// # Errors
    /// [`WriteError::Store`] when nothing was applied for as long as the store may take for an answer.
    pub(super) async fn all_applied(&self, table: &Table) -> Result<(), WriteError> {
        let Some(name) = &table.connection else { return Ok(()) };
        let connection = self.stores.of(table);
        let timeout = connection.map_or(DATA_FOLDER_TIMEOUT, |connection| connection.timeout());
        let application = self.application();
        let Some(writer) = application.writer_of(&table.name) else { return Ok(()) };
        let outboxes = application.outboxes();
        for (topic, (_, partitions)) in outboxes.iter().filter(|(_, (function, _))| *function == writer) {
            for partition in 0..*partitions {
                let end = self.ends().of(topic, partition);
                let Some(mut applied) = self.applied.watch(&named(name, topic), partition) else {
                    continue;
                };
                while *applied.borrow_and_update() < end {
                    let changed = tokio::time::timeout(timeout, applied.changed()).await;
                    if !matches!(changed, Ok(Ok(()))) {
                        let reason = format!("what `{writer}` wrote before waits in `{topic}`/{partition}");
                        return Err(connection.map_or(WriteError::Log(reason.clone()), |c| c.away(reason).into()));
                    }
                }
            }
        }
        Ok(())
    }
}
