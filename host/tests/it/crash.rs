//! Exactly once, where aggregates cannot show it: functions that count are killed at random points with SIGKILL, and
//! afterwards every record was counted once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use isobar::delivery::{Allowance, Value};
use isobar::embedded::{Folder, LedgerReport, Store};
use isobar::manifest;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Kills of one run; where `ISOBAR_KILLS` wants more, there are more runs.
const KILLS: u32 = 20;
/// No start takes so long.
const LONGEST_START: Duration = Duration::from_secs(30);
/// What `source` publishes in all.
pub(crate) const RECORDS: i64 = 400_000;

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

/// A host whose writing can be made to fail: the signal that would end it then is ignored.
pub(crate) fn up(data_dir: &Path, flags: &[&str]) -> Child {
    up_by(&application(), data_dir, flags)
}

/// The same by another manifest.
pub(crate) fn up_by(manifest: &Path, data_dir: &Path, flags: &[&str]) -> Child {
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_isobar"))
        .args(["up", "--listen", "127.0.0.1:0", "--manifest"])
        .arg(manifest)
        .arg("--data-dir")
        .arg(data_dir)
        .args(flags)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the running host's status says of each source; nothing while no host can be reached.
pub(crate) fn sources(data_dir: &Path) -> Vec<serde_json::Value> {
    // Before the host can be reached, a look would take the folder away from it.
    if !data_dir.join("api.json").exists() {
        return Vec::new();
    }
    let mut status = Command::new(env!("CARGO_BIN_EXE_isobar"));
    let said = status.args(["status", "--json", "--manifest"]).arg(application()).arg("--data-dir").arg(data_dir);
    let said: serde_json::Value = serde_json::from_slice(&said.output().unwrap().stdout).unwrap_or_default();
    said["sources"].as_array().cloned().unwrap_or_default()
}

/// Records published, and those of them that were handled.
fn so_far(data_dir: &Path) -> (i64, i64) {
    let of = |store: &Store, topic, partitions| (0..partitions).map(|p| store.ends().of(topic, p)).sum::<i64>();
    with_store(data_dir, |store| async move {
        let dead = of(&store, "counts.counting.dead-letters", 1);
        (of(&store, "input", 3), of(&store, "output", 2) + dead)
    })
}

/// Lets every writing to a file fail, or again succeed.
fn may_write(host: &Child, may: bool) {
    let limit = if may { "--fsize=unlimited:unlimited" } else { "--fsize=0:unlimited" };
    assert!(Command::new("prlimit").args([limit, "--pid", &host.id().to_string()]).status().unwrap().success());
}

/// Starts a host and kills it: every third time at a point of its start, else when it has been up for a while; and half of those
/// times its store goes away before, and in the half of them it comes back.
fn start_and_kill(data_dir: &Path, random: &mut StdRng) {
    let up_yet = data_dir.join("api.json");
    // The host before was killed and left it.
    let _ = std::fs::remove_file(&up_yet);
    let mut host = up(data_dir, &[]);
    let started = Instant::now();
    let early = random.random_range(0..3) == 0;
    while !early && !up_yet.exists() {
        assert!(started.elapsed() < LONGEST_START, "the host does not start");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(random.random_range(0..120)));
    if !early && random.random_bool(0.5) {
        may_write(&host, false);
        std::thread::sleep(Duration::from_millis(random.random_range(0..60)));
        if random.random_bool(0.5) {
            may_write(&host, true);
            std::thread::sleep(Duration::from_millis(random.random_range(0..900)));
        }
    }
    host.kill().unwrap();
    host.wait().unwrap();
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
pub(crate) async fn read(store: &Store, topic: &str, partitions: u32) -> Found {
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    let mut found = Found::new();
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

/// What `counting` cannot handle.
fn is_poison(number: i64) -> bool {
    number % 50_000 == 49_999
}

#[test]
fn kills_lose_and_double_nothing() {
    build();
    let kills = std::env::var("ISOBAR_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    (0..kills.div_ceil(KILLS)).for_each(|round| run_through(u64::from(20 + round)));
}

/// A whole run with [`KILLS`] kills.
fn run_through(seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let mut random = StdRng::seed_from_u64(seed);
    let mut in_the_middle = 0;
    for _ in 0..KILLS {
        start_and_kill(&data_dir, &mut random);
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

/// What is there in the end.
pub(crate) struct Counted {
    pub(crate) input: Found,
    pub(crate) output: Found,
    pub(crate) letters: Found,
    /// Of the table, by key: records, and the position of the last.
    pub(crate) rows: BTreeMap<String, (i64, i64)>,
    pub(crate) report: LedgerReport,
}

/// Keys of a topic with the values of their records and their offsets, by partition.
pub(crate) type Found = BTreeMap<String, Vec<(i64, String)>>;

/// As [`Counted::check`], of what a store holds.
pub(crate) async fn check(store: &Store) {
    check_all(store, RECORDS).await;
}

/// The same where so many numbers were published.
pub(crate) async fn check_all(store: &Store, records: i64) {
    let input = read(store, "input", 3).await;
    let table = &store.application().tables["totals"];
    let columns: Vec<String> = ["records", "last_position"].map(str::to_owned).to_vec();
    let mut rows = BTreeMap::new();
    for key in input.keys() {
        let wanted = vec![vec![Value::Text(key.clone())]];
        let found = store.rows(table, &columns, &wanted, &mut Allowance::unlimited()).await.unwrap();
        for row in found {
            let [Value::Int(counted), Value::Int(last)] = row.cells[..] else { panic!("{row:?}") };
            rows.insert(key.clone(), (counted, last));
        }
    }
    let output = read(store, "output", 2).await;
    let letters = read(store, "counts.counting.dead-letters", 1).await;
    Counted { input, output, letters, rows, report: store.verify().await.unwrap() }.check_all(records);
}

impl Counted {
    /// The input holds every number once; those that cannot be counted are dead letters; the counts are those of the others, in
    /// state (by what was published from it), in the topic and in the table; the ledger has neither gap nor overlap.
    pub(crate) fn check(&self) {
        self.check_all(RECORDS);
    }

    /// The same where so many numbers were published.
    pub(crate) fn check_all(&self, published: i64) {
        let Counted { input, output, letters, rows, report } = self;
        let mut numbers: Vec<i64> = input.values().flatten().map(|(_, number)| number.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..published), "the input does not hold each number once");
        for (key, records) in input {
            let number = |value: &String| value.parse::<i64>().unwrap();
            let records: Vec<_> = records.iter().filter(|(_, value)| !is_poison(number(value))).collect();
            let counted: Vec<i64> = output[key].iter().map(|(_, count)| count.parse().unwrap()).collect();
            assert!(counted.into_iter().eq(1..=records.len() as i64), "`{key}` was not counted one by one");
            assert_eq!(rows[key], (records.len() as i64, records.last().unwrap().0), "{key}");
        }
        assert_eq!((output.len(), rows.len()), (input.len(), input.len()));
        assert_eq!(report.findings, vec![]);
        assert_eq!(report.records, report.records_read);
        assert!(report.records >= published as u64);
        let mut dead: Vec<i64> = letters.values().flatten().map(|(_, number)| number.parse().unwrap()).collect();
        dead.sort_unstable();
        let poison: Vec<i64> = (0..published).filter(|number| is_poison(*number)).collect();
        assert_eq!(dead, poison, "each record that cannot be handled died once, and no other");
    }
}
