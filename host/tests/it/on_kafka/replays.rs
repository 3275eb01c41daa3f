//! What a version makes of the past, where the log is in Kafka.

use std::path::Path;
use std::process::Command;

use isobar::shadows::Comparison;
use local_services::services;

use super::together::{FUNCTION, begin, manifest_with, told};
use super::{Host, RECORDS, build};
use crate::shadows::otherwise;

impl Host<'_> {
    /// What comes of `isobar replay`.
    fn replay(&self, words: &[&str], manifest: Option<&Path>) -> Result<Comparison, String> {
        let mut replay = Command::new(env!("CARGO_BIN_EXE_isobar"));
        replay.args(["replay", FUNCTION, "--json", "--data-dir"]).arg(&self.data_dir).args(words);
        if let Some(manifest) = manifest {
            replay.arg("--candidate").arg("--manifest").arg(manifest);
        }
        let done = replay.output().unwrap();
        if !done.status.success() {
            return Err(told(&done));
        }
        Ok(serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", told(&done))))
    }
}

fn differing(comparison: &Comparison, table: &str) -> (u64, u64) {
    let found = comparison.tables.iter().find(|found| found.table == table).unwrap();
    (found.rows, found.differing)
}

#[test]
fn the_past_in_kafka_is_the_same_again_and_another_formula_shows() {
    let Some(services) = services("a replay of a log in Kafka beside tables in Postgres") else { return };
    build();
    let _undisturbed = services.undisturbed();
    let (dir, config, _) = begin(services);
    let host = |name: &str| Host { config: &config, data_dir: dir.path().join(name), process: None };
    host("one").until_idle();
    let mut one = host("one");
    one.reached();
    let same = one.replay(&[], None).unwrap();
    assert_eq!((same.records as i64, same.differing, same.ended.as_ref()), (RECORDS, 0, None), "{same:?}");
    assert!(same.same_version && !same.of_part && !same.beside_others && same.charge_micros > 0);
    assert_eq!((differing(&same, "totals"), differing(&same, "refused records")), ((23, 0), (8, 0)));

    // `k7` counts twice, and half of what cannot be counted is.
    let candidate = manifest_with(dir.path(), 1, &otherwise(), |text| text);
    let other = one.replay(&[], Some(&candidate)).unwrap();
    let (rows, changed) = differing(&other, "totals");
    assert!(rows == 23 && (2..=5).contains(&changed), "{other:?}");
    assert_eq!(differing(&other, "refused records"), (8, 4));
    assert!(!other.same_version);

    // A part begins with nothing, so that counts are others; each number is in it once.
    let part = one.replay(&["--from", "20000", "--to", "30000"], None).unwrap();
    assert!(part.of_part && part.records > 10_000 && (part.records as i64) < RECORDS / 4, "{part:?}");
    let late = one.replay(&["--from", "9999-01-01"], None).unwrap_err();
    assert!(late.contains("has handled nothing that could be replayed there"), "{late}");
    let applied = one.replay(&["--apply", "--yes"], None).unwrap_err();
    assert!(applied.contains("no shadows that could take over"), "{applied}");

    // Beside another host, it is said that its rows may have changed meanwhile.
    let mut two = host("two");
    two.reached();
    let beside = one.replay(&[], None).unwrap();
    assert!(beside.beside_others && beside.records as i64 == RECORDS && beside.differing == 0, "{beside:?}");
}
