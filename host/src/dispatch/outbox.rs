//! Writes to tables of the operator's stores, applied behind the commit: one task per store, function and partition, in the
//! order of the outbox. A store that is away is tried again for ever; nothing is lost meanwhile, and the function is paced.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Shared;
use super::progress::Standing;
use crate::bindings::tables::fit::fit;
use crate::delivery::{Records, outbox, retry};
use crate::embedded::{Note, WriteError};
use crate::kafka::{Next, Owned, Tail};
use crate::manifest::{Application, DATA_FOLDER, Table};
use crate::stores::{Batch, Connection, Writer};

/// Records that a function may be ahead of its stores: each holds up to half a MiB of rows.
pub(super) const MOST_AHEAD: u64 = 1_000;
/// Bytes of records that are applied at one time; half of it after each time that failed, in case the store is too slow for
/// them, down to the least.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
const LEAST_BATCH_BYTES: usize = 64 * 1024;
/// How long rows gather after those before them, so that a row that changes with each commit is not written with each.
const GATHER: Duration = Duration::from_millis(100);
/// The wait before a store that is away is tried the second time, in milliseconds; doubled for each time after.
const BACKOFF_MS: u32 = 250;

/// One store's part of one outbox.
pub(super) struct Applier {
    shared: Arc<Shared>,
    source: Source,
    target: Target,
    note: Note,
    position: i64,
    end: watch::Receiver<i64>,
    batch_bytes: usize,
    /// The trouble that was told of last, and how often it came in a row.
    troubled: Option<(String, u32)>,
}

/// Where an applier reads, and notes how far it has come.
enum Source {
    /// In the data folder.
    Embedded,
    /// In Kafka.
    Kafka(Arc<Tail>),
}

/// What was done at one time.
enum Applied {
    Nothing,
    /// All that there was.
    All,
    /// As much as is applied at one time.
    Part,
}

/// Where rows go.
enum Target {
    /// Into a store of the operator's, in whose order.
    Store(Arc<Connection>, Writer),
    /// Into the data folder, though the log is not there.
    DataFolder,
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
        for connection in application.connections_of(function) {
            for partition in 0..partitions {
                let note = Note { function: connection.into(), source: topic.as_str().into(), partition };
                let target = target(shared, function, &note, store.lineage())?;
                let position = store.position(&note).await?;
                appliers.push(Applier::new(shared, note, position, Source::Embedded, target)?);
            }
        }
    }
    Ok(appliers)
}

/// One for each store that the function of `owned` writes to, for the partition that this host has taken over.
///
/// # Errors
/// When a position cannot be read.
pub(super) async fn appliers_of(
    shared: &Arc<Shared>,
    function: &str,
    owned: &Owned,
    lineage: &Arc<str>,
) -> anyhow::Result<Vec<Applier>> {
    let application = shared.store.application();
    let source: Option<Arc<str>> =
        application.functions.get(function).map(|f| f.outbox_topic(&application.name).into());
    let mut appliers = Vec::new();
    for (connection, tail) in owned.tails() {
        let source = source.clone().unwrap_or_default();
        let note = Note { function: connection, source, partition: owned.partition() };
        let target = target(shared, function, &note, lineage)?;
        let position = match &target {
            Target::Store(..) => tail.position().await?,
            Target::DataFolder => shared.store.rows_applied(&note).await?,
        };
        // Of another outbox that had the same name.
        let position = if position > tail.end() { 0 } else { position };
        shared.store.ends().advance(&note.source, note.partition, tail.end());
        shared.store.note_applied(&note, position);
        appliers.push(Applier::new(shared, note, position, Source::Kafka(tail), target)?);
    }
    Ok(appliers)
}

fn target(shared: &Shared, function: &str, note: &Note, lineage: &Arc<str>) -> anyhow::Result<Target> {
    if note.function.as_ref() == DATA_FOLDER {
        return Ok(Target::DataFolder);
    }
    let connection = shared.store.stores().all().find(|connection| connection.name == note.function);
    let connection = connection.ok_or_else(|| anyhow::anyhow!("there is no connection `{}`", note.function))?;
    let function = format!("{}.{function}", shared.store.application().name).into();
    let writer = Writer { function, partition: note.partition, lineage: Arc::clone(lineage) };
    Ok(Target::Store(Arc::clone(connection), writer))
}

