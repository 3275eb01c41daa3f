//! Postgres: a batch of the outbox is one transaction, which has to advance the writer's row in the table `isobar_fence`. So a batch is
//! written once, and never after a later one, whoever sends it.

mod schema;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use futures::channel::mpsc;
use futures::stream::{self, BoxStream};
use futures::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow, PgSslMode};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row as _};

use super::{EPOCH, MOST_EPOCHS, StoreError, Writer};
use crate::bindings::tables::groups::{Group, Writes};
use crate::bindings::tables::schema::quoted;
use crate::bindings::tables::{MOST_ROWS_READ, Range, StoredRow, TableError};
use crate::config::stores::{ConnectionConfig, PostgresConfig, Tls};
use crate::delivery::{Allowance, HeldRow, HeldTable, Row, Value};
use crate::manifest::{ColumnKind, Table};
use schema::named;
use values::{bind_all, read};

/// Connections of one pool: one per writer that waits is of no use, since Postgres has cores of its own to share.
const MOST_CONNECTIONS: u32 = 8;
/// Rows between the server and the one who asked.
const ROWS_AHEAD: usize = 32;

/// A pool of connections with one login.
pub(super) struct Postgres {
    name: Arc<str>,
    pool: PgPool,
    schema: String,
    fence: String,
    /// Whether functions write here, which needs the fence.
    written: bool,
}

