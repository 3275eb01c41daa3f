//! Reading a topic, calling a function and committing to Kafka, state and one SQLite table included, against a bare consumer that
//! runs the same code natively and keeps nothing.

use std::time::{Duration, Instant};

use local_services::Services;
use observation::{MemoryState, Others, Product, Source, Stamp, StationId, Tenths, write_others};
use rdkafka::Message as _;
use rdkafka::error::KafkaError;

use crate::stage::{PATIENCE, Stage, median, root};

const TOPIC: &str = "others";
const PARTITIONS: i32 = 4;
const STATIONS: u32 = 19;
/// Messages of each station: three years.
const READINGS: i32 = 3 * 365 * 144;
/// Records of a batch, as spin.toml has them.
const BATCH: usize = 32_768;
const ROUNDS: usize = 4;

/// Measures in turns, the first round is dropped, and prints rates and their ratio.
pub(crate) fn run(services: &Services) {
    let stage = Stage::new(services, "");
    stage.declare(&manifest());
    stage.make(TOPIC, PARTITIONS);
    stage.fill(TOPIC, (1..=STATIONS).flat_map(readings));
    let messages = f64::from(STATIONS) * f64::from(READINGS);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        stage.forget("weather.");
        ours.push(isobar(&stage, round, messages as usize));
        bare.push(native(&stage, messages as usize));
    }
    let middle = |times: &[Duration]| median(times.iter().skip(1).map(Duration::as_secs_f64).collect());
    let (ours, bare) = (middle(&ours), middle(&bare));
    println!("(a) {messages} messages to one function, with its start and its end; a second, medians");
    println!("    isobar, state, table and commits included: {:.0}", messages / ours);
    println!("    a bare consumer on one thread, the same code native, nothing kept: {:.0}", messages / bare);
    println!("    ratio {:.2}", bare / ours);
}

/// The time of a whole run, of an application that has read nothing yet.
fn isobar(stage: &Stage, round: usize, messages: usize) -> Duration {
    let started = Instant::now();
    let ended = stage.up(&format!("data{round}"), &["--until-idle"]).wait_with_output().unwrap();
    let time = started.elapsed();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && told.contains(&format!("aggregate-others {messages} ")), "{told}");
    time
}

/// The application with the one function: the parts of spin.toml that it needs.
fn manifest() -> String {
    let text = std::fs::read_to_string(root().join("spin.toml")).unwrap();
    let (head, parts) = text.split_once("\n# -----").unwrap();
    let is_needed = |part: &&str| {
        let title = part.lines().next().unwrap_or_default().trim_matches(['-', ' ']);
        ["topics", "tables", "aggregate-others"].contains(&title)
    };
    let parts: Vec<&str> = std::iter::once(head).chain(parts.split("\n# -----").filter(is_needed)).collect();
    parts.join("\n# -----").replace("source = \"target/", &format!("source = \"{}/target/", root().display()))
}

/// One station's messages.
fn readings(station: u32) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let station = StationId::new(station).unwrap();
    let first = Stamp::from_number(202_101_010_000).unwrap().minutes();
    (0..READINGS).map(move |number| {
        let reading = Others {
            station,
            stamp: Stamp::from_minutes(first + 10 * number).unwrap(),
            pressure: Tenths::new(9_800 + number % 300),
            humidity: Tenths::new(500 + number % 450),
            dewpoint: Tenths::new(number % 180),
            quality: Some(3),
            source: Source { product: Product::Historical, revision: 1 },
        };
        let mut value = Vec::new();
        write_others(&mut value, &reading);
        (station.digits().to_vec(), value)
    })
}

/// Reads the same partitions and folds batches of the same size; gives the time.
fn native(stage: &Stage, messages: usize) -> Duration {
    let started = Instant::now();
    let reader = stage.reader(TOPIC, PARTITIONS);
    let mut partitions: Vec<Partition> = (0..PARTITIONS).map(|_| Partition::default()).collect();
    let mut ended = 0;
    while ended < PARTITIONS {
        match reader.poll(PATIENCE).expect("no broker answers") {
            Ok(message) => {
                let partition = &mut partitions[message.partition() as usize];
                partition.batch.push((message.key().unwrap().to_vec(), message.payload().unwrap().to_vec()));
                if partition.batch.len() == BATCH {
                    partition.fold();
                }
            }
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            Err(error) => panic!("{error}"),
        }
    }
    partitions.iter_mut().for_each(Partition::fold);
    assert_eq!(partitions.iter().map(|partition| partition.records).sum::<usize>(), messages);
    assert!(partitions.iter().map(|partition| partition.rows).sum::<usize>() > 0);
    started.elapsed()
}

#[derive(Default)]
struct Partition {
    batch: Vec<(Vec<u8>, Vec<u8>)>,
    state: MemoryState,
    records: usize,
    rows: usize,
}

impl Partition {
    fn fold(&mut self) {
        let records = self.batch.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        self.rows += aggregate_others::fold(records, &mut self.state).unwrap().daily.len();
        self.records += self.batch.len();
        self.batch.clear();
    }
}
