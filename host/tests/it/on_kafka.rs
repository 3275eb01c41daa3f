//! Exactly once on Kafka: two hosts that count are killed, stopped and frozen, and so is the broker; afterwards every record was
//! counted once, as a consumer of others sees it, which reads what is committed.

mod replays;
mod together;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use local_services::{Process, Services, campaign, say, services};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::crash::{Counted, Found, RECORDS, application, build};

/// Faults of one run; where `ISOBAR_ROUNDS` wants more, there are more runs.
const ROUNDS: u32 = 10;
/// The shortest time that brokers let pass before they miss a host.
const SESSION_MS: u64 = 6_000;

/// Of the topic that is counted.
const PARTITIONS: i32 = 3;

/// No start takes so long.
const LONGEST_START: Duration = Duration::from_secs(60);
/// Nor to count everything.
const LONGEST_RUN: Duration = Duration::from_secs(120);

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
        // Who was killed has left where it could be reached, and a look would take the folder away from who starts.
        let _ = fs::remove_file(self.data_dir.join("api.json"));
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

    /// Where the counting function stands, by all partitions together; `None` where not all of them are known, as before there is
    /// a data folder or while no broker answers. Ends of transactions count, too.
    fn counted(&self) -> Option<i64> {
        // Before the host can be reached, a look would take the folder away from it.
        if self.process.is_some() && !self.data_dir.join("api.json").exists() {
            return None;
        }
        let said = self.isobar(&["status", "--json"]).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&said.stdout).ok()?;
        let counting = status["sources"].as_array()?.iter().filter(|source| source["function"] == "counting");
        let positions: Vec<i64> = counting.map(|source| source["position"].as_i64().unwrap()).collect();
        (positions.len() == PARTITIONS as usize).then(|| positions.iter().sum())
    }

    /// Returns when so many are handled, and how many are.
    fn wait_for(&self, records: i64) -> i64 {
        let begun = Instant::now();
        loop {
            let counted = self.counted();
            match counted {
                Some(counted) if counted >= records => return counted,
                _ if begun.elapsed() < LONGEST_RUN => {}
                _ => panic!("{counted:?} records were counted in {LONGEST_RUN:?}; {}", self.what_it_says()),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Why it may not have got further: what it and the hosts beside it logged, and how it answers.
    fn what_it_says(&self) -> String {
        let beside = fs::read_dir(self.data_dir.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        let logs = beside.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        let logged = |path: PathBuf| format!("{}:\n{}", path.display(), fs::read_to_string(&path).unwrap_or_default());
        let logged: Vec<String> = logs.map(logged).collect();
        let status = self.isobar(&["status"]).output().unwrap();
        let status = String::from_utf8_lossy(&[status.stdout, status.stderr].concat()).into_owned();
        format!("hosts logged:\n{}\nand its status is:\n{status}", logged.join("\n"))
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
                // A broker that is gone is said, and another one answers.
                Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
                )) => {}
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

/// An operator's file for one application more, and the schema of its table.
fn config(services: &Services, dir: &Path) -> (PathBuf, String) {
    let schema = format!("k{:016x}", rand::random::<u64>());
    let text = format!(
        "[kafka]\nbrokers = {:?}\nsettings = {{ \"session.timeout.ms\" = {SESSION_MS} }}\n\
         [stores.postgres]\naddress = \"{}\"\ndatabase = \"postgres\"\nschema = \"{schema}\"\nuser = \"postgres\"\n",
        services.kafka().split(',').collect::<Vec<_>>(),
        services.postgres()
    );
    let path = dir.join("isobar.toml");
    fs::write(&path, text).unwrap();
    (path, schema)
}

/// Everything was counted once, as others see it.
fn assert_counted(services: &Services, host: &Host<'_>, schema: &str) {
    let verified = host.isobar(&["verify", "--json"]).output().unwrap();
    let counted = Counted {
        input: read(services, "input", PARTITIONS),
        output: read(services, "output", 2),
        letters: read(services, "counts.counting.dead-letters", 1),
        rows: rows(services, schema),
        report: serde_json::from_slice(&verified.stdout).unwrap(),
    };
    counted.check();
}

#[test]
fn faults_of_hosts_and_broker_lose_and_double_nothing() {
    let Some(services) = services("two hosts that count on Kafka, killed and frozen, and their broker") else { return };
    build();
    let _undisturbed = services.undisturbed();
    campaign(ROUNDS, |seed| faults(services, seed));
}

/// A run of [`ROUNDS`] faults.
fn faults(services: &Services, seed: u64) {
    services.new_kafka(1);
    let dir = tempfile::tempdir().unwrap();
    let (config, schema) = config(services, dir.path());
    let host = |name: &str| Host { config: &config, data_dir: dir.path().join(name), process: None };
    let mut hosts = [host("one"), host("two")];
    let mut random = StdRng::seed_from_u64(seed);
    let mut in_the_middle = 0;
    for _ in 0..ROUNDS {
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
        in_the_middle += u32::from(hosts[0].counted().is_some_and(|counted| counted < RECORDS));
    }
    say!("{in_the_middle} of {ROUNDS} faults were over before everything was counted");
    assert!(in_the_middle * 3 >= ROUNDS, "only {in_the_middle} faults came while records flowed: the run is too short");
    hosts.iter_mut().for_each(|host| host.end(false));
    // A folder that knows nothing finishes what is left.
    let last = host("three");
    last.until_idle();
    assert_counted(services, &last, &schema);
    send_back(services, &last);
    say_what_is_known(services, host("three"));
}

#[test]
fn a_broker_of_three_that_is_gone_for_good_loses_nothing() {
    let Some(services) = services("three brokers, one of which is killed") else { return };
    build();
    let _undisturbed = services.undisturbed();
    services.new_kafka(3);
    let dir = tempfile::tempdir().unwrap();
    let (config, schema) = config(services, dir.path());
    let host = |name: &str| Host { config: &config, data_dir: dir.path().join(name), process: None };
    let mut hosts = [host("one"), host("two")];
    hosts.iter_mut().for_each(Host::start);
    let so_far = hosts[0].wait_for(RECORDS / 20);
    let gone = format!("kafka-{}", rand::rng().random_range(1..=3));
    services.down(&gone, true);
    say!("`{gone}` was killed when {so_far} of {RECORDS} records were counted");
    assert!(so_far < RECORDS / 2, "most was counted before the broker was killed");
    hosts[0].wait_for(RECORDS);
    hosts.iter_mut().for_each(|host| host.end(false));
    // Who begins now finds it gone.
    let last = host("three");
    last.until_idle();
    assert_counted(services, &last, &schema);
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
