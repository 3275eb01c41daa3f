//! Backups: of a running host, restored elsewhere, where the work goes on; and what is no whole backup is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::console::answers::{BackupAsk, SettleAsk};
use isobar::console::view::View;
use isobar::delivery::Interval;
use isobar::embedded::{Commit, Fate, Folder, Kind, Note, Store};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use crate::cli::{all, compare, said, workplace};
use crate::crash::{RECORDS, application, build, check, up, with_store};
use crate::folder::{refused, without_room};
use crate::shop;

/// Far longer than a start takes.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn isobar(words: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_isobar")).args(words).args(paths).output().unwrap()
}

/// Waits until the host has written so much that it is in the middle of its work.
pub(crate) fn wait_for_work(data_dir: &Path) {
    let started = Instant::now();
    let log = data_dir.join("isobar.sqlite-wal");
    while !data_dir.join("api.json").exists() || fs::metadata(&log).map_or(0, |m| m.len()) < 1 << 20 {
        assert!(started.elapsed() < PATIENCE, "the host does not begin to work");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Data of a host that was killed at work.
pub(crate) fn killed_at_work(data_dir: &Path) {
    build();
    let mut host = up(data_dir, &[]);
    wait_for_work(data_dir);
    host.kill().unwrap();
    host.wait().unwrap();
}

#[test]
fn a_backup_of_a_running_host_goes_on_elsewhere() {
    build();
    let dir = tempfile::tempdir().unwrap();
    let (data_dir, restored) = (dir.path().join("data"), dir.path().join("restored"));
    let (file, manifest) = (dir.path().join("counts.isobar"), application());
    let mut host = up(&data_dir, &[]);
    wait_for_work(&data_dir);
    let backup = ["backup", "--json", "--manifest"];
    let made = isobar(&backup, &[&manifest, "--data-dir".as_ref(), &data_dir, &file]);
    let (out, err) = (String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr));
    assert!(made.status.success(), "{err}");
    assert!(out.contains("\"made_up\": false"), "{out}");
    assert!(err.contains("holds all data, those of sensitive tables and topics too"), "{err}");
    let again = isobar(&backup, &[&manifest, "--data-dir".as_ref(), &data_dir, &file]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("a backup overwrites nothing"));
    assert!(host.try_wait().unwrap().is_none(), "the host goes on");
    host.kill().unwrap();
    host.wait().unwrap();
    assert!(!data_dir.join("backup.unfinished").exists());

    let done = isobar(&["restore", "--data-dir"], &[&restored, &file]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let verified = isobar(&["verify", "--manifest"], &[&manifest, "--data-dir".as_ref(), &restored]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let published = with_store(&restored, |store| async move { (0..3).map(|p| store.ends().of("input", p)).sum() });
    assert!((1..RECORDS).contains(&published), "the backup is not of the middle: {published}");
    assert!(up(&restored, &["--until-idle"]).wait().unwrap().success());
    assert!(!restored.join("isobar.sqlite-wal").exists(), "a host that ends folds its log into the file");
    with_store(&restored, |store| async move { check(&store).await });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_one_moment_while_others_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = shop::open(&dir.path().join("data")).await;
    let note = Note { function: "total".into(), source: "by-time".into(), partition: 0 };
    store.position(&note).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = {
        let (store, note) = (store.clone(), note.clone());
        tokio::spawn(async move {
            let mut first = 0;
            while stopped.is_empty() {
                let interval = Some(Interval { first, next: first + 1 });
                let commit = Commit { note: note.clone(), interval, records: 1, attempt: 1, ..Commit::default() };
                store.commit(commit).await.unwrap();
                first += 1;
            }
            first
        })
    };
    let view = View::new(store.clone(), None);
    let mut last = -1;
    for round in 0..5 {
        let before = store.position(&note).await.unwrap();
        let (_, pieces) = view.backup(&BackupAsk { sensitive: true }).await.unwrap();
        let busy = view.backup(&BackupAsk { sensitive: true }).await.err().unwrap();
        assert!(busy.message.contains("another backup"), "{busy}");
        let bytes: Vec<Vec<u8>> = futures::TryStreamExt::try_collect(pieces).await.unwrap();
        let after = store.position(&note).await.unwrap();
        let (file, folder) = (dir.path().join(format!("{round}.isobar")), dir.path().join(format!("{round}")));
        fs::write(&file, bytes.concat()).unwrap();
        isobar::embedded::backup::restore(&file, &folder).await.unwrap();
        let restored = shop::open(&folder).await;
        let at = restored.position(&note).await.unwrap();
        assert!(before <= at && at <= after && at > last, "{before} {at} {after}");
        assert_eq!(restored.verify().await.unwrap().findings, []);
        restored.close().await;
        last = at;
    }
    stop.send(()).unwrap();
    assert!(writer.await.unwrap() > last);
}

/// A folder with the shop's manifest, its data, and a backup of them. A function stands still before records that
/// failed, and its dead letter was dropped.
async fn with_backup() -> (tempfile::TempDir, PathBuf) {
    let dir = workplace();
    let store = shop::open(&dir.path().join(".isobar")).await;
    shop::fill(&store).await;
    let view = View::new(Arc::clone(&store), None);
    view.settle("total", &SettleAsk::default(), Fate::Dropped, "tester").await.unwrap();
    view.pause("total").await.unwrap();
    drop(view);
    store.close().await;
    drop(store);
    let said = said(dir.path(), "backup | shop.isobar");
    assert!(said.contains("Wrote shop.isobar (") && said.contains("made-up data"), "{said}");
    let file = dir.path().join("shop.isobar");
    (dir, file)
}

#[tokio::test]
async fn what_a_backup_cannot_become_is_said() {
    let (dir, file) = with_backup().await;
    let whole = fs::read(&file).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] ^= byte;
        bytes
    };
    write("cut.isobar", &whole[..whole.len() / 2]);
    write("newer.isobar", &with(63, 0x40));
    write("begun.isobar", b"SQLite format 3\0");
    write("text.isobar", &[b'a'; 4096]);
    write("foreign.isobar", &with(68, 1));
    write("garbled.isobar", &with(whole.len() / 2, 1));
    write("unsealed.isobar", &with(whole.len() - 1, 1));
    fs::create_dir(dir.path().join("used")).unwrap();
    fs::write(dir.path().join("used/isobar.sqlite-wal"), "left").unwrap();
    fs::create_dir(dir.path().join("older")).unwrap();
    fs::write(dir.path().join("older/isobar.sqlite.format-1"), "copied").unwrap();
    let commands = [
        "backup | shop.isobar",
        "backup | missing/shop.isobar",
        "restore | cut.isobar | --data-dir | new",
        "restore | begun.isobar | --data-dir | new",
        "restore | text.isobar | --data-dir | new",
        "restore | foreign.isobar | --data-dir | new",
        "restore | missing.isobar | --data-dir | new",
        "restore | garbled.isobar | --data-dir | new",
        "restore | unsealed.isobar | --data-dir | new",
        "restore | shop.isobar | --data-dir | .isobar",
        "restore | shop.isobar | --data-dir | used",
        "restore | shop.isobar | --data-dir | older",
        "restore | shop.isobar | --data-dir | spin.toml",
        "restore | shop.isobar",
        "restore | shop.isobar | --data-dir | new",
        "restore | shop.isobar | --data-dir | new",
    ];
    let newer = said(dir.path(), "restore | newer.isobar | --data-dir | new");
    assert!(newer.contains("`newer.isobar` has format") && newer.contains("knows formats up to"), "{newer}");
    compare("backup", &all(dir.path(), &commands));
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".part")), "{left:?}");
    assert!(!dir.path().join("new/isobar.sqlite.part").exists());
}

