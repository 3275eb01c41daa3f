//! Versions take over while records flow: each record is counted once, by one version or the other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::app::{self, App, Plan};
use isobar::console::answers::DeployAsk;
use isobar::console::client::Client;
use isobar::delivery::partitioner::partition_of;
use isobar::delivery::{Interval, Records};
use isobar::deploys::{Ask, Settings};
use isobar::embedded::{Commit, Frame, Kind, Note, Store};
use isobar::manifest;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Row as _};

use crate::crash::{RECORDS, application, build, check_all, up_by};

/// What is published in all: by `source`, and the rest by the test.
const PUBLISHED: i64 = 1_000_000;
/// Numbers that the test publishes at one time.
const AT_ONCE: i64 = 500;
/// Batches of the function that is swapped are at least so many.
const BATCHES: i64 = 20_000;
const SWAPS: usize = 100;
/// A swap follows the one before after less than so many milliseconds.
const REST_MS: u64 = 60;
/// So many pairs of runs are more than noise.
const MOST_NOISE: usize = 5;
const LONGEST: Duration = Duration::from_secs(300);

const FUNCTION: &str = "counting";

/// The manifest, with batches so small that there are enough of them.
fn text() -> String {
    let text = std::fs::read_to_string(application()).unwrap();
    let small = text.replace("batch_max_records = 150", "batch_max_records = 45");
    assert_ne!(text, small);
    small
}

/// A component that differs from the built one in nothing but its digest: by a section that nobody reads.
pub(crate) fn another_build(component: &[u8], number: u8) -> Arc<[u8]> {
    let section = [0, 8, 6, b'n', b'u', b'm', b'b', b'e', b'r', number];
    component.iter().copied().chain(section).collect()
}

fn component() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm32-wasip2/release/guest_counting.wasm");
    std::fs::read(path).unwrap()
}

async fn start(data_dir: &Path) -> App {
    let root = application().parent().unwrap().to_owned();
    let (manifest, data_dir) = (text(), data_dir.to_owned());
    let plan = Plan { manifest, root, data_dir, kind: Kind::Real, settings: Settings::default() };
    app::prepare(plan).await.unwrap().start().await.unwrap()
}

/// Publishes numbers as `source` does.
pub(crate) async fn publish(store: &Store, numbers: Range<i64>) {
    let note = Note { function: "test".into(), source: "test".into(), partition: 0 };
    let mut position = store.position(&note).await.unwrap();
    for first in numbers.clone().step_by(AT_ONCE as usize) {
        let mut partitions: BTreeMap<u32, Records> = BTreeMap::new();
        for number in first..numbers.end.min(first + AT_ONCE) {
            let key = format!("k{}", number % 23);
            let records = partitions.entry(partition_of(key.as_bytes(), 3)).or_default();
            records.offsets.push(records.offsets.len() as i64);
            records.keys.push(Some(key.as_bytes()));
            records.values.push(Some(number.to_string().as_bytes()));
            records.timestamps.push(number);
        }
        let frame = |(partition, records)| Frame::encode("input".into(), partition, records).unwrap();
        let frames = partitions.into_iter().map(frame).collect();
        let interval = Some(Interval { first: position, next: position + 1 });
        let commit = Commit { note: note.clone(), interval, records: 1, frames, attempt: 1, ..Commit::default() };
        store.commit(commit).await.unwrap();
        position += 1;
    }
}

/// The entries of the function's ledger: how many batches, and how often in a row of a partition's batches the version changes.
async fn ledger(data_dir: &Path) -> (i64, i64, BTreeSet<String>) {
    let options = SqliteConnectOptions::new().filename(data_dir.join("isobar.sqlite"));
    let mut connection = options.connect().await.unwrap();
    let rows = sqlx::query("SELECT partition, version FROM ledger WHERE function = ? ORDER BY partition, id");
    let rows = rows.bind(FUNCTION).fetch_all(&mut connection).await.unwrap();
    let rows: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let changes = rows.windows(2).filter(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1).count();
    (rows.len() as i64, changes as i64, rows.into_iter().map(|(_, version)| version).collect())
}

/// Anonymous memory of a process, in KiB.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What a run of a host tells.
struct Told {
    /// Of times between the beginnings of a partition's batches, the one that one of a thousand is longer than.
    gap_ms: i64,
    /// Memory when everything was counted, and after as many swaps again.
    memory: (u64, u64),
}

/// A host in a process of its own, and who deploys to it.
struct Target {
    host: Child,
    client: Client,
    part: String,
    random: StdRng,
}

