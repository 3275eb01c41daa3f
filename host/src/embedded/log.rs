//! Topics as frames of whole batches: appended by commits, read by functions from where they stand.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Row as _, SqliteConnection, SqlitePool};
use utoipa::ToSchema;

use super::writer::WriteError;
use super::{Frame, LogEnds, Store};
use crate::delivery::frame::FrameError;
use crate::delivery::{Records, frame};
use crate::manifest::Application;

/// Partitions of a dead-letter topic: few records, one order.
const DEAD_LETTER_PARTITIONS: u32 = 1;
/// Frames read at one time.
const FRAMES_PER_READ: i64 = 64;
/// How many times smaller records are in the log, about: only a measure of how much to read at one time.
const USUAL_COMPRESSION: usize = 8;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: u32,
}

/// How much a partition holds.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq, ToSchema)]
pub struct TopicStatus {
    /// The topic.
    pub topic: String,
    /// The partition, from 0.
    pub partition: u32,
    /// The offset of the first record kept.
    pub first: i64,
    /// The offset that the next record gets.
    pub next: i64,
    /// Bytes on disk.
    pub bytes: i64,
}

/// The topics of an application with their partitions: the declared ones, those of dead letters, and outboxes.
pub(super) fn wanted(application: &Application) -> Vec<(String, u32)> {
    let declared = application.topics.values().map(|t| (t.name.clone(), t.partitions));
    let undeclared = |topic: &String| !application.topics.contains_key(topic);
    let letters = application.letter_topics().into_keys().filter(undeclared).map(|t| (t, DEAD_LETTER_PARTITIONS));
    let outboxes = application.outboxes().into_iter().map(|(topic, (_, partitions))| (topic, partitions));
    declared.chain(letters).chain(outboxes).collect()
}

/// Makes the topics that are missing, and the numbers that stand for functions: all of them or none, as a power cut may take
/// what was written last.
pub(super) async fn prepare(connection: &mut SqliteConnection, application: &Application) -> anyhow::Result<()> {
    let mut work = connection.begin().await?;
    prepare_within(&mut work, application).await?;
    Ok(work.commit().await?)
}

async fn prepare_within(connection: &mut SqliteConnection, application: &Application) -> anyhow::Result<()> {
    let outboxes = application.outboxes();
    for (topic, partitions) in wanted(application) {
        let stored = sqlx::query("SELECT partitions FROM topic WHERE topic = ?")
            .bind(&topic)
            .fetch_optional(&mut *connection)
            .await?
            .map(|row| row.try_get::<u32, _>(0))
            .transpose()?;
        match stored {
            // Nobody has declared an outbox; its function has gained a topic with more partitions.
            Some(stored) if stored < partitions && outboxes.contains_key(&topic) => {
                extend(connection, &topic, stored, partitions).await?;
            }
            Some(stored) if stored != partitions && !outboxes.contains_key(&topic) => anyhow::bail!(
                "topic `{topic}` has {stored} partitions and spin.toml declares {partitions}; keys would move between \
                 partitions and away from their state, so declare {stored} again or start with another data folder"
            ),
            Some(_) => {}
            None => make(connection, &topic, partitions).await?,
        }
    }
    for function in application.functions.keys() {
        sqlx::query("INSERT OR IGNORE INTO name (name) VALUES (?)").bind(function).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn make(connection: &mut SqliteConnection, topic: &str, partitions: u32) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO topic (topic, partitions) VALUES (?, 0)").bind(topic).execute(&mut *connection).await?;
    extend(connection, topic, 0, partitions).await
}

/// Gives a topic with `stored` partitions the rest of `partitions`.
async fn extend(
    connection: &mut SqliteConnection,
    topic: &str,
    stored: u32,
    partitions: u32,
) -> Result<(), sqlx::Error> {
    for partition in stored..partitions {
        sqlx::query("INSERT INTO log_end (topic, partition, next) VALUES (?, ?, 0)")
            .bind(topic)
            .bind(partition)
            .execute(&mut *connection)
            .await?;
    }
    let set = sqlx::query("UPDATE topic SET partitions = ? WHERE topic = ?").bind(partitions).bind(topic);
    set.execute(connection).await.map(|_| ())
}

/// The ends of all partitions.
pub(super) async fn ends(readers: &SqlitePool) -> Result<LogEnds, sqlx::Error> {
    let ends = LogEnds::default();
    for row in sqlx::query("SELECT topic, partition, next FROM log_end").fetch_all(readers).await? {
        ends.add(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    }
    Ok(ends)
}

/// Both of an append's statements in one round trip to the connection's thread.
const APPEND: &str = "UPDATE log_end SET next = next + ? WHERE topic = ? AND partition = ? RETURNING next;
INSERT INTO log (topic, partition, base, next, records, bytes, last_ms, frame, publisher)
SELECT topic, partition, next - ?, next, ?, ?, ?, ?, coalesce((SELECT id FROM name WHERE name = ?), 0)
FROM log_end WHERE topic = ? AND partition = ?";

/// Appends a frame that `publisher` made; gives the offset that it begins at.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    frame: &Frame,
    publisher: &str,
) -> Result<i64, WriteError> {
    let count = frame.records.len() as i64;
    let ends = sqlx::query(APPEND)
        .bind(count)
        .bind(frame.topic.as_ref())
        .bind(frame.partition)
        .bind(count)
        .bind(count)
        .bind(frame.bytes.len() as i64)
        .bind(frame.records.timestamps.last().copied().unwrap_or_default())
        .bind(frame.bytes.as_slice())
        .bind(publisher)
        .bind(frame.topic.as_ref())
        .bind(frame.partition)
        .fetch_all(&mut *connection)
        .await?;
    let next: Option<i64> = ends.first().map(|row| row.try_get(0)).transpose()?;
    next.map(|next| next - count).ok_or_else(|| WriteError::UnknownTopic(frame.topic.to_string()))
}

/// The frame that holds an offset and those that follow: so many (4), while those before have fewer bytes than (5).
const READ: &str = "SELECT base, next, frame FROM log WHERE topic = ?1 AND partition = ?2 AND base IN (
SELECT base FROM (SELECT base, sum(bytes) OVER (ORDER BY base) - bytes AS before FROM log
WHERE topic = ?1 AND partition = ?2 AND base >= coalesce(
(SELECT max(base) FROM log WHERE topic = ?1 AND partition = ?2 AND base <= ?3 AND next > ?3), ?3)
ORDER BY base LIMIT ?4) WHERE before <= ?5) ORDER BY base";

