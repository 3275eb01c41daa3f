//! State and what it is taken for. State gets another form in a small file beside the data first, which then takes the place of what
//! there was in the transaction in which the version takes over that knows it.

use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use super::shares::ENTRY_BYTES;
use super::writer::WriteError;
use super::{Store, backup, folder};
use crate::delivery::Packed;
use crate::manifest::{Application, Function};

/// The file, in the data folder.
const FILE: &str = "migration.sqlite";
/// Entries that are read at one time, and bytes of their keys and values, but for the first.
const PAGE_ENTRIES: u32 = 4096;
const PAGE_BYTES: i64 = 4 * 1024 * 1024;

/// The same of all there are.
const STATE_BYTES: &str = "SELECT coalesce(sum(2 * length(CAST(key AS BLOB)) + length(value) + ?), 0) FROM state";

/// What an entry of state takes, as [`super::shares`] counts it.
#[must_use]
pub fn entry_bytes(key: &str, value: &[u8]) -> u64 {
    2 * key.len() as u64 + value.len() as u64 + ENTRY_BYTES
}

/// State that takes the place of what a function has.
#[derive(Debug)]
pub struct Migration {
    /// The function.
    pub function: String,
    /// The file that holds its state.
    pub file: PathBuf,
}

/// Some entries of a function's state, of one partition, by key.
#[derive(Debug)]
pub struct Page {
    /// The partition.
    pub partition: u32,
    /// Their keys.
    pub keys: Packed,
    /// Their values.
    pub values: Packed,
    /// The last key.
    pub last: String,
}

/// State in its new form, as far as it is there. Nothing is left of it when it is dropped.
pub struct Staging {
    connection: SqliteConnection,
    file: Unfinished,
}

/// A file that is removed when this is dropped.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // What stays is removed by the next start.
        let _ = folder::remove(&self.0);
    }
}

impl Staging {
    /// Keeps entries of a partition; the last of one key counts.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn put(&mut self, partition: u32, entries: &[(&str, &[u8])]) -> Result<(), WriteError> {
        let mut work = self.connection.begin().await?;
        for (key, value) in entries {
            sqlx::query("INSERT OR REPLACE INTO state (partition, key, value) VALUES (?, ?, ?)")
                .bind(partition)
                .bind(key)
                .bind(value)
                .execute(&mut *work)
                .await?;
        }
        Ok(work.commit().await?)
    }

    /// What a function is taken to have stored with it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn bytes(&mut self) -> Result<u64, WriteError> {
        let bytes: i64 =
            sqlx::query(STATE_BYTES).bind(ENTRY_BYTES as i64).fetch_one(&mut self.connection).await?.try_get(0)?;
        Ok(bytes.unsigned_abs())
    }

    /// Lets go of the file's connection; the file stays as long as what this gives.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn finish(self) -> Result<Finished, WriteError> {
        self.connection.close().await?;
        Ok(Finished(self.file))
    }
}

/// State in its new form, all of it.
pub struct Finished(Unfinished);

impl Finished {
    /// What takes over as the state of `function`.
    #[must_use]
    pub fn migration(&self, function: &str) -> Migration {
        Migration { function: function.to_owned(), file: self.0.0.clone() }
    }
}

/// Removes what a host that was killed left.
pub(super) fn sweep(folder: &Path) {
    // What stays is removed by the next migration, or told by it.
    let _ = folder::remove(&folder.join(FILE));
}

/// Puts state in the place of what a function has, on the open transaction; its file is attached as [`super::promotion::PROMOTED`].
pub(super) async fn put(connection: &mut SqliteConnection, migration: &Migration) -> Result<(), WriteError> {
    let state = sqlx::query(
        "DELETE FROM main.state WHERE function = (SELECT id FROM main.name WHERE name = ?1);
         INSERT INTO main.state (function, partition, key, value)
           SELECT (SELECT id FROM main.name WHERE name = ?1), partition, key, value FROM promoted.state",
    );
    state.bind(&migration.function).execute(connection).await?;
    Ok(())
}

/// Notes that the state of a function is what it takes it for now.
pub(super) async fn anew(connection: &mut SqliteConnection, function: &Function) -> Result<(), WriteError> {
    sqlx::query("INSERT OR REPLACE INTO state_version (function, version) VALUES (?, ?)")
        .bind(&function.name)
        .bind(function.grants.state_version)
        .execute(connection)
        .await?;
    Ok(())
}

