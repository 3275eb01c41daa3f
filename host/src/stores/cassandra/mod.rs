//! Cassandra: every write of a batch carries the batch's order as its timestamp, so that of two writes of a cell the later one
//! in the outbox stays, whichever comes first, and a delete is not undone by an older write that is late. Whoever writes under
//! an older epoch loses to all of a newer one.

mod schema;
mod trouble;
mod values;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use openssl::ssl::{SslConnector, SslMethod};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::{OpenSsl010Config, Session};
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::Consistency;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlValue, Row as CqlRow};
use tokio::sync::{Mutex, OnceCell};

use super::{EPOCH, MOST_EPOCHS, StoreError, Writer};
use crate::bindings::tables::groups::{Group, Writes};
use crate::bindings::tables::schema::quoted;
use crate::bindings::tables::{MOST_ROWS_READ, Range, StoredRow, TableError};
use crate::config::stores::{CassandraConfig, ConnectionConfig};
use crate::delivery::{Allowance, HeldTable, Row, Value};
use crate::manifest::{ColumnKind, Table};
use schema::named;

/// Requests under way at one time, of one batch or read.
const CONCURRENCY: usize = 64;
/// Bytes of the rows of one partition that are sent together: Cassandra warns of 5 KiB.
const MOST_BATCH_BYTES: usize = 4096;
/// Rows that a page of a whole table has.
const PAGE_ROWS: i32 = 1000;
/// How often a connection that says nothing is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// What those who load a table are called, before its name.
const LOAD: &str = "load:";
/// How often an epoch is tried to be had while others try the same.
const EPOCH_TRIES: usize = 10;
/// How often a statement is sent that Cassandra has forgotten, which is prepared anew each time.
const MOST_TRIES_UNPREPARED: u32 = 5;

type Parameters = Vec<Option<CqlValue>>;

/// A session with one login.
pub(super) struct Cassandra {
    inner: Arc<Inner>,
}

struct Inner {
    name: Arc<str>,
    nodes: Vec<String>,
    login: Option<(String, String)>,
    tls: Option<OpenSsl010Config>,
    consistency: Consistency,
    timeout: Duration,
    keyspace: String,
    replication: String,
    fence: String,
    session: OnceCell<Session>,
    statements: Mutex<HashMap<String, PreparedStatement>>,
}

impl Cassandra {
    /// Connects when it is used first.
    pub(super) fn new(settings: &CassandraConfig, config: &ConnectionConfig) -> anyhow::Result<Self> {
        let password = config.password.as_ref().map(|p| p.read()).transpose();
        let password = password.with_context(|| format!("[stores.{}]", config.name))?;
        let inner = Inner {
            name: config.name.as_str().into(),
            nodes: settings.nodes.clone(),
            login: config.user.clone().map(|user| (user, password.unwrap_or_default())),
            tls: settings.authority.as_deref().map(trusting).transpose()?,
            consistency: consistency(&settings.consistency)?,
            timeout: config.timeout,
            keyspace: settings.keyspace.clone(),
            replication: replication(&settings.replication),
            fence: config.fence(),
            session: OnceCell::new(),
            statements: Mutex::default(),
        };
        Ok(Cassandra { inner: Arc::new(inner) })
    }

    pub(super) fn space(&self) -> &str {
        &self.inner.keyspace
    }

