//! The log in Kafka: topics, a consumer and a producer of transactions for each function, and what a function keeps in topics of
//! its own. The data folder is a cache then: state that the changelog holds, and rows that the outbox holds.
//!
//! A commit is one transaction of Kafka: what was published, dead letters, state, rows for tables, the ledger and the position.
//! What follows from it in the data folder is done after it, in order.

mod alone;
mod changes;
mod client;
pub mod control;
mod feed;
mod follow;
mod group;
mod letters;
mod lineage;
mod loads;
mod offsets;
mod owned;
pub mod past;
mod positions;
mod reader;
mod restore;
mod tail;
mod topics;
mod transaction;
mod verify;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::config::kafka::KafkaConfig;
use crate::embedded::{Folder, WriteError};
use crate::manifest::Application;
use client::{Clients, Context, reading};
use control::Control;
use reader::{MOST_IDLE, READER};

pub use changes::Line;
pub use group::{Event, Group};
pub use owned::Owned;
pub use tail::{Next, Tail};
pub use topics::Found;

/// Why Kafka did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// It may do it later.
    #[error("kafka: {0}")]
    Away(String),
    /// The transaction was given up, and nothing of it is left.
    #[error("the transaction failed: {0}; it is done again")]
    Aborted(String),
    /// The partition is another host's now, or is about to be.
    #[error("the partition went to another host")]
    NotOwner,
    /// The client is of no use any more: nobody knows what became of its last transaction but the broker.
    #[error("kafka: {0}; the function begins anew where it is committed")]
    Ended(String),
    /// A topic holds or is what it should not.
    #[error("{0}")]
    Wrong(String),
}

impl From<KafkaError> for Fault {
    fn from(error: KafkaError) -> Self {
        match &error {
            KafkaError::Transaction(inner) if inner.is_fatal() => Fault::Ended(inner.string()),
            KafkaError::Transaction(inner) => Fault::Away(inner.string()),
            _ if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => Fault::Ended(error.to_string()),
            _ => Fault::Away(error.to_string()),
        }
    }
}

impl From<Fault> for WriteError {
    fn from(fault: Fault) -> Self {
        WriteError::Log(fault.to_string())
    }
}

/// The names of a function's own topics and of its group.
#[derive(Debug, Clone)]
pub(super) struct Names {
    group: Arc<str>,
    state: Arc<str>,
    outbox: Arc<str>,
    attempts: Arc<str>,
    ledger: Arc<str>,
}

/// Does what blocks on a thread for such things.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Fault::Away(error.to_string())))
}

/// Clients for questions, by group and by whether they see what is undecided.
type Asking = BTreeMap<(String, bool), Arc<BaseConsumer<Context>>>;

/// The cluster, as one host of one application uses it.
pub struct Cluster {
    clients: Clients,
    brokers: String,
    replication: Option<i32>,
    /// Names this host in transactions and to the brokers.
    host: Arc<str>,
    /// Consumers for the next who read.
    readers: Mutex<Vec<Arc<BaseConsumer<Context>>>>,
    /// Clients for questions, by group and by whether they see what is undecided.
    asking: Mutex<Asking>,
    /// The deploy that this host has followed, or none where hosts do not deploy.
    reached: AtomicU64,
    /// The deploy that commits note: the one that this host follows.
    noted: Arc<AtomicU64>,
}

impl Cluster {
    /// Settles how to reach the cluster; nothing is connected to yet.
    ///
    /// # Errors
    /// When the password cannot be had, or the folder does not say which host this is and cannot be made to.
    pub fn new(kafka: &KafkaConfig, folder: &Folder) -> anyhow::Result<Self> {
        let host = folder.host()?;
        let clients = Clients::new(kafka, &format!("isobar-{host}"))?;
        Ok(Self::with(kafka, clients, host))
    }

    /// As [`Cluster::new`], for questions only.
    ///
    /// # Errors
    /// When the password cannot be had.
    pub fn visit(kafka: &KafkaConfig) -> anyhow::Result<Self> {
        let clients = Clients::new(kafka, "isobar")?;
        Ok(Self::with(kafka, clients, Arc::from("")))
    }

    fn with(kafka: &KafkaConfig, clients: Clients, host: Arc<str>) -> Self {
        let (brokers, replication) = (kafka.brokers.join(", "), kafka.replication);
        Cluster {
            clients,
            brokers,
            replication,
            host,
            readers: Mutex::default(),
            asking: Mutex::default(),
            reached: AtomicU64::default(),
            noted: Arc::default(),
        }
    }

    /// What this host is called among others.
    #[must_use]
    pub fn host(&self) -> String {
        format!("isobar-{}", self.host)
    }

    /// The control topic of `application` in this cluster, whose name is `id`, by its key.
    ///
    /// # Errors
    /// When the key cannot be one.
    pub fn control(self: &Arc<Self>, id: &str, application: &str, key: &[u8]) -> anyhow::Result<Control> {
        Control::new(self, id, application, key)
    }

    /// Notes that this host begins to follow a deploy: what is committed from now on may be by it.
    pub fn follow(&self, deploy: u64) {
        self.noted.fetch_max(deploy, Ordering::SeqCst);
    }

    /// Notes that this host has followed a deploy: it may take over partitions that were handled under it.
    pub fn reach(&self, deploy: u64) {
        self.follow(deploy);
        self.reached.fetch_max(deploy, Ordering::SeqCst);
    }

    /// The deploy that this host has followed, or none where hosts do not deploy.
    fn reached(&self) -> u64 {
        self.reached.load(Ordering::SeqCst)
    }

    /// The client that asks for positions of `group` and sets them; it reads nothing.
    fn client(&self, group: &str, sees_undecided: bool) -> Result<Arc<BaseConsumer<Context>>, Fault> {
        let mut all = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (group.to_owned(), sees_undecided);
        if let Some(client) = all.get(&key) {
            return Ok(Arc::clone(client));
        }
        let isolation = if sees_undecided { "read_uncommitted" } else { "read_committed" };
        let client = reading(&self.clients, group, isolation)?;
        all.insert(key, Arc::clone(&client));
        Ok(client)
    }

    /// Lets the next who asks have a new client instead of `client`.
    fn forget(&self, group: &str, sees_undecided: bool, client: &Arc<BaseConsumer<Context>>) {
        let mut all = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (group.to_owned(), sees_undecided);
        // Another thread may have been faster.
        if all.get(&key).is_some_and(|there| Arc::ptr_eq(there, client)) {
            all.remove(&key);
        }
    }

    /// Makes the clients that `application` will need: each looks for its coordinator first, which takes half a second, and goes
    /// on meanwhile.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn warm(&self, application: &Application) -> Result<(), Fault> {
        for function in application.functions.keys() {
            let names = Self::names(application, function);
            self.client(&names.group, false)?;
            for connection in application.connections_of(function) {
                self.client(&names.applied(connection), false)?;
            }
        }
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        while readers.len() < MOST_IDLE {
            readers.push(reading(&self.clients, READER, "read_committed")?);
        }
        Ok(())
    }

    fn names(application: &Application, function: &str) -> Names {
        Names::of(&application.name, function)
    }
}

impl Drop for Cluster {
    /// Closes all clients at one time: each takes some hundred milliseconds.
    fn drop(&mut self) {
        let readers = std::mem::take(self.readers.get_mut().unwrap_or_else(PoisonError::into_inner));
        let asking = std::mem::take(self.asking.get_mut().unwrap_or_else(PoisonError::into_inner));
        thread::scope(|scope| {
            for client in readers.into_iter().chain(asking.into_values()) {
                scope.spawn(move || drop(client));
            }
        });
    }
}
