//! Data files that were torn or damaged: what is torn off the end of the log goes whole, what is damaged is named and
//! never believed, and nothing makes the host panic.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::console::answers::{LettersAsk, RowsAsk, SettleAsk};
use isobar::console::view::View;
use isobar::delivery::{Interval, Records};
use isobar::embedded::{Commit, Fate, Frame, Note, Store, WriteError};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use crate::backup::killed_at_work;
use crate::crash::{sources, up, with_store};
use crate::shop;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A frame of ten records with values that do not compress, which fills some pages.
fn frame(topic: &str, random: &mut StdRng) -> Frame {
    let mut records = Records::default();
    for at in 0..10 {
        let mut value = [0; 1500];
        random.fill_bytes(&mut value);
        records.keys.push(Some(b"key"));
        records.values.push(Some(&value));
        records.offsets.push(at);
        records.timestamps.push(at);
    }
    Frame::encode(topic.into(), 0, records).unwrap()
}

fn note() -> Note {
    Note { function: "total".into(), source: "orders".into(), partition: 0 }
}

/// Commits of a frame of each of two topics; each moves the position on the first.
async fn fill(store: &Arc<Store>, commits: i64) {
    shop::fill(store).await;
    let mut random = StdRng::seed_from_u64(3);
    for at in 0..commits {
        let frames = vec![frame("orders", &mut random), frame("complaints", &mut random)];
        let interval = Some(Interval { first: 1 + at, next: 2 + at });
        let commit = Commit { note: note(), interval, records: 1, frames, attempt: 1, ..Commit::default() };
        store.commit(commit).await.unwrap();
    }
}

/// What a killed process would leave of an open store nobody writes to, in another folder.
fn killed(data_dir: &Path, into: &Path) {
    fs::create_dir(into).unwrap();
    for file in ["isobar.sqlite", "isobar.sqlite-wal", "made-up"] {
        fs::copy(data_dir.join(file), into.join(file)).unwrap();
    }
}

#[tokio::test]
async fn a_torn_log_costs_the_last_commits_whole_and_in_order() {
    const COMMITS: i64 = 20;
    let dir = tempfile::tempdir().unwrap();
    let store = shop::open(&dir.path().join("data")).await;
    fill(&store, COMMITS).await;
    let log = fs::read(dir.path().join("data/isobar.sqlite-wal")).unwrap();
    let mut random = StdRng::seed_from_u64(4);
    let mut positions = Vec::new();
    for round in 0..40 {
        let folder = dir.path().join(format!("{round}"));
        killed(&dir.path().join("data"), &folder);
        let at = if round == 0 { log.len() - 1 } else { random.random_range(0..log.len()) };
        let mut torn = log.clone();
        match round % 2 {
            0 => torn.truncate(at),
            _ => random.fill_bytes(&mut torn[at..]),
        }
        fs::write(folder.join("isobar.sqlite-wal"), torn).unwrap();
        let torn = shop::open(&folder).await;
        let report = torn.verify().await.unwrap();
        assert_eq!(report.findings, []);
        let position = torn.position(&note()).await.unwrap();
        let (orders, complaints) = (torn.ends().of("orders", 0), torn.ends().of("complaints", 0));
        if position > 0 {
            assert_eq!((orders, complaints), (3 + 10 * (position - 1), 1 + 10 * (position - 1)), "a commit came apart");
        }
        torn.close().await;
        positions.push(position);
    }
    assert_eq!(positions[0], COMMITS, "a torn last byte costs the last commit alone");
    positions.sort_unstable();
    positions.dedup();
    assert!(positions.len() > 10, "{positions:?}");
    store.close().await;
}

/// All records of a topic's first partition, or why not.
async fn read_all(store: &Store, topic: &str) -> Result<Records, WriteError> {
    let mut all = Records::default();
    while all.offsets.last().map_or(0, |last| last + 1) < store.ends().of(topic, 0) {
        let from = all.offsets.last().map_or(0, |last| last + 1);
        let read = store.read(topic, 0, from, 1 << 16).await?;
        let first = read.index_of(from);
        if first >= read.len() {
            break;
        }
        all.append(&read.slice(first, read.len()));
    }
    Ok(all)
}

