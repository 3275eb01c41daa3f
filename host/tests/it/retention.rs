//! A topic lets go of what it need not keep, never of what a function has not read, and the ledger still adds up.

use std::sync::Arc;

use isobar::delivery::{Interval, Records};
use isobar::embedded::{Commit, Folder, Frame, Kind, Note, Store};
use isobar::manifest;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const HOUR_MS: i64 = 3_600_000;
/// Frames of ten records each, an hour between them.
const FRAMES: i64 = 20;
/// Random, so that they do not compress: the frames are three times the bound of the topic that has one.
const VALUE_BYTES: usize = 16 * 1024;

async fn open(dir: &std::path::Path, retention: &str) -> Arc<Store> {
    let text = format!(
        "spin_manifest_version = 2\n[application]\nname = \"a\"\nversion = \"0.1.0\"\n\
         [application.trigger.isobar.topics.input]\npartitions = 1\n{retention}\n\
         [[trigger.isobar]]\ncomponent = \"reader\"\ntopic = \"input\"\n[component.reader]\nsource = \"reader.wasm\"\n"
    );
    let application = manifest::parse(&text).unwrap();
    let folder = Folder::take(dir, Kind::Real).unwrap();
    Arc::new(Store::open(folder, Arc::new(application)).await.unwrap())
}

fn reader() -> Note {
    Note { function: "reader".into(), source: "input".into(), partition: 0 }
}

/// Appends all frames, of which the function has read the first `read`, one commit each.
async fn fill(store: &Store, read: i64) {
    store.position(&reader()).await.unwrap();
    let mut random = StdRng::seed_from_u64(1);
    for frame in 0..FRAMES {
        let mut records = Records::default();
        for at in 0..10 {
            records.keys.push(None);
            let value: Vec<u8> = (0..VALUE_BYTES).map(|_| random.random()).collect();
            records.values.push(Some(&value));
            records.offsets.push(at);
            records.timestamps.push(frame * HOUR_MS);
        }
        let note = Note { function: "other".into(), source: "schedule".into(), partition: 0 };
        let frames = vec![Frame::encode("input".into(), 0, records).unwrap()];
        store.commit(Commit { note, frames, attempt: 1, ..Commit::default() }).await.unwrap();
    }
    for at in 0..read {
        let interval = Some(Interval { first: at * 10, next: at * 10 + 10 });
        let commit = Commit { note: reader(), interval, records: 10, attempt: 1, ..Commit::default() };
        store.commit(commit).await.unwrap();
    }
}

async fn first_kept(store: &Store) -> i64 {
    store.topics().await.unwrap().iter().find(|t| t.topic == "input").unwrap().first
}

#[tokio::test]
async fn old_records_go_when_they_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), "retention_max_hours = 5").await;
    fill(&store, 8).await;
    store.trim(Some(FRAMES * HOUR_MS)).await.unwrap();
    assert_eq!(first_kept(&store).await, 80, "what is not read stays, however old");
    let report = store.verify().await.unwrap();
    assert_eq!((report.findings, report.records, report.entries), (vec![], 80, 1), "read entries are merged");
}

#[tokio::test]
async fn a_topic_keeps_to_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), "retention_max_bytes = 1048576").await;
    fill(&store, FRAMES).await;
    store.trim(Some(0)).await.unwrap();
    let topics = store.topics().await.unwrap();
    let input = topics.iter().find(|t| t.topic == "input").unwrap();
    assert!(input.bytes <= 1_048_576 && input.first > 0 && input.first < 200, "{input:?}");
    assert_eq!(store.verify().await.unwrap().findings, vec![]);
    let left = store.read("input", 0, 0, 1).await.unwrap();
    assert_eq!(left.offsets.first(), Some(&input.first), "a reader of what is gone begins at what is there");
}

#[tokio::test]
async fn a_topic_without_a_bound_keeps_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), "").await;
    fill(&store, FRAMES).await;
    store.trim(Some(i64::MAX / 2)).await.unwrap();
    assert_eq!(first_kept(&store).await, 0);
    assert_eq!(store.verify().await.unwrap().entries, FRAMES as u64);
}
