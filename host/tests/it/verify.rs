//! The walk over the ledger while functions commit: it sees one moment, and in it everything fits.

use isobar::delivery::Interval;
use isobar::embedded::{Commit, Note};

use crate::shop;

/// Commits of the writer meanwhile.
const COMMITS: i64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_beside_running_functions_finds_nothing_wrong() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = shop::open(dir.path()).await;
    let note = Note { function: "total".into(), source: "by-time".into(), partition: 0 };
    store.position(&note).await.expect("a position is made");
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for first in 0..COMMITS {
                let interval = Some(Interval { first, next: first + 1 });
                let commit = Commit { note: note.clone(), interval, records: 1, attempt: 1, ..Commit::default() };
                store.commit(commit).await.expect("it is committed");
            }
        })
    };
    let mut between = 0;
    while !writer.is_finished() {
        let report = store.verify().await.expect("the ledger is readable");
        assert_eq!(report.findings, []);
        between += u32::from((1..COMMITS as u64).contains(&report.entries));
    }
    writer.await.expect("all is committed");
    assert!(between > 0, "no walk fell between the commits");
    assert_eq!(store.verify().await.expect("the ledger is readable").records, COMMITS as u64);
}

#[tokio::test]
async fn runs_of_a_schedule_that_follow_each_other_are_one_entry_of_an_hour() {
    const HOUR_MS: i64 = 3_600_000;
    let dir = tempfile::tempdir().expect("a folder");
    let store = shop::open(dir.path()).await;
    let note = Note { function: "total".into(), source: "by-time".into(), partition: 0 };
    store.position(&note).await.expect("a position is made");
    for first in 0..100 {
        let interval = Some(Interval { first, next: first + 1 });
        let version = if first < 80 { "a".into() } else { "b".into() };
        let at_ms = first * HOUR_MS / 40;
        let schedule = Some((at_ms, true));
        let commit = Commit {
            note: note.clone(),
            interval,
            records: 1,
            attempt: 1,
            schedule,
            version,
            at_ms,
            ..Commit::default()
        };
        store.commit(commit).await.expect("it is committed");
    }
    let report = store.verify().await.expect("the ledger is readable");
    assert_eq!(
        (report.findings, report.records, report.entries),
        (vec![], 100, 3),
        "two of one version, one of another"
    );
}
