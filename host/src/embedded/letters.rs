//! What became of dead letters: sent back to the function that failed, or dropped. The letters themselves stay in their
//! topic as they are.

use std::collections::BTreeMap;

use sqlx::{Row as _, SqliteConnection};

use super::writer::{Work, WriteError};
use super::{Frame, Store, log};

/// What became of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was sent back.
    Redriven,
    /// It was given up.
    Dropped,
}

/// Dead letters whose fate is decided, with the records that go back: one transaction.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The topic that holds the letters.
    pub topic: String,
    /// Partition and offset of each.
    pub letters: Vec<(u32, i64)>,
    /// What becomes of them.
    pub fate: Fate,
    /// The records that go back.
    pub frames: Vec<Frame>,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
}

impl Fate {
    /// As it is kept and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fate::Redriven => "redriven",
            Fate::Dropped => "dropped",
        }
    }

    /// As it is kept.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Fate::Redriven, Fate::Dropped].into_iter().find(|fate| fate.name() == name)
    }
}

/// Writes a settlement; gives the offsets that its frames begin at.
///
/// A letter that was settled meanwhile makes all of it fail: it would be sent twice.
pub(super) async fn settle(connection: &mut SqliteConnection, settlement: &Settlement) -> Result<Vec<i64>, WriteError> {
    for (partition, offset) in &settlement.letters {
        let kept = sqlx::query(
            "INSERT OR IGNORE INTO letter (topic, partition, position, fate, at_ms) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(&settlement.topic)
        .bind(partition)
        .bind(offset)
        .bind(settlement.fate.name())
        .bind(settlement.at_ms)
        .execute(&mut *connection)
        .await?;
        if kept.rows_affected() == 0 {
            return Err(WriteError::Settled { topic: settlement.topic.clone(), offset: *offset });
        }
    }
    let mut bases = Vec::with_capacity(settlement.frames.len());
    for frame in &settlement.frames {
        bases.push(log::append(connection, frame, "").await?);
    }
    Ok(bases)
}

impl Store {
    /// The fates of a topic's dead letters, by partition and offset.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn fates(&self, topic: &str) -> Result<BTreeMap<(u32, i64), Fate>, WriteError> {
        let rows = sqlx::query("SELECT partition, position, fate FROM letter WHERE topic = ?")
            .bind(topic)
            .fetch_all(&self.readers)
            .await?;
        let mut fates = BTreeMap::new();
        for row in &rows {
            if let Some(fate) = Fate::parse(row.try_get(2)?) {
                fates.insert((row.try_get(0)?, row.try_get(1)?), fate);
            }
        }
        Ok(fates)
    }

    /// Decides the fate of dead letters.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is changed then.
    pub async fn settle_letters(&self, settlement: Settlement) -> Result<(), WriteError> {
        self.submit(Work::Settle(settlement)).await
    }
}
