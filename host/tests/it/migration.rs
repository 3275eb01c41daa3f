//! A data file of an older format is copied, then taken over with everything in it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use isobar::embedded::Note;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use crate::shop;

/// What format 8 added, taken away.
const BACK_TO_7: &str = "
DROP TABLE user;
PRAGMA user_version = 7;
";
/// What format 7 added, taken away.
const BACK_TO_6: &str = "
ALTER TABLE shadow DROP COLUMN extent;
PRAGMA user_version = 6;
";
/// What format 6 added, taken away.
const BACK_TO_5: &str = "
DROP TABLE shadow;
DROP TABLE shadow_batch;
DROP TABLE token;
PRAGMA user_version = 5;
";
/// What format 5 added, taken away.
const BACK_TO_4: &str = "
DROP TABLE manifest;
DROP TABLE charge;
DROP TABLE state_version;
DROP TABLE version;
DROP TABLE component;
DROP TABLE audit;
PRAGMA user_version = 4;
";
/// What format 4 changed, taken back.
const BACK_TO_3: &str = "
DROP TABLE pardon;
ALTER TABLE pause DROP COLUMN by_toll;
ALTER TABLE attempt RENAME COLUMN spent_ms TO since_ms;
PRAGMA user_version = 3;
";
/// What format 3 added, taken away.
const BACK_TO_2: &str = "
ALTER TABLE attempt DROP COLUMN code;
PRAGMA user_version = 2;
";
/// What format 2 added, taken away.
const BACK_TO_1: &str = "
DROP INDEX log_by_publisher;
DROP TABLE pause;
DROP TABLE letter;
ALTER TABLE log DROP COLUMN publisher;
ALTER TABLE attempt DROP COLUMN upper;
ALTER TABLE attempt DROP COLUMN until;
ALTER TABLE attempt DROP COLUMN split;
ALTER TABLE attempt DROP COLUMN deliveries;
ALTER TABLE attempt DROP COLUMN whole;
ALTER TABLE attempt DROP COLUMN since_ms;
ALTER TABLE attempt RENAME COLUMN attempts TO attempt;
PRAGMA user_version = 1;
";

async fn open(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

async fn format_of(file: &Path) -> i64 {
    let mut connection = open(file).await;
    let row = sqlx::query("PRAGMA user_version").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    row.get(0)
}

/// Makes a file of format 5 of the one in a data folder.
pub(crate) async fn take_back_to_5(data_dir: &Path) {
    let mut connection = open(&data_dir.join("isobar.sqlite")).await;
    sqlx::raw_sql(BACK_TO_7).execute(&mut connection).await.unwrap();
    sqlx::raw_sql(BACK_TO_5).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Takes over a file of an older format, made by undoing what came since, newest first.
async fn taken_over(older: i64, undo: &[&'static str]) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("isobar.sqlite");
    let store = shop::open(dir.path()).await;
    shop::fill(&store).await;
    store.close().await;
    drop(store);
    let mut connection = open(&file).await;
    for statements in undo {
        sqlx::raw_sql(AssertSqlSafe(*statements)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    assert_eq!(format_of(&file).await, older);

    let store = shop::open(dir.path()).await;
    let note = Note { function: "total".into(), source: "orders".into(), partition: 0 };
    let attempt = store.attempt(&note).await.unwrap().unwrap();
    assert_eq!((attempt.trial.attempts, attempt.trial.range.first, attempt.trial.until), (2, 1, 3));
    if older < 3 {
        assert_eq!(attempt.code, "", "an older isobar did not say what kind of failure it was");
    }
    assert_eq!(attempt.trial.spent_ms, 0);
    assert!(store.pauses().await.unwrap().is_empty());
    assert_eq!(store.ends().of("orders", 0), 3);
    store.close().await;
    drop(store);
    assert_eq!(format_of(&file).await, 8);
    let copy = dir.path().join(format!("isobar.sqlite.format-{older}"));
    assert_eq!(format_of(&copy).await, older, "the copy is as it was");
    let mode = |file: &Path| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(&file), mode(&copy)], [0o600, 0o600]);
}

#[tokio::test]
async fn files_of_older_formats_are_copied_and_taken_over() {
    taken_over(1, &[BACK_TO_7, BACK_TO_6, BACK_TO_5, BACK_TO_4, BACK_TO_3, BACK_TO_2, BACK_TO_1]).await;
    taken_over(2, &[BACK_TO_7, BACK_TO_6, BACK_TO_5, BACK_TO_4, BACK_TO_3, BACK_TO_2]).await;
    taken_over(3, &[BACK_TO_7, BACK_TO_6, BACK_TO_5, BACK_TO_4, BACK_TO_3]).await;
    taken_over(4, &[BACK_TO_7, BACK_TO_6, BACK_TO_5, BACK_TO_4]).await;
    taken_over(5, &[BACK_TO_7, BACK_TO_6, BACK_TO_5]).await;
    taken_over(6, &[BACK_TO_7, BACK_TO_6]).await;
    taken_over(7, &[BACK_TO_7]).await;
}

#[tokio::test]
async fn a_file_of_a_newer_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = shop::open(dir.path()).await;
    store.close().await;
    drop(store);
    let mut connection = open(&dir.path().join("isobar.sqlite")).await;
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let folder = isobar::embedded::Folder::take_existing(dir.path()).unwrap();
    let text = std::fs::read_to_string(shop::manifest_path()).unwrap();
    let application = std::sync::Arc::new(isobar::manifest::parse(&text).unwrap());
    let error = isobar::embedded::Store::open(folder, application).await.err().unwrap().to_string();
    assert!(
        error.contains("has format 99") && error.contains("use the isobar that wrote it or a newer one"),
        "{error}"
    );
}
