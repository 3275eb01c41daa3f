//! Keyed state of each (function, partition), and committed rows.

use std::collections::{BTreeMap, HashMap};

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Row as _, SqliteConnection};

use super::writer::WriteError;
use super::{Note, Store};
use crate::bindings::tables::{StoredRow, sqlite};
use crate::delivery::Row;
use crate::manifest::Table;

/// Keys of one statement; a few sizes only, so that each statement is prepared once.
const CHUNKS: [usize; 3] = [64, 8, 1];

/// Writes held state on the open transaction.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    note: &Note,
    state: &BTreeMap<String, Option<Vec<u8>>>,
) -> Result<(), WriteError> {
    if state.is_empty() {
        return Ok(());
    }
    let function = id_of(connection, &note.function).await?;
    let puts: Vec<(&String, &Vec<u8>)> = state.iter().filter_map(|(k, v)| v.as_ref().map(|v| (k, v))).collect();
    let mut rest = puts.as_slice();
    while !rest.is_empty() {
        let size = CHUNKS.into_iter().find(|c| *c <= rest.len()).unwrap_or(1);
        let (now, later) = rest.split_at(size);
        put(connection, function, note.partition, now).await?;
        rest = later;
    }
    for key in state.iter().filter(|(_, v)| v.is_none()).map(|(k, _)| k) {
        sqlx::query("DELETE FROM state WHERE function = ? AND partition = ? AND key = ?")
            .bind(function)
            .bind(note.partition)
            .bind(key)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn put(
    connection: &mut SqliteConnection,
    function: i64,
    partition: u32,
    entries: &[(&String, &Vec<u8>)],
) -> Result<(), WriteError> {
    let rows = vec!["(?, ?, ?, ?)"; entries.len()].join(", ");
    let sql = format!(
        "INSERT INTO state (function, partition, key, value) VALUES {rows}
         ON CONFLICT (function, partition, key) DO UPDATE SET value = excluded.value"
    );
    let mut arguments = SqliteArguments::default();
    for (key, value) in entries {
        let added = arguments
            .add(function)
            .and_then(|()| arguments.add(partition))
            .and_then(|()| arguments.add(key.as_str()))
            .and_then(|()| arguments.add(value.as_slice()));
        added.map_err(sqlx::Error::Encode)?;
    }
    sqlx::query_with(AssertSqlSafe(sql), arguments).execute(&mut *connection).await?;
    Ok(())
}

async fn id_of(connection: &mut SqliteConnection, name: &str) -> Result<i64, WriteError> {
    let find = "SELECT id FROM name WHERE name = ?";
    if let Some(row) = sqlx::query(find).bind(name).fetch_optional(&mut *connection).await? {
        return Ok(row.get(0));
    }
    let row = sqlx::query("INSERT INTO name (name) VALUES (?) RETURNING id").bind(name).fetch_one(connection).await?;
    Ok(row.get(0))
}

impl Store {
    /// The committed values of `keys` of a function's partition; keys without a value are left out.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn state(
        &self,
        function: &str,
        partition: u32,
        keys: &[&str],
    ) -> Result<HashMap<String, Vec<u8>>, WriteError> {
        let keys = serde_json::to_string(keys).unwrap_or_default();
        let rows = sqlx::query(
            "SELECT state.key, state.value FROM json_each(?3) AS wanted CROSS JOIN state
             ON state.function = (SELECT id FROM name WHERE name = ?1) AND state.partition = ?2
             AND state.key = wanted.value",
        )
        .bind(function)
        .bind(partition)
        .bind(keys)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The committed rows of `table` with these keys, those that exist.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn rows(&self, table: &Table, columns: &[String], keys: &[Row]) -> Result<Vec<StoredRow>, WriteError> {
        let mut connection = self.readers.acquire().await?;
        Ok(sqlite::get(&mut connection, table, columns, keys).await?)
    }
}
