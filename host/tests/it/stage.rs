//! The application of `tests/hostile`: a function that plays the trick that each record names, one that goes round, one that
//! holds secrets; and what tests do with it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use isobar::app::{self, App, Plan};
use isobar::config::Config;
use isobar::delivery::letters::Letter;
use isobar::delivery::{Allowance, Interval, Records, Value};
use isobar::deploys::Settings;
use isobar::embedded::{Commit, Folder, Frame, Kind, Note, Store};
use isobar::manifest;

/// No run of these tests takes so long.
pub(crate) const LONGEST: Duration = Duration::from_secs(120);
/// A record that the function counts.
pub(crate) const COUNT: &str = "count";

pub(crate) fn manifest_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/spin.toml")
}

pub(crate) fn build() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isobar"));
        let built = command.args(["build", "--manifest"]).arg(manifest_path()).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    });
}

pub(crate) async fn start(data_dir: &Path, change: impl Fn(&str) -> String) -> App {
    start_with(data_dir, change, Config::default()).await
}

/// As [`start`], with what an operator says.
pub(crate) async fn start_with(data_dir: &Path, change: impl Fn(&str) -> String, config: Config) -> App {
    build();
    let text = change(&std::fs::read_to_string(manifest_path()).unwrap());
    let root = manifest_path().parent().unwrap().to_owned();
    let data_dir = data_dir.to_owned();
    let settings = Settings { config, ..Settings::default() };
    let plan = Plan { manifest: text, root, data_dir, kind: Kind::MadeUp, settings };
    app::prepare(plan).await.unwrap().start().await.unwrap()
}

/// Writes records of `(key, value)` as if a function had published them.
pub(crate) async fn write(store: &Store, topic: &str, items: &[(&str, &str)]) {
    let mut records = Records::default();
    for (at, (key, value)) in items.iter().enumerate() {
        records.keys.push(Some(key.as_bytes()));
        records.values.push(Some(value.as_bytes()));
        records.offsets.push(at as i64);
        records.timestamps.push(1_000);
    }
    let note = Note { function: "test".into(), source: "test".into(), partition: 0 };
    let first = store.position(&note).await.unwrap();
    let interval = Some(Interval { first, next: first + 1 });
    let frames = vec![Frame::encode(topic.into(), 0, records).unwrap()];
    store.commit(Commit { note, interval, records: 1, frames, attempt: 1, ..Commit::default() }).await.unwrap();
}

/// The data of an application that does not run.
pub(crate) async fn stored(data_dir: &Path) -> Arc<Store> {
    let text = std::fs::read_to_string(manifest_path()).unwrap();
    let application = Arc::new(manifest::parse(&text).unwrap());
    Arc::new(Store::open(Folder::take_existing(data_dir).unwrap(), application).await.unwrap())
}

/// Writes records into the data of an application that does not run.
pub(crate) fn write_and_close(data_dir: &Path, topic: &str, items: &[(&str, &str)]) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = stored(data_dir).await;
        write(&store, topic, items).await;
        store.close().await;
    });
}

pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < LONGEST, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn letters(store: &Store, function: &str) -> Vec<(String, Letter)> {
    let topic = format!("stage.{function}.dead-letters");
    let records = store.read(&topic, 0, 0, 64 << 20).await.unwrap();
    let text = |at| String::from_utf8_lossy(records.values.get(at).unwrap_or_default()).into_owned();
    (0..records.len()).map(|at| (text(at), Letter::of(&records, at).unwrap())).collect()
}

pub(crate) async fn counted(store: &Store, name: &str) -> Option<i64> {
    let table = &store.application().tables["seen"];
    let key = vec![vec![Value::Text(name.to_owned())]];
    let rows = store.rows(table, &["records".to_owned()], &key, &mut Allowance::unlimited()).await.unwrap();
    rows.first().map(|row| match row.cells[0] {
        Value::Int(count) => count,
        ref other => panic!("{other:?}"),
    })
}
