//! Tables in stores of their own, Cassandra and Postgres: made as spin.toml declares them, read, and written behind the
//! commit in the order of the outbox. What cannot be done now is said to be away and done later; nothing of it is the fault of
//! a function or a record.

mod cassandra;
mod postgres;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::Mutex;

use crate::bindings::tables::{Range, StoredRow, TableError};
use crate::config::stores::{Backend, ConnectionConfig};
use crate::delivery::{Allowance, HeldTable, Row, Value};
use crate::manifest::{Application, Table};

/// What an order has below its epoch: 2^52 is above any clock's microseconds, so that a row written by other means never
/// wins over one of ours, and no outbox comes to so many records.
const EPOCH: i64 = 1 << 52;
/// Rows of one load for which a store has the time that it has for an answer.
const ROWS_LOADED_IN_TIME: u32 = 1000;
/// Epochs that an order has room for.
const MOST_EPOCHS: i64 = i64::MAX / EPOCH - 1;

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be used now; it may be later.
    #[error("{connection} cannot be used now: {reason}")]
    Away {
        /// The connection's name.
        connection: Arc<str>,
        /// Why. Holds no cell of a row.
        reason: String,
    },
    /// What it holds is not what spin.toml declares; one line per difference, with the remedy.
    #[error("{0}")]
    Schema(String),
    /// A question that no store answers, or a write that no table takes.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Who writes, in whose order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Writer {
    /// The function.
    pub function: Arc<str>,
    /// The partition of its outbox.
    pub partition: u32,
    /// Which outbox it is: another one, as after a backup was restored, has other records at the same offsets.
    pub lineage: Arc<str>,
}

/// Writes to tables, and where they stand in their outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The offset of the last record of them.
    pub offset: i64,
    /// By table.
    pub tables: BTreeMap<String, HeldTable>,
}

/// All connections that isobar.toml names, those that serve a table.
#[derive(Default)]
pub struct Stores {
    connections: BTreeMap<Arc<str>, Arc<Connection>>,
}

/// One connection to a store, for the tables that it serves.
pub struct Connection {
    /// `cassandra`, `postgres`, or `postgres.NAME` for one with tables of its own.
    pub name: Arc<str>,
    tables: BTreeMap<String, Table>,
    timeout: Duration,
    store: Store,
    /// Whether its tables have been held against what is declared, and the epochs of those who write here.
    ready: Mutex<Ready>,
}

#[derive(Default)]
struct Ready {
    prepared: bool,
    epochs: BTreeMap<(Arc<str>, u32), i64>,
}

enum Store {
    Cassandra(cassandra::Cassandra),
    Postgres(postgres::Postgres),
}

impl Stores {
    /// The connections of `configs` that serve a table of `application`; nothing is connected to yet.
    ///
    /// # Errors
    /// When a password cannot be had, or a certificate cannot be read.
    pub fn new(application: &Application, configs: &[ConnectionConfig]) -> anyhow::Result<Self> {
        let mut connections = BTreeMap::new();
        for config in configs {
            let name: Arc<str> = config.name.as_str().into();
            let served = application.tables.values().filter(|t| t.connection.as_deref() == Some(config.name.as_str()));
            let tables: BTreeMap<String, Table> = served.map(|t| (t.name.clone(), t.clone())).collect();
            if tables.is_empty() {
                continue;
            }
            let written = tables.keys().any(|table| application.writer_of(table).is_some());
            let store = match &config.backend {
                Backend::Cassandra(settings) => Store::Cassandra(cassandra::Cassandra::new(settings, config)?),
                Backend::Postgres(settings) => Store::Postgres(postgres::Postgres::new(settings, config, written)?),
            };
            let timeout = config.timeout;
            let connection = Connection { name: Arc::clone(&name), tables, timeout, store, ready: Mutex::default() };
            connections.insert(name, Arc::new(connection));
        }
        Ok(Stores { connections })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.connections.values()
    }

    /// The one that serves `table`, if it is not served from the data folder.
    #[must_use]
    pub fn of(&self, table: &Table) -> Option<&Arc<Connection>> {
        self.connections.get(table.connection.as_deref()?)
    }
}

impl Connection {
    /// The keyspace or schema that holds its tables.
    #[must_use]
    pub fn space(&self) -> &str {
        match &self.store {
            Store::Cassandra(store) => store.space(),
            Store::Postgres(store) => store.space(),
        }
    }

