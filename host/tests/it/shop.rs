//! An application with data and without functions that run: what commands and API are asked of in tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use isobar::console::view::View;
use isobar::delivery::Records;
use isobar::embedded::{Attempt, Commit, Folder, Frame, Interval, Kind, Note, Store};
use isobar::manifest;

/// A record's key and value.
type Item<'i> = (Option<&'i [u8]>, Option<&'i [u8]>);

pub(crate) fn manifest_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/spin.toml")
}

pub(crate) async fn open(data_dir: &Path) -> Arc<Store> {
    let text = std::fs::read_to_string(manifest_path()).expect("the manifest is readable");
    let application = manifest::parse(&text).expect("the manifest is accepted");
    let folder = Folder::take(data_dir, Kind::MadeUp).expect("the folder is free");
    Arc::new(Store::open(folder, Arc::new(application)).await.expect("the store opens"))
}

/// Two customers, three orders of which one is handled and one failed, one complaint.
pub(crate) async fn fill(store: &Arc<Store>) {
    let view = View::new(Arc::clone(store), None);
    let customers = "id,name,debt\n1,Ada,7.5\n2,=cmd|'/c calc'!A0,\n";
    view.load("customers", customers.into()).await.expect("customers are loaded");
    let orders: [Item<'_>; 3] =
        [(Some(b"1"), Some(b"{\"price\":2}")), (Some(b"2"), Some(b"\xff\x00")), (None, Some(b"two\x1b[2Jlines"))];
    let frames = vec![frame("orders", &orders), frame("complaints", &[(None, Some(b"too late"))])];
    let note = |source: &str| Note { function: "total".into(), source: source.into(), partition: 0 };
    store.position(&note("orders")).await.expect("a position is made");
    let interval = Some(Interval { first: 0, next: 1 });
    let commit = Commit { note: note("orders"), interval, records: 1, frames, attempt: 1, ..Commit::default() };
    store.commit(commit).await.expect("it is committed");
    let interval = Interval { first: 1, next: 3 };
    let reason = "the price is no number".to_owned();
    let attempt = Attempt { note: note("orders"), interval, attempt: 2, reason, at_ms: 0 };
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
