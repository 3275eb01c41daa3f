//! Versions that run in the shadow of those in charge: which ones, and what the version in charge made of each batch, written in
//! the batch's own transaction and kept until it is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::versions::{self, Arrival, Entry};
use super::writer::{Told, Work as Task, WriteError};
use super::{Commit, Note, Store};
use crate::bindings::tables::fit::fit;
use crate::delivery::outcome::{self, Refused};
use crate::delivery::{HeldTable, Interval, Records, frame, key_bytes, outbox};
use crate::manifest::Application;

/// Bytes of what the version in charge made that wait for a shadow, as they are stored: one that falls further behind is ended.
const MOST_WAITING_BYTES: i64 = 256 * 1024 * 1024;
/// Batches that are read at one time, and bytes of them.
const BATCHES_PER_READ: u32 = 32;
const BYTES_PER_READ: i64 = 8 * 1024 * 1024;

/// A version that runs in the shadow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The function.
    pub function: String,
    /// SHA-256 of the component and of what the manifest says of the function, in hex.
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub component: String,
    /// What the manifest says of the function.
    pub part: String,
    /// The folder of its own data, below that of all shadows.
    pub place: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Whether it began with nothing at the beginning of the log, and not as a copy.
    pub replays: bool,
    /// How far it goes.
    pub extent: Extent,
    /// Whether it still has batches to handle that were handled before it began.
    pub past: bool,
    /// Why it does not go on, if it does not.
    pub ended: Option<String>,
}

/// How far a shadow goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// On and on behind the version in charge, whose place it may take.
    Open = 0,
    /// To the end of a part of the past, of which only rows are compared that it made itself.
    Part = 1,
    /// To the end of what there was when it began.
    Past = 2,
}

impl Extent {
    fn of(stored: i64) -> Self {
        match stored {
            1 => Extent::Part,
            2 => Extent::Past,
            _ => Extent::Open,
        }
    }
}

/// A version that begins to run in the shadow.
#[derive(Debug)]
pub struct Beginning {
    /// The version.
    pub arrival: Arrival,
    /// As [`Shadow::place`].
    pub place: String,
    /// As [`Shadow::replays`].
    pub replays: bool,
    /// As [`Shadow::extent`].
    pub extent: Extent,
    /// What the audit log says of it.
    pub entry: Entry,
}

/// A batch that the version in charge has handled.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its place in the order of all.
    pub id: i64,
    /// Whose, and of which source and partition.
    pub note: Note,
    /// Where its records stand.
    pub interval: Interval,
    /// Where they were only read again: which of them, by their offsets.
    pub reread: Option<Vec<i64>>,
    /// As in the commit.
    pub attempt: u32,
    /// As in the commit.
    pub micros: u64,
    /// As in the commit.
    pub at_ms: i64,
    /// As in the commit.
    pub records: u32,
    /// As in the commit.
    pub version: Arc<str>,
    /// What it came to: [`Recorded::tables`] reads it.
    pub made: Vec<u8>,
}

/// What the writer does of it.
#[derive(Debug)]
pub(super) enum Work {
    Begin(Box<Beginning>),
    /// Batches of a function up to this one are compared.
    Done {
        function: String,
        through: i64,
    },
    /// What was before it began is handled.
    Arrived {
        function: String,
    },
    /// It cannot go on.
    Fail {
        function: String,
        reason: String,
    },
    Drop {
        function: String,
        entry: Option<Entry>,
    },
}

pub(super) async fn perform(connection: &mut SqliteConnection, work: &Work) -> Result<(), WriteError> {
    match work {
        Work::Begin(beginning) => begin(connection, beginning).await,
        Work::Done { function, through } => {
            let done = sqlx::query(
                "UPDATE shadow SET bytes = bytes - (SELECT coalesce(sum(length(made)), 0) FROM shadow_batch
                   WHERE function = ?1 AND id <= ?2) WHERE function = ?1;
                 DELETE FROM shadow_batch WHERE function = ?1 AND id <= ?2",
            );
            done.bind(function).bind(through).execute(connection).await?;
            Ok(())
        }
        Work::Arrived { function } => {
            sqlx::query("UPDATE shadow SET past = 0 WHERE function = ?").bind(function).execute(connection).await?;
            Ok(())
        }
        Work::Fail { function, reason } => end(connection, function, reason).await,
        Work::Drop { function, entry } => {
            forget(connection, function).await?;
            match entry {
                Some(entry) => versions::note(connection, entry).await,
                None => Ok(()),
            }
        }
    }
}