/// Holds what a function takes its state for against what it is.
pub(super) async fn hold(connection: &mut SqliteConnection, function: &Function) -> Result<(), WriteError> {
    let stored = sqlx::query(
        "INSERT INTO state_version (function, version) VALUES (?, ?)
         ON CONFLICT (function) DO UPDATE SET version = version RETURNING version",
    );
    let stored = stored.bind(&function.name).bind(function.grants.state_version);
    held(function, stored.fetch_one(connection).await?.try_get(0)?)
}

/// Refuses a function that takes its state for another than it is.
fn held(function: &Function, stored: u32) -> Result<(), WriteError> {
    let (name, wanted) = (&function.name, function.grants.state_version);
    if stored == wanted {
        return Ok(());
    }
    Err(WriteError::Deploy(format!(
        "the state of `{name}` is of version {stored}, and by spin.toml it would be taken for version {wanted}: leave \
         `state_version = {stored}`; or deploy to a running host a component that exports `isobar:platform/migration`, or by \
         `isobar deploy {name} --rebuild`, which computes everything anew, as an empty data folder does"
    )))
}

impl Store {
    /// The version of a function's state, if it has any.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn state_version(&self, function: &str) -> Result<Option<u32>, WriteError> {
        let stored = sqlx::query("SELECT version FROM state_version WHERE function = ?").bind(function);
        let stored = stored.fetch_optional(&self.readers).await?;
        Ok(stored.map(|row| row.try_get(0)).transpose()?)
    }

    /// Refuses an application whose functions take their state for another than it is, as [`Store::deploy`] would.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn hold_states(&self, application: &Application) -> Result<(), WriteError> {
        for function in application.functions.values().filter(|function| function.grants.state) {
            if let Some(stored) = self.state_version(&function.name).await? {
                held(function, stored)?;
            }
        }
        Ok(())
    }

    /// The committed entries of a function's state that come after a partition's key, or the first ones.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn state_page(&self, function: &str, after: Option<(u32, &str)>) -> Result<Option<Page>, WriteError> {
        let (partition, key) = after.map_or((-1, ""), |(partition, key)| (i64::from(partition), key));
        let rows = sqlx::query(
            "SELECT partition, key, value FROM (
               SELECT partition, key, value, sum(length(key) + length(value)) OVER (ORDER BY partition, key) AS bytes,
                 row_number() OVER (ORDER BY partition, key) AS place
               FROM (SELECT partition, key, value FROM state WHERE function = (SELECT id FROM name WHERE name = ?1)
                 AND (partition, key) > (?2, ?3) ORDER BY partition, key LIMIT ?4))
             WHERE bytes <= ?5 OR place = 1 ORDER BY partition, key",
        );
        let rows = rows.bind(function).bind(partition).bind(key).bind(PAGE_ENTRIES).bind(PAGE_BYTES);
        let entry = |row: SqliteRow| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        let rows: Vec<(u32, String, Vec<u8>)> = rows.try_map(entry).fetch_all(&self.readers).await?;
        let Some(partition) = rows.first().map(|(partition, ..)| *partition) else { return Ok(None) };
        let of_partition = || rows.iter().take_while(|(p, ..)| *p == partition);
        Ok(Some(Page {
            partition,
            keys: of_partition().map(|(_, key, _)| Some(key.as_bytes())).collect(),
            values: of_partition().map(|(.., value)| Some(value.as_slice())).collect(),
            last: of_partition().last().map(|(_, key, _)| key.clone()).unwrap_or_default(),
        }))
    }

    /// A place for the state of `function` in another form.
    ///
    /// # Errors
    /// When there is no room, or it cannot be made.
    pub async fn stage_state(&self, function: &str) -> anyhow::Result<Staging> {
        let sql = "SELECT coalesce(sum(length(key) + length(value)), 0) FROM state WHERE function = (SELECT id FROM name WHERE name = ?)";
        let bytes: i64 = sqlx::query(sql).bind(function).fetch_one(&self.readers).await?.try_get(0)?;
        // Once in the file, and once more in the data file until what it replaces is gone.
        backup::ensure_room(self.folder().path(), 3 * bytes.unsigned_abs())?;
        let file = self.folder().path().join(FILE);
        folder::remove(&file)?;
        folder::make_private(&file)?;
        let file = Unfinished(file);
        let mut connection = SqliteConnectOptions::new().filename(&file.0).connect().await?;
        // Nothing is lost with it.
        sqlx::raw_sql(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
             CREATE TABLE state (partition INTEGER, key TEXT, value BLOB NOT NULL, PRIMARY KEY (partition, key)) WITHOUT ROWID",
        )
        .execute(&mut connection)
        .await?;
        Ok(Staging { connection, file })
    }
}
