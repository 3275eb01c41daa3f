//! A store of tables that is away holds up its own rows and nothing else; what it has is not looked for elsewhere.

use std::path::Path;
use std::sync::Arc;

use isobar::config::{self, Config};
use isobar::dispatch::{SourceStatus, Standing};

use crate::stage::{COUNT, letters, manifest_path, start, start_with, until, write};

/// Nothing listens on port 1.
const NOBODY: &str = "[stores.postgres]\naddress = \"127.0.0.1:1\"\ndatabase = \"d\"\nschema = \"s\"\nuser = \"u\"\n";

fn in_postgres(text: &str) -> String {
    text.replacen("tables.seen]\nstore = \"embedded\"", "tables.seen]\nstore = \"postgres\"", 1)
}

fn nobody() -> Config {
    config::parse(NOBODY).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_wait_for_a_store_and_functions_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let app = start_with(&data_dir, in_postgres, nobody()).await;
    write(&app.store, "tricks", &[("one", COUNT), ("bad", "panic"), ("two", COUNT)]).await;
    let progress = Arc::clone(app.dispatcher.progress());
    let handled = |s: &SourceStatus| s.function == "hostile" && s.source == "tricks" && s.position == 3;
    until("the function's end", || progress.sources().iter().any(handled)).await;
    // The bad record alone died, of itself.
    let letters = letters(&app.store, "hostile").await;
    assert_eq!(letters.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["panic"]);
    let waits = |s: &SourceStatus| match &s.standing {
        Standing::Waiting { reason } => {
            s.function == "postgres"
                && s.source == "stage.hostile.tables"
                && s.lag > 0
                && reason.contains("cannot be used now")
        }
        _ => false,
    };
    until("the outbox waiting", || progress.sources().iter().any(waits)).await;
    assert!(!progress.idle());
    app.stop().await;

    // Nothing is lost by a restart, and nothing is looked for in the data folder instead.
    let app = start_with(&data_dir, in_postgres, nobody()).await;
    let progress = Arc::clone(app.dispatcher.progress());
    until("the outbox waiting again", || progress.sources().iter().any(waits)).await;
    app.stop().await;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_isobar"));
    let listed = command.args(["table", "list", "--manifest"]).arg(manifest_path()).arg("--data-dir").arg(&data_dir);
    let told = String::from_utf8_lossy(&listed.output().unwrap().stderr).into_owned();
    assert!(told.contains("has written to tables in `postgres`, which no isobar.toml keeps there now"), "{told}");
    let told = opened(&data_dir, str::to_owned, &Config::default()).await;
    assert!(told.contains("2 records of `stage.hostile.tables` wait for `postgres`"), "{told}");
    assert!(told.contains("start once more as it was"), "{told}");
}

/// Opens the folder as `text` of the manifest and `config` say; gives why not.
async fn opened(data_dir: &Path, change: impl Fn(&str) -> String, config: &Config) -> String {
    let text = change(&std::fs::read_to_string(manifest_path()).unwrap());
    let mut application = isobar::manifest::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let stores = isobar::app::stores(&mut application, config).unwrap();
    let folder = isobar::embedded::Folder::take_existing(data_dir).unwrap();
    let opened = isobar::embedded::Store::open_with(folder, Arc::new(application), stores).await;
    opened.err().map(|error| format!("{error:#}")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_store_is_not_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let app = start_with(&data_dir, in_postgres, nobody()).await;
    write(&app.store, "tricks", &[("one", COUNT)]).await;
    let progress = Arc::clone(app.dispatcher.progress());
    let handled = |s: &SourceStatus| s.function == "hostile" && s.source == "tricks" && s.position == 1;
    until("the function's end", || progress.sources().iter().any(handled)).await;
    app.stop().await;
    assert_eq!(opened(&data_dir, in_postgres, &nobody()).await, "");
    let (manifest, config) = (dir.path().join("spin.toml"), dir.path().join("isobar.toml"));
    std::fs::write(&manifest, in_postgres(&std::fs::read_to_string(manifest_path()).unwrap())).unwrap();
    std::fs::write(&config, NOBODY).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_isobar"));
    let command = command.args(["table", "list", "--manifest"]).arg(&manifest).arg("--config").arg(&config);
    let listed = command.arg("--data-dir").arg(&data_dir).output().unwrap();
    let (shown, told) = (String::from_utf8_lossy(&listed.stdout), String::from_utf8_lossy(&listed.stderr));
    let line = |table: &str| shown.lines().find(|line| line.starts_with(table)).unwrap_or_default();
    assert!(line("seen ").contains(" ? ") && line("reports ").contains(" 0 "), "{shown}{told}");
    assert!(told.contains("postgres cannot be used now"), "{told}");
    let elsewhere = opened(&data_dir, in_postgres, &Config::default()).await;
    assert!(elsewhere.contains("has written to tables in `postgres`"), "{elsewhere}");
    let renamed = |text: &str| in_postgres(text).replacen("name = \"stage\"", "name = \"other\"", 1);
    let orphaned = opened(&data_dir, renamed, &nobody()).await;
    assert!(orphaned.contains("1 records of `stage.hostile.tables` wait for `postgres`"), "{orphaned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_in_the_data_folder_are_not_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let app = start(&data_dir, in_postgres).await;
    write(&app.store, "tricks", &[("one", COUNT)]).await;
    let progress = Arc::clone(app.dispatcher.progress());
    until("an end", || progress.idle()).await;
    app.stop().await;
    let told = opened(&data_dir, in_postgres, &nobody()).await;
    assert!(
        told.contains("table `seen` has rows in the data folder, and isobar.toml puts it into `postgres`"),
        "{told}"
    );
}