async fn begin(connection: &mut SqliteConnection, beginning: &Beginning) -> Result<(), WriteError> {
    let Beginning { arrival, place, replays, extent, entry } = beginning;
    versions::keep_component(connection, arrival).await?;
    sqlx::query(
        "INSERT INTO shadow (function, version, component, part, place, at_ms, replays, past, extent)
         VALUES (?, ?, ?, ?, ?, ?, ?7, ?7, ?8)",
    )
    .bind(&arrival.function)
    .bind(&arrival.version)
    .bind(&arrival.component)
    .bind(&arrival.part)
    .bind(place)
    .bind(entry.at_ms)
    .bind(replays)
    .bind(*extent as i64)
    .execute(&mut *connection)
    .await?;
    versions::note(connection, entry).await
}

/// Ends a shadow: nothing is kept for it any more but that it was there, and why it ended.
async fn end(connection: &mut SqliteConnection, function: &str, reason: &str) -> Result<(), WriteError> {
    let ended = sqlx::query(
        "UPDATE shadow SET ended = coalesce(ended, ?2), bytes = 0 WHERE function = ?1;
         DELETE FROM shadow_batch WHERE function = ?1",
    );
    ended.bind(function).bind(reason).execute(connection).await?;
    Ok(())
}

/// Forgets a shadow.
pub(super) async fn forget(connection: &mut SqliteConnection, function: &str) -> Result<(), WriteError> {
    let gone = sqlx::query("DELETE FROM shadow_batch WHERE function = ?1; DELETE FROM shadow WHERE function = ?1");
    gone.bind(function).execute(connection).await?;
    Ok(())
}

/// Keeps what a commit came to for the shadow of its function. A shadow that is too far behind is ended.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    application: &Application,
    commit: &Commit,
) -> Result<(), WriteError> {
    let again =
        commit.reread.first().zip(commit.reread.last()).map(|(first, last)| Interval { first: *first, next: last + 1 });
    let Some(interval) = commit.interval.or(again) else { return Ok(()) };
    let reread = again.map(|_| serde_json::to_string(&commit.reread).unwrap_or_default());
    let encoded;
    let made = match &commit.made {
        Some(made) => made,
        // It was begun before there was a shadow.
        None => {
            encoded = made_by(application, commit)?;
            &encoded
        }
    };
    // One round trip to the connection's thread.
    let recorded = sqlx::query(
        "INSERT INTO shadow_batch (function, source, partition, first, next, reread, attempt, micros, at_ms, records, version, made)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
         WHERE EXISTS (SELECT 1 FROM shadow WHERE function = ?1 AND ended IS NULL);
         UPDATE shadow SET bytes = bytes + ?13 WHERE function = ?1 AND ended IS NULL RETURNING bytes",
    )
    .bind(commit.note.function.as_ref())
    .bind(commit.note.source.as_ref())
    .bind(commit.note.partition)
    .bind(interval.first)
    .bind(interval.next)
    .bind(reread)
    .bind(commit.attempt)
    .bind(commit.micros as i64)
    .bind(commit.at_ms)
    .bind(commit.records)
    .bind(commit.version.as_ref())
    .bind(made)
    .bind(made.len() as i64)
    .fetch_all(&mut *connection)
    .await?;
    let waiting: i64 = recorded.first().map_or(Ok(0), |row| row.try_get(0))?;
    if waiting > MOST_WAITING_BYTES {
        let reason = format!("it fell more than {} MiB behind the version in charge", MOST_WAITING_BYTES >> 20);
        return end(connection, &commit.note.function, &reason).await;
    }
    Ok(())
}