#[tokio::test]
async fn where_there_is_no_room_nothing_is_left() {
    let (dir, file) = with_backup().await;
    let room = fs::metadata(&file).unwrap().len() / 512 - 16;
    let said = refused(&without_room(dir.path(), room, &["backup", "second.isobar"]));
    assert!(said.contains("the data file cannot be copied") && said.contains("hint: make room on the disk"), "{said}");
    let said = refused(&without_room(dir.path(), room, &["restore", "shop.isobar", "--data-dir", "new"]));
    assert!(said.contains("cannot write into `new`"), "{said}");
    let names = |folder: &Path| -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    assert_eq!(names(dir.path()), [".isobar", "new", "shop.isobar", "spin.toml"]);
    assert_eq!(names(&dir.path().join(".isobar")), ["isobar.sqlite", "lineage", "lock", "made-up"]);
    assert_eq!(names(&dir.path().join("new")), ["lock"]);
}

/// Holds every table of a file against that of another; gives how many rows each has.
async fn compared(old: &Path, new: &Path) -> BTreeMap<String, i64> {
    let mut connection = SqliteConnectOptions::new().filename(old).read_only(true).connect().await.unwrap();
    sqlx::query("ATTACH ? AS new").bind(new.to_string_lossy()).execute(&mut connection).await.unwrap();
    let tables = "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let tables: String = sqlx::query(tables).fetch_one(&mut connection).await.unwrap().get(0);
    let mut number =
        async |sql: String| -> i64 { sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap().get(0) };
    let differ = |of: &str, what: &str| {
        let except = |a: &str, b: &str| format!("SELECT {what} FROM {a}.{of} EXCEPT SELECT {what} FROM {b}.{of}");
        let (lost, added) = (except("main", "new"), except("new", "main"));
        format!("SELECT (SELECT count(*) FROM ({lost})) + (SELECT count(*) FROM ({added}))")
    };
    assert_eq!(number(differ("sqlite_schema", "type, name, sql")).await, 0, "tables and indexes");
    let mut rows = BTreeMap::new();
    for table in tables.split(',') {
        assert_eq!(number(differ(&format!("\"{table}\""), "*")).await, 0, "{table}");
        rows.insert(table.to_owned(), number(format!("SELECT count(*) FROM \"{table}\"")).await);
    }
    connection.close().await.unwrap();
    rows
}

