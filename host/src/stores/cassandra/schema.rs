//! Keyspace and tables in Cassandra: made as spin.toml declares them, held against it, and refused where the two differ in
//! more than new columns. Cassandra does not know of columns that may not be null: that is seen to before the commit.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};

use super::values::{kind_of, type_of};
use crate::bindings::tables::schema::{Stored, added, quoted};
use crate::manifest::{Column, Table};
use crate::stores::StoreError;

/// Columns of a fence: the epochs of those who write, and the lineages whose place they have taken; see `super`.
const FENCE_COLUMNS: &str = "function text, partition int, lineage text, superseded text, epoch bigint, \
    PRIMARY KEY ((function), partition)";

/// A column as the catalogue has it: name, type, `partition_key`, `clustering` or `regular`, place among those.
type Catalogued = (String, String, String, i32);

/// The statements that make what is missing of `tables` in `keyspace`.
///
/// # Errors
/// [`StoreError::Schema`] where no statement of ours helps.
pub(super) async fn missing(
    session: &Session,
    keyspace: &str,
    replication: &str,
    fence: &str,
    tables: &BTreeMap<String, Table>,
    away: impl Fn(&(dyn std::error::Error + 'static)) -> StoreError,
) -> Result<Vec<String>, StoreError> {
    let mut statements = Vec::new();
    let mut differences = Vec::new();
    let known = rows::<(String,)>(
        session,
        "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?",
        (keyspace,),
        &away,
    )
    .await?;
    if known.is_empty() {
        statements.push(format!("CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {replication}", quoted(keyspace)));
    }
    if stored(session, keyspace, fence, &away).await?.is_empty() {
        statements.push(format!("CREATE TABLE IF NOT EXISTS {} ({FENCE_COLUMNS})", named(keyspace, fence)));
    }
    for table in tables.values() {
        let name = named(keyspace, &table.name);
        let mut columns = stored(session, keyspace, &table.name, &away).await?;
        if columns.is_empty() {
            statements.push(create(&name, table));
            continue;
        }
        for column in &mut columns {
            column.nullable = table.column(&column.name).is_none_or(|declared| declared.nullable);
        }
        match added(table, &columns, &format!("or drop it (`DROP TABLE {name}`) and compute everything anew")) {
            Ok(new) => statements.extend(new.iter().map(|c| format!("ALTER TABLE {name} ADD {}", column(c)))),
            Err(found) => differences.extend(found),
        }
    }
    if !differences.is_empty() {
        return Err(StoreError::Schema(differences.join("\n")));
    }
    Ok(statements)
}

/// Runs a statement that [`missing`] gave.
pub(super) async fn run(
    session: &Session,
    statement: &str,
    away: impl Fn(&(dyn std::error::Error + 'static)) -> StoreError,
) -> Result<(), StoreError> {
    let done = session.query_unpaged(statement, ()).await;
    done.map(|_| ()).map_err(|error| match is_refused(&error) {
        true => StoreError::Schema(super::super::not_allowed(statement)),
        false => away(&error),
    })
}

fn is_refused(error: &ExecutionError) -> bool {
    matches!(error, ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Unauthorized, _)))
}

async fn stored(
    session: &Session,
    keyspace: &str,
    table: &str,
    away: &impl Fn(&(dyn std::error::Error + 'static)) -> StoreError,
) -> Result<Vec<Stored>, StoreError> {
    let sql = "SELECT column_name, type, kind, position FROM system_schema.columns
               WHERE keyspace_name = ? AND table_name = ?";
    let columns = rows::<Catalogued>(session, sql, (keyspace, table), away).await?;
    let partition = columns.iter().filter(|(_, _, kind, _)| kind == "partition_key").count();
    let column = |(name, stored, kind, position): Catalogued| {
        let position = usize::try_from(position).unwrap_or_default();
        let key_position = match kind.as_str() {
            "partition_key" => Some(position),
            "clustering" => Some(partition + position),
            _ => None,
        };
        let kind = kind_of(&stored).map_or(stored, |kind| kind.name().to_owned());
        Stored { name, kind, nullable: true, key_position }
    };
    Ok(columns.into_iter().map(column).collect())
}

async fn rows<R>(
    session: &Session,
    sql: &str,
    values: impl scylla::serialize::row::SerializeRow,
    away: &impl Fn(&(dyn std::error::Error + 'static)) -> StoreError,
) -> Result<Vec<R>, StoreError>
where
    R: for<'f> scylla::deserialize::row::DeserializeRow<'f, 'f>,
{
    let answer = session.query_unpaged(sql, values).await.map_err(|e| away(&e))?;
    let answer = answer.into_rows_result().map_err(|e| away(&e))?;
    let rows = answer.rows::<R>().map_err(|e| away(&e))?;
    rows.map(|row| row.map_err(|e| away(&e))).collect()
}

fn create(name: &str, table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let (first, others) = table.key.split_first().map_or((String::new(), &[][..]), |(f, o)| (quoted(f), o));
    let others: String = others.iter().map(|k| format!(", {}", quoted(k))).collect();
    format!("CREATE TABLE IF NOT EXISTS {name} ({}, PRIMARY KEY (({first}){others}))", columns.join(", "))
}

fn column(column: &Column) -> String {
    format!("{} {}", quoted(&column.name), type_of(column.kind))
}

/// A table's name with that of its keyspace, ready to stand in a statement.
pub(super) fn named(keyspace: &str, table: &str) -> String {
    format!("{}.{}", quoted(keyspace), quoted(table))
}
