//! State that gets another form, and components that were built against an older release of the contract.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use isobar::app::App;
use isobar::console::answers::{Payload, StateAsk};
use isobar::console::view::View;

use crate::crash::{RECORDS, check, read};
use crate::deploys::{FUNCTION, LONGEST, alone, ask, component, count, deploy, idle, runs, start, whole};
use crate::shadows::beside;

/// The manifest with another version of the function's state.
fn version(state_version: u32) -> String {
    let declared = "state = true\n\n[component.counting]";
    let text = whole();
    assert!(text.contains(declared));
    text.replace(declared, &declared.replace("true", &format!("true\nstate_version = {state_version}")))
}

/// Records that the function has handled.
fn handled(app: &App) -> i64 {
    let sources = app.dispatcher.progress().sources();
    sources.iter().filter(|source| source.function == FUNCTION).map(|source| source.position).sum()
}

async fn state(app: &App, key: &str) -> Payload {
    let view = View::new(Arc::clone(&app.store), Some(app.running()));
    let page = view.state(FUNCTION, &StateAsk { key: Some(key.to_owned()), ..StateAsk::default() }).await.unwrap();
    page.entries[0].value.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn state_gets_another_form_while_records_flow() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &whole()).await;
    let begun = Instant::now();
    while handled(&app) < RECORDS / 10 {
        assert!(begun.elapsed() < LONGEST, "nothing is counted");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let before = runs(&app.store).await;
    let told = deploy(&app, &version(2), component(FUNCTION)).await.unwrap_err().to_string();
    assert!(told.contains("is of version 1") && told.contains("exports `isobar:platform/migration`"), "{told}");
    assert_eq!(runs(&app.store).await, before);

    let migrating = beside("migrating");
    let second = deploy(&app, &version(2), Arc::clone(&migrating)).await.unwrap().version;
    let in_the_middle = handled(&app);
    idle(&app).await;
    assert!(in_the_middle < RECORDS, "the run is too short");
    check(&app.store).await;
    let counts = read(&app.store, "output", 2).await["k1"].len();
    assert_eq!(state(&app, "k1").await, Payload::Text(counts.to_string()));

    // What a version does not know is left as it is, and so is what an older one would take for something else.
    let told = deploy(&app, &version(3), migrating).await.unwrap_err().to_string();
    assert!(told.contains("cannot take over the state") && told.contains("version 2 is not known"), "{told}");
    let told = app.deploys.roll_back(FUNCTION, Some(&before), "tester").await.unwrap_err().to_string();
    assert!(told.contains("is of version 2"), "{told}");
    assert_eq!(runs(&app.store).await, second);
    count(&app, "input", &["k1"]).await;
    app.stop().await;

    let app = start(dir.path(), &whole()).await;
    count(&app, "input", &["k1"]).await;
    assert_eq!(state(&app, "k1").await, Payload::Text((counts + 2).to_string()));
    app.stop().await;
    assert!(!dir.path().join("migration.sqlite").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_a_version_cannot_take_over_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &whole()).await;
    idle(&app).await;
    // More than is read at one time; the last of a partition cannot be taken over.
    let keys: Vec<String> = (0..20_000).map(|number| format!("many {number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).chain(["strange"]).collect();
    count(&app, "input", &keys).await;
    let before = runs(&app.store).await;
    let told = deploy(&app, &version(2), beside("migrating")).await.unwrap_err().to_string();
    assert!(told.contains("cannot take over the state") && told.contains("`strange` is not known"), "{told}");
    assert_eq!(runs(&app.store).await, before);
    assert!(!dir.path().join("migration.sqlite").exists());
    count(&app, "input", &["k1", "many 7"]).await;
    let output = read(&app.store, "output", 2).await;
    assert_eq!((output["many 7"].len(), output["many 7"][1].1.as_str()), (2, "2"), "it goes on with its state");

    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_a_function_that_was_removed_gets_another_form_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &whole()).await;
    idle(&app).await;
    let keys: Vec<String> = (0..20_000).map(|number| format!("many {number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    count(&app, "input", &keys).await;
    app.deploys.remove(FUNCTION, "tester").await.unwrap();
    let back = ask(&version(2), &[(FUNCTION, beside("migrating"))]);
    app.deploys.deploy(back, "tester").await.unwrap();
    count(&app, "input", &keys).await;
    let output = read(&app.store, "output", 2).await;
    assert!(keys.iter().all(|key| output[*key].last().unwrap().1 == "2"), "each was counted twice");
    assert_eq!(state(&app, "many 19999").await, Payload::Text("2".to_owned()));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_an_older_release_of_the_contract_runs() {
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/counting/old/counting-0.1.0.wasm");
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    count(&app, "input", &["a"]).await;
    let version = deploy(&app, &alone(), std::fs::read(old).unwrap().into()).await.unwrap().version;
    count(&app, "input", &["a", "b"]).await;
    assert_eq!((runs(&app.store).await, read(&app.store, "output", 2).await["a"].len()), (version, 2));
    assert_eq!(app.store.verify().await.unwrap().findings, vec![]);
    app.stop().await;
}
