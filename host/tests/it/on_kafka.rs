//! Exactly once on Kafka: two hosts that count are killed, stopped and frozen, and so is the broker; afterwards every record was
//! counted once, as a consumer of others sees it, which reads what is committed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use local_services::{Process, Services, services};
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

/// No start takes so long.
const LONGEST_START: Duration = Duration::from_secs(60);

/// A host with a folder of its own.
struct Host<'h> {
    config: &'h Path,
    data_dir: PathBuf,
    process: Option<Process>,
}

impl Host<'_> {
    fn isobar(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isobar"));
        command.args(words).arg("--manifest").arg(application());
        command.arg("--config").arg(self.config).arg("--data-dir").arg(&self.data_dir);
        command
    }

    fn until_idle(&self) {
        self.told(&["up", "--listen", "127.0.0.1:0", "--until-idle"]);
    }

    /// What a command prints that succeeds.
    fn told(&self, words: &[&str]) -> String {
        let done = self.isobar(words).output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
    }

    fn start(&mut self) {
        if self.process.is_some() {
            return;
        }
        let log = File::options().create(true).append(true).open(self.data_dir.with_extension("log")).unwrap();
        let mut up = self.isobar(&["up", "--listen", "127.0.0.1:0"]);
        self.process = Some(Process::of(up.stdout(Stdio::null()).stderr(log).spawn().unwrap()));
    }

    /// Ends it, as a fault would or in order.
    fn end(&mut self, kill: bool) {
        if let Some(process) = self.process.take() {
            process.end(kill);
        }
    }

    /// Stands still for longer than brokers wait, and goes on.
    fn freeze(&self) {
        if let Some(process) = &self.process {
            process.freeze(Duration::from_millis(SESSION_MS + 2_000));
        }
    }
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
    let host = |name: &str| Host { config: &config, data_dir: dir.path().join(name), process: None };
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
    last.until_idle();
    let verified = last.isobar(&["verify", "--json"]).output().unwrap();
    let counted = Counted {
        input: read(services, "input", 3),
        output: read(services, "output", 2),
        letters: read(services, "counts.counting.dead-letters", 1),
        rows: rows(services, &schema),
        report: serde_json::from_slice(&verified.stdout).unwrap(),
    };
    counted.check();
    send_back(services, &last);
    say_what_is_known(services, host("three"));
}

/// A running host says where it stands, also while its brokers are away.
fn say_what_is_known(services: &Services, mut host: Host<'_>) {
    host.start();
    let begun = Instant::now();
    while !host.data_dir.join("api.json").exists() {
        assert!(begun.elapsed() < LONGEST_START, "the host does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    services.down("kafka", true);
    let said = host.told(&["status"]);
    assert!(said.contains("running"), "{said}");
    services.up(&["kafka"]);
    host.end(true);
}

/// What is sent back to the function fails again, and is known to be sent by who has another folder.
fn send_back(services: &Services, host: &Host<'_>) {
    let said = host.told(&["dead-letters", "redrive", "counting", "--all", "--yes"]);
    assert!(said.contains('8'), "{said}");
    let other = Host { config: host.config, data_dir: host.data_dir.with_file_name("one"), process: None };
    let listed = other.told(&["dead-letters", "list", "counting", "--all"]);
    assert_eq!(listed.matches("redriven").count(), 8, "{listed}");
    other.until_idle();
    let letters = read(services, "counts.counting.dead-letters", 1);
    let mut times: BTreeMap<&String, u32> = BTreeMap::new();
    letters.values().flatten().for_each(|(_, number)| *times.entry(number).or_default() += 1);
    assert!(times.len() == 8 && times.values().all(|times| *times == 2), "{times:?}");
}
