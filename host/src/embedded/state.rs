//! Keyed state of each (function, partition), and committed rows.

use std::collections::{BTreeMap, HashMap};

use futures::TryStreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, Row as _, SqliteConnection};

use super::writer::WriteError;
use super::{Note, Store};
use crate::bindings::tables::sqlite::shape;
use crate::bindings::tables::{Range, StoredRow, sqlite};
use crate::delivery::{Allowance, Row};
use crate::manifest::Table;

/// Parameters of one entry: its key and its value.
const ENTRY_WIDTH: usize = 2;

/// Writes held state on the open transaction.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    note: &Note,
    state: &BTreeMap<String, Option<Vec<u8>>>,
) -> Result<(), WriteError> {
    if state.is_empty() {
        return Ok(());
    }
    let puts: Vec<(&String, &Vec<u8>)> = state.iter().filter_map(|(k, v)| v.as_ref().map(|v| (k, v))).collect();
    let deleted: Vec<&String> = state.iter().filter(|(_, v)| v.is_none()).map(|(k, _)| k).collect();
    let mut rest = puts.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(shape(rest.len(), ENTRY_WIDTH).min(rest.len()));
        put(connection, note, now).await?;
        rest = later;
    }
    let mut rest = deleted.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(shape(rest.len(), ENTRY_WIDTH).min(rest.len()));
        delete(connection, note, now).await?;
        rest = later;
    }
    Ok(())
}

async fn put(
    connection: &mut SqliteConnection,
    note: &Note,
    entries: &[(&String, &Vec<u8>)],
) -> Result<(), WriteError> {
    let rows = vec!["(?, ?)"; shape(entries.len(), ENTRY_WIDTH)].join(", ");
    let sql = format!(
        "INSERT INTO state (function, partition, key, value)
         SELECT (SELECT id FROM name WHERE name = ?), ?, column1, column2 FROM (VALUES {rows}) WHERE column1 IS NOT NULL
         ON CONFLICT (function, partition, key) DO UPDATE SET value = excluded.value"
    );
    let mut arguments = SqliteArguments::default();
    let added = arguments.add(note.function.as_ref()).and_then(|()| arguments.add(note.partition));
    added.map_err(sqlx::Error::Encode)?;
    for (key, value) in entries {
        let added = arguments.add(key.as_str()).and_then(|()| arguments.add(value.as_slice()));
        added.map_err(sqlx::Error::Encode)?;
    }
    sqlx::query_with(AssertSqlSafe(sql), arguments).execute(&mut *connection).await?;
    Ok(())
}

async fn delete(connection: &mut SqliteConnection, note: &Note, keys: &[&String]) -> Result<(), WriteError> {
    let places = vec!["?"; shape(keys.len(), ENTRY_WIDTH)].join(", ");
    let sql = format!(
        "DELETE FROM state WHERE function = (SELECT id FROM name WHERE name = ?) AND partition = ? AND key IN ({places})"
    );
    let mut arguments = SqliteArguments::default();
    let added = arguments.add(note.function.as_ref()).and_then(|()| arguments.add(note.partition));
    added.map_err(sqlx::Error::Encode)?;
    for key in keys {
        arguments.add(key.as_str()).map_err(sqlx::Error::Encode)?;
    }
    sqlx::query_with(AssertSqlSafe(sql), arguments).execute(&mut *connection).await?;
    Ok(())
}

/// Which entries of state are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'w> {
    /// Of this partition alone.
    pub partition: Option<u32>,
    /// Under keys that begin so.
    pub prefix: Option<&'w str>,
    /// Under this key alone.
    pub key: Option<&'w str>,
}

impl Store {
    /// Committed entries of a function's state by partition and key, `most` at the most: each with the size of its value, and with
    /// the value as long as all of them take no more than `most_bytes`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn state_entries(
        &self,
        function: &str,
        wanted: &Wanted<'_>,
        most: u32,
        most_bytes: usize,
    ) -> Result<Vec<(u32, String, u64, Option<Vec<u8>>)>, WriteError> {
        let rows = sqlx::query(
            "SELECT partition, key, length(value), CASE WHEN sum(length(value)) OVER (ORDER BY partition, key) <= ?6 THEN value END
             FROM (SELECT partition, key, value FROM state WHERE function = (SELECT id FROM name WHERE name = ?1)
               AND (?2 IS NULL OR partition = ?2) AND (?3 IS NULL OR substr(key, 1, length(?3)) = ?3) AND (?4 IS NULL OR key = ?4)
               ORDER BY partition, key LIMIT ?5) ORDER BY partition, key",
        );
        let rows = rows.bind(function).bind(wanted.partition).bind(wanted.prefix).bind(wanted.key).bind(most);
        let entry = |row: SqliteRow| {
            let bytes = row.try_get::<i64, _>(2)?.unsigned_abs();
            Ok((row.try_get(0)?, row.try_get(1)?, bytes, row.try_get(3)?))
        };
        Ok(rows.bind(most_bytes as i64).try_map(entry).fetch_all(&self.readers).await?)
    }

    /// The committed values of `keys` of a function's partition; keys without a value are left out. Ends where `allowance`
    /// is passed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn state(
        &self,
        function: &str,
        partition: u32,
        keys: &[&str],
        allowance: &mut Allowance,
    ) -> Result<HashMap<String, Vec<u8>>, WriteError> {
        let keys = serde_json::to_string(keys).unwrap_or_default();
        let query = sqlx::query(
            "SELECT state.key, state.value FROM json_each(?3) AS wanted CROSS JOIN state
             ON state.function = (SELECT id FROM name WHERE name = ?1) AND state.partition = ?2
             AND state.key = wanted.value",
        )
        .bind(function)
        .bind(partition)
        .bind(keys);
        let mut rows = query.fetch(&self.readers);
        let mut found = HashMap::new();
        while let Some(row) = rows.try_next().await? {
            let value: Vec<u8> = row.try_get(1)?;
            if !allowance.take(value.len()) {
                break;
            }
            found.insert(row.try_get(0)?, value);
        }
        Ok(found)
    }

    /// The committed rows of `table` with these keys, those that exist. Ends where `allowance` is passed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn rows(
        &self,
        table: &Table,
        columns: &[String],
        keys: &[Row],
        allowance: &mut Allowance,
    ) -> Result<Vec<StoredRow>, WriteError> {
        self.all_applied(table).await?;
        if let Some(connection) = self.stores.of(table) {
            return Ok(connection.get(table, columns, keys, allowance).await?);
        }
        let mut connection = self.readers.acquire().await?;
        Ok(sqlite::get(&mut connection, table, columns, keys, allowance).await?)
    }

    /// The committed rows of `table` in `range`, ordered by key. Ends where `allowance` is passed.
    ///
    /// # Errors
    /// When the file cannot be read, or the range holds more than may be read at once.
    pub async fn range(
        &self,
        table: &Table,
        columns: &[String],
        range: &Range,
        allowance: &mut Allowance,
    ) -> Result<Vec<StoredRow>, WriteError> {
        self.all_applied(table).await?;
        if let Some(connection) = self.stores.of(table) {
            return Ok(connection.scan(table, columns, range, allowance).await?);
        }
        let mut connection = self.readers.acquire().await?;
        Ok(sqlite::scan(&mut connection, table, columns, range, allowance).await?)
    }
}
