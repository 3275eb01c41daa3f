//! What a topic keeps: frames beyond its size or age go, but never one that a function has not read to its end. Entries
//! of the ledger that lie before the first record kept are merged, so that the ledger does not outgrow the log.

use sqlx::{Row as _, SqliteConnection};

use super::writer::WriteError;
use crate::manifest::{Application, Retention, Topic};

const HOUR_MS: i64 = 60 * 60 * 1000;
/// Entries that are looked at for merging at one time, per function and partition: bounds the transaction, and what is
/// left is merged the next time.
const MAX_MERGED: i64 = 10_000;

/// Removes what no topic has to keep; by its age only where the time is said.
pub(super) async fn trim(
    connection: &mut SqliteConnection,
    application: &Application,
    now_ms: Option<i64>,
) -> Result<(), WriteError> {
    for (topic, (function, partitions)) in application.outboxes() {
        for partition in 0..partitions {
            trim_outbox(connection, application, (&topic, partition), function).await?;
        }
    }
    for topic in application.topics.values().filter(|t| t.retention != Retention::default()) {
        for partition in 0..topic.partitions {
            trim_partition(connection, application, topic, partition, now_ms).await?;
        }
    }
    Ok(())
}

/// Of an outbox nothing is kept that all its stores have applied.
async fn trim_outbox(
    connection: &mut SqliteConnection,
    application: &Application,
    (topic, partition): (&str, u32),
    function: &str,
) -> Result<(), WriteError> {
    let mut applied = i64::MAX;
    for store in application.connections_of(function) {
        applied = applied.min(read_to(connection, store, topic, partition).await?);
    }
    sqlx::query("DELETE FROM log WHERE topic = ? AND partition = ? AND next <= ?")
        .bind(topic)
        .bind(partition)
        .bind(applied)
        .execute(connection)
        .await?;
    Ok(())
}

/// The position of a reader, 0 where it has none.
async fn read_to(
    connection: &mut SqliteConnection,
    reader: &str,
    topic: &str,
    partition: u32,
) -> Result<i64, WriteError> {
    let position = sqlx::query("SELECT next FROM position WHERE function = ? AND source = ? AND partition = ?")
        .bind(reader)
        .bind(topic)
        .bind(partition)
        .fetch_optional(connection)
        .await?;
    Ok(position.map_or(Ok(0), |row| row.try_get(0))?)
}

async fn trim_partition(
    connection: &mut SqliteConnection,
    application: &Application,
    topic: &Topic,
    partition: u32,
    now_ms: Option<i64>,
) -> Result<(), WriteError> {
    let readers = application.readers_of(&topic.name);
    let mut read = i64::MAX;
    for reader in &readers {
        read = read.min(read_to(connection, reader, &topic.name, partition).await?);
    }
    let shadowed = sqlx::query("SELECT min(first) FROM shadow_batch WHERE source = ? AND partition = ?");
    let shadowed = shadowed.bind(&topic.name).bind(partition).fetch_one(&mut *connection).await?;
    read = read.min(shadowed.try_get::<Option<i64>, _>(0)?.unwrap_or(i64::MAX));
    let replays =
        sqlx::query("SELECT function FROM shadow WHERE past = 1 AND ended IS NULL").fetch_all(&mut *connection).await?;
    for row in replays {
        // It has all of it to read.
        if readers.contains(row.try_get::<&str, _>(0)?) {
            read = 0;
        }
    }
    let age = topic.retention.max_hours.zip(now_ms);
    let too_old = age.map_or(i64::MIN, |(hours, now_ms)| now_ms - i64::from(hours) * HOUR_MS);
    let most_bytes = topic.retention.max_bytes.map_or(i64::MAX, |b| i64::try_from(b).unwrap_or(i64::MAX));
    // Behind a frame stand the bytes of those that came after it; when they alone fill the size, it goes.
    let gone = sqlx::query(
        "DELETE FROM log WHERE topic = ?1 AND partition = ?2 AND next <= ?3 AND (last_ms < ?4 OR base IN (
           SELECT base FROM (SELECT base, sum(bytes) OVER (ORDER BY base DESC) AS kept
                             FROM log WHERE topic = ?1 AND partition = ?2) WHERE kept > ?5))",
    )
    .bind(&topic.name)
    .bind(partition)
    .bind(read)
    .bind(too_old)
    .bind(most_bytes)
    .execute(&mut *connection)
    .await?;
    if gone.rows_affected() > 0 {
        for reader in readers {
            merge(connection, reader, &topic.name, partition).await?;
        }
    }
    Ok(())
}

/// Entries of one version that follow each other become one.
struct Merged {
    id: i64,
    version: String,
    next: i64,
    records: i64,
    micros: i64,
}

async fn merge(
    connection: &mut SqliteConnection,
    function: &str,
    topic: &str,
    partition: u32,
) -> Result<(), WriteError> {
    let entries = sqlx::query(
        "SELECT id, version, next, records, micros FROM ledger WHERE function = ?1 AND source = ?2 AND partition = ?3
           AND first IS NOT NULL AND next <= coalesce(
             (SELECT min(base) FROM log WHERE topic = ?2 AND partition = ?3),
             (SELECT next FROM log_end WHERE topic = ?2 AND partition = ?3))
         ORDER BY first LIMIT ?4",
    )
    .bind(function)
    .bind(topic)
    .bind(partition)
    .bind(MAX_MERGED)
    .fetch_all(&mut *connection)
    .await?;
    let mut kept: Option<Merged> = None;
    for row in entries {
        let entry = Merged {
            id: row.try_get(0)?,
            version: row.try_get(1)?,
            next: row.try_get(2)?,
            records: row.try_get(3)?,
            micros: row.try_get(4)?,
        };
        match kept.as_mut().filter(|k| k.version == entry.version) {
            Some(kept) => {
                kept.next = entry.next;
                kept.records += entry.records;
                kept.micros += entry.micros;
                sqlx::query("DELETE FROM ledger WHERE id = ?").bind(entry.id).execute(&mut *connection).await?;
            }
            None => {
                write(connection, kept.replace(entry)).await?;
            }
        }
    }
    write(connection, kept).await
}

async fn write(connection: &mut SqliteConnection, merged: Option<Merged>) -> Result<(), WriteError> {
    let Some(merged) = merged else { return Ok(()) };
    sqlx::query("UPDATE ledger SET next = ?, records = ?, micros = ? WHERE id = ?")
        .bind(merged.next)
        .bind(merged.records)
        .bind(merged.micros)
        .bind(merged.id)
        .execute(connection)
        .await?;
    Ok(())
}
