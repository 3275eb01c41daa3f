//! Batches and state as nobody wrote them.

use isobar_guest::PackedBuilder;
use isobar_guest::types::Packed;
use mutate::Target;
use observation::{MemoryState, State as _};

use crate::{Outcome, fold};

/// For `mutate` to bound memory by.
#[global_allocator]
static ALLOCATOR: mutate::Counting = mutate::Counting;

/// A record a line, its key before its value.
const RECORDS: &str = r#"00433 {"measurement_date":202401311450,"station_id":"00433","temperature":-3.2,"quality":3,"temperature_5cm":-4.1,"product":"recent","revision":1585123456}
00433 {"measurement_date":202401312350,"station_id":"00433","temperature":25.2,"quality":3,"product":"now","revision":1585123456}
00433 {"measurement_date":202312312350,"station_id":"00433","temperature":-999.0,"product":"historical","revision":7}
03379 {"measurement_date":202402290000,"station_id":"03379","temperature":60.0}
03379 {"measurement_date":190001010000,"station_id":"03379","temperature":-90.0,"temperature_5cm":80.0}
03379 {"measurement_date":219912312350,"station_id":"03379","temperature":0.0}"#;

/// Bytes that each byte of a batch may take here: an empty line is a refusal with its reason, of which a test holds three copies.
const BYTES_PER_BYTE: usize = 300;

fn records(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.split_at_checked(5).unwrap_or_default());
    lines.map(|(key, value)| (key, value.trim_ascii_start()))
}

fn packed(item: &[u8]) -> Packed {
    let mut packed = PackedBuilder::default();
    packed.push(item);
    packed.build()
}

#[test]
fn batches() {
    Target::new("aggregate-temperature").seeds([RECORDS]).longest(16 * 1024).memory(1 << 20, BYTES_PER_BYTE).run(
        |text| {
            let mut state = MemoryState::default();
            let once = fold(records(text), &mut state).unwrap();
            let count = records(text).count();
            assert!(once.refusals.iter().all(|refusal| (refusal.at as usize) < count));
            let (held, puts) = (state.values().clone(), state.puts);
            let again = fold(records(text), &mut state).unwrap();
            assert_eq!(again, Outcome { refusals: once.refusals.clone(), ..Outcome::default() }, "it was all there");
            assert_eq!((state.values(), state.puts), (&held, puts));
            (once.daily.len(), once.yearly.len(), once.overall.len(), once.summaries.len(), once.refusals.len().min(3))
        },
    );
}

#[test]
fn damaged_state() {
    let mut good = MemoryState::default();
    fold(records(RECORDS.as_bytes()), &mut good).unwrap();
    // Each value behind its key, as `y/00433/2024=...`.
    let seeds = good.values().iter().map(|(key, value)| [key.as_slice(), b"=", value].concat());
    Target::new("aggregate-temperature-state").seeds(seeds).run(|text| {
        let end = text.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&text[..end], &text[end + 1..]);
        let mut state = good.clone();
        state.put_many(&packed(key), &packed(value));
        let warmer = RECORDS.replace("-3.2", "-3.1").replace("25.2", "25.3");
        match fold(records(warmer.as_bytes()), &mut state) {
            Ok(outcome) => Some((outcome.daily.len(), outcome.yearly.len(), outcome.summaries.len())),
            Err(unreadable) => {
                let name = String::from_utf8_lossy(key);
                assert!(unreadable.to_string().contains(name.as_ref()), "{unreadable} does not name {name}");
                assert_eq!(state.get_many(&packed(key)).data, value, "it is not written over");
                None
            }
        }
    });
}
