//! What a load asks of the functions that read the table: to read their input again, once for each load.

use isobar::embedded::Note;

use crate::shop;

#[tokio::test]
async fn a_load_during_a_re_read_asks_for_another() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = shop::open(dir.path()).await;
    let note = Note { function: "total".into(), source: "orders".into(), partition: 0 };
    let load = || store.load("customers", isobar::delivery::HeldTable::default(), vec![note.clone()]);
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
