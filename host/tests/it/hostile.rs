//! Components that try to hurt the host: each trick costs its own record and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use isobar::app::{self, App, Plan};
use isobar::bindings::tables::load;
use isobar::config::Config;
use isobar::delivery::letters::Letter;
use isobar::delivery::{Allowance, Interval, Records, Value};
use isobar::dispatch::Standing;
use isobar::embedded::{Commit, Folder, Frame, Kind, Note, Store};
use isobar::manifest;
use isobar::manifest::variables::resolve;

/// No run of these tests takes so long.
const LONGEST: Duration = Duration::from_secs(120);

/// Tricks, and what the dead letter says of each.
const TRICKS: [(&str, &str); 26] = [
    ("panic", "the trick panics"),
    ("trap in the middle of a table write", "wasm `unreachable`"),
    ("exit", "exit"),
    ("loop", "it ran longer than its `timeout_ms` of 400; raise it in [application.trigger.isobar.limits.hostile]"),
    ("sleep", "it ran longer than its `timeout_ms` of 400"),
    ("memory", "it needs more memory than its `memory_mb` of 128; raise it in"),
    ("stack", "its calls are nested deeper than the stack of 512 KiB that a function has"),
    ("allocating stack", ""),
    ("huge reason", "reason reason"),
    ("huge panic", "panic panic"),
    ("million records", "it published more records than its `publish_records` of 200000; raise it in"),
    ("long records", "it published more bytes than its `publish_bytes` of"),
    ("long value", "it put a longer value of state than its `state_value_bytes` of 921600; raise it in"),
    ("many values", "it holds more bytes until it commits than its `held_bytes` of"),
    ("many entries", "it holds more bytes until it commits than its `held_bytes` of"),
    ("empty sends", "it ran longer than its `timeout_ms` of 400"),
    ("long key", "it used a key of state of 10000 bytes"),
    ("many rows", "it wrote more rows than its `write_rows` of 100000; raise it in"),
    ("read many rows", "it read more rows or values than its `read_rows` of 100000; raise it in"),
    ("read many values", "it read more rows or values than its `read_rows` of 100000; raise it in"),
    ("read one value often", "it read more bytes of state and tables than its `read_bytes` of 33554432; raise it in"),
    ("lying index", "it rejects record 1073741824 of a batch of"),
    ("nul", "NUL"),
    ("empty key", "empty"),
    ("uneven", "send got 0 keys and 1 values"),
    ("broken ends", "`keys` is not packed right"),
];
/// Tricks that a function may try as long as it likes.
const HARMLESS: [&str; 2] = ["flood stderr", "look around"];
/// The record that follows each trick.
const COUNT: &str = "count";

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

async fn start(data_dir: &Path, change: impl Fn(&str) -> String) -> App {
    start_with(data_dir, change, Config::default()).await
}

/// As [`start`], with what an operator says.
async fn start_with(data_dir: &Path, change: impl Fn(&str) -> String, config: Config) -> App {
    build();
    let text = change(&std::fs::read_to_string(manifest_path()).unwrap());
    let application = manifest::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let resolved = resolve(&application, &BTreeMap::new()).unwrap();
    let root = manifest_path().parent().unwrap().to_owned();
    let data_dir = data_dir.to_owned();
    let plan = Plan { application, resolved, root, data_dir, kind: Kind::MadeUp, config };
    app::prepare(plan).await.unwrap().start().await.unwrap()
}

/// Writes records of `(key, value)` as if a function had published them.
async fn write(store: &Store, topic: &str, items: &[(&str, &str)]) {
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

/// Writes records into the data of an application that does not run.
pub(crate) fn write_and_close(data_dir: &Path, topic: &str, items: &[(&str, &str)]) {
    let text = std::fs::read_to_string(manifest_path()).unwrap();
    let application = Arc::new(manifest::parse(&text).unwrap());
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let folder = Folder::take_existing(data_dir).unwrap();
        let store = Store::open(folder, application).await.unwrap();
        write(&store, topic, items).await;
        store.close().await;
    });
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < LONGEST, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn letters(store: &Store, function: &str) -> Vec<(String, Letter)> {
    let topic = format!("stage.{function}.dead-letters");
    let records = store.read(&topic, 0, 0, 64 << 20).await.unwrap();
    let text = |at| String::from_utf8_lossy(records.values.get(at).unwrap_or_default()).into_owned();
    (0..records.len()).map(|at| (text(at), Letter::of(&records, at).unwrap())).collect()
}

