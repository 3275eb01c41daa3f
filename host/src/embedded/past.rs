//! What a function has done before, for a version that runs over it again: the batches that the ledger knows, the last records
//! that it published, and those of its input that it refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::TryStreamExt as _;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use utoipa::ToSchema;

use super::log::decoded;
use super::shadows::Recorded;
use super::writer::WriteError;
use super::{Commit, Note, Store};
use crate::delivery::letters::Letter;
use crate::delivery::outcome::{self, Refused};
use crate::delivery::{Effects, HeldTable, Interval, Records};
use crate::manifest::{Application, Function};

/// Batches that are read at one time.
const BATCHES_PER_READ: u32 = 32;
/// Rows that are written at one time.
const ROWS_PER_COMMIT: usize = 4096;

/// Where a part of what a function has handled begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// At this position of each partition.
    Position(i64),
    /// With the first record of each partition that is of this time or later, in milliseconds since the Unix epoch.
    Time(i64),
}

/// A part of what a function has handled: the batches that begin in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PartOfPast)]
pub struct Part {
    /// From here on; from the beginning where it is not said.
    pub from: Option<Mark>,
    /// Up to here; all of it where it is not said.
    pub to: Option<Mark>,
}

/// What of a partition is in a part, by the borders of batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The topic.
    pub source: Arc<str>,
    /// The partition.
    pub partition: u32,
    /// The first position that is in it.
    pub first: i64,
    /// The first behind it.
    pub next: i64,
    /// Whether it goes on to where the function stands when its tables are copied.
    pub is_open: bool,
}

impl Store {
    /// What of each partition that a function has read is in a part.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn spans(&self, function: &str, part: &Part) -> Result<Vec<Span>, WriteError> {
        let read =
            sqlx::query("SELECT source, partition, next FROM position WHERE function = ? ORDER BY source, partition");
        let mut spans = Vec::new();
        for row in read.bind(function).fetch_all(&self.readers).await? {
            let (source, partition, end): (String, u32, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let from = match part.from {
                Some(mark) => self.position_of(&source, partition, mark).await?,
                None => 0,
            };
            let to = match part.to {
                Some(mark) => self.position_of(&source, partition, mark).await?,
                None => i64::MAX,
            };
            let borders = sqlx::query(
                "SELECT min(first), max(next) FROM ledger WHERE function = ? AND source = ? AND partition = ? AND first >= ? AND first < ?",
            );
            let borders = borders.bind(function).bind(&source).bind(partition).bind(from).bind(to);
            let borders = borders.fetch_one(&self.readers).await?;
            let (first, next): (Option<i64>, Option<i64>) = (borders.try_get(0)?, borders.try_get(1)?);
            let (first, next) = first.zip(next).unwrap_or((end, end));
            spans.push(Span { source: source.into(), partition, first, next, is_open: part.to.is_none() });
        }
        Ok(spans)
    }

    /// Where a mark is in a partition; its end where nothing is so late.
    async fn position_of(&self, topic: &str, partition: u32, mark: Mark) -> Result<i64, WriteError> {
        let time_ms = match mark {
            Mark::Position(position) => return Ok(position),
            Mark::Time(time_ms) => time_ms,
        };
        let sql = "SELECT min(base) FROM log WHERE topic = ? AND partition = ? AND last_ms >= ?";
        let row = sqlx::query(sql).bind(topic).bind(partition).bind(time_ms).fetch_one(&self.readers).await?;
        let Some(base) = row.try_get::<Option<i64>, _>(0)? else { return Ok(i64::MAX) };
        let records = self.read(topic, partition, base, 1).await?;
        let late = records.offsets.iter().zip(&records.timestamps).find(|(at, time)| **at >= base && **time >= time_ms);
        Ok(late.map_or(base, |(at, _)| *at))
    }

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