    pub(super) async fn missing(&self, tables: &BTreeMap<String, Table>) -> Result<Vec<String>, StoreError> {
        let inner = &self.inner;
        let session = inner.session().await?;
        let away = |e: &(dyn std::error::Error + 'static)| inner.away(e);
        schema::missing(session, &inner.keyspace, &inner.replication, &inner.fence, tables, away).await
    }

    pub(super) async fn make(&self, statement: &str) -> Result<(), StoreError> {
        schema::run(self.inner.session().await?, statement, |e| self.inner.away(e)).await
    }

    /// The epoch under which `writer` writes: that which its outbox had, or the next one after that of another outbox. Who never
    /// wrote begins after everybody else: a function that has another name now goes on with the rows of the old one.
    pub(super) async fn epoch(&self, writer: &Writer) -> Result<i64, StoreError> {
        let inner = &self.inner;
        let fence = named(&inner.keyspace, &inner.fence);
        let text = |text: &str| Some(CqlValue::Text(text.to_owned()));
        let who = [text(&writer.function), Some(CqlValue::Int(writer.partition as i32))];
        let is_who = "function = ? AND partition = ?";
        let (lineage, number) = (text(&writer.lineage), |epoch| Some(CqlValue::BigInt(epoch)));
        let read = inner.serial(&format!("SELECT lineage, superseded, epoch FROM {fence} WHERE {is_who}")).await?;
        for _ in 0..EPOCH_TRIES {
            let known = inner.rows::<(Option<String>, Option<String>, Option<i64>)>(&read, who.to_vec()).await?;
            let (sql, parameters, epoch) = match known.into_iter().next() {
                Some((Some(known), _, Some(epoch))) if known == *writer.lineage => return Ok(epoch),
                Some((known, superseded, Some(epoch))) => {
                    let superseded = superseded.unwrap_or_default();
                    if superseded.contains(&*writer.lineage) {
                        return Err(inner.refused(super::superseded(writer)));
                    }
                    let superseded = format!("{superseded} {}", known.unwrap_or_default());
                    let sql = format!(
                        "UPDATE {fence} SET lineage = ?, superseded = ?, epoch = ? WHERE {is_who} IF epoch = ?"
                    );
                    let set = [lineage.clone(), text(&superseded), number(epoch + 1)];
                    (sql, [&set, &who[..], &[number(epoch)]].concat(), epoch + 1)
                }
                _ => {
                    let epoch = self.newest_of_others(&fence, &writer.function).await? + 1;
                    let columns = "function, partition, lineage, superseded, epoch";
                    let sql = format!("INSERT INTO {fence} ({columns}) VALUES (?, ?, ?, '', ?) IF NOT EXISTS");
                    (sql, [&who[..], &[lineage.clone(), number(epoch)]].concat(), epoch)
                }
            };
            if epoch > MOST_EPOCHS {
                return Err(inner.refused(super::exhausted(writer)));
            }
            let statement = inner.statement(&sql).await?;
            let answer = inner.rows::<CqlRow>(&statement, parameters).await?;
            let applied = answer.first().and_then(|row| row.columns.first());
            if matches!(applied, Some(Some(CqlValue::Boolean(true)))) {
                return Ok(epoch);
            }
        }
        Err(inner.refused(format!("others write as function `{}`; is it run twice?", writer.function)))
    }

    /// The newest epoch of functions other than `function`, 0 where there are none.
    async fn newest_of_others(&self, fence: &str, function: &str) -> Result<i64, StoreError> {
        let read = self.inner.serial(&format!("SELECT function, epoch FROM {fence}")).await?;
        let known = self.inner.rows::<(String, Option<i64>)>(&read, Vec::new()).await?;
        let others = known.into_iter().filter(|(other, _)| other != function && !other.starts_with(LOAD));
        Ok(others.filter_map(|(_, epoch)| epoch).max().unwrap_or_default())
    }

    pub(super) async fn apply(&self, order: i64, tables: &[(&Table, &HeldTable)]) -> Result<(), StoreError> {
        let session = self.inner.session().await?;
        let mut batches = Vec::new();
        for (table, held) in tables {
            let writes = Writes::of(table, held)?;
            for group in &writes.groups {
                let statement = self.inner.statement(&self.insert_sql(table, group)).await?;
                batches.extend(together(
                    &statement,
                    group.rows.iter().map(|(row, cells)| {
                        let set = group
                            .columns
                            .iter()
                            .filter_map(|at| Some((table.columns.get(*at)?, Group::cell(cells, *at))));
                        let set = set.map(|(column, value)| values::written(column.kind, value));
                        let row_parameters =
                            key_parameters(table, &row.key).chain(set).chain([Some(CqlValue::BigInt(order))]);
                        (&row.key, row_parameters.collect(), row.bytes())
                    }),
                ));
            }
            if !writes.deleted.is_empty() {
                let sql = format!("DELETE FROM {} USING TIMESTAMP ? WHERE {}", self.named(table), key_is(table));
                let statement = self.inner.statement(&sql).await?;
                batches.extend(together(
                    &statement,
                    writes.deleted.iter().map(|row| {
                        let parameters =
                            [Some(CqlValue::BigInt(order))].into_iter().chain(key_parameters(table, &row.key));
                        (&row.key, parameters.collect(), row.bytes())
                    }),
                ));
            }
        }
        stream::iter(batches.into_iter().map(Ok))
            .try_for_each_concurrent(CONCURRENCY, async |(batch, parameters): (Batch, Vec<Parameters>)| {
                session.batch(&batch, parameters).await.map(|_| ()).map_err(|e| self.inner.away(&e))
            })
            .await
    }

    /// Loads are ordered by a number that each takes, as if it were an epoch of its own.
    pub(super) async fn load(&self, table: &Table, rows: &HeldTable) -> Result<(), StoreError> {
        let lineage = format!("{:032x}", rand::random::<u128>()).into();
        let writer = Writer { function: format!("{LOAD}{}", table.name).into(), partition: 0, lineage };
        let number = self.epoch(&writer).await?;
        self.apply(EPOCH + number, &[(table, rows)]).await
    }

    fn insert_sql(&self, table: &Table, group: &Group<'_>) -> String {
        let set = group.columns.iter().filter_map(|at| table.columns.get(*at)).map(|c| &c.name);
        let names: Vec<String> = table.key.iter().chain(set).map(|name| quoted(name)).collect();
        let places = vec!["?"; names.len()].join(", ");
        format!("INSERT INTO {} ({}) VALUES ({places}) USING TIMESTAMP ?", self.named(table), names.join(", "))
    }

    pub(super) async fn get(
        &self,
        table: &Table,
        columns: &[String],
        keys: &[Row],
        allowance: &mut Allowance,
    ) -> Result<Vec<StoredRow>, StoreError> {
        if keys.len() > MOST_ROWS_READ {
            return Err(TableError::TooManyRows { table: table.name.clone(), most: MOST_ROWS_READ }.into());
        }
        let sql = format!("{} WHERE {}", self.select(table, columns)?, key_is(table));
        let statement = self.inner.statement(&sql).await?;
        let wanted: Vec<Parameters> = keys.iter().map(|key| key_parameters(table, key).collect()).collect();
        let read = |parameters| self.inner.rows::<CqlRow>(&statement, parameters);
        let mut answers = stream::iter(wanted).map(read).buffer_unordered(CONCURRENCY);
        let mut found = Vec::new();
        while let Some(rows) = answers.try_next().await? {
            for row in rows {
                let row = stored(table, row);
                if !allowance.take(row.bytes()) {
                    return Ok(found);
                }
                found.push(row);
            }
        }
        Ok(found)
    }

    pub(super) async fn scan(
        &self,
        table: &Table,
        columns: &[String],
        range: &Range,
        allowance: &mut Allowance,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let [partition, ranged, ..] = table.key.as_slice() else {
            return Err(TableError::NoRange(table.name.clone()).into());
        };
        let sql = format!(
            "{} WHERE {}=? AND {ranged}>=? AND {ranged}<=? LIMIT {}",
            self.select(table, columns)?,
            quoted(partition),
            MOST_ROWS_READ + 1,
            ranged = quoted(ranged),
        );
        let statement = self.inner.statement(&sql).await?;
        let written = |name: &str, value| values::written(kind(table, name), value);
        let bounds =
            vec![written(partition, &range.partition), written(ranged, &range.first), written(ranged, &range.last)];
        let session = self.inner.session().await?;
        let pages = session.execute_iter(statement, bounds).await.map_err(|e| self.inner.away(&e))?;
        let mut rows = pages.rows_stream::<CqlRow>().map_err(|e| self.inner.away(&e))?;
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(|e| self.inner.away(&e))? {
            let row = stored(table, row);
            if !allowance.take(row.bytes()) {
                return Ok(found);
            }
            found.push(row);
        }
        if found.len() > MOST_ROWS_READ {
            return Err(TableError::TooManyRows { table: table.name.clone(), most: MOST_ROWS_READ }.into());
        }
        Ok(found)
    }

    pub(super) fn rows(&self, table: &Table, partition: Option<Value>) -> BoxStream<'static, Result<Row, StoreError>> {
        let names: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
        let first = table.key.first().cloned().unwrap_or_default();
        let condition = if partition.is_some() { format!(" WHERE {}=?", quoted(&first)) } else { String::new() };
        let sql = format!("SELECT {} FROM {}{condition}", names.join(", "), self.named(table));
        let parameters: Parameters =
            partition.iter().map(|value| values::written(kind(table, &first), value)).collect();
        let inner = Arc::clone(&self.inner);
        let pages = async move {
            let mut statement = inner.statement(&sql).await?;
            statement.set_page_size(PAGE_ROWS);
            let session = inner.session().await?;
            let pages = session.execute_iter(statement, parameters).await.map_err(|e| inner.away(&e))?;
            let rows = pages.rows_stream::<CqlRow>().map_err(|e| inner.away(&e))?;
            let cells = move |row: Result<CqlRow, _>| {
                let row = row.map_err(|error| inner.away(&error))?;
                Ok(row.columns.into_iter().map(values::read).collect())
            };
            Ok::<_, StoreError>(rows.map(cells))
        };
        stream::once(pages).try_flatten().boxed()
    }

