//! What a function has done before, for a version that runs over it again: the batches that the ledger knows, the last records
//! that it published, and those of its input that it refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt as _;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::log::decoded;
use super::shadows::Recorded;
use super::writer::WriteError;
use super::{Commit, Note, Store};
use crate::delivery::letters::Letter;
use crate::delivery::outcome::{self, Refused};
use crate::delivery::{Effects, HeldTable, Interval, Records};
use crate::manifest::Function;

/// Batches that are read at one time.
const BATCHES_PER_READ: u32 = 32;
/// Rows that are written at one time.
const ROWS_PER_COMMIT: usize = 4096;

impl Store {
    /// The batches that a function has handled in a partition, by the ledger, in the order in which it did; those after the entry
    /// `after`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn past(&self, function: &str, partition: u32, after: i64) -> Result<Vec<Recorded>, WriteError> {
        let recorded = |row: SqliteRow| {
            let source = row.try_get::<String, _>(1)?.into();
            Ok(Recorded {
                id: row.try_get(0)?,
                note: Note { function: function.into(), source, partition },
                interval: Interval { first: row.try_get(2)?, next: row.try_get(3)? },
                reread: None,
                attempt: row.try_get(4)?,
                micros: row.try_get::<i64, _>(5)?.unsigned_abs(),
                at_ms: row.try_get(6)?,
                records: row.try_get(7)?,
                version: row.try_get::<String, _>(8)?.into(),
                made: Vec::new(),
            })
        };
        let rows = sqlx::query(
            "SELECT id, source, first, next, attempt, micros, at_ms, records, version FROM ledger NOT INDEXED
             WHERE function = ? AND partition = ? AND id > ? AND first IS NOT NULL ORDER BY id LIMIT ?",
        );
        let rows = rows.bind(function).bind(partition).bind(after).bind(BATCHES_PER_READ);
        Ok(rows.try_map(recorded).fetch_all(&self.readers).await?)
    }

    /// Microseconds of all calls of a function with batches, by the ledger.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn spent_on(&self, function: &str) -> Result<u64, WriteError> {
        let sql = "SELECT coalesce(sum(micros), 0) FROM ledger WHERE function = ? AND first IS NOT NULL";
        let row = sqlx::query(sql).bind(function).fetch_one(&self.readers).await?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }

    /// Whether another version than this one has handled batches of a function.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn was_run_by_others(&self, function: &str, version: &str) -> Result<bool, WriteError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM ledger WHERE function = ? AND version <> ?)";
        Ok(sqlx::query(sql).bind(function).bind(version).fetch_one(&self.readers).await?.try_get(0)?)
    }

    /// The partition of `topics` whose log does not hold everything that ever came, if there is one, and where it begins.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn trimmed_topic(&self, topics: &[&str]) -> Result<Option<(String, u32, i64)>, WriteError> {
        let partitions = self.topics().await?;
        let trimmed = partitions.into_iter().find(|p| topics.contains(&p.topic.as_str()) && p.first > 0);
        Ok(trimmed.map(|p| (p.topic, p.partition, p.first)))
    }

    /// Writes into `mirror` what `function` has published and refused so far, as [`outcome`] tells it.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub(super) async fn tell_past(&self, mirror: &Store, function: &Function) -> Result<(), WriteError> {
        let application = self.application();
        let letters = application.letter_topics();
        let letters = letters.iter().filter(|(_, functions)| functions.contains(function.name.as_str()));
        let published = function.grants.publish.iter().filter(|topic| outcome::counts(function, topic));
        for topic in published {
            self.tell(mirror, function, topic, false).await?;
        }
        for (topic, _) in letters {
            self.tell(mirror, function, topic, true).await?;
        }
        Ok(())
    }

    async fn tell(&self, mirror: &Store, function: &Function, topic: &str, is_letters: bool) -> Result<(), WriteError> {
        let mut frames = sqlx::query(
            "SELECT base, next, frame, partition FROM log WHERE topic = ? AND publisher =
               (SELECT id FROM name WHERE name = ?) ORDER BY partition, base",
        )
        .bind(topic)
        .bind(&function.name)
        .fetch(&self.readers);
        let mut told: BTreeMap<String, HeldTable> = BTreeMap::new();
        while let Some(row) = frames.try_next().await? {
            let records = decoded(&row, topic, row.try_get(3)?)?;
            let rows = match is_letters {
                true => refused(&records, &function.name),
                false => {
                    let records = records.keys.iter().zip(records.values.iter());
                    let published = records.map(|(key, value)| (topic, key, value));
                    outcome::rows(published, &Refused { topic: "", partition: 0, offsets: &[] })
                }
            };
            for (table, held) in rows {
                told.entry(table).or_default().follow(held);
            }
            if told.values().map(|held| held.rows.len()).sum::<usize>() >= ROWS_PER_COMMIT {
                write(mirror, std::mem::take(&mut told)).await?;
            }
        }
        write(mirror, told).await
    }
}

/// The records of the input that dead letters of `function` tell of.
fn refused(records: &Records, function: &str) -> BTreeMap<String, HeldTable> {
    let letters = (0..records.len()).filter_map(|at| Letter::of(records, at)).filter(|l| l.function == function);
    let mut told: BTreeMap<String, HeldTable> = BTreeMap::new();
    for Letter { topic, partition, offset, .. } in letters {
        let refused = Refused { topic: &topic, partition, offsets: &[offset] };
        for (table, held) in outcome::rows(std::iter::empty(), &refused) {
            told.entry(table).or_default().follow(held);
        }
    }
    told
}

async fn write(mirror: &Store, tables: BTreeMap<String, HeldTable>) -> Result<(), WriteError> {
    if tables.is_empty() {
        return Ok(());
    }
    let effects = Arc::new(Effects { tables, ..Effects::default() });
    mirror.commit(Commit { effects, attempt: 1, ..Commit::default() }).await
}
