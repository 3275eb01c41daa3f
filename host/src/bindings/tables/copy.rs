//! A table of a store, or the part of it that is asked for, copied into a SQLite file of its own that nobody else sees and that
//! is gone with its last reader: so that questions mean the same wherever a table is kept, and are answered in constant memory
//! and in the order of the key.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt as _};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::{TableError, schema, sqlite};
use crate::delivery::{HeldTable, Row};
use crate::manifest::Table;

/// Rows that are written at one time.
const ROWS: usize = 1_000;

/// Why rows could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError<E> {
    /// They do not come.
    #[error(transparent)]
    Source(E),
    /// The copy cannot be written.
    #[error(transparent)]
    Copy(TableError),
}

/// Copies `rows`, which hold all columns of `table` in their order.
///
/// # Errors
/// [`CopyError`].
pub async fn copy<E>(table: &Table, rows: impl Stream<Item = Result<Row, E>>) -> Result<SqlitePool, CopyError<E>> {
    let store = |error| CopyError::Copy(TableError::Store(error));
    let table = Table { connection: None, ..table.clone() };
    // A file without a name is a temporary one, which SQLite removes when its connection closes.
    let options = SqliteConnectOptions::new().filename("");
    let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None).connect_with(options);
    let pool = pool.await.map_err(store)?;
    let mut connection = pool.acquire().await.map_err(store)?;
    let tables = BTreeMap::from([(table.name.clone(), table.clone())]);
    schema::prepare(&mut connection, &tables).await.map_err(CopyError::Copy)?;
    let mut chunks = std::pin::pin!(rows.chunks(ROWS));
    while let Some(chunk) = chunks.next().await {
        let mut held = HeldTable::default();
        for row in chunk {
            let row = row.map_err(CopyError::Source)?;
            let at = |name: &String| table.columns.iter().position(|c| c.name == *name);
            let key = table.key.iter().filter_map(|name| row.get(at(name)?).cloned()).collect();
            held.upsert(key, row.into_iter().map(Some).collect());
        }
        sqlite::apply(&mut connection, &table, &held).await.map_err(CopyError::Copy)?;
    }
    drop(connection);
    Ok(pool)
}