/// Asks everything that a person or function may ask, and gives the records that it was told; whatever the answers
/// are, they come.
async fn asked(store: &Arc<Store>) -> [Result<Records, WriteError>; 2] {
    let view = View::new(Arc::clone(store), None);
    let _ = (view.status().await, view.verify().await, view.tables().await, view.topics().await);
    let ask = RowsAsk { sensitive: true, ..RowsAsk::default() };
    for table in ["customers", "salaries", "totals"] {
        let _ = view.rows(table, &ask).await;
    }
    let _ = (view.letters("total", &LettersAsk::default()).await, store.pauses().await);
    let _ = (store.position(&note()).await, store.schedule(&note()).await, store.attempt(&note()).await);
    let trimmed = store.trim(Some(i64::MAX / 2)).await;
    assert!(!matches!(trimmed, Err(WriteError::Stopped)), "the writer panicked");
    [read_all(store, "orders").await, read_all(store, "complaints").await]
}

#[tokio::test]
async fn a_damaged_file_gives_right_records_or_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let store = shop::open(&dir.path().join("data")).await;
    fill(&store, 12).await;
    let whole = asked(&store).await.map(Result::unwrap);
    store.close().await;
    drop(store);
    let bytes = fs::read(dir.path().join("data/isobar.sqlite")).unwrap();
    let mut random = StdRng::seed_from_u64(5);
    let (mut named, mut told, mut unharmed) = (0, 0, 0);
    for round in 0..200 {
        let folder = dir.path().join(format!("{round}"));
        let mut damaged = bytes.clone();
        let at = random.random_range(0..bytes.len());
        match round % 4 {
            0 => {
                let page = at / 4096 * 4096;
                random.fill_bytes(&mut damaged[page..page + 4096]);
            }
            1 => damaged.truncate(at),
            _ => damaged[at] ^= 1 << random.random_range(0..8),
        }
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("made-up"), "").unwrap();
        fs::write(folder.join("isobar.sqlite"), damaged).unwrap();
        let opened = shop::try_open(&folder).await;
        let Ok(store) = opened else {
            told += 1;
            continue;
        };
        for (found, whole) in asked(&store).await.into_iter().zip(&whole) {
            match found {
                Ok(found) => {
                    assert!(found == *whole, "round {round}: records were believed that nobody wrote");
                    unharmed += 1;
                }
                Err(WriteError::Damaged { topic, .. }) => named += i32::from(!topic.is_empty()),
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains("it is damaged: stop isobar and restore a backup"), "{error}");
                    told += 1;
                }
            }
        }
        store.close().await;
    }
    println!("{named} frames named, {told} errors of the file, {unharmed} topics unharmed");
    assert!(named > 20 && told > 20 && unharmed > 20, "{named} {told} {unharmed}");
}