    pub(super) async fn count(&self, table: &Table) -> Result<u64, StoreError> {
        let statement = self.inner.statement(&format!("SELECT count(*) FROM {}", self.named(table))).await?;
        let rows = self.inner.rows::<(i64,)>(&statement, Vec::new()).await?;
        Ok(rows.first().map_or(0, |(count,)| count.unsigned_abs()))
    }

    fn named(&self, table: &Table) -> String {
        named(&self.inner.keyspace, &table.name)
    }

    fn select(&self, table: &Table, columns: &[String]) -> Result<String, TableError> {
        let missing = |column: &&String| table.column(column).is_none();
        if let Some(column) = columns.iter().find(missing) {
            return Err(TableError::NoColumn { table: table.name.clone(), column: column.clone() });
        }
        let names: Vec<String> = table.key.iter().chain(columns).map(|c| quoted(c)).collect();
        Ok(format!("SELECT {} FROM {}", names.join(", "), self.named(table)))
    }
}

impl Inner {
    async fn session(&self) -> Result<&Session, StoreError> {
        self.session
            .get_or_try_init(async || {
                let profile = ExecutionProfile::builder().consistency(self.consistency);
                let profile = profile.request_timeout(Some(self.timeout)).build();
                let mut builder = SessionBuilder::new()
                    .known_nodes(&self.nodes)
                    .tls_context(self.tls.clone())
                    .connection_timeout(self.timeout)
                    .tcp_keepalive_interval(KEEPALIVE)
                    .default_execution_profile_handle(profile.into_handle());
                if let Some((user, password)) = &self.login {
                    builder = builder.user(user, password);
                }
                builder.build().await
            })
            .await
            .map_err(|e| self.away(&e))
    }

