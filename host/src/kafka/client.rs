//! Clients of the cluster: their settings, and where what they say goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::reader::READER;
use super::transaction::Deliveries;
use super::{Fault, Names};
use crate::config::kafka::KafkaConfig;

/// How long one question to the cluster may take.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// What the client reads ahead of each partition, in KiB and in records: little, as a record costs several times as much there as in
/// the feed, which has more.
const AHEAD_KIB: &str = "256";
const AHEAD_RECORDS: &str = "2048";
/// Bytes of one partition in an answer of a broker to a consumer.
const PARTITION_BYTES: &str = "262144";
/// After so long a full buffer is looked at again, in milliseconds; by default a whole second.
const BACKOFF_MS: &str = "2";
/// How long a broker waits for records before it says that there are none, in milliseconds.
const WAIT_MS: &str = "100";
/// Bytes of one answer of a broker to a consumer; a larger record comes alone.
const FETCH_BYTES: &str = "8388608";
/// The largest record that is written, in bytes: what a call may publish, and some more.
pub(super) const RECORD_BYTES: &str = "33554432";
/// A larger answer is taken for damaged: the largest record and what stands around it.
const RECEIVE_BYTES: &str = "67108864";
/// What a producer holds, in KiB; whoever produces more waits.
const PRODUCER_KIB: &str = "65536";
/// After so long without a word a host has left, in milliseconds; its partitions go to others.
const SESSION_MS: &str = "10000";
/// How long the broker keeps an open transaction of a host that says nothing, in milliseconds.
pub(super) const TRANSACTION_MS: u64 = 10_000;

/// Makes clients.
pub(super) struct Clients {
    config: ClientConfig,
    settings: Vec<(String, String)>,
}

impl Clients {
    /// # Errors
    /// When the password cannot be had, or librdkafka does not know a setting or its value.
    pub(super) fn new(kafka: &KafkaConfig, host: &str) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", kafka.brokers.join(","))
            .set("client.id", host)
            .set("allow.auto.create.topics", "false")
            .set("receive.message.max.bytes", RECEIVE_BYTES)
            // Connections to coordinators are closed when nothing was said for long: no trouble.
            .set("log.connection.close", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        config.set(
            "security.protocol",
            match (kafka.tls, kafka.login.is_some()) {
                (true, true) => "sasl_ssl",
                (true, false) => "ssl",
                (false, true) => "sasl_plaintext",
                (false, false) => "plaintext",
            },
        );
        if let Some(certificates) = &kafka.certificates {
            config.set("ssl.ca.location", certificates.to_string_lossy());
        } else if kafka.tls {
            config.set("ssl.ca.location", "probe");
        }
        if let Some(login) = &kafka.login {
            config
                .set("sasl.mechanism", &login.mechanism)
                .set("sasl.username", &login.user)
                .set("sasl.password", login.password.read()?);
        }
        let clients = Clients { config, settings: kafka.settings.clone().into_iter().collect() };
        for config in [clients.admin(), clients.member(""), clients.producer("")] {
            config
                .create_native_config()
                .context("[kafka] of isobar.toml says what the client does not take; correct it")?;
        }
        Ok(clients)
    }

    fn with(&self, own: &[(&str, &str)]) -> ClientConfig {
        let mut config = self.config.clone();
        for (name, value) in own {
            config.set(*name, *value);
        }
        for (name, value) in &self.settings {
            config.set(name, value);
        }
        config
    }

    /// For questions and for making topics.
    pub(super) fn admin(&self) -> ClientConfig {
        self.with(&[])
    }

    /// What all consumers have.
    fn consumer(&self, group: &str, isolation: &str, own: &[(&str, &str)]) -> ClientConfig {
        let common = [
            ("group.id", group),
            ("isolation.level", isolation),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "earliest"),
            ("queued.max.messages.kbytes", AHEAD_KIB),
            ("queued.min.messages", AHEAD_RECORDS),
            ("fetch.max.bytes", FETCH_BYTES),
            ("max.partition.fetch.bytes", PARTITION_BYTES),
            ("fetch.queue.backoff.ms", BACKOFF_MS),
        ];
        self.with(&[&common, own].concat())
    }

    /// A member of `group`.
    pub(super) fn member(&self, group: &str) -> ClientConfig {
        let own = [
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", SESSION_MS),
            ("fetch.wait.max.ms", WAIT_MS),
        ];
        self.consumer(group, "read_committed", &own)
    }

    /// A reader that belongs to no group; what it knows of `group` are positions.
    pub(super) fn reader(&self, group: &str, isolation: &str) -> ClientConfig {
        // What is read ends at the end, which is not waited for.
        self.consumer(group, isolation, &[("fetch.wait.max.ms", BACKOFF_MS)])
    }

    /// A reader that waits for what comes.
    pub(super) fn listener(&self) -> ClientConfig {
        self.consumer(READER, "read_committed", &[("fetch.wait.max.ms", WAIT_MS)])
    }

    /// A producer of transactions under `id`.
    pub(super) fn producer(&self, id: &str) -> ClientConfig {
        self.with(&[
            ("transactional.id", id),
            ("transaction.timeout.ms", &TRANSACTION_MS.to_string()),
            ("message.timeout.ms", &TRANSACTION_MS.to_string()),
            ("message.max.bytes", RECORD_BYTES),
            ("queue.buffering.max.kbytes", PRODUCER_KIB),
            ("queue.buffering.max.messages", "1000000"),
            ("linger.ms", "1"),
            // Asked again after so long when the transaction before is not quite through, and less often after each time.
            ("retry.backoff.ms", BACKOFF_MS),
            ("compression.type", "lz4"),
        ])
    }
}

