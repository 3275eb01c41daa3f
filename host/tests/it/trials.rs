//! What a failing batch goes through: restarts, a store that is away, being sent back.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use isobar::console::answers::SettleAsk;
use isobar::console::view::View;
use isobar::dispatch::Standing;
use isobar::embedded::{Fate, Note};

use crate::stage::{COUNT, counted, letters, start, until, write};

/// Bytes before the pages of SQLite's write-ahead log, and before each of them.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const PAGE: usize = 4096;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_a_trial_was() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let patient = |text: &str| {
        text.replace("max_attempts = 2\nretry_backoff_ms = 1\n", "max_attempts = 9\nretry_backoff_ms = 30000\n")
    };
    let app = start(&data_dir, patient).await;
    write(&app.store, "tricks", &[("good", COUNT), ("bad", "panic"), ("good", COUNT)]).await;
    let note = Note { function: "hostile".into(), source: "tricks".into(), partition: 0 };
    let progress = Arc::clone(app.dispatcher.progress());
    let retries = |attempts| {
        let progress = Arc::clone(&progress);
        move || {
            progress
                .sources()
                .iter()
                .any(|s| matches!(s.standing, Standing::Retrying { attempt, .. } if attempt == attempts))
        }
    };
    until("a failure", retries(1)).await;
    let kept = app.store.attempt(&note).await.unwrap().unwrap();
    assert_eq!((kept.trial.range.first, kept.trial.range.next, kept.trial.attempts), (0, 3, 1));
    app.stop().await;

    // One delivery more is the second, and by then the batch is split; were the first forgotten, it would wait half a minute.
    let hasty = |text: &str| text.replace("retry_backoff_ms = 1\n", "retry_backoff_ms = 30000\n");
    let app = start(&data_dir, hasty).await;
    let progress = Arc::clone(app.dispatcher.progress());
    let split = |s: &isobar::dispatch::SourceStatus| s.function == "hostile" && s.position == 1;
    until("the first half", || progress.sources().iter().any(split)).await;
    let kept = app.store.attempt(&note).await.unwrap().unwrap();
    assert!(kept.trial.split && kept.trial.range.first == 1 && kept.trial.until == 3, "{:?}", kept.trial);
    app.stop().await;

    let app = start(&data_dir, str::to_owned).await;
    let progress = Arc::clone(app.dispatcher.progress());
    until("an end", || progress.idle()).await;
    assert_eq!(counted(&app.store, "good").await, Some(2));
    let letters = letters(&app.store, "hostile").await;
    assert_eq!(letters.len(), 1);
    assert!(letters[0].1.attempts >= 4, "all its deliveries are counted: {}", letters[0].1.attempts);
    app.stop().await;
}

/// Writes over the pages of the write-ahead log, and gives what was there.
fn damage(log: &Path) -> Vec<u8> {
    let before = std::fs::read(log).unwrap();
    let file = OpenOptions::new().write(true).open(log).unwrap();
    let frames = (before.len() - LOG_HEADER) / (FRAME_HEADER + PAGE);
    for frame in 0..frames {
        let page = LOG_HEADER + frame * (FRAME_HEADER + PAGE) + FRAME_HEADER;
        file.write_all_at(&[0xff; PAGE], page as u64).unwrap();
    }
    before
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_not_to_blame_for_a_store_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let app = start(&data_dir, str::to_owned).await;
    let progress = Arc::clone(app.dispatcher.progress());
    write(&app.store, "tricks", &[("good", COUNT)]).await;
    until("a first record", || progress.idle()).await;
    app.dispatcher.pauses().pause("hostile", "for the test".to_owned()).await.unwrap();
    write(&app.store, "tricks", &[("good", COUNT), ("good", COUNT)]).await;
    let log = data_dir.join("isobar.sqlite-wal");
    let before = damage(&log);
    app.dispatcher.pauses().resume("hostile").await.unwrap();
    let waits = |s: &isobar::dispatch::SourceStatus| {
        s.function == "hostile" && matches!(&s.standing, Standing::Waiting { reason } if reason.contains("data file"))
    };
    until("a wait", || progress.sources().iter().any(waits)).await;
    // Long enough for many more deliveries than a record that fails gets.
    tokio::time::sleep(Duration::from_secs(2)).await;
    until("the same wait", || progress.sources().iter().any(waits)).await;
    OpenOptions::new().write(true).open(&log).unwrap().write_all_at(&before, 0).unwrap();
    // SQLite believes the pages that it has read until somebody commits.
    app.dispatcher.pauses().pause("spy", "for the test".to_owned()).await.unwrap();
    until("an end", || progress.sources().iter().any(|s| s.function == "hostile" && s.position == 3)).await;
    assert_eq!(counted(&app.store, "good").await, Some(3));
    assert!(letters(&app.store, "hostile").await.is_empty());
    let note = Note { function: "hostile".into(), source: "tricks".into(), partition: 0 };
    assert!(app.store.attempt(&note).await.unwrap().is_none());
    assert_eq!(app.store.verify().await.unwrap().findings, vec![]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_back_to_a_running_host_reaches_the_function_that_failed_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let changed = |text: &str| {
        let both =
            text.replace("component = \"looping\"\ntopic = \"echo\"", "component = \"looping\"\ntopic = \"tricks\"");
        let lost = both.replace(
            "[application.trigger.isobar.topics.ways]",
            "[application.trigger.isobar.topics.lost]\n\n[application.trigger.isobar.topics.ways]",
        );
        lost.replace(
            "topic = \"tricks\"\nmax_attempts = 2",
            "topic = \"tricks\"\ndead_letters = \"lost\"\nmax_attempts = 2",
        )
    };
    let app = start(&dir.path().join("data"), changed).await;
    let progress = Arc::clone(app.dispatcher.progress());
    write(&app.store, "tricks", &[("bad", "panic"), ("good", COUNT)]).await;
    until("an end", || progress.idle()).await;
    assert_eq!(app.store.ends().of("lost", 0), 1, "its letters go where its trigger says");
    assert_eq!(app.store.ends().of("stage.hostile.dead-letters", 0), 0);
    assert_eq!(app.store.ends().of("echo", 0), 2, "the other function saw both");
    let running = app.running();
    let view = View::new(Arc::clone(&app.store), Some(running));
    let sent = view.settle("hostile", &SettleAsk { offsets: Vec::new() }, Fate::Redriven, "tester").await.unwrap();
    assert_eq!(sent.letters, 1);
    until("the record", || app.store.ends().of("lost", 0) == 2 && progress.idle()).await;
    assert_eq!(app.store.ends().of("tricks", 0), 3);
    assert_eq!(app.store.ends().of("echo", 0), 2, "the other function passed it over");
    assert_eq!(counted(&app.store, "good").await, Some(1));
    app.stop().await;
}
