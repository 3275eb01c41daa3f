//! Versions that do worse than the one before them are put away by themselves.

use std::time::Duration;

use isobar::delivery::Records;
use isobar::delivery::partitioner::partition_of;
use isobar::embedded::{Commit, Frame, Note, Store};

use crate::crash::check;
use crate::deploys::{FUNCTION, LONGEST, alone, ask, component, count, counted, deploy, idle, runs, start, whole};
use crate::shadows::{beside, otherwise};
use crate::swaps::publish;

/// The entries of the audit log that are no start: what, by whom.
async fn audit(store: &Store) -> Vec<(String, String)> {
    let entries = store.audit_log(10).await.unwrap();
    entries.into_iter().filter(|e| e.action != "up").map(|e| (e.action, e.who)).collect()
}

async fn letters(store: &Store) -> usize {
    store.read("counts.counting.dead-letters", 0, 0, 1 << 20).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_loses_what_the_one_before_handles_is_rolled_back_by_itself() {
    let careful = alone().replace("max_attempts = 2", "max_attempts = 1\non_failure = \"rollback\"");
    let told = |action: &str, who: &str| (action.to_owned(), who.to_owned());
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &careful).await;
    count(&app, "input", &["a"]).await;
    let before = runs(&app.store).await;
    deploy(&app, &careful, otherwise()).await.unwrap();
    count(&app, "input", &["a", "bad", "a"]).await;
    assert_eq!((runs(&app.store).await, letters(&app.store).await), (before.clone(), 0));
    assert_eq!((counted(&app.store, "bad").await, counted(&app.store, "a").await), (1, 3), "each once");
    assert_eq!(audit(&app.store).await, [told("rollback", "isobar"), told("deploy", "tester")]);
    assert_eq!(app.store.verify().await.unwrap().findings, vec![]);

    // The version before loses it, too.
    let deployed = deploy(&app, &careful, otherwise()).await.unwrap();
    publish(&app.store, 99_999..100_000).await;
    idle(&app).await;
    assert_eq!((runs(&app.store).await, letters(&app.store).await), (deployed.version.clone(), 1));

    // Who did not ask for it keeps the new version.
    let usual = alone().replace("max_attempts = 2", "max_attempts = 1");
    deploy(&app, &usual, component(FUNCTION)).await.unwrap();
    let kept = deploy(&app, &usual, otherwise()).await.unwrap();
    count(&app, "input", &["bad"]).await;
    assert_eq!((runs(&app.store).await, letters(&app.store).await), (kept.version, 2));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_has_taken_over_state_in_another_form_is_not_held_against_the_one_before() {
    let careful = alone().replace("max_attempts = 2", "max_attempts = 1\non_failure = \"rollback\"");
    let second = careful.replace("state = true", "state = true\nstate_version = 2");
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &careful).await;
    count(&app, "input", &["a"]).await;
    let deployed = deploy(&app, &second, beside("migrating")).await.unwrap();
    // Neither can count it, and the one before would take state for what it is not.
    publish(&app.store, 49_999..50_000).await;
    idle(&app).await;
    count(&app, "input", &["a"]).await;
    assert_eq!((runs(&app.store).await, letters(&app.store).await), (deployed.version, 1));
    assert_eq!((counted(&app.store, "a").await, audit(&app.store).await.len()), (2, 1), "nobody tried to roll it back");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_run_fails_where_the_one_before_succeeds_is_rolled_back_by_itself() {
    const SOURCE: &str = "source";
    let cron = "cron_expression = \"0 0 0 1 1 *\"";
    let careful = whole().replace(cron, &format!("{cron}\non_failure = \"rollback\""));
    let limits = "[application.trigger.isobar.limits.source]\npublish_records = 10\n\n[component.source]\n";
    let narrow = careful.replace("[component.source]\n", limits);
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &careful).await;
    let running = async || app.store.deployed().await.unwrap().unwrap().running[SOURCE].clone();
    let before = running().await;
    app.deploys.deploy(ask(&narrow, &[(SOURCE, component(SOURCE))]), "tester").await.unwrap();
    let rolled_back = async {
        while running().await != before {
            // Its numbers may be at their end.
            app.dispatcher.call(SOURCE);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONGEST, rolled_back).await.expect("the version before runs again");
    idle(&app).await;
    let actions = audit(&app.store).await;
    assert_eq!(actions.first().map(|(action, who)| (action.as_str(), who.as_str())), Some(("rollback", "isobar")));
    check(&app.store).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_that_each_lose_what_the_other_handles_do_not_take_turns_for_ever() {
    let careful = alone().replace("max_attempts = 2", "max_attempts = 1\non_failure = \"rollback\"");
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &careful).await;
    deploy(&app, &careful, otherwise()).await.unwrap();
    // The one before cannot count 49,999, and the other no record of `bad`; both are of one partition.
    let store = &app.store;
    let mut records = Records::default();
    for (key, value) in [("bad", "1"), ("bad", "49999"), ("bad", "2")] {
        records.offsets.push(records.offsets.len() as i64);
        records.keys.push(Some(key.as_bytes()));
        records.values.push(Some(value.as_bytes()));
        records.timestamps.push(1);
    }
    let note = Note { function: "test".into(), source: "test".into(), partition: 0 };
    let first = store.position(&note).await.unwrap();
    let frames = vec![Frame::encode("input".into(), partition_of(b"bad", 3), records).unwrap()];
    let interval = Some(isobar::delivery::Interval { first, next: first + 1 });
    store.commit(Commit { note, interval, records: 1, frames, attempt: 1, ..Commit::default() }).await.unwrap();
    idle(&app).await;
    let rollbacks = audit(store).await.into_iter().filter(|(action, _)| action == "rollback").count();
    assert!(rollbacks <= 1, "{rollbacks} times back and forth");
    assert_eq!(letters(store).await, 1, "what the version in charge cannot handle is put aside");
    app.stop().await;
}