/// What a commit comes to, as it is kept.
///
/// # Errors
/// When it cannot be written down, which nothing is known to cause.
pub fn made_by(application: &Application, commit: &Commit) -> Result<Vec<u8>, WriteError> {
    let application = commit.application.as_deref().unwrap_or(application);
    let function = application.functions.get(commit.note.function.as_ref());
    let compared = |topic: &str| function.is_some_and(|function| outcome::counts(function, topic));
    let frames = commit.frames.iter().filter(|frame| compared(&frame.topic));
    let published = frames.flat_map(|frame| {
        frame
            .records
            .keys
            .iter()
            .zip(frame.records.values.iter())
            .map(|(key, value)| (frame.topic.as_ref(), key, value))
    });
    let refused = Refused { topic: &commit.note.source, partition: commit.note.partition, offsets: &commit.refused };
    let told = outcome::rows(published, &refused);
    let own = outcome::tables();
    let tables = commit.effects.tables.iter().chain(&told);
    let written = tables.filter_map(|(name, held)| {
        let table = application.tables.get(name).or_else(|| own.iter().find(|table| table.name == *name))?;
        let columns = table.columns.iter().map(|column| column.name.as_str()).collect();
        Some(outbox::Written { table: &table.name, key: &table.key, columns, held })
    });
    let records = outbox::records(written, commit.at_ms).map_err(|error| WriteError::Log(error.to_string()))?;
    frame::encode(&records).map_err(|error| WriteError::Log(error.to_string()))
}

/// Tells who asks which functions have a shadow.
pub(super) fn announce(work: &Work, told: &Told) {
    match work {
        Work::Begin(beginning) => set(told, &beginning.arrival.function, beginning.extent == Extent::Open),
        Work::Fail { function, .. } | Work::Drop { function, .. } => set(told, function, false),
        Work::Done { .. } | Work::Arrived { .. } => {}
    }
}

/// Says whether what `function` does is kept for a shadow from the next transaction on.
pub(super) fn set(told: &Told, function: &str, is_shadowed: bool) {
    let mut shadowed = BTreeSet::clone(&told.shadowed.load());
    let changed = match is_shadowed {
        true => shadowed.insert(function.into()),
        false => shadowed.remove(function),
    };
    if changed {
        told.shadowed.store(Arc::new(shadowed));
        told.shadow_news.send_replace(());
    }
}

impl Recorded {
    /// What it came to, as rows of the tables of `application` and of [`outcome::tables`].
    ///
    /// # Errors
    /// Why they cannot be had; the words hold no values.
    pub fn tables(&self, application: &Application) -> Result<BTreeMap<String, HeldTable>, String> {
        let damaged = |error: &dyn std::fmt::Display| format!("what was kept of a batch is damaged: {error}");
        let records: Records = frame::decode(&self.made, 0).map_err(|error| damaged(&error))?;
        let mut tables: BTreeMap<String, HeldTable> = BTreeMap::new();
        for (key, value) in records.keys.iter().zip(records.values.iter()) {
            let name = key.and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
            let rows = outbox::rows(value).map_err(|error| damaged(&error))?;
            let table = application.tables.get(name).ok_or_else(|| format!("there is no table `{name}` any more"))?;
            let held = match outcome::is_own(name) {
                true => rows.rows.into_iter().map(|row| (key_bytes(&row.key), row)).collect(),
                false => fit(table, rows)?.rows,
            };
            tables.entry(name.to_owned()).or_default().rows.extend(held);
        }
        Ok(tables)
    }
}

impl Store {
    /// Whether what a function does is kept for its shadow.
    #[must_use]
    pub fn is_shadowed(&self, function: &str) -> bool {
        self.told.shadowed.load().contains(function)
    }

    /// Changes when there is more for a shadow to compare, or when a shadow begins or ends.
    #[must_use]
    pub fn shadow_news(&self) -> tokio::sync::watch::Receiver<()> {
        self.told.shadow_news.subscribe()
    }

