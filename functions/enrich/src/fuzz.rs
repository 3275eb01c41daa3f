//! Batches as nobody wrote them.

use std::collections::BTreeMap;

use mutate::Target;

use crate::{join, latest};

/// For `mutate` to bound memory by.
#[global_allocator]
static ALLOCATOR: mutate::Counting = mutate::Counting;

/// A record a line, its key before its value.
const RECORDS: &str = r#"00433 {"station_id":"00433","min_date":200001010000,"max_date":202401311450,"entry_count":12,"min_temperature":-3.2,"max_temperature":31.0}
03379 {"station_id":"03379","min_date":null,"max_date":null,"entry_count":0,"min_temperature":null,"max_temperature":null}
00433 {"station_id":"00433","min_date":200001010000,"max_date":202401311450,"entry_count":4294967296,"min_temperature":-90.0,"max_temperature":60.0}"#;

#[test]
fn batches() {
    Target::new("enrich").seeds([RECORDS]).longest(16 * 1024).run(|text| {
        let lines = text.split(|byte| *byte == b'\n').map(|line| line.split_at_checked(5).unwrap_or_default());
        let (summaries, refusals) = latest(lines.clone().map(|(key, value)| (key, value.trim_ascii_start())));
        assert!(summaries.len() + refusals.len() <= lines.count());
        let rows = join(&summaries, BTreeMap::new());
        assert_eq!(rows.len(), summaries.len());
        assert!(rows.iter().all(|row| row.entry_count >= 0 && row.station_id.len() == 5));
        (rows.len(), refusals.len().min(3))
    });
}