    /// The last entry of the ledger of what comes before a position, or none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn handled_before(
        &self,
        function: &str,
        source: &str,
        partition: u32,
        position: i64,
    ) -> Result<i64, WriteError> {
        let sql =
            "SELECT coalesce(max(id), 0) FROM ledger WHERE function = ? AND source = ? AND partition = ? AND first < ?";
        let entry = sqlx::query(sql).bind(function).bind(source).bind(partition).bind(position);
        Ok(entry.fetch_one(&self.readers).await?.try_get(0)?)
    }

    /// Of the batches between the first and the last that `mirror` has of a function, by the ledger: microseconds of their calls, and whether
    /// another version than this one had some.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub async fn spent_on(&self, mirror: &Store, function: &str, version: &str) -> Result<(u64, bool), WriteError> {
        let sql = "SELECT source, partition, min(first), max(next) FROM ledger WHERE first IS NOT NULL GROUP BY 1, 2";
        let (mut micros, mut by_others) = (0, false);
        for row in sqlx::query(sql).fetch_all(&mirror.readers).await? {
            let of_batches = sqlx::query(
                "SELECT coalesce(sum(micros), 0), coalesce(max(version <> ?), 0) FROM ledger
                 WHERE function = ? AND source = ? AND partition = ? AND first >= ? AND next <= ?",
            );
            let of_batches = of_batches.bind(version).bind(function).bind(row.try_get::<&str, _>(0)?);
            let of_batches = of_batches.bind(row.try_get::<u32, _>(1)?);
            let of_batches = of_batches.bind(row.try_get::<i64, _>(2)?).bind(row.try_get::<i64, _>(3)?);
            let found = of_batches.fetch_one(&self.readers).await?;
            micros += found.try_get::<i64, _>(0)?.unsigned_abs();
            by_others |= found.try_get::<bool, _>(1)?;
        }
        Ok((micros, by_others))
    }

    /// Whether another version than this one has handled batches of a function.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn was_run_by_others(&self, function: &str, version: &str) -> Result<bool, WriteError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM ledger WHERE function = ? AND version <> ?)";
        Ok(sqlx::query(sql).bind(function).bind(version).fetch_one(&self.readers).await?.try_get(0)?)
    }

    /// Writes into `mirror` what tables of `function` in the operator's stores hold, once all that was committed is there.
    ///
    /// # Errors
    /// When a store or file cannot be read or written.
    pub(super) async fn tell_stored(&self, mirror: &Store, function: &Function) -> Result<(), WriteError> {
        let application = self.application();
        let written = application.tables.values().filter(|t| application.writer_of(&t.name) == Some(&function.name));
        for (table, connection) in written.filter_map(|table| Some((table, self.stores().of(table)?))) {
            self.all_applied(table).await?;
            connection.prepare().await?;
            let mut rows = connection.rows(table, None);
            let mut held = HeldTable::default();
            while let Some(row) = rows.try_next().await? {
                let cell =
                    |name: &String| table.columns.iter().position(|c| c.name == *name).and_then(|at| row.get(at));
                let key = table.key.iter().filter_map(cell).cloned().collect();
                held.upsert(key, row.into_iter().map(Some).collect());
                if held.rows.len() >= ROWS_PER_COMMIT {
                    write(mirror, BTreeMap::from([(table.name.clone(), std::mem::take(&mut held))])).await?;
                }
            }
            write(mirror, BTreeMap::from([(table.name.clone(), held)])).await?;
        }
        Ok(())
    }

    async fn tell(&self, telling: &mut Telling<'_>, topic: &str, is_letters: bool) -> Result<(), WriteError> {
        let mut frames = sqlx::query(
            "SELECT base, next, frame, partition FROM log WHERE topic = ? AND publisher =
               (SELECT id FROM name WHERE name = ?) ORDER BY partition, base",
        )
        .bind(topic)
        .bind(&telling.function.name)
        .fetch(&self.readers);
        while let Some(row) = frames.try_next().await? {
            let (next, partition): (i64, u32) = (row.try_get(1)?, row.try_get(3)?);
            let end = telling.ends.get(&(topic.to_owned(), partition)).copied().unwrap_or_default();
            if next <= end {
                telling.take(topic, is_letters, &decoded(&row, topic, partition)?).await?;
            }
        }
        Ok(())
    }
}

/// Where topics end, by topic and partition.
pub(super) type Ends = HashMap<(String, u32), i64>;

/// Who knows what a function has published and refused.
pub trait Past: Sync {
    /// Tells it all.
    fn tell<'t>(&'t self, telling: &'t mut Telling<'_>) -> BoxFuture<'t, Result<(), WriteError>>;
}

impl Past for Store {
    fn tell<'t>(&'t self, telling: &'t mut Telling<'_>) -> BoxFuture<'t, Result<(), WriteError>> {
        Box::pin(async move {
            for (topic, is_letters) in telling.topics(&self.application()) {
                self.tell(telling, &topic, is_letters).await?;
            }
            Ok(())
        })
    }
}

/// What a function has published and refused, written into a data file as [`outcome`] tells it.
pub struct Telling<'t> {
    mirror: &'t Store,
    /// Where the topics of the data folder ended when its tables were copied: what came later is not told.
    ends: Ends,
    /// The function.
    pub function: &'t Function,
    told: BTreeMap<String, HeldTable>,
}

impl<'t> Telling<'t> {
    pub(super) fn new(mirror: &'t Store, function: &'t Function, ends: Ends) -> Self {
        Telling { mirror, ends, function, told: BTreeMap::new() }
    }

    /// The topics that are compared, and whether they hold dead letters.
    #[must_use]
    pub fn topics(&self, application: &Application) -> Vec<(String, bool)> {
        let published = self.function.grants.publish.iter().filter(|topic| outcome::counts(self.function, topic));
        let letters = application.letter_topics();
        let letters = letters.iter().filter(|(_, functions)| functions.contains(self.function.name.as_str()));
        let published = published.map(|topic| (topic.clone(), false));
        published.chain(letters.map(|(topic, _)| (topic.clone(), true))).collect()
    }

    /// Takes records of a topic, which are the function's, or dead letters, which may be.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn take(&mut self, topic: &str, is_letters: bool, records: &Records) -> Result<(), WriteError> {
        let rows = match is_letters {
            true => refused(records, &self.function.name),
            false => {
                let records = records.keys.iter().zip(records.values.iter());
                let published = records.map(|(key, value)| (topic, key, value));
                outcome::rows(published, &Refused { topic: "", partition: 0, offsets: &[] })
            }
        };
        for (table, held) in rows {
            self.told.entry(table).or_default().follow(held);
        }
        if self.told.values().map(|held| held.rows.len()).sum::<usize>() >= ROWS_PER_COMMIT {
            write(self.mirror, std::mem::take(&mut self.told)).await?;
        }
        Ok(())
    }

    pub(super) async fn finish(self) -> Result<(), WriteError> {
        write(self.mirror, self.told).await
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