impl Postgres {
    /// Connects when it is used first.
    pub(super) fn new(settings: &PostgresConfig, config: &ConnectionConfig, written: bool) -> anyhow::Result<Self> {
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&settings.host)
            .port(settings.port)
            .database(&settings.database)
            .application_name("isobar")
            .ssl_mode(match &settings.tls {
                Tls::Off => PgSslMode::Disable,
                Tls::Verified(_) => PgSslMode::VerifyFull,
            })
            .options([("statement_timeout", config.timeout.as_millis().to_string())]);
        if let Tls::Verified(Some(certificates)) = &settings.tls {
            options = options.ssl_root_cert(certificates);
        }
        if let Some(user) = &config.user {
            options = options.username(user);
        }
        if let Some(password) = &config.password {
            options = options.password(&password.read().with_context(|| format!("[stores.{}]", config.name))?);
        }
        let pool = PgPoolOptions::new().max_connections(MOST_CONNECTIONS).acquire_timeout(config.timeout);
        let (name, schema) = (config.name.as_str().into(), settings.schema.clone());
        let fence = config.fence();
        Ok(Postgres { name, pool: pool.connect_lazy_with(options), schema, fence, written })
    }

    fn away(&self, error: &sqlx::Error) -> StoreError {
        away(&self.name, error)
    }

    pub(super) fn space(&self) -> &str {
        &self.schema
    }

    pub(super) async fn missing(&self, tables: &BTreeMap<String, Table>) -> Result<Vec<String>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(|e| self.away(&e))?;
        let fence = self.written.then_some(self.fence.as_str());
        let missing = schema::missing(&mut connection, &self.schema, fence, tables).await;
        missing.map_err(|wrong| wrong.into_error(|e| self.away(&e)))
    }

    pub(super) async fn make(&self, statement: &str) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.map_err(|e| self.away(&e))?;
        schema::run(&mut connection, statement).await.map_err(|wrong| wrong.into_error(|e| self.away(&e)))
    }

    /// The epoch under which `writer` writes: that of its fence, or the next one where the fence is of another outbox.
    pub(super) async fn epoch(&self, writer: &Writer) -> Result<i64, StoreError> {
        let sql = format!(
            "INSERT INTO {fence} AS f (function, partition, lineage, superseded, ordering) VALUES ($1, $2, $3, '', $4)
             ON CONFLICT (function, partition) DO UPDATE SET lineage = excluded.lineage,
             superseded = f.superseded || CASE WHEN f.lineage = excluded.lineage THEN '' ELSE ' ' || f.lineage END,
             ordering = CASE WHEN f.lineage = excluded.lineage THEN f.ordering ELSE (f.ordering / $4 + 1) * $4 END
             WHERE position(excluded.lineage IN f.superseded) = 0
             RETURNING ordering / $4",
            fence = named(&self.schema, &self.fence)
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(writer.function.as_ref())
            .bind(writer.partition as i32)
            .bind(writer.lineage.as_ref())
            .bind(EPOCH)
            .fetch_optional(&self.pool)
            .await;
        match row.and_then(|row| row.map(|row| row.try_get(0)).transpose()).map_err(|e| self.away(&e))? {
            Some(epoch) if epoch > MOST_EPOCHS => Err(self.refused(super::exhausted(writer))),
            Some(epoch) => Ok(epoch),
            None => Err(self.refused(super::superseded(writer))),
        }
    }

    fn refused(&self, reason: String) -> StoreError {
        StoreError::Away { connection: Arc::clone(&self.name), reason }
    }

    pub(super) async fn apply(
        &self,
        writer: &Writer,
        order: i64,
        tables: &[(&Table, &HeldTable)],
    ) -> Result<(), StoreError> {
        let mut work = self.pool.begin().await.map_err(|e| self.away(&e))?;
        if self.advance(&mut work, writer, order).await? {
            for (table, held) in tables {
                self.write(&mut work, table, held).await?;
            }
            work.commit().await.map_err(|e| self.away(&e))?;
        }
        Ok(())
    }

    /// Loads have no order but that of their transactions.
    pub(super) async fn load(&self, table: &Table, rows: &HeldTable) -> Result<(), StoreError> {
        let mut work = self.pool.begin().await.map_err(|e| self.away(&e))?;
        self.write(&mut work, table, rows).await?;
        work.commit().await.map_err(|e| self.away(&e))
    }

    /// Whether `order` is the writer's turn; not if it was written before.
    async fn advance(&self, work: &mut PgConnection, writer: &Writer, order: i64) -> Result<bool, StoreError> {
        // What stands there is the least order that may come.
        let sql = format!(
            "UPDATE {} SET ordering = $1 + 1 WHERE function = $2 AND partition = $3 AND lineage = $4 AND ordering <= $1",
            named(&self.schema, &self.fence)
        );
        let done = sqlx::query(AssertSqlSafe(sql))
            .bind(order)
            .bind(writer.function.as_ref())
            .bind(writer.partition as i32)
            .bind(writer.lineage.as_ref())
            .execute(&mut *work)
            .await
            .map_err(|e| self.away(&e))?;
        if done.rows_affected() > 0 {
            return Ok(true);
        }
        let fence = named(&self.schema, &self.fence);
        let sql = format!("SELECT lineage FROM {fence} WHERE function = $1 AND partition = $2");
        let fence = sqlx::query(AssertSqlSafe(sql))
            .bind(writer.function.as_ref())
            .bind(writer.partition as i32)
            .fetch_optional(work)
            .await
            .and_then(|row| row.map(|row| row.try_get::<String, _>(0)).transpose())
            .map_err(|e| self.away(&e))?;
        match fence {
            Some(lineage) if lineage == *writer.lineage => Ok(false),
            _ => Err(self.refused(super::superseded(writer))),
        }
    }

    async fn write(&self, work: &mut PgConnection, table: &Table, held: &HeldTable) -> Result<(), StoreError> {
        let writes = Writes::of(table, held)?;
        let name = named(&self.schema, &table.name);
        for group in &writes.groups {
            let (sql, arguments) = upsert(table, &name, group).map_err(|e| self.away(&e))?;
            run(work, sql, arguments).await.map_err(|e| self.away(&e))?;
        }
        if !writes.deleted.is_empty() {
            let mut arguments = PgArguments::default();
            bind_keys(&mut arguments, table, writes.deleted.iter().map(|row| &row.key)).map_err(|e| self.away(&e))?;
            let sql = format!("DELETE FROM {name} AS t USING {} WHERE {}", keys(table), same_key(table));
            run(work, sql, arguments).await.map_err(|e| self.away(&e))?;
        }
        Ok(())
    }

    pub(super) async fn get(
        &self,
        table: &Table,
        columns: &[String],
        wanted: &[Row],
        allowance: &mut Allowance,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let select = Select::new(table, columns)?;
        if wanted.len() > MOST_ROWS_READ {
            return Err(TableError::TooManyRows { table: table.name.clone(), most: MOST_ROWS_READ }.into());
        }
        let mut arguments = PgArguments::default();
        bind_keys(&mut arguments, table, wanted.iter()).map_err(|e| self.away(&e))?;
        let from = format!("{} AS t JOIN {} ON {}", named(&self.schema, &table.name), keys(table), same_key(table));
        let sql = format!("SELECT {} FROM {from}", select.list);
        let mut found = Vec::new();
        let read = select.fetch(&self.pool, sql, arguments, &mut found, allowance).await;
        read.map(|()| found).map_err(|e| self.away(&e))
    }

    pub(super) async fn scan(
        &self,
        table: &Table,
        columns: &[String],
        range: &Range,
        allowance: &mut Allowance,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let select = Select::new(table, columns)?;
        let [partition, ranged, ..] = table.key.as_slice() else {
            return Err(TableError::NoRange(table.name.clone()).into());
        };
        let kind = |name: &str| table.column(name).map_or(ColumnKind::Text, |c| c.kind);
        let mut arguments = PgArguments::default();
        for (name, value) in [(partition, &range.partition), (ranged, &range.first), (ranged, &range.last)] {
            // An array of one: its element is the parameter.
            bind_all(&mut arguments, kind(name), [value].into_iter()).map_err(|e| self.away(&e))?;
        }
        let order: Vec<String> = table.key.iter().map(|k| format!("t.{}", quoted(k))).collect();
        let sql = format!(
            "SELECT {} FROM {} AS t WHERE t.{}=$1[1] AND t.{ranged}>=$2[1] AND t.{ranged}<=$3[1] ORDER BY {} LIMIT {}",
            select.list,
            named(&self.schema, &table.name),
            quoted(partition),
            order.join(","),
            MOST_ROWS_READ + 1,
            ranged = quoted(ranged),
        );
        let mut found = Vec::new();
        select.fetch(&self.pool, sql, arguments, &mut found, allowance).await.map_err(|e| self.away(&e))?;
        if found.len() > MOST_ROWS_READ {
            return Err(TableError::TooManyRows { table: table.name.clone(), most: MOST_ROWS_READ }.into());
        }
        Ok(found)
    }

    pub(super) fn rows(&self, table: &Table, partition: Option<Value>) -> BoxStream<'static, Result<Row, StoreError>> {
        let names: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
        let kinds: Vec<ColumnKind> = table.columns.iter().map(|c| c.kind).collect();
        let condition = match (&partition, table.key.first()) {
            (Some(_), Some(first)) => format!(" WHERE {}=$1[1]", quoted(first)),
            _ => String::new(),
        };
        let sql = format!("SELECT {} FROM {}{condition}", names.join(","), named(&self.schema, &table.name));
        let first = table.key.first().and_then(|k| table.column(k)).map_or(ColumnKind::Text, |c| c.kind);
        let (pool, name) = (self.pool.clone(), Arc::clone(&self.name));
        let (mut into, rows) = mpsc::channel(ROWS_AHEAD);
        // The reader borrows its pool, so the two travel in one future that is polled with the stream.
        let reader = async move {
            let mut arguments = PgArguments::default();
            let bound = partition.iter().try_for_each(|v| bind_all(&mut arguments, first, [v].into_iter()));
            if let Err(error) = bound {
                let _ = into.send(Err(away(&name, &error))).await;
                return;
            }
            let begun = async {
                let mut work = pool.begin().await?;
                // Who reads may be slow; that the server is not is seen at each row.
                sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *work).await?;
                Ok::<_, sqlx::Error>(work)
            };
            let mut work = match begun.await {
                Ok(work) => work,
                Err(error) => {
                    let _ = into.send(Err(away(&name, &error))).await;
                    return;
                }
            };
            let mut found = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch(&mut *work);
            while let Some(row) = found.next().await {
                let row = row.and_then(|row| read(&row, 0, &kinds)).map_err(|e| away(&name, &e));
                if into.send(row).await.is_err() {
                    return;
                }
            }
        };
        stream::select(rows, stream::once(reader).filter_map(|()| async { None })).boxed()
    }

    pub(super) async fn count(&self, table: &Table) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM {}", named(&self.schema, &table.name));
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&self.pool).await;
        let count: i64 = row.and_then(|row| row.try_get(0)).map_err(|e| self.away(&e))?;
        Ok(count.unsigned_abs())
    }
}

