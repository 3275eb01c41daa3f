//! An application with data and without functions that run: what commands and API are asked of in tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use isobar::console::view::View;
use isobar::delivery::letters::{Story, letters};
use isobar::delivery::{Cause, Failure, Interval, Records, Trial};
use isobar::embedded::{Attempt, Commit, Folder, Frame, Kind, Note, Store};
use isobar::manifest;

/// A record's key and value.
type Item<'i> = (Option<&'i [u8]>, Option<&'i [u8]>);

pub(crate) fn manifest_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/spin.toml")
}

pub(crate) async fn open(data_dir: &Path) -> Arc<Store> {
    try_open(data_dir).await.expect("the store opens")
}

pub(crate) async fn try_open(data_dir: &Path) -> anyhow::Result<Arc<Store>> {
    let text = std::fs::read_to_string(manifest_path()).expect("the manifest is readable");
    let application = manifest::parse(&text).expect("the manifest is accepted");
    let folder = Folder::take(data_dir, Kind::MadeUp).expect("the folder is free");
    Ok(Arc::new(Store::open(folder, Arc::new(application)).await?))
}

/// Two customers, three orders of which one is handled and one failed, one complaint, one dead letter.
pub(crate) async fn fill(store: &Arc<Store>) {
    let view = View::new(Arc::clone(store), None);
    let customers = "id,name,debt\n1,Ada,7.5\n2,=cmd|'/c calc'!A0,\n";
    view.load("customers", customers.into()).await.expect("customers are loaded");
    let orders: [Item<'_>; 3] =
        [(Some(b"1"), Some(b"{\"price\":2}")), (Some(b"2"), Some(b"\xff\x00")), (None, Some(b"two\x1b[2Jlines"))];
    let story = Story {
        function: "total",
        version: "0a1b",
        topic: "orders",
        partition: 0,
        attempts: 5,
        now_ms: 7_000,
        is_sensitive: false,
    };
    let failure = Failure {
        frames: vec!["total::add".to_owned()],
        ..Failure::new(Cause::Panic, "panicked at src/lib.rs:6:48: no price")
    };
    let order = frame("orders", &orders[1..2]);
    let letters = letters(&order.records, &BTreeMap::from([(0, failure)]), &story);
    let letters = Frame::encode(format!("{}.total.dead-letters", store.application().name).into(), 0, letters);
    let frames = vec![
        frame("orders", &orders),
        frame("complaints", &[(None, Some(b"too late"))]),
        letters.expect("letters are encoded"),
    ];
    let note = |source: &str| Note { function: "total".into(), source: source.into(), partition: 0 };
    store.position(&note("orders")).await.expect("a position is made");
    let interval = Some(Interval { first: 0, next: 1 });
    let commit = Commit { note: note("orders"), interval, records: 1, frames, attempt: 1, ..Commit::default() };
    store.commit(commit).await.expect("it is committed");
    let interval = Interval { first: 1, next: 3 };
    let reason = "the price is no number".to_owned();
    let trial = Trial { attempts: 2, deliveries: 2, ..Trial::of(interval) };
    let attempt = Attempt { note: note("orders"), trial, code: "retry".to_owned(), reason, at_ms: 0 };
    store.keep_attempt(attempt).await.expect("the attempt is kept");
}

fn frame(topic: &str, items: &[Item<'_>]) -> Frame {
    let mut records = Records::default();
    for (at, (key, value)) in items.iter().enumerate() {
        records.keys.push(*key);
        records.values.push(*value);
        records.offsets.push(at as i64);
        records.timestamps.push(1_000 * at as i64);
    }
    Frame::encode(topic.into(), 0, records).expect("records are encoded")
}
