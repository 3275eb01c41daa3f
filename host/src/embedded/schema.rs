//! The file's own tables and its format number. Tables of the application are the business of `bindings::tables`.

use std::path::Path;

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use super::folder;

/// The format that this build writes. Raised with each change that an older build could not read; then a migration
/// from the one before is added, which copies the file first.
pub(super) const FORMAT: i64 = 8;

/// The first format that holds what was deployed.
pub(super) const WITH_VERSIONS: i64 = 5;

const TABLES: &str = "
CREATE TABLE name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE topic (topic TEXT PRIMARY KEY, partitions INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE log_end (topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
  PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE log (topic TEXT NOT NULL, partition INTEGER NOT NULL, base INTEGER NOT NULL, next INTEGER NOT NULL,
  records INTEGER NOT NULL, bytes INTEGER NOT NULL, last_ms INTEGER NOT NULL, frame BLOB NOT NULL,
  publisher INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (topic, partition, base));
CREATE TABLE position (function TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
  PRIMARY KEY (function, source, partition)) WITHOUT ROWID;
CREATE TABLE attempt (function TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
  first INTEGER NOT NULL, next INTEGER NOT NULL, attempts INTEGER NOT NULL, reason TEXT NOT NULL, at_ms INTEGER NOT NULL,
  upper INTEGER NOT NULL DEFAULT 0, until INTEGER NOT NULL DEFAULT 0, split INTEGER NOT NULL DEFAULT 0,
  deliveries INTEGER NOT NULL DEFAULT 0,
  whole INTEGER NOT NULL DEFAULT 0, spent_ms INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT '',
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

/// What came with format 2, also to a file of format 1.
const SINCE_2: &str = "
CREATE INDEX log_by_publisher ON log (publisher, bytes);
CREATE TABLE pause (function TEXT PRIMARY KEY, reason TEXT NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE letter (topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL, fate TEXT NOT NULL,
  at_ms INTEGER NOT NULL, PRIMARY KEY (topic, partition, position)) WITHOUT ROWID;
";

/// What becomes of the tables of format 1.
const FROM_1: &str = "
ALTER TABLE log ADD COLUMN publisher INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt RENAME COLUMN attempt TO attempts;
ALTER TABLE attempt ADD COLUMN upper INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN split INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN deliveries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN whole INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0;
UPDATE attempt SET upper = next, until = next, deliveries = attempts, whole = attempts, since_ms = at_ms;
";

/// What becomes of the tables of format 2.
const FROM_2: &str = "ALTER TABLE attempt ADD COLUMN code TEXT NOT NULL DEFAULT '';";

/// What came with format 4, also to a file of an older one.
const SINCE_4: &str = "
ALTER TABLE pause ADD COLUMN by_toll INTEGER NOT NULL DEFAULT 0;
CREATE TABLE pardon (function TEXT PRIMARY KEY) WITHOUT ROWID;
";

/// What came with format 5, also to a file of an older one.
const SINCE_5: &str = "
CREATE TABLE manifest (id INTEGER PRIMARY KEY CHECK (id = 0), running TEXT NOT NULL, base TEXT NOT NULL);
CREATE TABLE charge (function TEXT PRIMARY KEY, running TEXT, filed TEXT) WITHOUT ROWID;
CREATE TABLE version (function TEXT NOT NULL, version TEXT NOT NULL, component TEXT NOT NULL, part TEXT NOT NULL,
  at_ms INTEGER NOT NULL, PRIMARY KEY (function, version)) WITHOUT ROWID;
CREATE TABLE state_version (function TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE component (digest TEXT PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE audit (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL,
  function TEXT NOT NULL, version TEXT, before TEXT, refused TEXT);
";

/// What came with format 6, also to a file of an older one.
const SINCE_6: &str = "
CREATE TABLE shadow (function TEXT PRIMARY KEY, version TEXT NOT NULL, component TEXT NOT NULL, part TEXT NOT NULL,
  place TEXT NOT NULL, at_ms INTEGER NOT NULL, replays INTEGER NOT NULL, past INTEGER NOT NULL,
  bytes INTEGER NOT NULL DEFAULT 0, ended TEXT) WITHOUT ROWID;
CREATE TABLE shadow_batch (id INTEGER PRIMARY KEY, function TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL,
  first INTEGER NOT NULL, next INTEGER NOT NULL, reread TEXT, attempt INTEGER NOT NULL, micros INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, records INTEGER NOT NULL, version TEXT NOT NULL, made BLOB NOT NULL);
CREATE INDEX shadow_batch_by_function ON shadow_batch (function, id);
CREATE INDEX shadow_batch_by_source ON shadow_batch (source, partition, first);
CREATE TABLE token (name TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, scopes TEXT NOT NULL, created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL) WITHOUT ROWID;
";

/// What came with format 7, also to a file of an older one.
const SINCE_7: &str = "ALTER TABLE shadow ADD COLUMN extent INTEGER NOT NULL DEFAULT 0;";

/// What came with format 8, also to a file of an older one.
const SINCE_8: &str = "CREATE TABLE user (name TEXT PRIMARY KEY, hash TEXT NOT NULL, roles TEXT NOT NULL,
  created_ms INTEGER NOT NULL) WITHOUT ROWID;";

/// What becomes of the tables of format 3.
const FROM_3: &str = "ALTER TABLE attempt RENAME COLUMN since_ms TO spent_ms; UPDATE attempt SET spent_ms = 0;";

/// Makes the tables of a new file, takes an old one over, or refuses a newer one.
pub(super) async fn prepare(connection: &mut SqliteConnection, path: &Path) -> anyhow::Result<()> {
    let row = sqlx::query("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await
        .with_context(|| format!("`{}` is not a data file of isobar, or is damaged", path.display()))?;
    match row.try_get::<i64, _>(0)? {
        FORMAT => Ok(()),
        0 => write(connection, &[TABLES, SINCE_2, SINCE_4, SINCE_5, SINCE_6, SINCE_7, SINCE_8])
            .await
            .with_context(|| format!("cannot make the tables of `{}`", path.display())),
        1 => {
            migrate(
                connection,
                path,
                1,
                &[FROM_1, SINCE_2, FROM_2, FROM_3, SINCE_4, SINCE_5, SINCE_6, SINCE_7, SINCE_8],
            )
            .await
        }
        2 => migrate(connection, path, 2, &[FROM_2, FROM_3, SINCE_4, SINCE_5, SINCE_6, SINCE_7, SINCE_8]).await,
        3 => migrate(connection, path, 3, &[FROM_3, SINCE_4, SINCE_5, SINCE_6, SINCE_7, SINCE_8]).await,
        4 => migrate(connection, path, 4, &[SINCE_5, SINCE_6, SINCE_7, SINCE_8]).await,
        5 => migrate(connection, path, 5, &[SINCE_6, SINCE_7, SINCE_8]).await,
        6 => migrate(connection, path, 6, &[SINCE_7, SINCE_8]).await,
        7 => migrate(connection, path, 7, &[SINCE_8]).await,
        newer => anyhow::bail!(
            "`{}` has format {newer}, and this isobar knows formats up to {FORMAT}; use the isobar that wrote it or a newer one",
            path.display()
        ),
    }
}

/// Copies a file of an older format, then changes it; a copy that is there already was made by a try that broke off.
async fn migrate(
    connection: &mut SqliteConnection,
    path: &Path,
    from: i64,
    steps: &[&'static str],
) -> anyhow::Result<()> {
    let copy = path.with_file_name(format!("{}{from}", folder::COPIES));
    if !copy.exists() {
        let unfinished = path.with_extension("sqlite.unfinished");
        folder::remove(&unfinished).with_context(|| format!("cannot remove `{}`", unfinished.display()))?;
        folder::make_private(&unfinished).with_context(|| format!("cannot write `{}`", unfinished.display()))?;
        let into = unfinished.to_str().ok_or_else(folder::no_text)?;
        sqlx::query("VACUUM INTO ?").bind(into).execute(&mut *connection).await.with_context(|| {
            format!("cannot copy `{}` before changing its format; is there room for it twice?", path.display())
        })?;
        std::fs::rename(&unfinished, &copy).with_context(|| format!("cannot write `{}`", copy.display()))?;
    }
    write(connection, steps).await.with_context(|| format!("cannot change the format of `{}`", path.display()))?;
    tracing::info!(copy = %copy.display(), "the data file was of format {from}; it was copied and is now of format {FORMAT}");
    Ok(())
}

/// Runs statements and sets the format, all or nothing.
async fn write(connection: &mut SqliteConnection, steps: &[&'static str]) -> anyhow::Result<()> {
    let mut work = connection.begin().await?;
    for step in steps {
        sqlx::raw_sql(*step).execute(&mut *work).await?;
    }
    sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA user_version = {FORMAT}"))).execute(&mut *work).await?;
    work.commit().await?;
    Ok(())
}
