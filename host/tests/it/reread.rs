//! What a load asks of the functions that read the table: to read their input again, once for each load; and what becomes of
//! records that fail then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::bindings::tables::load;
use isobar::delivery::{Allowance, HeldTable, Value};
use isobar::embedded::{Note, Store};

use crate::shop;
use crate::stage::{LONGEST, letters, start, until, write};

#[tokio::test]
async fn a_load_during_a_re_read_asks_for_another() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = shop::open(dir.path()).await;
    let note = Note { function: "total".into(), source: "orders".into(), partition: 0 };
    let load = || store.load("customers", HeldTable::default(), vec![note.clone()]);
    let wants = || async { store.wants_reread(&note).await.expect("the mark is readable") };
    assert_eq!(wants().await, None);
    let mut told = store.loads();
    load().await.expect("it is loaded");
    assert!(told.has_changed().expect("the store is open"));
    told.mark_unchanged();
    let begun = wants().await.expect("it is asked for");
    load().await.expect("it is loaded");
    store.reread_done(note.clone(), begun).await.expect("it is told");
    let begun = wants().await.expect("the second load is not forgotten");
    store.reread_done(note.clone(), begun).await.expect("it is told");
    assert_eq!(wants().await, None);
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