    async fn statement(&self, sql: &str) -> Result<PreparedStatement, StoreError> {
        if let Some(known) = self.statements.lock().await.get(sql) {
            return Ok(known.clone());
        }
        // Only names that spin.toml and isobar.toml may hold, quoted, and words of this module; every value is a parameter.
        let mut statement = self.session().await?.prepare(sql).await.map_err(|e| self.away(&e))?;
        // Written twice under one timestamp it says the same; what is written once only says `IF`.
        statement.set_is_idempotent(!sql.contains(" IF "));
        self.statements.lock().await.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// A statement that reads what others have agreed on, and not what one node has heard of it.
    async fn serial(&self, sql: &str) -> Result<PreparedStatement, StoreError> {
        let mut statement = self.statement(sql).await?;
        statement.set_consistency(Consistency::Serial);
        Ok(statement)
    }

    async fn rows<R>(&self, statement: &PreparedStatement, parameters: Parameters) -> Result<Vec<R>, StoreError>
    where
        R: for<'f> scylla::deserialize::row::DeserializeRow<'f, 'f>,
    {
        let session = self.session().await?;
        let mut tries = 1;
        let answer = loop {
            match session.execute_unpaged(statement, parameters.as_slice()).await {
                // After a table was altered, Cassandra may forget its statements more than the one time that the driver bears.
                Err(error) if tries < MOST_TRIES_UNPREPARED && trouble::is_unprepared(&error) => tries += 1,
                answer => break answer.map_err(|e| self.away(&e))?,
            }
        };
        let answer = answer.into_rows_result().map_err(|e| self.away(&e))?;
        let rows = answer.rows::<R>().map_err(|e| self.away(&e))?;
        rows.map(|row| row.map_err(|e| self.away(&e))).collect()
    }

    fn refused(&self, reason: String) -> StoreError {
        StoreError::Away { connection: Arc::clone(&self.name), reason }
    }

    fn away(&self, error: &(dyn std::error::Error + 'static)) -> StoreError {
        self.refused(trouble::told(error))
    }
}

/// Rows of one partition that follow each other, sent together.
fn together<'r>(
    statement: &PreparedStatement,
    rows: impl Iterator<Item = (&'r Row, Parameters, usize)>,
) -> Vec<(Batch, Vec<Parameters>)> {
    let mut batches: Vec<(Batch, Vec<Parameters>)> = Vec::new();
    let mut open: Option<(&Value, usize)> = None;
    for (key, parameters, bytes) in rows {
        let partition = key.first().unwrap_or(&Value::Null);
        let fits = |(of, held): &(&Value, usize)| *of == partition && held + bytes <= MOST_BATCH_BYTES;
        match (open.filter(fits), batches.last_mut()) {
            (Some((_, held)), Some((batch, all))) => {
                batch.append_statement(statement.clone());
                all.push(parameters);
                open = Some((partition, held + bytes));
            }
            _ => {
                let mut batch = Batch::new(BatchType::Unlogged);
                batch.set_is_idempotent(true);
                batch.append_statement(statement.clone());
                batches.push((batch, vec![parameters]));
                open = Some((partition, bytes));
            }
        }
    }
    batches
}

fn stored(table: &Table, row: CqlRow) -> StoredRow {
    let mut cells = row.columns.into_iter().map(values::read);
    StoredRow { key: cells.by_ref().take(table.key.len()).collect(), cells: cells.collect() }
}

fn kind(table: &Table, name: &str) -> ColumnKind {
    table.column(name).map_or(ColumnKind::Text, |c| c.kind)
}

fn key_parameters<'k>(table: &'k Table, key: &'k Row) -> impl Iterator<Item = Option<CqlValue>> + 'k {
    table.key.iter().zip(key).map(|(name, value)| values::written(kind(table, name), value))
}

fn key_is(table: &Table) -> String {
    let parts: Vec<String> = table.key.iter().map(|k| format!("{}=?", quoted(k))).collect();
    parts.join(" AND ")
}

fn consistency(name: &str) -> anyhow::Result<Consistency> {
    const KNOWN: [(&str, Consistency); 7] = [
        ("one", Consistency::One),
        ("two", Consistency::Two),
        ("three", Consistency::Three),
        ("quorum", Consistency::Quorum),
        ("all", Consistency::All),
        ("local-quorum", Consistency::LocalQuorum),
        ("local-one", Consistency::LocalOne),
    ];
    let found = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, consistency)| *consistency);
    found.with_context(|| {
        let known = KNOWN.map(|(known, _)| format!("`{known}`")).join(", ");
        format!("[stores.cassandra] `consistency` is `{name}`; known: {known}")
    })
}

/// What believes nodes that the authorities of this file, and no others, have certified by their addresses.
fn trusting(authorities: &Path) -> anyhow::Result<OpenSsl010Config> {
    let place = || format!("[stores.cassandra] `certificates`: `{}` cannot be read", authorities.display());
    let certificates = X509::stack_from_pem(&std::fs::read(authorities).with_context(place)?).with_context(place)?;
    anyhow::ensure!(!certificates.is_empty(), "{}: it holds no certificate", place());
    let mut store = X509StoreBuilder::new()?;
    for certificate in certificates {
        store.add_cert(certificate)?;
    }
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_cert_store(store.build());
    Ok(OpenSsl010Config::new(builder))
}

/// `{'class': 'SimpleStrategy', 'replication_factor': '1'}`.
fn replication(options: &BTreeMap<String, String>) -> String {
    let escaped = |text: &str| text.replace('\'', "''");
    let pairs: Vec<String> = options.iter().map(|(k, v)| format!("'{}': '{}'", escaped(k), escaped(v))).collect();
    format!("{{{}}}", pairs.join(", "))
}