    /// The table `name`, if it serves it.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// Connects, makes the tables that are missing, adds columns that may be null.
    ///
    /// # Errors
    /// [`StoreError::Away`]; [`StoreError::Schema`] with the statement to run, nothing being changed then.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        // Others may hold the lock for as long as the store keeps them waiting.
        let prepared = async {
            let mut ready = self.ready.lock().await;
            self.prepared(&mut ready).await
        };
        self.within(Box::pin(prepared)).await
    }

    async fn prepared(&self, ready: &mut Ready) -> Result<(), StoreError> {
        if ready.prepared {
            return Ok(());
        }
        for statement in self.missing().await? {
            self.within(async {
                match &self.store {
                    Store::Cassandra(store) => store.make(&statement).await,
                    Store::Postgres(store) => store.make(&statement).await,
                }
            })
            .await?;
        }
        ready.prepared = true;
        Ok(())
    }

    /// Connects, and gives the statements by which [`Connection::prepare`] would make what is missing; changes nothing.
    ///
    /// # Errors
    /// As [`Connection::prepare`].
    pub async fn missing(&self) -> Result<Vec<String>, StoreError> {
        self.within(async {
            match &self.store {
                Store::Cassandra(store) => store.missing(&self.tables).await,
                Store::Postgres(store) => store.missing(&self.tables).await,
            }
        })
        .await
    }

    /// How long it may take for one answer.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many tables it serves.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.tables.len()
    }

    /// Writes a batch. One that was written before, as one whose answer was lost, changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; what was written of it is written again by the next try, to the same effect.
    pub async fn apply(&self, writer: &Writer, batch: &Batch) -> Result<(), StoreError> {
        let epoch = self.within(Box::pin(self.epoch(writer))).await?;
        let order = epoch * EPOCH + batch.offset;
        let tables: Vec<(&Table, &HeldTable)> =
            batch.tables.iter().filter_map(|(name, held)| Some((self.tables.get(name)?, held))).collect();
        self.within(async {
            match &self.store {
                Store::Cassandra(store) => store.apply(order, &tables).await,
                Store::Postgres(store) => store.apply(writer, order, &tables).await,
            }
        })
        .await
    }

    /// The epoch of `writer`, once the tables are as declared.
    async fn epoch(&self, writer: &Writer) -> Result<i64, StoreError> {
        let mut ready = self.ready.lock().await;
        self.prepared(&mut ready).await?;
        let key = (Arc::clone(&writer.function), writer.partition);
        if let Some(epoch) = ready.epochs.get(&key) {
            return Ok(*epoch);
        }
        let epoch = match &self.store {
            Store::Cassandra(store) => store.epoch(writer).await,
            Store::Postgres(store) => store.epoch(writer).await,
        }?;
        Ok(*ready.epochs.entry(key).or_insert(epoch))
    }

    /// Writes rows that an operator loads; whatever was loaded before comes before.
    ///
    /// # Errors
    /// [`StoreError`]; all of them can be loaded again then.
    pub async fn load(&self, table: &Table, rows: &HeldTable) -> Result<(), StoreError> {
        self.prepare().await?;
        let timeout = self.timeout * (1 + rows.rows.len() as u32 / ROWS_LOADED_IN_TIME);
        within(&self.name, timeout, async {
            match &self.store {
                Store::Cassandra(store) => store.load(table, rows).await,
                Store::Postgres(store) => store.load(table, rows).await,
            }
        })
        .await
    }

    /// The rows that exist among `keys`, which differ, with the cells of `columns`; in no particular order. Ends where
    /// `allowance` is passed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(
        &self,
        table: &Table,
        columns: &[String],
        keys: &[Row],
        allowance: &mut Allowance,
    ) -> Result<Vec<StoredRow>, StoreError> {
        self.prepare().await?;
        self.within(async {
            match &self.store {
                Store::Cassandra(store) => store.get(table, columns, keys, allowance).await,
                Store::Postgres(store) => store.get(table, columns, keys, allowance).await,
            }
        })
        .await
    }

    /// The rows of one partition in `range`, ordered by key, with the cells of `columns`. Ends where `allowance` is passed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scan(
        &self,
        table: &Table,
        columns: &[String],
        range: &Range,
        allowance: &mut Allowance,
    ) -> Result<Vec<StoredRow>, StoreError> {
        self.prepare().await?;
        self.within(async {
            match &self.store {
                Store::Cassandra(store) => store.scan(table, columns, range, allowance).await,
                Store::Postgres(store) => store.scan(table, columns, range, allowance).await,
            }
        })
        .await
    }

    /// Every row of `table` whose first key column holds `partition`, where that is said, all columns of it; in no particular
    /// order, in constant memory.
    pub fn rows(
        self: &Arc<Self>,
        table: &Table,
        partition: Option<Value>,
    ) -> BoxStream<'static, Result<Row, StoreError>> {
        let rows = match &self.store {
            Store::Cassandra(store) => store.rows(table, partition),
            Store::Postgres(store) => store.rows(table, partition),
        };
        let connection = Arc::clone(self);
        let next = move |rows: Option<BoxStream<'static, Result<Row, StoreError>>>| {
            let connection = Arc::clone(&connection);
            async move {
                let mut rows = rows?;
                match connection.within(async { rows.next().await.transpose() }).await {
                    Ok(row) => Some((Ok(row?), Some(rows))),
                    Err(error) => Some((Err(error), None)),
                }
            }
        };
        stream::unfold(Some(rows), next).boxed()
    }

    /// How many rows `table` has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count(&self, table: &Table) -> Result<u64, StoreError> {
        self.prepare().await?;
        self.within(async {
            match &self.store {
                Store::Cassandra(store) => store.count(table).await,
                Store::Postgres(store) => store.count(table).await,
            }
        })
        .await
    }

    /// What is said where it does not answer for so long.
    #[must_use]
    pub fn away(&self, reason: String) -> StoreError {
        StoreError::Away { connection: Arc::clone(&self.name), reason }
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        within(&self.name, self.timeout, work).await
    }
}

async fn within<T>(
    connection: &Arc<str>,
    timeout: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| {
        let reason = format!("it did not answer within {} ms", timeout.as_millis());
        Err(StoreError::Away { connection: Arc::clone(connection), reason })
    })
}

/// What is said to a data folder whose place another one has taken.
fn superseded(writer: &Writer) -> String {
    format!(
        "another data folder has taken over the tables of `{}`; end this host, or delete `lineage` in its data folder to take \
         them back",
        writer.function
    )
}

/// What is said where no epoch is left.
fn exhausted(writer: &Writer) -> String {
    format!(
        "the tables of `{}` were taken over {MOST_EPOCHS} times, which is as often as can be; drop them and compute everything anew",
        writer.function
    )
}

/// What is said where a login may not run `statement`.
fn not_allowed(statement: &str) -> String {
    format!("the user may not change tables; let one who may run `{statement}`")
}
