//! The ledger: which version handled which interval of which input; and the walk that looks for gaps and overlaps.

use std::collections::HashMap;

use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use utoipa::ToSchema;

use super::writer::WriteError;
use super::{Note, Store, log};

/// Findings that are told; the count goes on.
const MAX_FINDINGS: usize = 100;

/// What a walk over the ledger found.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq, ToSchema)]
pub struct LedgerReport {
    /// Entries walked.
    pub entries: u64,
    /// Records of the input that they say were handled.
    pub records: u64,
    /// Records that an independent read of the log found in the same intervals, where the log still holds them.
    pub records_read: u64,
    /// What does not fit; empty when all is well.
    pub findings: Vec<Finding>,
    /// How many findings there were in all.
    pub finding_count: u64,
}

/// One place where the ledger does not fit.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq, ToSchema)]
pub struct Finding {
    /// The function.
    pub function: String,
    /// The topic or schedule.
    pub source: String,
    /// The partition.
    pub partition: u32,
    /// What is wrong.
    pub message: String,
}

/// Positions by function, source and partition.
type Positions = HashMap<(String, String, u32), i64>;

/// The walk along one (function, source, partition).
struct Walk {
    note: Note,
    at: i64,
}

impl Store {
    /// Walks the ledger: each interval begins where the last ended, the position is where the last ended, and the
    /// records counted are those that a read of the log finds.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn verify(&self) -> Result<LedgerReport, WriteError> {
        let mut report = LedgerReport::default();
        let mut walk: Option<Walk> = None;
        // Positions and entries of one moment, whatever is committed meanwhile; the log only grows behind them.
        let mut moment = self.readers.begin().await?;
        let positions = positions(&mut moment).await?;
        let mut entries = sqlx::query(
            "SELECT function, source, partition, first, next, records FROM ledger WHERE first IS NOT NULL
             ORDER BY function, source, partition, id",
        )
        .fetch(&mut *moment);
        while let Some(row) = entries.try_next().await? {
            let (function, source, partition): (String, String, u32) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let (first, next, records): (i64, i64, i64) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
            let same = |w: &Walk| {
                w.note.function.as_ref() == function
                    && w.note.source.as_ref() == source
                    && w.note.partition == partition
            };
            if !walk.as_ref().is_some_and(same) {
                report.end(walk.take(), &positions);
                let note = Note { function: function.into(), source: source.into(), partition };
                walk = Some(Walk { note, at: 0 });
            }
            let Some(walk) = walk.as_mut() else { continue };
            report.entries += 1;
            report.records += records as u64;
            if first != walk.at {
                let what = if first > walk.at { "a gap" } else { "an overlap" };
                report.find(
                    &walk.note,
                    format!("{what}: an interval ends at {} and the next begins at {first}", walk.at),
                );
            }
            walk.at = next;
            self.compare(&mut report, &walk.note, (first, next, records)).await?;
        }
        report.end(walk, &positions);
        Ok(report)
    }

    /// Holds an interval and the records that it counts against the log.
    async fn compare(
        &self,
        report: &mut LedgerReport,
        note: &Note,
        (first, next, records): (i64, i64, i64),
    ) -> Result<(), WriteError> {
        match self.count(note, first, next, records).await {
            Ok(found) => {
                report.records_read += found as u64;
                if found != records {
                    report.find(note, format!("[{first}, {next}) counts {records} records, the log holds {found}"));
                }
                Ok(())
            }
            Err(error @ WriteError::Damaged { .. }) => {
                report.find(note, error.to_string());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Records of the log in `[first, next)`, decoded and counted; `expected` where the log no longer holds them all,
    /// and for a schedule, which has no log.
    async fn count(&self, note: &Note, first: i64, next: i64, expected: i64) -> Result<i64, WriteError> {
        let is_topic = self.ends().watch(&note.source, note.partition).is_some();
        let mut frames = sqlx::query(
            "SELECT base, next, frame FROM log
             WHERE topic = ?1 AND partition = ?2 AND next > ?3 AND base < ?4 ORDER BY base",
        )
        .bind(note.source.as_ref())
        .bind(note.partition)
        .bind(first)
        .bind(next)
        .fetch(&self.readers);
        let mut found = 0;
        let mut earliest = None;
        while let Some(row) = frames.try_next().await? {
            let base: i64 = row.try_get(0)?;
            let records = log::decoded(&row, &note.source, note.partition)?;
            earliest.get_or_insert(base);
            found += records.offsets.iter().filter(|o| (first..next).contains(*o)).count() as i64;
        }
        let trimmed = earliest.is_none_or(|e| e > first) && self.trimmed(note, first).await?;
        Ok(if !is_topic || trimmed { expected } else { found })
    }

    async fn trimmed(&self, note: &Note, first: i64) -> Result<bool, WriteError> {
        let row = sqlx::query("SELECT min(base) FROM log WHERE topic = ? AND partition = ?")
            .bind(note.source.as_ref())
            .bind(note.partition)
            .fetch_one(&self.readers)
            .await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.is_none_or(|base| base > first))
    }
}

/// Where everybody stands.
async fn positions(connection: &mut SqliteConnection) -> Result<Positions, WriteError> {
    let rows = sqlx::query("SELECT function, source, partition, next FROM position").fetch_all(connection).await?;
    let position = |row: SqliteRow| Ok(((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), row.try_get(3)?));
    rows.into_iter().map(position).collect()
}

impl LedgerReport {
    fn end(&mut self, walk: Option<Walk>, positions: &Positions) {
        let Some(walk) = walk else { return };
        let key = (walk.note.function.to_string(), walk.note.source.to_string(), walk.note.partition);
        match positions.get(&key) {
            Some(position) if *position == walk.at => {}
            Some(position) => {
                self.find(&walk.note, format!("the ledger ends at {}, the position is {position}", walk.at));
            }
            None => self.find(&walk.note, format!("the ledger ends at {}, and there is no position", walk.at)),
        }
    }

    /// Notes what does not fit.
    pub(crate) fn find(&mut self, note: &Note, message: String) {
        self.finding_count += 1;
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding {
                function: note.function.to_string(),
                source: note.source.to_string(),
                partition: note.partition,
                message,
            });
        }
    }
}
