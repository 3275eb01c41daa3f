//! What lets a function stand still: dead letters, limits of what it stores, a disk that is nearly full, an operator.

use std::sync::Arc;

use isobar::config::Config;
use isobar::console::view::View;
use isobar::dispatch::{SourceStatus, Standing};

use crate::stage::{COUNT, counted, letters, start, start_with, stored, until, write};

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
    let stopped = |s: &SourceStatus| matches!(s.standing, Standing::Stopped { .. });
    until("the same stop", || progress.sources().iter().any(stopped)).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_was_told_to_go_on_while_no_host_ran_does_so_once() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let few = |text: &str| text.replace("output_bytes = 10000", "max_dead_letters = 3");
    for round in 1..=2 {
        let app = start(&data_dir, few).await;
        let progress = Arc::clone(app.dispatcher.progress());
        write(&app.store, "tricks", &[("bad", "reject"); 6]).await;
        until("a stop", || progress.stuck().is_some()).await;
        assert_eq!(letters(&app.store, "hostile").await.len(), 6 * (round - 1), "it was told so once");
        app.stop().await;

        let store = stored(&data_dir).await;
        View::new(Arc::clone(&store), None).resume("hostile").await.unwrap();
        store.close().await;
        drop(store);
        let app = start(&data_dir, few).await;
        let progress = Arc::clone(app.dispatcher.progress());
        until("an end", || progress.idle()).await;
        assert_eq!(letters(&app.store, "hostile").await.len(), 6 * round);
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_paused_handles_nothing_until_it_is_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(&dir.path().join("data"), str::to_owned).await;
    let progress = Arc::clone(app.dispatcher.progress());
    let running = app.running();
    let view = View::new(Arc::clone(&app.store), Some(running));
    view.pause("hostile").await.unwrap();
    write(&app.store, "tricks", &[("good", COUNT), ("good", COUNT)]).await;
    write(&app.store, "echo", &[("a", "1")]).await;
    let others = |s: &SourceStatus| s.function != "looping" || s.lag == 0 && s.position == 4;
    until("the other to go on", || progress.sources().iter().all(others)).await;
    let stuck = progress.stuck().unwrap();
    assert!(stuck.contains("an operator paused it; `isobar resume hostile` lets it go on"), "{stuck}");
    assert_eq!(counted(&app.store, "good").await, None);
    view.resume("hostile").await.unwrap();
    until("an end", || progress.idle()).await;
    assert_eq!(counted(&app.store, "good").await, Some(2));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_whose_records_come_back_to_it_does_not_wait_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let paced = |text: &str| text.replace("topics.echo]", "topics.echo]\nmax_lag_records = 10");
    let app = start(&dir.path().join("data"), paced).await;
    let progress = Arc::clone(app.dispatcher.progress());
    write(&app.store, "echo", &[("a", "1"); 100]).await;
    until("an end of the rounds", || progress.idle()).await;
    assert_eq!(app.store.ends().of("echo", 0), 100 * 4);
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
    // Who has stored nothing yet may store: the rest is another batch.
    write(&app.store, "tricks", &script[..1]).await;
    let begun = |s: &SourceStatus| s.function == "hostile" && s.source == "tricks" && s.position == 1;
    until("the first batch", || progress.sources().iter().any(begun)).await;
    write(&app.store, "tricks", &script[1..]).await;
    let waits = |s: &SourceStatus| match &s.standing {
        Standing::Waiting { reason } => reason.contains("MiB left, and `hostile` has stored more than the others"),
        _ => false,
    };
    until("a wait", || progress.sources().iter().any(waits)).await;
    write(&app.store, "echo", &[("a", "1")]).await;
    let others = |s: &SourceStatus| s.function != "looping" || s.lag == 0 && s.position == 4;
    until("the other to go on", || progress.sources().iter().all(others)).await;
    assert!(letters(&app.store, "hostile").await.is_empty(), "no record is to blame");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_stores_too_much_stops_alone() {
    for (limit, trick) in [("state_bytes", "fill"), ("state_bytes", "nul keys"), ("stored_bytes", "publish noise")] {
        let dir = tempfile::tempdir().unwrap();
        let small = |text: &str| text.replace("state_bytes = 50000000", &format!("{limit} = 2000000"));
        let app = start(&dir.path().join("data"), small).await;
        let progress = Arc::clone(app.dispatcher.progress());
        let script: Vec<(String, &str)> = (0..40).map(|n| (format!("key {n}"), trick)).collect();
        let script: Vec<(&str, &str)> = script.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        for part in script.chunks(10) {
            write(&app.store, "tricks", part).await;
        }
        until("a stop", || progress.stuck().is_some()).await;
        let reason = progress.stuck().unwrap();
        assert!(
            reason.contains(&format!("`hostile` has stored more than its `{limit}` of 2000000 bytes")),
            "{trick}: {reason}"
        );
        assert!(letters(&app.store, "hostile").await.is_empty(), "no record is to blame");
        let (end, position) = (app.store.ends().of("echo", 0), || {
            let looping = |s: &SourceStatus| (s.function == "looping" && s.lag == 0).then_some(s.position);
            progress.sources().iter().find_map(looping)
        });
        write(&app.store, "echo", &[("a", "1")]).await;
        until("the other to go on", || position().is_some_and(|position| position > end)).await;
        app.stop().await;
    }
}
