//! Exactly once, where aggregates cannot show it: functions that count are killed at random points with SIGKILL, and
//! afterwards every record was counted once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Once};
use std::time::Duration;

use isobar::embedded::{Folder, Store};
use isobar::manifest;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const KILLS: u32 = 20;
/// What `source` publishes in all.
const RECORDS: i64 = 400_000;

/// The manifest of the counting functions.
pub(crate) fn application() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/counting/spin.toml")
}

/// Builds the components, once for all tests.
pub(crate) fn build() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isobar"));
        let built = command.args(["build", "--manifest"]).arg(application()).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    });
}

fn up(data_dir: &Path, flags: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_isobar"))
        .args(["up", "--listen", "127.0.0.1:0", "--manifest"])
        .arg(application())
        .arg("--data-dir")
        .arg(data_dir)
        .args(flags)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Records published, and those of them that were counted.
fn so_far(data_dir: &Path) -> (i64, i64) {
    let of = |store: &Store, topic, partitions| (0..partitions).map(|p| store.ends().of(topic, p)).sum();
    with_store(data_dir, |store| async move { (of(&store, "input", 3), of(&store, "output", 2)) })
}

pub(crate) fn with_store<T, F: Future<Output = T>>(data_dir: &Path, look: impl FnOnce(Arc<Store>) -> F) -> T {
    let text = std::fs::read_to_string(application()).unwrap();
    let application = Arc::new(manifest::parse(&text).unwrap());
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let folder = Folder::take_existing(data_dir).unwrap();
        let store = Arc::new(Store::open(folder, application).await.unwrap());
        let found = look(Arc::clone(&store)).await;
        store.close().await;
        found
    })
}

/// Keys of a topic with the values of their records in order of offset, by partition.
async fn read(store: &Store, topic: &str, partitions: u32) -> BTreeMap<String, Vec<(i64, String)>> {
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    let mut found: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for partition in 0..partitions {
        let mut from = 0;
        while from < store.ends().of(topic, partition) {
            let records = store.read(topic, partition, from, 1 << 20).await.unwrap();
            for (at, offset) in records.offsets.iter().enumerate().skip(records.index_of(from)) {
                let entry = found.entry(text(records.keys.get(at))).or_default();
                entry.push((*offset, text(records.values.get(at))));
            }
            from = records.offsets.last().unwrap() + 1;
        }
    }
    found
}

#[test]
fn twenty_kills_lose_and_double_nothing() {
    build();
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let mut random = StdRng::seed_from_u64(20);
    let mut in_the_middle = 0;
    for _ in 0..KILLS {
        let mut host = up(&data_dir, &[]);
        std::thread::sleep(Duration::from_millis(random.random_range(60..200)));
        host.kill().unwrap();
        host.wait().unwrap();
        if data_dir.join("isobar.sqlite").exists() {
            let (published, counted) = so_far(&data_dir);
            in_the_middle += i32::from(published > 0 && counted < RECORDS);
        }
    }
    let status = up(&data_dir, &["--until-idle"]).wait().unwrap();
    assert!(status.success());
    println!("{in_the_middle} of {KILLS} kills came while records flowed");
    assert!(in_the_middle >= 10, "only {in_the_middle} kills came while records flowed: the run is too short");
    with_store(&data_dir, |store| async move { check(&store).await });
}

/// The input holds every number once; the counts are those of the input, in state (by what was published from it), in
/// the topic and in the table; the ledger has neither gap nor overlap.
pub(crate) async fn check(store: &Store) {
    let input = read(store, "input", 3).await;
    let mut numbers: Vec<i64> = input.values().flatten().map(|(_, number)| number.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..RECORDS), "the input does not hold each number once");

    let output = read(store, "output", 2).await;
    let table = &store.application().tables["totals"];
    let columns: Vec<String> = ["records", "last_position"].map(str::to_owned).to_vec();
    for (key, records) in &input {
        let counted: Vec<i64> = output[key].iter().map(|(_, count)| count.parse().unwrap()).collect();
        assert!(counted.into_iter().eq(1..=records.len() as i64), "`{key}` was not counted one by one");
        let wanted = vec![vec![isobar::delivery::Value::Text(key.clone())]];
        let rows = store.rows(table, &columns, &wanted).await.unwrap();
        let last = records.last().unwrap().0;
        let expected = vec![isobar::delivery::Value::Int(records.len() as i64), isobar::delivery::Value::Int(last)];
        assert_eq!(rows.iter().map(|r| r.cells.clone()).collect::<Vec<_>>(), vec![expected], "{key}");
    }
    assert_eq!(output.len(), input.len());

    let report = store.verify().await.unwrap();
    assert_eq!(report.findings, vec![]);
    assert_eq!(report.records, report.records_read);
    assert!(report.records >= RECORDS as u64);
    let letters = store.ends().of("counts.counting.dead-letters", 0);
    assert_eq!(letters, 0, "nothing was wrong with any record");
}
