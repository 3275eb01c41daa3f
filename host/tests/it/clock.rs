//! A clock that was ahead: what it stored is not waited for.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::backup::killed_at_work;
use crate::crash::{check, sources, up, with_store};

/// Some centuries ahead, in milliseconds since the Unix epoch.
const AHEAD_MS: i64 = 32_503_680_000_000;
/// The schedule matches once a year.
const TWO_YEARS_MS: i64 = 2 * 366 * 24 * 60 * 60 * 1000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Stores when the schedule is due, as a host whose clock is ahead would.
fn store_ahead(data_dir: &Path, again: bool) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let options = SqliteConnectOptions::new().filename(data_dir.join("isobar.sqlite"));
        let mut connection = options.connect().await.unwrap();
        let sql = "UPDATE schedule SET due_ms = ?, again = ?";
        let done = sqlx::query(sql).bind(AHEAD_MS).bind(again).execute(&mut connection).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
        connection.close().await.unwrap();
    });
}

/// When the running host says that the schedule is due.
fn due_ms(data_dir: &Path) -> Option<i64> {
    sources(data_dir).iter().find_map(|source| source["due_ms"].as_i64())
}

#[test]
fn a_clock_that_was_ahead_stops_no_schedule() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    killed_at_work(&data_dir);
    store_ahead(&data_dir, true);
    let mut host = up(&data_dir, &["--until-idle"]);
    let started = Instant::now();
    let ended = loop {
        match host.try_wait().unwrap() {
            Some(ended) => break ended,
            None if started.elapsed() > PATIENCE => {
                host.kill().unwrap();
                panic!("the run that was asked for never came");
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    assert!(ended.success());
    with_store(&data_dir, |store| async move { check(&store).await });

    store_ahead(&data_dir, false);
    let mut host = up(&data_dir, &[]);
    let started = Instant::now();
    while due_ms(&data_dir).is_none_or(|due_ms| due_ms > isobar::clock::now_ms() + TWO_YEARS_MS) {
        if started.elapsed() > PATIENCE {
            host.kill().unwrap();
            panic!("the schedule waits for the time that was stored");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    host.kill().unwrap();
    host.wait().unwrap();
}
