//! From the moment at which a record is sent to that at which somebody else has read what a function made of it, at a steady rate.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use local_services::{Process, Services};
use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

use crate::stage::{PATIENCE, Stage, counting, postgres, send};

const PARTITIONS: i32 = 3;
const PER_SECOND: u32 = 1_000;
/// The first seconds are left out.
const WARM: u32 = 5;
const SECONDS: u32 = 30;

/// Measures and prints the middle and the slowest hundredth.
pub(crate) fn run(services: &Services) {
    let stage = Stage::new(services, &postgres(services));
    stage.declare(&counting(PARTITIONS));
    stage.make("input", PARTITIONS);
    stage.make("output", 1);
    let host = Process::of(stage.up("data", &[]));
    stage.fill("input", std::iter::once((b"first".to_vec(), b"1".to_vec())));
    let reader = stage.reader("output", 1);
    let count = PER_SECOND * (WARM + SECONDS);
    let mut came = HashMap::new();
    let begun = Instant::now();
    while came.is_empty() {
        assert!(begun.elapsed() < PATIENCE, "nothing was handled");
        take(&reader, Duration::from_millis(100), &mut came);
    }
    let (producer, begun, mut sent) = (stage.producer(), Instant::now(), HashMap::new());
    for number in 0..count {
        let due = begun + Duration::from_secs(1) / PER_SECOND * number;
        while Instant::now() < due {
            producer.poll(Duration::ZERO);
            take(&reader, Duration::from_micros(200), &mut came);
        }
        let key = number.to_string().into_bytes();
        send(&producer, "input", &key, b"1");
        // Who is late with sending is late.
        sent.insert(key, (number, due));
    }
    let give_up = Instant::now() + PATIENCE;
    while came.len() <= count as usize {
        assert!(Instant::now() < give_up, "{} of {count} came", came.len());
        producer.poll(Duration::ZERO);
        take(&reader, Duration::from_millis(1), &mut came);
    }
    host.end(true);
    let measured = sent.iter().filter(|(_, (number, _))| *number >= WARM * PER_SECOND);
    let mut waits: Vec<Duration> = measured.map(|(key, (_, at))| came[key].duration_since(*at)).collect();
    waits.sort_unstable();
    let at = |share: f64| waits[(share * (waits.len() - 1) as f64) as usize].as_secs_f64() * 1e3;
    println!(
        "(b) {PER_SECOND} records a second for {SECONDS} s, from when one is due to be sent to when what the function made of it is read"
    );
    println!("    p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms", at(0.5), at(0.99), at(1.0));
}

/// Reads a record, if one comes in that time.
fn take(reader: &BaseConsumer, wait: Duration, came: &mut HashMap<Vec<u8>, Instant>) {
    match reader.poll(wait) {
        Some(Ok(message)) => drop(came.insert(message.key().unwrap().to_vec(), Instant::now())),
        Some(Err(KafkaError::PartitionEOF(_))) | None => {}
        Some(Err(error)) => panic!("{error}"),
    }
}
