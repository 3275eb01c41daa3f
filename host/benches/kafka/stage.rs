//! An application of one function on a Kafka of its own, the messages that it reads, and what comes of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use local_services::Services;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use tempfile::TempDir;

/// No answer of a broker takes so long, and no record comes so late.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
const FULL: Duration = Duration::from_millis(5);
/// The functions that are measured, by their manifest.
const BUILT: [&str; 2] = ["spin.toml", "host/tests/counting/spin.toml"];

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Builds the components.
pub(crate) fn build() {
    for manifest in BUILT {
        let words = ["build", "--manifest", manifest];
        let built = Command::new(env!("CARGO_BIN_EXE_isobar")).args(words).current_dir(root()).status().unwrap();
        assert!(built.success(), "the functions of `{manifest}` could not be built");
    }
}

/// One application with its Kafka.
pub(crate) struct Stage {
    brokers: String,
    dir: TempDir,
}

impl Stage {
    /// A Kafka without topics, and an operator's file that names it and `stores`.
    pub(crate) fn new(services: &Services, stores: &str) -> Self {
        services.new_kafka(1);
        let (brokers, dir) = (services.kafka(), tempfile::tempdir().unwrap());
        fs::write(dir.path().join("isobar.toml"), format!("[kafka]\nbrokers = [\"{brokers}\"]\n{stores}")).unwrap();
        Stage { brokers, dir }
    }

    /// Says what the application is from now on.
    pub(crate) fn declare(&self, manifest: &str) {
        fs::write(self.dir.path().join("spin.toml"), manifest).unwrap();
    }

    /// Starts a host on the data folder `name`.
    pub(crate) fn up(&self, name: &str, flags: &[&str]) -> Child {
        let file = |name: &str| self.dir.path().join(name);
        let mut up = Command::new(env!("CARGO_BIN_EXE_isobar"));
        up.args(["up", "--listen", "127.0.0.1:0", "--manifest"]).arg(file("spin.toml"));
        up.arg("--config").arg(file("isobar.toml")).arg("--data-dir").arg(file(name)).args(flags);
        up.env("ISOBAR_LOG", "error").stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Makes a topic.
    pub(crate) fn make(&self, topic: &str, partitions: i32) {
        let admin: AdminClient<_> = self.client().create().unwrap();
        let new = [NewTopic::new(topic, partitions, TopicReplication::Fixed(1))];
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let made = runtime.block_on(admin.create_topics(&new, &AdminOptions::new())).unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    /// Deletes the topics and groups whose names begin so; returns when they are gone.
    pub(crate) fn forget(&self, prefix: &str) {
        let asking: BaseConsumer = self.client().create().unwrap();
        let topics = || -> Vec<String> {
            let metadata = asking.fetch_metadata(None, PATIENCE).unwrap();
            metadata.topics().iter().map(|t| t.name().to_owned()).filter(|name| name.starts_with(prefix)).collect()
        };
        let groups = asking.fetch_group_list(None, PATIENCE).unwrap();
        let groups = groups.groups().iter().map(|group| group.name()).filter(|name| name.starts_with(prefix));
        let (topics_now, groups): (Vec<String>, Vec<&str>) = (topics(), groups.collect());
        let admin: AdminClient<_> = self.client().create().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let names: Vec<&str> = topics_now.iter().map(String::as_str).collect();
        if !names.is_empty() {
            let deleted = runtime.block_on(admin.delete_topics(&names, &AdminOptions::new())).unwrap();
            assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        }
        if !groups.is_empty() {
            let deleted = runtime.block_on(admin.delete_groups(&groups, &AdminOptions::new())).unwrap();
            assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        }
        let give_up = Instant::now() + PATIENCE;
        while !topics().is_empty() {
            assert!(Instant::now() < give_up, "Kafka does not delete {:?}", topics());
            std::thread::sleep(FULL);
        }
    }

    pub(crate) fn producer(&self) -> BaseProducer {
        let mut client = self.client();
        client.set("partitioner", "murmur2_random").set("linger.ms", "1").set("compression.type", "lz4");
        client.create().unwrap()
    }

    /// Sends records, and returns when the broker has them.
    pub(crate) fn fill<'r>(&self, topic: &str, records: impl Iterator<Item = (Vec<u8>, Vec<u8>)> + 'r) {
        let producer = self.producer();
        records.for_each(|(key, value)| send(&producer, topic, &key, &value));
        producer.flush(PATIENCE).unwrap();
    }

    /// Reads partitions of a topic from their beginning, as others do: what is committed.
    pub(crate) fn reader(&self, topic: &str, partitions: i32) -> BaseConsumer {
        let mut client = self.client();
        client.set("group.id", "bench").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        client.set("isolation.level", "read_committed").set("fetch.wait.max.ms", "10");
        let consumer: BaseConsumer = client.create().unwrap();
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
            all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&all).unwrap();
        consumer
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.brokers);
        client
    }
}

/// Hands a record over.
pub(crate) fn send(producer: &BaseProducer, topic: &str, key: &[u8], value: &[u8]) {
    let mut record = BaseRecord::to(topic).key(key).payload(value);
    while let Err((error, again)) = producer.send(record) {
        assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
        record = again;
        producer.poll(FULL);
    }
}

/// The counting function by itself, on a topic of so many partitions.
pub(crate) fn counting(partitions: i32) -> String {
    let component = root().join("target/wasm32-wasip2/release/guest_counting.wasm");
    format!(
        "spin_manifest_version = 2\napplication.name = \"counts\"\n\
         [application.trigger.isobar.topics]\ninput.partitions = {partitions}\noutput.partitions = 1\n\
         [application.trigger.isobar.tables.totals]\nstore = \"postgres\"\nkey = [\"name\"]\n\
         columns = {{ name = \"text\", records = \"bigint\", last_position = \"bigint\" }}\n\
         [[trigger.isobar]]\ncomponent = \"counting\"\ntopic = \"input\"\n\
         [application.trigger.isobar.grants.counting]\npublish = [\"output\"]\ntables.totals = [\"upsert\"]\nstate = true\n\
         [component.counting]\nsource = {component:?}\n"
    )
}

/// The table of [`counting`] in a schema of its own.
pub(crate) fn postgres(services: &Services) -> String {
    let (address, schema) = (services.postgres(), format!("b{:016x}", rand::random::<u64>()));
    format!(
        "[stores.postgres]\naddress = \"{address}\"\ndatabase = \"postgres\"\nschema = \"{schema}\"\nuser = \"postgres\"\n"
    )
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
