//! Writes to tables of the operator's stores, applied behind the commit: one task per store, function and partition, in the
//! order of the outbox. A store that is away is tried again for ever; nothing is lost meanwhile, and the function is paced.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Shared;
use super::progress::Standing;
use crate::delivery::{Records, outbox, retry};
use crate::embedded::{Note, WriteError};
use crate::stores::{Batch, Connection, Writer};

/// Records that a function may be ahead of its stores: each holds up to half a MiB of rows.
pub(super) const MOST_AHEAD: u64 = 1_000;
/// Bytes of records that are applied at one time.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// The wait before a store that is away is tried the second time, in milliseconds; doubled for each time after.
const BACKOFF_MS: u32 = 250;

/// One store's part of one outbox.
pub(super) struct Applier {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    writer: Writer,
    note: Note,
    position: i64,
    end: watch::Receiver<i64>,
    /// The trouble that was told of last, and how often it came in a row.
    troubled: Option<(String, u32)>,
}

/// One for each store, function and partition.
///
/// # Errors
/// When a position cannot be read.
pub(super) async fn appliers(shared: &Arc<Shared>) -> anyhow::Result<Vec<Applier>> {
    let store = &shared.store;
    let application = store.application();
    let mut appliers = Vec::new();
    for (topic, (function, partitions)) in application.outboxes() {
        let connections = application.connections_of(function);
        for connection in store.stores().all().filter(|c| connections.contains(c.name.as_ref())) {
            for partition in 0..partitions {
                let note = Note { function: Arc::clone(&connection.name), source: topic.as_str().into(), partition };
                let end = store.ends().watch(&topic, partition);
                let applier = Applier {
                    position: store.position(&note).await?,
                    end: end.ok_or_else(|| anyhow::anyhow!("topic `{topic}` has no partition {partition}"))?,
                    shared: Arc::clone(shared),
                    connection: Arc::clone(connection),
                    writer: Writer { function: function.into(), partition, lineage: Arc::clone(store.lineage()) },
                    note,
                    troubled: None,
                };
                applier.standing(Standing::Idle, true);
                appliers.push(applier);
            }
        }
    }
    Ok(appliers)
}

impl Applier {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.end.mark_unchanged();
            let wait = match self.step().await {
                Ok(true) => {
                    self.troubled = None;
                    continue;
                }
                Ok(false) => {
                    self.standing(Standing::Idle, false);
                    None
                }
                Err(error) => Some(self.trouble(&error)),
            };
            tokio::select! {
                () = stop.cancelled() => {}
                _ = self.end.changed(), if wait.is_none() => {}
                () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)) => {}
            }
        }
    }

    /// Applies what comes next, if there is anything.
    async fn step(&mut self) -> Result<bool, WriteError> {
        if *self.end.borrow() <= self.position {
            return Ok(false);
        }
        let Note { source, partition, .. } = &self.note;
        let records = self.shared.store.read(source, *partition, self.position, BATCH_BYTES).await?;
        let from = records.index_of(self.position);
        let Some(last) = records.offsets.last().copied().filter(|_| from < records.len()) else { return Ok(false) };
        self.standing(Standing::Running, true);
        let batch = self.batch(&records, from, last)?;
        if !batch.tables.is_empty() {
            self.connection.apply(&self.writer, &batch).await?;
        }
        self.shared.store.applied(self.note.clone(), self.position, last + 1).await?;
        self.position = last + 1;
        self.shared.progress.committed();
        self.shared.progress.update(&self.note, |s| {
            s.position = last + 1;
            s.records += (records.len() - from) as u64;
            s.commits += 1;
        });
        Ok(true)
    }

    /// What of `records`, from index `from` on, is for tables of this store.
    fn batch(&self, records: &Records, from: usize, last: i64) -> Result<Batch, WriteError> {
        let mut batch = Batch { offset: last, tables: std::collections::BTreeMap::new() };
        let all = records.keys.iter().zip(records.values.iter()).zip(&records.offsets).skip(from);
        for ((key, value), offset) in all {
            if !key.and_then(|k| std::str::from_utf8(k).ok()).is_some_and(|table| self.connection.serves(table)) {
                continue;
            }
            let (table, rows) = outbox::rows(key, value).map_err(|error| {
                let (topic, partition) = (self.note.source.to_string(), self.note.partition);
                WriteError::Outbox { topic, partition, offset: *offset, error }
            })?;
            batch.tables.entry(table).or_default().follow(rows);
        }
        Ok(batch)
    }

    /// Tells of trouble, once as long as it is the same; gives how long to wait.
    fn trouble(&mut self, error: &WriteError) -> Duration {
        let reason = error.to_string();
        let times = match self.troubled.take() {
            Some((before, times)) if before == reason => times.saturating_add(1),
            _ => {
                let Note { function: store, source: topic, partition } = &self.note;
                warn!(%store, %topic, partition, %error, "writes wait");
                1
            }
        };
        self.standing(Standing::Waiting { reason: reason.clone() }, true);
        self.troubled = Some((reason, times));
        retry::backoff(BACKOFF_MS, times.saturating_add(1))
    }

    fn standing(&self, standing: Standing, busy: bool) {
        self.shared.progress.update(&self.note, |s| {
            s.position = self.position;
            s.standing = standing;
            s.busy = busy;
        });
    }
}