impl Target {
    async fn start(dir: &Path, data_dir: &Path) -> Self {
        let manifest = dir.join("spin.toml");
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").canonicalize().unwrap();
        let text = text().replace("../../../target", built.to_str().unwrap());
        std::fs::write(&manifest, text.replace("batch_max_records = 45", "batch_max_records = 18")).unwrap();
        let mut host = up_by(&manifest, data_dir, &[]);
        let client = loop {
            assert!(host.try_wait().unwrap().is_none(), "the host does not start");
            match Client::find(data_dir).await {
                Some(client) => break client,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let text = std::fs::read_to_string(manifest).unwrap();
        let part = manifest::part(&text, &BTreeSet::from([FUNCTION.to_owned()])).unwrap();
        Target { host, client, part, random: StdRng::seed_from_u64(5) }
    }

    async fn swap(&mut self, times: usize) {
        for swap in 0..times {
            let build = another_build(&component(), 1 + (swap % 2) as u8).to_vec();
            let ask = DeployAsk::new(self.part.clone(), &BTreeMap::from([(FUNCTION.to_owned(), build)]));
            let taken = self.client.deploy(&ask).await.unwrap();
            assert_ne!(taken[0].before.as_ref(), Some(&taken[0].version));
            tokio::time::sleep(Duration::from_millis(self.random.random_range(0..REST_MS))).await;
        }
    }

    async fn counted(&self) -> u64 {
        let sources = self.client.status().await.unwrap().sources;
        sources.iter().filter(|s| s.function == FUNCTION).map(|s| s.records).sum()
    }
}

/// Runs the counting functions, with so many swaps while they count and as many after that.
async fn run(swaps: usize) -> Told {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let mut target = Target::start(dir.path(), &data_dir).await;
    target.swap(swaps).await;
    let started = Instant::now();
    while target.counted().await < RECORDS as u64 {
        assert!(started.elapsed() < LONGEST, "it does not come to its end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let before = memory(target.host.id());
    target.swap(swaps).await;
    let after = memory(target.host.id());
    let ended = Command::new("kill").arg(target.host.id().to_string()).status();
    assert!(ended.unwrap().success() && tokio::task::block_in_place(|| target.host.wait()).unwrap().success());
    let (batches, changes, _) = ledger(&data_dir).await;
    assert!(batches >= BATCHES, "only {batches} batches");
    assert!(changes >= swaps as i64 / 2, "only {changes} times a partition went on with another version");
    Told { gap_ms: gap(&data_dir).await, memory: (before, after) }
}

async fn gap(data_dir: &Path) -> i64 {
    let options = SqliteConnectOptions::new().filename(data_dir.join("isobar.sqlite"));
    let mut connection = options.connect().await.unwrap();
    let rows = sqlx::query("SELECT partition, at_ms FROM ledger WHERE function = ? ORDER BY partition, id");
    let rows = rows.bind(FUNCTION).fetch_all(&mut connection).await.unwrap();
    let rows: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let same = rows.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    let mut gaps: Vec<i64> = same.map(|pair| pair[1].1 - pair[0].1).collect();
    gaps.sort_unstable();
    gaps[gaps.len() - 1 - gaps.len() / 1000]
}

#[tokio::test(flavor = "multi_thread")]
async fn swaps_cost_other_batches_next_to_nothing_and_no_memory() {
    tokio::task::block_in_place(build);
    let pairs: usize = std::env::var("ISOBAR_PAIRS").map_or(1, |pairs| pairs.parse().unwrap());
    let mut longer = Vec::new();
    for pair in 0..pairs {
        let (without, with) = (run(0).await, run(SWAPS).await);
        let (before, after) = with.memory;
        println!(
            "pair {pair}: p99.9 of times between batches {} ms without swaps and {} ms with {SWAPS}; memory {before} KiB \
             after them and {after} KiB after {SWAPS} more",
            without.gap_ms, with.gap_ms
        );
        assert!(after * 10 <= before * 11, "memory grew from {before} to {after} KiB");
        longer.push(with.gap_ms - without.gap_ms);
    }
    longer.sort_unstable();
    let median = longer[longer.len() / 2];
    println!("median of {pairs}: {median} ms more with swaps");
    assert!(pairs < MOST_NOISE || median <= 10, "swaps cost {median} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_swaps_in_a_million_records_lose_and_double_nothing() {
    tokio::task::block_in_place(build);
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let app = start(&data_dir).await;
    let store = Arc::clone(&app.store);
    let publishing = tokio::spawn(async move { publish(&store, RECORDS..PUBLISHED).await });
    let part = manifest::part(&text(), &BTreeSet::from([FUNCTION.to_owned()])).unwrap();
    let builds = [another_build(&component(), 1), another_build(&component(), 2)];
    let mut random = StdRng::seed_from_u64(4);
    let progress = Arc::clone(app.dispatcher.progress());
    let mut versions = BTreeSet::new();
    for swap in 0..SWAPS {
        tokio::time::sleep(Duration::from_millis(random.random_range(0..80))).await;
        let components = BTreeMap::from([(FUNCTION.to_owned(), Arc::clone(&builds[swap % 2]))]);
        let taken = app.deploys.deploy(Ask { part: part.clone(), components, ..Ask::default() }, "test").await.unwrap();
        assert_ne!(taken[0].before.as_ref(), Some(&taken[0].version));
        versions.insert(taken[0].version.clone());
        assert!(!progress.idle(), "everything was counted after {swap} swaps: the run is too short");
    }
    assert_eq!(versions.len(), 2);
    publishing.await.unwrap();
    let started = Instant::now();
    while !progress.idle() {
        assert!(started.elapsed() < LONGEST, "it does not come to its end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    check_all(&app.store, PUBLISHED).await;
    app.stop().await;
    let (batches, changes, handled_by) = ledger(&data_dir).await;
    println!("{SWAPS} swaps in {batches} batches: {changes} times a partition went on with another version");
    assert!(batches >= BATCHES, "only {batches} batches");
    assert!(changes >= SWAPS as i64, "the versions did not change while records flowed");
    // The one that the start deployed may have had some, too.
    assert!(versions.is_subset(&handled_by) && handled_by.len() <= 3, "{handled_by:?}");
}