/// Tables and columns of a file.
async fn columns(file: &Path) -> Vec<(String, String)> {
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let sql = "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'";
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn a_cell_that_cannot_be_is_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let store = shop::open(&dir.path().join("data")).await;
    fill(&store, 1).await;
    let view = View::new(Arc::clone(&store), None);
    view.settle("total", &SettleAsk::default(), Fate::Redriven, "tester").await.unwrap();
    view.pause("total").await.unwrap();
    drop(view);
    store.close().await;
    drop(store);
    let whole = dir.path().join("data/isobar.sqlite");
    let (mut changed, mut refused) = (0, 0);
    for (at, (table, column)) in columns(&whole).await.into_iter().enumerate() {
        for (kind, value) in ["x'ff'", "'-'", "-1", "9223372036854775807", "1e300"].into_iter().enumerate() {
            let folder = dir.path().join(format!("{at}-{kind}"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("made-up"), "").unwrap();
            fs::copy(&whole, folder.join("isobar.sqlite")).unwrap();
            let options = SqliteConnectOptions::new().filename(folder.join("isobar.sqlite"));
            let mut connection = options.connect().await.unwrap();
            let sql = format!("UPDATE OR IGNORE \"{table}\" SET \"{column}\" = {value}");
            // What SQLite itself keeps out of a column needs no look.
            let updated = sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await;
            connection.close().await.unwrap();
            if updated.is_ok_and(|done| done.rows_affected() > 0) {
                changed += 1;
                let Ok(store) = shop::try_open(&folder).await else {
                    refused += 1;
                    continue;
                };
                let answered = tokio::time::timeout(PATIENCE, asked(&store)).await;
                assert!(answered.is_ok(), "{table}.{column} = {value}: something reads for ever");
                let first = store.position(&note()).await.unwrap_or_default();
                let interval = Some(Interval { first, next: first.wrapping_add(1) });
                let frames = vec![frame("complaints", &mut StdRng::seed_from_u64(6))];
                let commit = Commit { note: note(), interval, records: 1, frames, attempt: 1, ..Commit::default() };
                let committed = store.commit(commit).await;
                assert!(
                    !matches!(committed, Err(WriteError::Stopped)),
                    "{table}.{column} = {value}: the writer panicked"
                );
                store.close().await;
            }
        }
    }
    println!("{changed} changes, {refused} refused when it was opened");
    assert!(changed > 100 && refused < changed, "{changed} {refused}");
}

/// What the status says of the function that counts, by partition: lag and, where it waits, why.
fn counting(data_dir: &Path) -> Vec<(i64, Option<String>)> {
    let of = |source: &serde_json::Value| {
        let reason = source["standing"]["reason"].as_str().map(str::to_owned);
        (source["lag"].as_i64().unwrap(), reason)
    };
    sources(data_dir).iter().filter(|source| source["function"] == "counting").map(of).collect()
}

/// Damages the frame that holds `position` of `input`/0; gives its first offset.
async fn damage(data_dir: &Path, position: i64) -> i64 {
    let options = SqliteConnectOptions::new().filename(data_dir.join("isobar.sqlite"));
    let mut connection = options.connect().await.unwrap();
    let of = "topic = 'input' AND partition = 0 AND next > ? ORDER BY base LIMIT 1";
    let sql = format!("SELECT base, frame FROM log WHERE {of}");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(position).fetch_one(&mut connection).await.unwrap();
    let (base, mut frame): (i64, Vec<u8>) = (row.get(0), row.get(1));
    *frame.last_mut().unwrap() ^= 1;
    let sql = "UPDATE log SET frame = ? WHERE topic = 'input' AND partition = 0 AND base = ?";
    sqlx::query(sql).bind(frame).bind(base).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    base
}

#[test]
fn a_damaged_frame_is_named_and_holds_up_its_own_partition_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    killed_at_work(&data_dir);
    let note = Note { function: "counting".into(), source: "input".into(), partition: 0 };
    let counted = {
        let note = note.clone();
        move |store: Arc<Store>| async move { store.position(&note).await.unwrap() }
    };
    let position = with_store(&data_dir, counted.clone());
    let base = tokio::runtime::Runtime::new().unwrap().block_on(damage(&data_dir, position));

    let mut host = up(&data_dir, &[]);
    let started = Instant::now();
    let expected =
        format!("the record at offset {base} of `input`/0 is damaged on disk: its checksum is wrong; restore");
    loop {
        assert!(started.elapsed() < PATIENCE, "{:?}", counting(&data_dir));
        std::thread::sleep(LOOK_EVERY);
        let found = counting(&data_dir);
        let others_are_done = found.len() == 3 && found[1..].iter().all(|(lag, _)| *lag == 0);
        if others_are_done && found[0].1.as_ref().is_some_and(|reason| reason.contains(&expected)) {
            break;
        }
    }
    let pid = host.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(host.wait().unwrap().success());
    let stands = with_store(&data_dir, counted);
    assert!(position <= stands && stands <= base.max(position), "it went past what is damaged: {stands}");
}