/// The records of a row of base, next offset and frame, or which frame it is that cannot be trusted. The place of a
/// frame is held against what it holds: its own checksum does not know where it stands.
pub(super) fn decoded(row: &SqliteRow, topic: &str, partition: u32) -> Result<Records, WriteError> {
    let (base, next): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let damaged = |error| WriteError::Damaged { topic: topic.to_owned(), partition, base, error };
    let records = frame::decode(row.try_get(2)?, base).map_err(damaged)?;
    let ends = (records.offsets.first().copied(), records.offsets.last().and_then(|last| last.checked_add(1)));
    if ends == (Some(base), Some(next)) { Ok(records) } else { Err(damaged(FrameError::Shape)) }
}

impl Store {
    /// Records of a partition, that at offset `from` among them where it exists, and some that follow, up to about
    /// `max_bytes`. They come as they were written, so that some before `from` may be among them.
    ///
    /// # Errors
    /// When the file cannot be read, or a frame is damaged.
    pub async fn read(
        &self,
        topic: &str,
        partition: u32,
        from: i64,
        max_bytes: usize,
    ) -> Result<Arc<Records>, WriteError> {
        if let Some(records) = self.told.tail.read(topic, partition, from, max_bytes) {
            return Ok(records);
        }
        let rows = sqlx::query(READ)
            .bind(topic)
            .bind(partition)
            .bind(from)
            .bind(FRAMES_PER_READ)
            .bind((max_bytes / USUAL_COMPRESSION) as i64)
            .fetch_all(&self.readers)
            .await?;
        let mut records = Records::default();
        for row in rows {
            let decoded = decoded(&row, topic, partition)?;
            match records.offsets.last().map(|last| last + 1) {
                None => records = decoded,
                // What is trimmed goes from the beginning, never from between.
                Some(base) if decoded.offsets.first() != Some(&base) => {
                    let (topic, error) = (topic.to_owned(), FrameError::Missing);
                    return Err(WriteError::Damaged { topic, partition, base, error });
                }
                Some(_) => records.append(&decoded),
            }
            if records.bytes() >= max_bytes {
                break;
            }
        }
        Ok(Arc::new(records))
    }

    /// How much each partition of each topic holds.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn topics(&self) -> Result<Vec<TopicStatus>, WriteError> {
        let rows = sqlx::query(
            "SELECT e.topic, e.partition, coalesce(min(l.base), e.next), e.next, coalesce(sum(l.bytes), 0)
             FROM log_end e LEFT JOIN log l ON l.topic = e.topic AND l.partition = e.partition
             GROUP BY e.topic, e.partition ORDER BY e.topic, e.partition",
        )
        .fetch_all(&self.readers)
        .await?;
        let status = |row: SqliteRow| {
            Ok(TopicStatus {
                topic: row.try_get(0)?,
                partition: row.try_get(1)?,
                first: row.try_get(2)?,
                next: row.try_get(3)?,
                bytes: row.try_get(4)?,
            })
        };
        rows.into_iter().map(status).collect()
    }
}