    /// The shadows, those that ended by themselves among them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn shadows(&self) -> Result<Vec<Shadow>, WriteError> {
        let shadow = |row: SqliteRow| {
            Ok(Shadow {
                function: row.try_get(0)?,
                version: row.try_get(1)?,
                component: row.try_get(2)?,
                part: row.try_get(3)?,
                place: row.try_get(4)?,
                at_ms: row.try_get(5)?,
                replays: row.try_get(6)?,
                past: row.try_get(7)?,
                ended: row.try_get(8)?,
                extent: Extent::of(row.try_get(9)?),
            })
        };
        let rows = sqlx::query(
            "SELECT function, version, component, part, place, at_ms, replays, past, ended, extent FROM shadow",
        );
        Ok(rows.try_map(shadow).fetch_all(&self.readers).await?)
    }

    /// Keeps what the version in charge does from now on for a shadow that begins.
    ///
    /// # Errors
    /// [`WriteError`]: the function has one already, or the file cannot be written.
    pub async fn begin_shadow(&self, beginning: Beginning) -> Result<(), WriteError> {
        self.submit(Task::Shadow(Work::Begin(Box::new(beginning)))).await
    }

    /// The next batches for a function's shadow to compare, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn shadow_batches(&self, function: &str) -> Result<Vec<Recorded>, WriteError> {
        let recorded = |row: SqliteRow| {
            Ok(Recorded {
                id: row.try_get(0)?,
                note: Note {
                    function: function.into(),
                    source: row.try_get::<String, _>(1)?.into(),
                    partition: row.try_get(2)?,
                },
                interval: Interval { first: row.try_get(3)?, next: row.try_get(4)? },
                reread: row.try_get::<Option<&str>, _>(5)?.map(|text| serde_json::from_str(text).unwrap_or_default()),
                attempt: row.try_get(6)?,
                micros: row.try_get::<i64, _>(7)?.unsigned_abs(),
                at_ms: row.try_get(8)?,
                records: row.try_get(9)?,
                version: row.try_get::<String, _>(10)?.into(),
                made: row.try_get(11)?,
            })
        };
        let rows = sqlx::query(
            "SELECT id, source, partition, first, next, reread, attempt, micros, at_ms, records, version, made
             FROM (SELECT *, sum(length(made)) OVER (ORDER BY id) - length(made) AS before FROM
               (SELECT * FROM shadow_batch WHERE function = ?1 ORDER BY id LIMIT ?2))
             WHERE before <= ?3 ORDER BY id",
        );
        let rows = rows.bind(function).bind(BATCHES_PER_READ).bind(BYTES_PER_READ);
        Ok(rows.try_map(recorded).fetch_all(&self.readers).await?)
    }

    /// How many records of batches wait for a function's shadow.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn shadow_behind(&self, function: &str) -> Result<u64, WriteError> {
        let sql = "SELECT coalesce(sum(records), 0) FROM shadow_batch WHERE function = ?";
        let row = sqlx::query(sql).bind(function).fetch_one(&self.readers).await?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }

    /// Lets go of batches that are compared, up to the one with this id.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn shadow_done(&self, function: &str, through: i64) -> Result<(), WriteError> {
        self.submit(Task::Shadow(Work::Done { function: function.to_owned(), through })).await
    }

    /// Notes that a shadow has handled what was before it began.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn shadow_arrived(&self, function: &str) -> Result<(), WriteError> {
        self.submit(Task::Shadow(Work::Arrived { function: function.to_owned() })).await
    }

    /// Ends a shadow that cannot go on, and lets go of what was kept for it.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn fail_shadow(&self, function: &str, reason: String) -> Result<(), WriteError> {
        self.submit(Task::Shadow(Work::Fail { function: function.to_owned(), reason })).await
    }

    /// Forgets a shadow.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn drop_shadow(&self, function: &str, entry: Option<Entry>) -> Result<(), WriteError> {
        self.submit(Task::Shadow(Work::Drop { function: function.to_owned(), entry })).await
    }
}

/// The functions that have a shadow which goes on.
pub(super) async fn shadowed(connection: &mut SqliteConnection) -> Result<BTreeSet<Arc<str>>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT function FROM shadow WHERE ended IS NULL AND extent = 0").fetch_all(connection).await?;
    rows.iter().map(|row| Ok(row.try_get::<String, _>(0)?.into())).collect()
}
