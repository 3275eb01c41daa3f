//! Batches as nobody wrote them.

use mutate::Target;
use observation::MemoryState;

use crate::{Outcome, fold};

/// For `mutate` to bound memory by.
#[global_allocator]
static ALLOCATOR: mutate::Counting = mutate::Counting;

/// A record a line, its key before its value.
const RECORDS: &str = r#"00433 {"measurement_date":202401311450,"station_id":"00433","pressure":1005.2,"humidity":88.6,"dewpoint":-4.8,"quality":3,"product":"now","revision":1585123456}
00433 {"measurement_date":202401312350,"station_id":"00433","pressure":400.0,"humidity":0.0,"dewpoint":-150.0}
03379 {"measurement_date":219912312350,"station_id":"03379","pressure":-999.0,"humidity":110.0,"dewpoint":60.0}"#;

/// Bytes that each byte of a batch may take here: an empty line is a refusal with its reason, of which a test holds three copies.
const BYTES_PER_BYTE: usize = 300;

fn records(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.split_at_checked(5).unwrap_or_default());
    lines.map(|(key, value)| (key, value.trim_ascii_start()))
}

#[test]
fn batches() {
    Target::new("aggregate-others").seeds([RECORDS]).longest(16 * 1024).memory(1 << 20, BYTES_PER_BYTE).run(|text| {
        let mut state = MemoryState::default();
        let once = fold(records(text), &mut state).unwrap();
        let count = records(text).count();
        assert!(once.refusals.iter().all(|refusal| (refusal.at as usize) < count));
        let held = state.values().clone();
        let again = fold(records(text), &mut state).unwrap();
        assert_eq!(again, Outcome { refusals: once.refusals.clone(), ..Outcome::default() }, "it was all there");
        assert_eq!(state.values(), &held);
        (once.daily.len(), once.refusals.len().min(3))
    });
}