/// Trouble in words that hold no cell: of what the server says, only where it is about itself and not about values. Those are
/// the classes of SQLSTATE for connections, logins, names and privileges, resources, the operator, and the system.
fn away(connection: &Arc<str>, error: &sqlx::Error) -> StoreError {
    let reason = match error {
        sqlx::Error::Database(told) => {
            let code = told.code().unwrap_or_default().into_owned();
            let is_of_itself = ["08", "28", "3D", "42", "53", "57", "58"].iter().any(|class| code.starts_with(class));
            if is_of_itself {
                format!("{} ({code})", told.message())
            } else {
                format!("it answered with SQLSTATE {code}")
            }
        }
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => "no connection could be made in time".to_owned(),
        sqlx::Error::Tls(error) => error.to_string(),
        _ => "the conversation with it broke off".to_owned(),
    };
    StoreError::Away { connection: Arc::clone(connection), reason }
}

fn kinds_of<'n>(table: &Table, names: impl Iterator<Item = &'n String>) -> Result<Vec<ColumnKind>, TableError> {
    let missing = |name: &String| TableError::NoColumn { table: table.name.clone(), column: name.clone() };
    names.map(|name| table.column(name).map(|c| c.kind).ok_or_else(|| missing(name))).collect()
}

/// What a read gives, and how its rows are taken apart.
struct Select {
    list: String,
    key: Vec<ColumnKind>,
    cells: Vec<ColumnKind>,
}

