//! The data file, changed behind the host's back: everything that is asked of it is answered, or refused with what is
//! damaged.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use isobar::console::answers::{LettersAsk, RecordsAsk, RowsAsk, SettleAsk};
use isobar::console::view::View;
use isobar::embedded::{Fate, Folder, Store};
use isobar::manifest::{Application, parse};
use mutate::Target;
use sqlx::Connection as _;

use super::{kind, panics};
use crate::shop;

const FILE: &str = "isobar.sqlite";

#[test]
fn data_files() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join(FILE);
    runtime.block_on(async {
        let store = shop::open(dir.path()).await;
        shop::fill(&store).await;
        store.close().await;
        // All of it into the one file, which a disk that is full of holes would do as well.
        let mut file =
            sqlx::SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.expect("it opens");
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut file).await.expect("the log is written back");
        file.close().await.expect("it closes");
    });
    let sound = std::fs::read(&file).expect("the data are there");
    let text = std::fs::read_to_string(shop::manifest_path()).expect("the manifest is readable");
    let application = Arc::new(parse(&text).expect("the manifest is accepted"));
    let before = panics();
    let words = ["SQLite format 3\0", "IBF1", "orders", "total", "CREATE TABLE", "\x0d\x00\x00", "\u{fffd}"];
    let target = Target::new("data-file").seeds([sound]).words(words).longest(1 << 20);
    target.time(Duration::from_secs(5), Duration::from_millis(10)).memory(32 << 20, 100).run(|bytes| {
        for old in std::fs::read_dir(dir.path()).expect("the folder is readable").flatten() {
            let _ = std::fs::remove_file(old.path());
        }
        std::fs::write(&file, bytes).expect("the folder can be written");
        let found = runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(5), look(dir.path(), &application)).await });
        assert_eq!(panics(), before, "something that reads the file panics");
        found.expect("it is read to its end, or refused")
    });
}

/// Asks for everything; gives what was said.
async fn look(path: &Path, application: &Arc<Application>) -> Vec<String> {
    let folder = Folder::take_existing(path).expect("the folder is free");
    let store = match Store::open(folder, Arc::clone(application)).await {
        Ok(store) => Arc::new(store),
        Err(error) => return vec![kind(&format!("{error:#}"))],
    };
    let view = View::new(Arc::clone(&store), None);
    let mut said = Vec::new();
    let mut told = |refusal: Option<String>| said.extend(refusal.map(|refusal| kind(&refusal)));
    told(view.status().await.err().map(|e| e.to_string()));
    told(view.verify().await.err().map(|e| e.to_string()));
    told(view.tables().await.err().map(|e| e.to_string()));
    for topic in ["orders", "complaints", "shop.total.dead-letters"] {
        let ask = RecordsAsk { sensitive: true, ..RecordsAsk::default() };
        told(view.records(topic, &ask).await.err().map(|e| e.to_string()));
    }
    for table in ["customers", "salaries", "totals"] {
        let ask = RowsAsk { sensitive: true, ..RowsAsk::default() };
        told(view.rows(table, &ask).await.err().map(|e| e.to_string()));
    }
    let ask = LettersAsk { sensitive: true, ..LettersAsk::default() };
    told(view.letters("total", &ask).await.err().map(|e| e.to_string()));
    told(view.settle("total", &SettleAsk::default(), Fate::Redriven, "tester").await.err().map(|e| e.to_string()));
    let loaded = view.load("customers", "id,name\n7,Grace\n".into()).await;
    told(loaded.err().map(|e| e.to_string()));
    view.close().await;
    said
}