#[tokio::test]
async fn a_restored_folder_shows_what_the_old_one_did() {
    let (dir, file) = with_backup().await;
    fs::create_dir(dir.path().join("kept")).unwrap();
    let in_folder = said(dir.path(), "backup | kept | --json");
    assert!(in_folder.contains("kept/shop-20") && in_folder.contains("\"made_up\": true"), "{in_folder}");
    said(dir.path(), "restore | shop.isobar | --data-dir | new");
    let file_of = |folder: &str| dir.path().join(folder).join("isobar.sqlite");
    let rows = compared(&file_of(".isobar"), &file_of("new")).await;
    for table in ["attempt", "letter", "pause", "position", "ledger", "log", "name"] {
        assert!(rows[table] > 0, "{table} is empty: {rows:?}");
    }
    let letters = "dead-letters | list | total | --all";
    for command in ["status", "verify", "table | query | customers | --sensitive", "topic | read | orders", letters] {
        let (old, new) = (said(dir.path(), command), said(dir.path(), &format!("{command} | --data-dir | new")));
        let answer = |said: &str| said.split_once('\n').unwrap().1.to_owned();
        assert_eq!(answer(&old), answer(&new));
        assert!(command != letters || new.contains("dropped"), "{new}");
        assert!(
            command != "status" || new.contains("an operator paused it") && new.contains("failed 2 times"),
            "{new}"
        );
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let new = dir.path().join("new");
    assert_eq!([mode(&file), mode(&new), mode(&new.join("isobar.sqlite"))], [0o600, 0o700, 0o600]);
    let held =
        Arc::new(isobar::embedded::Folder::take(&dir.path().join("held"), isobar::embedded::Kind::Real).unwrap());
    let said = said(dir.path(), "restore | shop.isobar | --data-dir | held");
    assert!(said.contains("another isobar process uses the data folder `held`"), "{said}");
    drop(held);
}

#[tokio::test]
async fn a_backup_leaves_the_room_that_is_kept_for_functions() {
    let dir = tempfile::tempdir().unwrap();
    let application = isobar::manifest::parse(&fs::read_to_string(shop::manifest_path()).unwrap()).unwrap();
    let folder = Folder::take(dir.path(), Kind::MadeUp).unwrap().keep_free(Some(1 << 60));
    let store = Store::open(folder, Arc::new(application)).await.unwrap();
    let refused = store.backup().await.err().unwrap().to_string();
    assert!(refused.contains("MiB"), "{refused}");
    store.close().await;
}
