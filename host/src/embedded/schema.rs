//! The file's own tables and its format number. Tables of the application are the business of `bindings::tables`.

use std::path::Path;

use anyhow::Context as _;
use sqlx::{Connection as _, Row as _, SqliteConnection};

/// The format that this build writes. Raised with each change that an older build could not read; then a migration
/// from the one before is added, which copies the file first.
const FORMAT: i64 = 1;

const TABLES: &str = "
CREATE TABLE name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE topic (topic TEXT PRIMARY KEY, partitions INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE log_end (topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
  PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE log (topic TEXT NOT NULL, partition INTEGER NOT NULL, base INTEGER NOT NULL, next INTEGER NOT NULL,
  records INTEGER NOT NULL, bytes INTEGER NOT NULL, last_ms INTEGER NOT NULL, frame BLOB NOT NULL,
  PRIMARY KEY (topic, partition, base));
CREATE TABLE position (function TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
  PRIMARY KEY (function, source, partition)) WITHOUT ROWID;
CREATE TABLE attempt (function TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
  first INTEGER NOT NULL, next INTEGER NOT NULL, attempt INTEGER NOT NULL, reason TEXT NOT NULL, at_ms INTEGER NOT NULL,
  PRIMARY KEY (function, source, partition)) WITHOUT ROWID;
CREATE TABLE schedule (function TEXT NOT NULL, source TEXT NOT NULL, due_ms INTEGER NOT NULL,
  again INTEGER NOT NULL, PRIMARY KEY (function, source)) WITHOUT ROWID;
CREATE TABLE state (function INTEGER NOT NULL, partition INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
  UNIQUE (function, partition, key));
CREATE TABLE ledger (id INTEGER PRIMARY KEY, function TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
  first INTEGER, next INTEGER, records INTEGER NOT NULL, version TEXT NOT NULL, attempt INTEGER NOT NULL,
  micros INTEGER NOT NULL, at_ms INTEGER NOT NULL);
CREATE INDEX ledger_by_source ON ledger (function, source, partition, first);
CREATE TABLE reread (function TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
  PRIMARY KEY (function, source, partition)) WITHOUT ROWID;
";

/// Makes the tables of a new file, or checks the format of an old one.
pub(super) async fn prepare(connection: &mut SqliteConnection, path: &Path) -> anyhow::Result<()> {
    let row = sqlx::query("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await
        .with_context(|| format!("`{}` is not a data file of isobar, or is damaged", path.display()))?;
    match row.get::<i64, _>(0) {
        FORMAT => Ok(()),
        0 => create(connection).await.with_context(|| format!("cannot make the tables of `{}`", path.display())),
        newer => anyhow::bail!(
            "`{}` has format {newer}, and this isobar knows formats up to {FORMAT}; use the isobar that wrote it or a newer one",
            path.display()
        ),
    }
}

async fn create(connection: &mut SqliteConnection) -> anyhow::Result<()> {
    let mut work = connection.begin().await?;
    sqlx::raw_sql(TABLES).execute(&mut *work).await?;
    sqlx::raw_sql("PRAGMA user_version = 1").execute(&mut *work).await?;
    work.commit().await?;
    Ok(())
}
