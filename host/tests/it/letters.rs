//! Dead letters after spin.toml was changed: of a function that is gone, or that reads something else.

use std::collections::BTreeMap;
use std::sync::Arc;

use isobar::console::answers::{AuditAsk, Fault, LettersAsk, RecordsAsk, SettleAsk};
use isobar::console::view::View;
use isobar::delivery::letters::{Story, letters};
use isobar::delivery::{Cause, Failure, Records};
use isobar::embedded::{Commit, Fate, Folder, Frame, Note, Store};
use isobar::manifest;

use crate::shop;

/// The shop's data under another manifest.
async fn reopened(data_dir: &std::path::Path, change: impl Fn(&str) -> String) -> View {
    let store = shop::open(data_dir).await;
    shop::fill(&store).await;
    store.close().await;
    drop(store);
    let text = change(&std::fs::read_to_string(shop::manifest_path()).unwrap());
    let application = manifest::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let folder = Folder::take_existing(data_dir).unwrap();
    View::new(Arc::new(Store::open(folder, Arc::new(application)).await.unwrap()), None)
}

#[tokio::test]
async fn letters_of_a_function_that_is_gone_are_sensitive() {
    let dir = tempfile::tempdir().unwrap();
    let renamed = |text: &str| text.replace("component = \"total\"", "component = \"sum\"");
    let renamed =
        |text: &str| renamed(text).replace("grants.total]", "grants.sum]").replace("component.total", "component.sum");
    let view = reopened(dir.path(), renamed).await;
    let topic = "shop.total.dead-letters";
    let ask = RecordsAsk::default();
    assert_eq!(view.records(topic, &ask).await.unwrap_err().fault, Fault::Sensitive);
    assert!(view.topics().await.unwrap().iter().any(|t| t.topic == topic && t.sensitive));
    let ask = RecordsAsk { sensitive: true, ..ask };
    assert_eq!(view.records(topic, &ask).await.unwrap().records.len(), 1, "who asks for it sees it");
}

#[tokio::test]
async fn what_was_sensitive_when_it_was_put_aside_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = shop::open(dir.path()).await;
    let record = Records {
        keys: [Some(&b"key"[..])].into_iter().collect(),
        values: [Some(&b"canary"[..])].into_iter().collect(),
        offsets: vec![0],
        timestamps: vec![0],
        headers: Vec::new(),
    };
    let story = Story {
        function: "total",
        version: "0a1b",
        topic: "orders",
        partition: 0,
        attempts: 1,
        now_ms: 7_000,
        is_sensitive: true,
    };
    let failure = Failure::new(Cause::Panic, "canary");
    let frame =
        Frame::encode("shop.total.dead-letters".into(), 0, letters(&record, &BTreeMap::from([(0, failure)]), &story));
    let note = Note { function: "total".into(), source: "orders".into(), partition: 0 };
    store.commit(Commit { note, frames: vec![frame.unwrap()], ..Commit::default() }).await.unwrap();

    // By this manifest the function reads nothing sensitive.
    let view = View::new(store, None);
    let asked = async |sensitive: bool| {
        let listed = view.letters("total", &LettersAsk { sensitive, ..LettersAsk::default() }).await.unwrap();
        let ask = RecordsAsk { sensitive, ..RecordsAsk::default() };
        let read = view.records("shop.total.dead-letters", &ask).await.unwrap();
        assert_eq!((listed.letters.len(), read.records.len()), (1, 1));
        serde_json::to_string(&(listed, read)).unwrap()
    };
    let open = asked(false).await;
    assert!(
        !open.contains("canary") && !open.contains("\"key\":{") && open.contains("panic; its words are hidden"),
        "{open}"
    );
    assert!(asked(true).await.contains("canary"));
}

#[tokio::test]
async fn a_letter_goes_back_only_to_a_topic_that_its_function_reads() {
    let dir = tempfile::tempdir().unwrap();
    let moved = |text: &str| text.replace("topic = \"orders\"", "topic = \"complaints\"");
    let moved = |text: &str| moved(text).replace("complaints]\nsensitive = true", "complaints]");
    let view = reopened(dir.path(), moved).await;
    let all = SettleAsk { offsets: Vec::new() };
    let refused = view.settle("total", &all, Fate::Redriven, "tester").await.unwrap_err().to_string();
    assert!(refused.contains("came from `orders`/0, which `total` does not read"), "{refused}");
    let open = async || view.letters("total", &LettersAsk::default()).await.unwrap().open;
    assert_eq!(open().await, 1, "nothing was changed");
    assert_eq!(view.settle("total", &all, Fate::Dropped, "tester").await.unwrap().letters, 1);
    let audit = view.audit(&AuditAsk { limit: Some(1) }).await.unwrap().remove(0);
    assert_eq!((audit.who.as_str(), audit.action.as_str(), audit.refused), ("tester", "drop", None));
    assert_eq!(open().await, 0);
}
