//! The tables in Postgres: made as spin.toml declares them, held against it, and refused where the two differ in more than
//! new columns that may be null.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::values::{kind_of, type_of};
use crate::bindings::tables::schema::{Stored, added, quoted};
use crate::manifest::{Column, ColumnKind, Table};
use crate::stores::StoreError;

/// Columns of a fence: the order that may come next, by writer, and the lineages whose place it has taken; see `super`.
const FENCE_COLUMNS: &str = "function text, partition integer, lineage text NOT NULL, superseded text NOT NULL, \
    ordering bigint NOT NULL, PRIMARY KEY (function, partition)";

/// What the catalogue says of a table: name, type, whether it may be null, place in the key from 0.
const COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
  array_position(i.indkey::int2[], a.attnum)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// The statements that make what is missing of `tables` in `schema`, and of the table `fence` where it is needed.
///
/// # Errors
/// [`Wrong::Schema`] where no statement of ours helps.
pub(super) async fn missing(
    connection: &mut PgConnection,
    schema: &str,
    fence: Option<&str>,
    tables: &BTreeMap<String, Table>,
) -> Result<Vec<String>, Wrong> {
    let mut statements = Vec::new();
    let mut differences = Vec::new();
    let known = sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1")
        .bind(schema)
        .fetch_optional(&mut *connection)
        .await?;
    if known.is_none() {
        statements.push(format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema)));
    }
    if let Some(fence) = fence
        && stored(connection, schema, fence).await?.is_empty()
    {
        statements.push(format!("CREATE TABLE IF NOT EXISTS {} ({FENCE_COLUMNS})", named(schema, fence)));
    }
    for table in tables.values() {
        let name = named(schema, &table.name);
        let columns = stored(connection, schema, &table.name).await?;
        if columns.is_empty() {
            statements.push(create(&name, table));
            continue;
        }
        match added(table, &columns, &format!("or drop it (`DROP TABLE {name}`) and compute everything anew")) {
            Ok(new) => statements.extend(new.iter().map(|c| format!("ALTER TABLE {name} ADD COLUMN {}", column(c)))),
            Err(found) => differences.extend(found),
        }
    }
    if !differences.is_empty() {
        return Err(Wrong::Schema(differences.join("\n")));
    }
    Ok(statements)
}

/// Runs a statement that [`missing`] gave.
pub(super) async fn run(connection: &mut PgConnection, statement: &str) -> Result<(), Wrong> {
    // Only names that spin.toml and isobar.toml may hold, quoted, and words of this file.
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await;
    done.map(|_| ()).map_err(|error| match is_refused(&error) {
        true => Wrong::Schema(super::super::not_allowed(statement)),
        false => Wrong::Store(error),
    })
}

/// Why tables are not as declared.
pub(super) enum Wrong {
    Schema(String),
    Store(sqlx::Error),
}

impl From<sqlx::Error> for Wrong {
    fn from(error: sqlx::Error) -> Self {
        Wrong::Store(error)
    }
}

impl Wrong {
    pub(super) fn into_error(self, away: impl Fn(sqlx::Error) -> StoreError) -> StoreError {
        match self {
            Wrong::Schema(text) => StoreError::Schema(text),
            Wrong::Store(error) => away(error),
        }
    }
}

/// SQLSTATE 42501: insufficient privilege.
fn is_refused(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "42501")
}

async fn stored(connection: &mut PgConnection, schema: &str, table: &str) -> Result<Vec<Stored>, sqlx::Error> {
    let rows = sqlx::query(COLUMNS).bind(schema).bind(table).fetch_all(connection).await?;
    let column = |row: &sqlx::postgres::PgRow| {
        let kind: String = row.try_get(1)?;
        let place: Option<i32> = row.try_get(3)?;
        Ok(Stored {
            name: row.try_get(0)?,
            kind: kind_of(&kind).map_or(kind, |kind| kind.name().to_owned()),
            nullable: row.try_get(2)?,
            key_position: place.and_then(|place| usize::try_from(place).ok()),
        })
    };
    rows.iter().map(column).collect()
}

fn create(name: &str, table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let key: Vec<String> = table.key.iter().map(|k| quoted(k)).collect();
    format!("CREATE TABLE IF NOT EXISTS {name} ({}, PRIMARY KEY ({}))", columns.join(", "), key.join(", "))
}

fn column(column: &Column) -> String {
    // Text is compared by bytes, as everywhere.
    let collation = if column.kind == ColumnKind::Text { " COLLATE \"C\"" } else { "" };
    let null = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {}{collation}{null}", quoted(&column.name), type_of(column.kind))
}

/// A table's name with that of its schema, ready to stand in a statement.
pub(super) fn named(schema: &str, table: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(table))
}
