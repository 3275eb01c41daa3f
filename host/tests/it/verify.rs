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