impl Select {
    fn new(table: &Table, columns: &[String]) -> Result<Self, TableError> {
        let names: Vec<String> = table.key.iter().chain(columns).map(|c| format!("t.{}", quoted(c))).collect();
        let (key, cells) = (kinds_of(table, table.key.iter())?, kinds_of(table, columns.iter())?);
        Ok(Select { list: names.join(","), key, cells })
    }

    async fn fetch(
        &self,
        pool: &PgPool,
        sql: String,
        arguments: PgArguments,
        into: &mut Vec<StoredRow>,
        allowance: &mut Allowance,
    ) -> Result<(), sqlx::Error> {
        let mut rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch(pool);
        while let Some(row) = rows.try_next().await? {
            let row = self.row(&row)?;
            if !allowance.take(row.bytes()) {
                break;
            }
            into.push(row);
        }
        Ok(())
    }

    fn row(&self, row: &PgRow) -> Result<StoredRow, sqlx::Error> {
        Ok(StoredRow { key: read(row, 0, &self.key)?, cells: read(row, self.key.len(), &self.cells)? })
    }
}

async fn run(work: &mut PgConnection, sql: String, arguments: PgArguments) -> Result<(), sqlx::Error> {
    // Only names that spin.toml and isobar.toml may hold, quoted, and words of this file; every value is a parameter.
    sqlx::query_with(AssertSqlSafe(sql), arguments).execute(work).await?;
    Ok(())
}

fn upsert(table: &Table, name: &str, group: &Group<'_>) -> Result<(String, PgArguments), sqlx::Error> {
    let mut arguments = PgArguments::default();
    bind_keys(&mut arguments, table, group.rows.iter().map(|(row, _): &(&HeldRow, _)| &row.key))?;
    let set: Vec<_> = group.columns.iter().filter_map(|at| Some((*at, table.columns.get(*at)?))).collect();
    for (at, column) in &set {
        bind_all(&mut arguments, column.kind, group.rows.iter().map(|(_, cells)| Group::cell(cells, *at)))?;
    }
    let names: Vec<String> = set.iter().map(|(_, column)| quoted(&column.name)).collect();
    let key: Vec<String> = table.key.iter().map(|k| quoted(k)).collect();
    let all: Vec<&str> = key.iter().chain(&names).map(String::as_str).collect();
    let places: Vec<String> = (1..=all.len()).map(|at| format!("${at}")).collect();
    let sets: Vec<String> = names.iter().map(|n| format!("{n}=excluded.{n}")).collect();
    let conflict = if sets.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", sets.join(",")) };
    let sql = format!(
        "INSERT INTO {name} ({}) SELECT * FROM unnest({}) ON CONFLICT ({}) DO {conflict}",
        all.join(","),
        places.join(","),
        key.join(",")
    );
    Ok((sql, arguments))
}

/// Adds one array per key column.
fn bind_keys<'k>(
    arguments: &mut PgArguments,
    table: &Table,
    keys: impl Iterator<Item = &'k Row> + Clone,
) -> Result<(), sqlx::Error> {
    for (at, name) in table.key.iter().enumerate() {
        let kind = table.column(name).map_or(ColumnKind::Text, |c| c.kind);
        bind_all(arguments, kind, keys.clone().map(|key| key.get(at).unwrap_or(&Value::Null)))?;
    }
    Ok(())
}

/// The keys of the first parameters as rows of `k`.
fn keys(table: &Table) -> String {
    let places: Vec<String> = (1..=table.key.len()).map(|at| format!("${at}")).collect();
    let names: Vec<String> = table.key.iter().map(|k| quoted(k)).collect();
    format!("unnest({}) AS k ({})", places.join(","), names.join(","))
}

fn same_key(table: &Table) -> String {
    let same: Vec<String> = table.key.iter().map(|k| format!("t.{0}=k.{0}", quoted(k))).collect();
    same.join(" AND ")
}