/// What became of a partition's assignment.
pub(super) enum Rebalance {
    Assigned(Vec<(String, u32)>),
    Revoked(Vec<(String, u32)>),
}

/// Takes what a client says: rebalances for the thread that polls, what a producer delivered, trouble for the log.
#[derive(Default)]
pub(super) struct Context {
    rebalances: Mutex<Vec<Rebalance>>,
    /// Whether somebody takes rebalances; else partitions that are taken away are just let go.
    is_polled: AtomicBool,
    /// What ended the client.
    fatal: Mutex<Option<String>>,
    pub(super) deliveries: Deliveries,
}

impl Context {
    /// What came since the last time, oldest first.
    pub(super) fn rebalances(&self) -> Vec<Rebalance> {
        std::mem::take(&mut self.rebalances.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says whether rebalances are taken by who polls.
    pub(super) fn polled(&self, is_polled: bool) {
        self.is_polled.store(is_polled, Ordering::SeqCst);
    }

    /// Why the client is of no use any more.
    pub(super) fn fatal(&self) -> Option<String> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(facility, "kafka: {message}");
            }
            _ => tracing::debug!(facility, "kafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            // The end of a partition is no trouble.
            Some(RDKafkaErrorCode::PartitionEOF) => {}
            Some(RDKafkaErrorCode::Fatal) => {
                *self.fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
            }
            _ => tracing::debug!(%error, reason, "kafka"),
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        if !self.is_polled.load(Ordering::SeqCst) {
            // It is about to be closed, which lets go of the rest.
            let _ = consumer.incremental_unassign(partitions);
            return;
        }
        let partitions = listed(partitions);
        let rebalance = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assigned(partitions),
            _ => Rebalance::Revoked(partitions),
        };
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).push(rebalance);
    }
}

/// Topics and partitions of a list.
fn listed(list: &TopicPartitionList) -> Vec<(String, u32)> {
    let elements = list.elements();
    elements.iter().map(|e| (e.topic().to_owned(), u32::try_from(e.partition()).unwrap_or_default())).collect()
}

/// A list of partitions, each at `offset`.
pub(super) fn list(partitions: &[(&str, u32, Offset)]) -> Result<TopicPartitionList, Fault> {
    let mut list = TopicPartitionList::new();
    for (topic, partition, offset) in partitions {
        list.add_partition_offset(topic, *partition as i32, *offset).map_err(Fault::from)?;
    }
    Ok(list)
}

/// A client that asks what `group` has committed and reads; it joins nothing.
pub(super) fn reading(clients: &Clients, group: &str, isolation: &str) -> Result<Arc<BaseConsumer<Context>>, Fault> {
    let consumer = clients.reader(group, isolation).create_with_context(Context::default())?;
    Ok(Arc::new(consumer))
}

/// The names of a function's topics and groups.
impl Names {
    /// Of `function` in `application`.
    pub(super) fn of(application: &str, function: &str) -> Self {
        let own = |kind: &str| Arc::from(format!("{application}.{function}.{kind}"));
        Names {
            group: format!("{application}.{function}").into(),
            state: own("state"),
            outbox: own("tables"),
            attempts: own("attempts"),
            ledger: own("ledger"),
        }
    }

    /// The group whose positions say how far `connection` has come in the outbox.
    pub(super) fn applied(&self, connection: &str) -> String {
        format!("{}.{connection}", self.outbox)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn refused(name: &str, value: &str) -> String {
        let settings = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let (brokers, certificates) = (vec!["localhost:9092".to_owned()], None);
        let kafka = KafkaConfig {
            brokers,
            replication: None,
            tls: false,
            certificates,
            login: None,
            control_key: None,
            settings,
        };
        Clients::new(&kafka, "host").err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn a_setting_that_the_client_does_not_take_is_told_before_anything_is_connected_to() {
        let unknown = refused("session.timeout", "1000");
        assert!(unknown.contains("[kafka] of isobar.toml") && unknown.contains("session.timeout"), "{unknown}");
        let wrong = refused("linger.ms", "soon");
        assert!(wrong.contains("linger.ms"), "{wrong}");
        assert_eq!(refused("session.timeout.ms", "20000"), "");
    }
}