async fn counted(store: &Store, name: &str) -> Option<i64> {
    let table = &store.application().tables["seen"];
    let key = vec![vec![Value::Text(name.to_owned())]];
    let rows = store.rows(table, &["records".to_owned()], &key, &mut Allowance::unlimited()).await.unwrap();
    rows.first().map(|row| match row.cells[0] {
        Value::Int(count) => count,
        ref other => panic!("{other:?}"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trick_costs_its_own_record() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(&dir.path().join("data"), str::to_owned).await;
    let store = Arc::clone(&app.store);
    let mut script = Vec::new();
    for trick in TRICKS.iter().map(|(trick, _)| *trick).chain(HARMLESS) {
        script.push((trick, trick));
        script.push(("good", COUNT));
    }
    write(&store, "tricks", &script).await;
    let progress = Arc::clone(app.dispatcher.progress());
    until("an end of the tricks", || progress.idle()).await;

    let letters = letters(&store, "hostile").await;
    let tricks: Vec<&str> = letters.iter().map(|(value, _)| value.as_str()).collect();
    assert_eq!(tricks, TRICKS.map(|(trick, _)| trick), "each trick dies alone, in order");
    for ((trick, letter), (_, says)) in letters.iter().zip(TRICKS) {
        assert!(letter.reason.contains(says), "`{trick}`: {}", letter.reason);
        assert!(!letter.reason.contains("escaped"), "`{trick}`: {}", letter.reason);
        assert!(letter.reason.len() < 10_000, "`{trick}` has a reason of {} bytes", letter.reason.len());
        assert_eq!((letter.function.as_str(), letter.topic.as_str()), ("hostile", "tricks"));
        assert_eq!(script[letter.offset as usize].1, trick.as_str());
        assert!(letter.attempts >= 2, "`{trick}` was delivered {} times", letter.attempts);
    }
    let panic = &letters[0].1;
    assert!(
        panic.reason.starts_with("panicked at host/tests/hostile/guest/src/component/tricks.rs:"),
        "{}",
        panic.reason
    );
    assert!(panic.frames.iter().any(|f| f.contains("guest_hostile::component::tricks::perform")), "{:?}", panic.frames);

    let good = script.iter().filter(|(_, value)| *value == COUNT).count();
    assert_eq!(counted(&store, "good").await, Some(good as i64), "each other record counts once");
    assert_eq!(counted(&store, "stolen").await, None, "nothing is left of a call that failed");
    let state = store.state("hostile", 0, &["stolen", "bomb", "bomb 0"], &mut Allowance::unlimited()).await.unwrap();
    assert!(state.is_empty(), "{state:?}");
    assert_eq!(store.ends().of("echo", 0), 0);
    let report = store.verify().await.unwrap();
    assert_eq!((report.findings, report.records_read), (vec![], report.records));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_go_round_end() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(&dir.path().join("data"), str::to_owned).await;
    write(&app.store, "echo", &[("a", "1"), ("b", "2")]).await;
    let progress = Arc::clone(app.dispatcher.progress());
    until("an end of the rounds", || progress.idle()).await;
    assert_eq!(app.store.ends().of("echo", 0), 2 * 4, "written once, and gone round three times");
    let letters = letters(&app.store, "looping").await;
    assert_eq!(letters.len(), 2);
    assert!(letters[0].1.reason.contains("more often in a row than its `rounds` of 3"), "{}", letters[0].1.reason);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_loses_too_many_records_stops_and_goes_on_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let few = |text: &str| text.replace("output_bytes = 10000", "max_dead_letters = 3");
    let app = start(&data_dir, few).await;
    let progress = Arc::clone(app.dispatcher.progress());
    let script: Vec<(&str, &str)> = (0..5).flat_map(|_| [("bad", "panic"), ("good", COUNT)]).collect();
    write(&app.store, "tricks", &script).await;
    until("a stop", || progress.stuck().is_some()).await;
    let reason = progress.stuck().unwrap();
    assert!(reason.contains("more than 3 of its last 10000 records would be dead letters"), "{reason}");
    assert!(reason.contains("`isobar resume hostile`"), "{reason}");
    assert_eq!(letters(&app.store, "hostile").await.len(), 3, "no more died");
    app.stop().await;

    let app = start(&data_dir, few).await;
    let progress = Arc::clone(app.dispatcher.progress());
    until("a start", || !progress.sources().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stopped = |s: &isobar::dispatch::SourceStatus| matches!(s.standing, Standing::Stopped { .. });
    assert!(progress.sources().iter().any(stopped), "a restart changes nothing");
    assert_eq!(letters(&app.store, "hostile").await.len(), 3);
    app.dispatcher.pauses().resume("hostile").await.unwrap();
    until("an end", || progress.idle()).await;
    assert_eq!(letters(&app.store, "hostile").await.len(), 5);
    assert_eq!(counted(&app.store, "good").await, Some(5));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_loses_too_many_records_at_once_passes_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let few = |text: &str| text.replace("output_bytes = 10000", "max_dead_letters = 3");
    let app = start(&dir.path().join("data"), few).await;
    let progress = Arc::clone(app.dispatcher.progress());
    let batch = [("bad", "reject"); 6];
    write(&app.store, "tricks", &batch).await;
    until("a stop", || progress.stuck().is_some()).await;
    assert!(letters(&app.store, "hostile").await.is_empty());
    app.dispatcher.pauses().resume("hostile").await.unwrap();
    until("an end", || progress.idle()).await;
    assert_eq!(letters(&app.store, "hostile").await.len(), 6);
    write(&app.store, "tricks", &[("bad", "reject")]).await;
    until("another stop", || progress.stuck().is_some()).await;
    assert_eq!(letters(&app.store, "hostile").await.len(), 6, "it was told so once");
    app.stop().await;
}

/// Puts a secret in the place of the one before, and asks the spy to read its input again.
async fn load_secret(store: &Store, secret: &str, reader: &Note) {
    let csv = format!("name,secret\ncanary,{secret}\n");
    let rows = load::read(&store.application().tables["secrets"], csv.as_bytes()).unwrap();
    store.load("secrets", rows, vec![reader.clone()]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_fails_when_it_is_read_again_dies_alone() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(&dir.path().join("data"), str::to_owned).await;
    let progress = Arc::clone(app.dispatcher.progress());
    let note = Note { function: "spy".into(), source: "ways".into(), partition: 0 };
    load_secret(&app.store, "first", &note).await;
    let ways = [("a", "table"), ("b", "panic"), ("c", "topic"), ("d", "panic"), ("e", "table")];
    write(&app.store, "ways", &ways).await;
    until("an end", || progress.idle()).await;
    assert_eq!(letters(&app.store, "spy").await.len(), 2);
    load_secret(&app.store, "second", &note).await;
    let started = Instant::now();
    while app.store.wants_reread(&note).await.unwrap().is_some() {
        assert!(started.elapsed() < LONGEST, "it is not read again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let letters = letters(&app.store, "spy").await;
    let reasons: Vec<_> = letters.iter().map(|(_, letter)| (letter.offset, letter.reason.contains("second"))).collect();
    assert_eq!(reasons, [(1, false), (3, false), (1, true), (3, true)]);
    let table = &app.store.application().tables["reports"];
    let key = vec![vec![Value::Text("second".to_owned())]];
    let found = app.store.rows(table, &["name".to_owned()], &key, &mut Allowance::unlimited()).await.unwrap();
    assert_eq!(found.len(), 1, "the others were done again");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_again_goes_on_where_it_was_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let few = |text: &str| {
        text.replace(
            "[component.spy]",
            "[application.trigger.isobar.limits.spy]\nmax_dead_letters = 2\n\n[component.spy]",
        )
    };
    let app = start(&dir.path().join("data"), few).await;
    let progress = Arc::clone(app.dispatcher.progress());
    let note = Note { function: "spy".into(), source: "ways".into(), partition: 0 };
    // Resumes whenever it is stopped, until there is nothing left to do or to read again; gives how often.
    let through = async || {
        let (started, mut resumed) = (Instant::now(), 0);
        while !progress.idle() || app.store.wants_reread(&note).await.unwrap().is_some() {
            assert!(started.elapsed() < LONGEST, "{:?}", progress.sources());
            if progress.stuck().is_some() {
                app.dispatcher.pauses().resume("spy").await.unwrap();
                resumed += 1;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        resumed
    };
    load_secret(&app.store, "first", &note).await;
    write(&app.store, "ways", &["a", "b", "c", "d", "e", "f"].map(|key| (key, "panic"))).await;
    assert!(through().await >= 2);
    let dead =
        async || letters(&app.store, "spy").await.into_iter().map(|(_, letter)| letter.offset).collect::<Vec<_>>();
    assert_eq!(dead().await, [0, 1, 2, 3, 4, 5]);
    load_secret(&app.store, "second", &note).await;
    assert!(through().await >= 2, "it was stopped in the middle");
    assert_eq!(dead().await, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5], "each died once more, and not twice");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_disk_that_is_nearly_full_the_one_that_stores_most_waits() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { keep_free_mb: Some(u64::from(u32::MAX)), ..Config::default() };
    let app = start_with(&dir.path().join("data"), str::to_owned, config).await;
    let progress = Arc::clone(app.dispatcher.progress());
    let script: Vec<(String, &str)> = (0..40).map(|n| (format!("fill {n}"), "fill")).collect();
    let script: Vec<(&str, &str)> = script.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    for part in script.chunks(10) {
        write(&app.store, "tricks", part).await;
    }
    write(&app.store, "tricks", &script).await;
    let waits = |s: &isobar::dispatch::SourceStatus| match &s.standing {
        Standing::Waiting { reason } => reason.contains("MiB left, and `hostile` has stored more than the others"),
        _ => false,
    };
    until("a wait", || progress.sources().iter().any(waits)).await;
    write(&app.store, "echo", &[("a", "1")]).await;
    let others = |s: &isobar::dispatch::SourceStatus| s.function != "looping" || s.lag == 0 && s.position == 4;
    until("the other to go on", || progress.sources().iter().all(others)).await;
    assert!(letters(&app.store, "hostile").await.is_empty(), "no record is to blame");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_stores_too_much_stops_alone() {
    let dir = tempfile::tempdir().unwrap();
    let small = |text: &str| text.replace("state_bytes = 50000000", "state_bytes = 2000000");
    let app = start(&dir.path().join("data"), small).await;
    let progress = Arc::clone(app.dispatcher.progress());
    let script: Vec<(String, &str)> = (0..40).map(|n| (format!("fill {n}"), "fill")).collect();
    let script: Vec<(&str, &str)> = script.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    write(&app.store, "tricks", &script).await;
    until("a stop", || progress.stuck().is_some()).await;
    let reason = progress.stuck().unwrap();
    assert!(reason.contains("`hostile` has stored more than its `state_bytes` of 2000000 bytes"), "{reason}");
    assert!(letters(&app.store, "hostile").await.is_empty(), "no record is to blame");
    write(&app.store, "echo", &[("a", "1")]).await;
    let others = |s: &isobar::dispatch::SourceStatus| s.function != "looping" || s.lag == 0 && s.position == 4;
    until("the other to go on", || progress.sources().iter().all(others)).await;
    app.stop().await;
}
