//! Functions that are taken out of a running host: what they know and wrote stays, and they may come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use isobar::app::App;
use isobar::console::answers::StateAsk;
use isobar::console::view::View;
use isobar::embedded::Note;
use isobar::manifest;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::crash::read;
use crate::deploys::{FUNCTION, alone, ask, component, count, deploy, idle, part, prepare, start, whole};
use crate::stage;

/// A function beside the one that counts, which reads what that publishes; the topic that both know keeps little.
fn two() -> String {
    let topic = "[application.trigger.isobar.topics.input]\n";
    let text = manifest::merge(&alone(), &part(&whole(), "source")).unwrap();
    assert!(text.contains(topic));
    text.replace(topic, &format!("{topic}retention_max_bytes = 1048576\n"))
}

/// The last count of a key that was published.
async fn counted(app: &App, key: &str) -> i64 {
    read(&app.store, "output", 2).await.get(key).map_or(0, |counts| counts.last().unwrap().1.parse().unwrap())
}

fn works(app: &App) -> bool {
    app.dispatcher.progress().sources().iter().any(|source| source.function == FUNCTION)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_removed_stands_still_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &whole()).await;
    idle(&app).await;
    let before = counted(&app, "a").await;
    count(&app, "input", &["a", "b"]).await;
    let version = app.deploys.remove(FUNCTION, "tester").await.unwrap();
    let entry = app.store.audit_log(1).await.unwrap().remove(0);
    assert_eq!(
        (entry.action.as_str(), entry.before.as_ref(), entry.who.as_str()),
        ("remove", Some(&version), "tester")
    );
    assert!(!works(&app));
    count(&app, "input", &["a", "a"]).await;
    assert_eq!(counted(&app, "a").await, before + 1, "nobody counts");
    let again = app.deploys.remove(FUNCTION, "tester").await.unwrap_err().to_string();
    assert!(again.contains("no function `counting` runs"), "{again}");
    let last = app.deploys.remove("source", "tester").await.unwrap_err().to_string();
    assert!(last.contains("no function would be left"), "{last}");
    app.stop().await;

    // The file says what it said.
    let prepared = prepare(dir.path(), &whole()).await;
    assert!(
        prepared.news.iter().any(|told| told.contains("`counting` was removed and does not run")),
        "{:?}",
        prepared.news
    );
    let app = prepared.start().await.unwrap();
    assert!(!works(&app));
    count(&app, "input", &["a"]).await;
    let back = app.deploys.roll_back(FUNCTION, None, "tester").await.unwrap();
    assert_eq!((back.version, back.before), (version, None));
    idle(&app).await;
    assert_eq!(counted(&app, "a").await, before + 4, "each once");
    assert_eq!(app.store.verify().await.unwrap().findings, vec![]);
    app.stop().await;

    // What another function changes meanwhile is in nobody's way: here, a topic that both have.
    let app = start(dir.path(), &whole()).await;
    let wider =
        whole().replace("topics.input]\npartitions = 3", "topics.input]\nretention_max_hours = 48\npartitions = 3");
    assert_ne!(wider, whole());
    app.deploys.remove(FUNCTION, "tester").await.unwrap();
    let deployed = app.deploys.deploy(ask(&wider, &[("source", component("source"))]), "tester").await.unwrap();
    app.stop().await;
    let app = start(dir.path(), &whole()).await;
    assert!(!works(&app));
    let running = app.store.deployed().await.unwrap().unwrap().running;
    assert_eq!(running, BTreeMap::from([("source".to_owned(), deployed[0].version.clone())]));
    app.deploys.deploy(ask(&wider, &[(FUNCTION, component(FUNCTION))]), "tester").await.unwrap();
    app.stop().await;

    // What is otherwise in the file is meant.
    let app = start(dir.path(), &whole()).await;
    app.deploys.remove(FUNCTION, "tester").await.unwrap();
    app.stop().await;
    let app = start(dir.path(), &whole().replace("batch_max_records = 150", "batch_max_records = 151")).await;
    count(&app, "input", &["a"]).await;
    assert_eq!(counted(&app, "a").await, before + 5);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_removed_holds_no_log_and_its_state_can_go() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &two()).await;
    idle(&app).await;
    let view = View::new(Arc::clone(&app.store), Some(app.running()));
    let refused = view.forget(FUNCTION, "tester").await.unwrap_err().to_string();
    assert!(refused.contains("`isobar remove counting` stops it"), "{refused}");
    count(&app, "input", &["a"]).await;
    app.deploys.remove(FUNCTION, "tester").await.unwrap();
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..40 {
        // It does not compress.
        let large: String = (0..1 << 18).map(|_| random.random_range('!'..'~')).collect();
        count(&app, "input", &[&large]).await;
    }
    app.store.trim(Some(0)).await.unwrap();
    let kept = |topic: &isobar::embedded::TopicStatus| topic.topic == "input" && topic.first > 0;
    assert!(
        app.store.topics().await.unwrap().iter().any(kept),
        "nobody has to read it any more: {:?}",
        app.store.topics().await
    );
    assert!(view.forget(FUNCTION, "tester").await.unwrap() > 0);
    drop(view);
    deploy(&app, &two(), component(FUNCTION)).await.unwrap();
    count(&app, "input", &["b"]).await;
    assert_eq!(counted(&app, "b").await, 1, "it knows nothing any more");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_a_function_that_is_gone_stays_until_it_is_deleted_and_then_it_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    count(&app, "input", &["a", "a"]).await;
    let view = View::new(Arc::clone(&app.store), Some(app.running()));
    let refused = view.forget(FUNCTION, "tester").await.unwrap_err().to_string();
    assert!(refused.contains("runs, and needs what it remembers"), "{refused}");
    drop(view);
    app.stop().await;

    let last = async |app: &App| read(&app.store, "output", 2).await["a"].last().unwrap().1.clone();
    let without = || async {
        let app = start(dir.path(), &(part(&whole(), "source") + "\n")).await;
        idle(&app).await;
        app
    };
    let app = without().await;
    app.stop().await;
    let app = start(dir.path(), &alone()).await;
    count(&app, "input", &["a"]).await;
    assert_eq!(last(&app).await, "3", "it goes on with its state");
    app.stop().await;

    let app = without().await;
    let view = View::new(Arc::clone(&app.store), Some(app.running()));
    assert!(view.forget(FUNCTION, "tester").await.unwrap() >= 1);
    let again = view.forget(FUNCTION, "tester").await.unwrap_err().to_string();
    assert!(again.contains("nothing is known"), "{again}");
    assert_eq!(app.store.audit_log(1).await.unwrap()[0].action, "delete state");
    drop(view);
    app.stop().await;
    let app = start(dir.path(), &alone()).await;
    idle(&app).await;
    let page = View::new(Arc::clone(&app.store), Some(app.running()));
    let page = page.state(FUNCTION, &StateAsk { key: Some("a".to_owned()), ..StateAsk::default() }).await.unwrap();
    assert_eq!(page.entries[0].bytes, 8);
    assert_eq!(last(&app).await, "3", "it has counted all of them anew");
    assert_eq!(app.store.verify().await.unwrap().findings, vec![]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_whose_call_lasts_is_removed_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let long = |text: &str| text.replace("timeout_ms = 400", "timeout_ms = 600000");
    let app = stage::start(&dir.path().join("data"), long).await;
    stage::write(&app.store, "tricks", &[("k", "sleep")]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    app.deploys.remove("hostile", "tester").await.unwrap();
    assert!(app.dispatcher.progress().sources().iter().all(|source| source.function != "hostile"));
    let note = Note { function: "hostile".into(), source: "tricks".into(), partition: 0 };
    assert_eq!(app.store.position(&note).await.unwrap(), 0, "it is done again should it come back");
    app.stop().await;
}
