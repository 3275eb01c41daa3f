//! How long a partition with much state stands still when its host ends and another takes over.

use std::time::{Duration, Instant};

use local_services::{Process, Services};
use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

use crate::stage::{PATIENCE, Stage, counting, postgres};

const KEYS: usize = 500_000;
/// Host after host, each with an empty data folder.
const ROUNDS: usize = 3;

/// Measures and prints each round.
pub(crate) fn run(services: &Services) {
    let stage = Stage::new(services, &postgres(services));
    stage.declare(&counting(1));
    stage.make("input", 1);
    stage.make("output", 1);
    let mut host = Process::of(stage.up("data", &[]));
    stage.fill("input", (0..KEYS).map(|number| (format!("key {number}").into_bytes(), b"1".to_vec())));
    let reader = stage.reader("output", 1);
    wait_for(&reader, KEYS);
    println!(
        "(c) from when the host of a partition with {KEYS} keys of state is told to end to what the next one's first batch published"
    );
    for round in 0..ROUNDS {
        let next = Process::of(stage.up(&format!("data{round}"), &[]));
        // It has joined, and has no partition.
        std::thread::sleep(Duration::from_secs(5));
        let told = Instant::now();
        host.end(false);
        stage.fill("input", std::iter::once((b"next".to_vec(), b"1".to_vec())));
        wait_for(&reader, 1);
        println!("    {:.1} s with an empty data folder", told.elapsed().as_secs_f64());
        host = next;
    }
    host.end(false);
}

/// Reads so many records.
fn wait_for(reader: &BaseConsumer, records: usize) {
    let (begun, mut count) = (Instant::now(), 0);
    while count < records {
        assert!(begun.elapsed() < PATIENCE, "{count} of {records} records came");
        match reader.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => count += usize::from(message.key().is_some()),
            Some(Err(KafkaError::PartitionEOF(_))) | None => {}
            Some(Err(error)) => panic!("{error}"),
        }
    }
}