impl Applier {
    fn new(shared: &Arc<Shared>, note: Note, position: i64, source: Source, target: Target) -> anyhow::Result<Self> {
        let end = shared.store.ends().watch(&note.source, note.partition);
        let end = end.ok_or_else(|| anyhow::anyhow!("topic `{}` has no partition {}", note.source, note.partition))?;
        let shared = Arc::clone(shared);
        let applier = Applier { shared, source, target, note, position, end, batch_bytes: BATCH_BYTES, troubled: None };
        applier.standing(Standing::Idle, true);
        Ok(applier)
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.end.mark_unchanged();
            let began = tokio::time::Instant::now();
            let wait = match self.step().await {
                Ok(Applied::Nothing) => {
                    self.troubled = None;
                    self.standing(Standing::Idle, false);
                    None
                }
                Ok(applied) => {
                    self.troubled = None;
                    self.batch_bytes = BATCH_BYTES;
                    if matches!(applied, Applied::All) {
                        self.idle_if_done();
                        let _ = tokio::time::timeout_at(began + GATHER, stop.cancelled()).await;
                    }
                    continue;
                }
                Err(error) => Some(self.trouble(&error)),
            };
            tokio::select! {
                () = stop.cancelled() => {}
                _ = self.end.changed(), if wait.is_none() => {}
                () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)) => {}
            }
        }
        if let (Source::Kafka(tail), Target::Store(..)) = (&self.source, &self.target) {
            // The next owner need not apply it again.
            tail.say(self.position).await;
        }
    }

    /// Applies what comes next, if there is anything.
    async fn step(&mut self) -> Result<Applied, WriteError> {
        if *self.end.borrow() <= self.position {
            return Ok(Applied::Nothing);
        }
        let Note { source, partition, .. } = &self.note;
        let records = match &self.source {
            Source::Embedded => self.shared.store.read(source, *partition, self.position, self.batch_bytes).await?,
            Source::Kafka(tail) => match tail.next(self.position, self.batch_bytes).await? {
                Next::Records(records) => Arc::new(*records),
                Next::Nothing(next) => {
                    self.position = next.max(self.position);
                    self.shared.store.note_applied(&self.note, self.position);
                    // More may have come meanwhile.
                    let more = *self.end.borrow() > self.position;
                    return Ok(if more { Applied::Part } else { Applied::Nothing });
                }
            },
        };
        let from = records.index_of(self.position);
        let Some(last) = records.offsets.last().copied().filter(|_| from < records.len()) else {
            return Ok(Applied::Nothing);
        };
        // A store that was away and is tried again is away until it takes something.
        if self.troubled.is_none() {
            self.standing(Standing::Running, true);
        }
        let batch = self.batch(&records, from, last)?;
        self.apply(batch, last + 1).await?;
        self.position = last + 1;
        self.shared.progress.committed();
        self.shared.progress.update(&self.note, |s| {
            s.position = last + 1;
            s.records += (records.len() - from) as u64;
            s.commits += 1;
        });
        Ok(if records.bytes() < self.batch_bytes / 2 { Applied::All } else { Applied::Part })
    }

    /// Nobody has to wait for rows that may come.
    fn idle_if_done(&self) {
        if *self.end.borrow() <= self.position {
            self.standing(Standing::Idle, false);
        }
    }

    /// Writes what stands before `next`, and notes it.
    async fn apply(&self, batch: Batch, next: i64) -> Result<(), WriteError> {
        let store = &self.shared.store;
        match &self.target {
            Target::Store(connection, writer) if !batch.tables.is_empty() => {
                connection.apply(writer, &batch).await?;
                batch.tables.iter().for_each(|(table, held)| store.written().note(table, held));
            }
            Target::Store(..) => {}
            Target::DataFolder => store.apply_rows(self.note.clone(), batch.tables, next).await?,
        }
        match (&self.source, &self.target) {
            (Source::Embedded, _) => return store.applied(self.note.clone(), self.position, next).await,
            (Source::Kafka(tail), Target::Store(..)) => tail.applied(next).await,
            // It is noted with the rows.
            (Source::Kafka(_), Target::DataFolder) => {}
        }
        store.note_applied(&self.note, next);
        Ok(())
    }

    /// The table `name`, if its rows are this applier's.
    fn table<'a>(&'a self, application: &'a Application, name: &str) -> Option<&'a Table> {
        match &self.target {
            Target::Store(connection, _) => connection.table(name),
            Target::DataFolder => {
                let declared = application.tables.get(name);
                declared.filter(|table| table.connection.as_deref() == Some(DATA_FOLDER))
            }
        }
    }

    /// What of `records`, from index `from` on, is for tables of this store.
    fn batch(&self, records: &Records, from: usize, last: i64) -> Result<Batch, WriteError> {
        let mut batch = Batch { offset: last, tables: std::collections::BTreeMap::new() };
        let application = self.shared.store.application();
        let all = records.keys.iter().zip(records.values.iter()).zip(&records.offsets).skip(from);
        for ((key, value), offset) in all {
            let name = key.and_then(|k| std::str::from_utf8(k).ok()).unwrap_or_default();
            let (topic, partition) = (&self.note.source, self.note.partition);
            let Some(table) = self.table(&application, name) else {
                let declared = application.tables.get(name);
                if declared.is_some_and(|table| table.connection.is_some()) {
                    // Another connection's.
                    continue;
                }
                let difference = format!("no store has a table `{name}` any more");
                let topic = topic.to_string();
                return Err(WriteError::Unfit { topic, partition, offset: *offset, difference });
            };
            let rows = outbox::rows(value).map_err(|error| WriteError::Outbox {
                topic: topic.to_string(),
                partition,
                offset: *offset,
                error,
            })?;
            let rows = fit(table, rows).map_err(|difference| WriteError::Unfit {
                topic: topic.to_string(),
                partition,
                offset: *offset,
                difference,
            })?;
            batch.tables.entry(name.to_owned()).or_default().follow(rows);
        }
        Ok(batch)
    }

    /// Tells of trouble, once as long as it is the same; gives how long to wait.
    fn trouble(&mut self, error: &WriteError) -> Duration {
        self.batch_bytes = (self.batch_bytes / 2).max(LEAST_BATCH_BYTES);
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
