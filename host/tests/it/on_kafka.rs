//! Exactly once on Kafka: two hosts that count are killed, stopped and frozen, and so is the broker; afterwards every record was
//! counted once, as a consumer of others sees it, which reads what is committed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use local_services::{Services, services};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::crash::{Counted, Found, application, build};

/// Faults of one run, where `ISOBAR_ROUNDS` names no other number.
const ROUNDS: u32 = 10;
/// The shortest time that brokers let pass before they miss a host.
const SESSION_MS: u64 = 6_000;
/// No run takes so long once nothing is killed any more.
const LONGEST_END: Duration = Duration::from_secs(120);

/// A host with a folder of its own.
struct Host<'h> {
    config: &'h Path,
    data_dir: PathBuf,
    child: Option<Child>,
}

impl Host<'_> {
    fn isobar(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isobar"));
        command.args(words).arg("--manifest").arg(application());
        command.arg("--config").arg(self.config).arg("--data-dir").arg(&self.data_dir);
        command
    }

    fn start(&mut self) {
        if self.child.is_some() {
            return;
        }
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut up = self.isobar(&["up", "--listen", "127.0.0.1:0"]);
        self.child = Some(up.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    fn log(&self) -> PathBuf {
        self.data_dir.with_extension("log")
    }

    /// Ends it, as a fault would or in order.
    fn end(&mut self, kill: bool) {
        let Some(mut child) = self.child.take() else { return };
        if kill {
            child.kill().unwrap()
        } else {
            signal(&child, "TERM")
        }
        let told = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(told.elapsed() < LONGEST_END, "the host does not end:\n{}", self.told());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stands still for longer than brokers wait, and goes on.
    fn freeze(&self) {
        let Some(child) = &self.child else { return };
        signal(child, "STOP");
        std::thread::sleep(Duration::from_millis(SESSION_MS + 2_000));
        signal(child, "CONT");
    }

    fn told(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Keys of a topic with the values of their records in order of offset, by partition, as others see them.
fn read(services: &Services, topic: &str, partitions: i32) -> Found {
    let mut found = Found::new();
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    for partition in 0..partitions {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", services.kafka())
            .set("group.id", "somebody-else")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            .create()
            .unwrap();
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        consumer.assign(&all).unwrap();
        loop {
            match consumer.poll(Duration::from_secs(10)).unwrap_or_else(|| panic!("`{topic}` cannot be read")) {
                Ok(message) => {
                    found.entry(text(message.key())).or_default().push((message.offset(), text(message.payload())));
                }
                Err(KafkaError::PartitionEOF(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    found
}

fn rows(services: &Services, schema: &str) -> BTreeMap<String, (i64, i64)> {
    let query = format!("SELECT name, records, last_position FROM {schema}.totals");
    let (read, told) = services.psql("postgres", &["-At", "-F", ",", "-c", &query]);
    assert!(read, "{told}");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[0].to_owned(), (cells[1].parse().unwrap(), cells[2].parse().unwrap()))
    };
    told.lines().map(row).collect()
}

#[test]
fn faults_of_hosts_and_broker_lose_and_double_nothing() {
    let Some(services) = services("two hosts that count on Kafka, killed and frozen, and their broker") else { return };
    build();
    let rounds = std::env::var("ISOBAR_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("ISOBAR_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("seed {seed}: `ISOBAR_SEED={seed}` makes the same faults");
    let _undisturbed = services.undisturbed();
    services.new_kafka();
    let dir = tempfile::tempdir().unwrap();
    let schema = format!("k{:016x}", rand::random::<u64>());
    let config = dir.path().join("isobar.toml");
    let text = format!(
        "[kafka]\nbrokers = [\"{}\"]\nsettings = {{ \"session.timeout.ms\" = {SESSION_MS} }}\n\
         [stores.postgres]\naddress = \"{}\"\ndatabase = \"postgres\"\nschema = \"{schema}\"\nuser = \"postgres\"\n",
        services.kafka(),
        services.postgres()
    );
    fs::write(&config, text).unwrap();
    let host = |name: &str| Host { config: &config, data_dir: dir.path().join(name), child: None };
    let mut hosts = [host("one"), host("two")];
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..rounds {
        hosts.iter_mut().for_each(Host::start);
        std::thread::sleep(Duration::from_millis(random.random_range(300..2500)));
        let at = random.random_range(0..2);
        match random.random_range(0..8) {
            0..4 => hosts[at].end(true),
            4 => hosts[at].end(false),
            5 | 6 => {
                services.down("kafka", random.random());
                std::thread::sleep(Duration::from_millis(random.random_range(0..3000)));
                services.up(&["kafka"]);
            }
            _ => hosts[at].freeze(),
        }
    }
    hosts.iter_mut().for_each(|host| host.end(false));
    // A folder that knows nothing finishes what is left.
    let last = host("three");
    let ended = last.isobar(&["up", "--listen", "127.0.0.1:0", "--until-idle"]).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let verified = last.isobar(&["verify", "--json"]).output().unwrap();
    let counted = Counted {
        input: read(services, "input", 3),
        output: read(services, "output", 2),
        letters: read(services, "counts.counting.dead-letters", 1),
        rows: rows(services, &schema),
        report: serde_json::from_slice(&verified.stdout).unwrap(),
    };
    counted.check();
}
