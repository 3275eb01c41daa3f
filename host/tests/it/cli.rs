//! What the commands print, to the letter: each case is a file that holds the commands and everything that they say.
//! `ISOBAR_BLESS=1` writes the files anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use isobar::console::{self, Listening, view::View};
use tokio_util::sync::CancellationToken;

use crate::crash::{application, build};
use crate::shop;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli")
}

/// Everything that `isobar <args>` says, run in `within`.
pub(crate) fn said(within: &Path, args: &str) -> String {
    let words = args.split('|').map(str::trim).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    let output = Command::new(env!("CARGO_BIN_EXE_isobar"))
        .args(&words)
        .current_dir(within)
        .env_remove("ISOBAR_LOG")
        .output()
        .expect("isobar runs");
    let code = output.status.code().expect("isobar exits");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let talk: String = err.lines().map(|line| format!("! {line}").trim_end().to_owned() + "\n").collect();
    format!("$ isobar {}\n{out}{talk}= {code}\n\n", words.join(" "))
}

pub(crate) fn all(within: &Path, commands: &[&str]) -> String {
    commands.iter().map(|args| said(within, args)).collect()
}

#[track_caller]
pub(crate) fn compare(case: &str, found: &str) {
    let path = folder().join(case).with_extension("txt");
    if std::env::var_os("ISOBAR_BLESS").is_some() {
        fs::write(&path, found).expect("expectations can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{case}:\n-- expected\n{expected}\n-- found\n{found}");
}

/// A folder with the shop's manifest.
pub(crate) fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::copy(shop::manifest_path(), dir.path().join("spin.toml")).expect("the manifest is copied");
    dir
}

#[test]
fn help_says_what_there_is_and_what_exit_codes_mean() {
    let dir = workplace();
    let commands = ["--help", "up | --help", "build | --help", "check | --help", "wit | --help", "inspect | --help"];
    compare("help_test", &all(dir.path(), &["test | --help"]));
    compare("help", &all(dir.path(), &commands));
    let commands = ["status | --help", "table | query | --help", "table | export | --help", "table | load | --help"];
    compare("help_data", &all(dir.path(), &commands));
    let commands = ["dead-letters | --help", "dead-letters | list | --help", "dead-letters | redrive | --help"];
    compare("help_dead_letters", &(all(dir.path(), &commands) + &all(dir.path(), &["pause | --help"])));
    compare("help_topic", &all(dir.path(), &["topic | read | --help", "verify | --help", "completions | --help"]));
    let commands = [
        "deploy | --help",
        "versions | --help",
        "rollback | --help",
        "remove | --help",
        "diff | --help",
        "pull | --help",
        "watch | --help",
    ];
    compare("help_versions", &(all(dir.path(), &commands) + &all(dir.path(), &["audit | --help"])));
    let commands = ["shadow | show | --help", "shadow | drop | --help", "promote | --help", "replay | --help"];
    compare("help_shadow", &all(dir.path(), &commands));
    compare(
        "help_token",
        &all(dir.path(), &["token | create | --help", "token | list | --help", "token | revoke | --help"]),
    );
    let commands = ["state | list | --help", "state | get | --help", "run | --help", "delete | --help"];
    compare("help_state", &all(dir.path(), &commands));
    compare("help_backup", &all(dir.path(), &["backup | --help", "restore | --help"]));
}

#[test]
fn a_function_is_tried_with_records_from_files() {
    build();
    let folder = application().parent().unwrap().to_owned();
    let commands = [
        "test | counting | batches/first.jsonl | batches/second.jsonl",
        "test | counting | batches/second.jsonl | --state | batches/state.jsonl | --table | totals=batches/totals.csv",
        "test | counting | batches/poison.jsonl",
        "test | counting | batches/misspelt.jsonl",
        "test | counting | batches/missing.jsonl",
        "test | counting | batches/first.jsonl | --table | total=batches/totals.csv",
        "test | count | batches/first.jsonl",
        "test | source | batches/first.jsonl",
        "test | counting | batches/first.jsonl | --topic | output",
    ];
    compare("test", &all(&folder, &commands));
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let dir = workplace();
    fs::write(dir.path().join("text.wasm"), "hello").expect("a file is written");
    let commands = [
        "check | --manifest | missing.toml",
        "check",
        "check | --variable | speed",
        "check | --variable | speed=1",
        "check | --json",
        "build",
        "inspect | text.wasm",
        "inspect | missing.wasm",
        "status",
        "table | load | customers | missing.csv",
        "up | --demo",
        "up | --listen | everywhere",
        "frobnicate",
    ];
    compare("errors", &all(dir.path(), &commands));
}

#[test]
fn wit_is_written_and_its_staleness_told() {
    let dir = workplace();
    compare("wit", &all(dir.path(), &["wit | --check", "wit", "wit", "wit | --check"]));
}

const READING: [&str; 18] = [
    "status",
    "status | --json",
    "verify",
    "table | list",
    "table | query | customers",
    "table | query | customers | --sensitive | --where | debt > 1 | --columns | debt,id",
    "table | query | customers | --where | debt > 1",
    "table | query | customers | --limit | 1",
    "table | query | custommers",
    "table | query | salaries",
    "table | export | customers | --format | csv",
    "table | export | customers | --format | json | --sensitive",
    "topic | list",
    "topic | read | orders",
    "topic | read | orders | --json | --from | 1 | --limit | 1 | --partition | 0",
    "topic | read | complaints",
    "dead-letters | list | total",
    "dead-letters | show | total | 0",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_are_shown_the_same_whether_a_host_runs_or_not() {
    let dir = workplace();
    let data_dir = dir.path().join(".isobar");
    let store = shop::open(&data_dir).await;
    shop::fill(&store).await;
    let stop = CancellationToken::new();
    let view = Arc::new(View::new(Arc::clone(&store), None));
    let listen = Some("127.0.0.1:0".parse().expect("an address"));
    let serving = console::serve(view, Listening { here: listen, ..Listening::default() }, stop.clone())
        .await
        .expect("it is served");
    let path = dir.path().to_owned();
    let commands: Vec<&str> = READING.to_vec();
    let with_host = tokio::task::spawn_blocking(move || all(&path, &commands)).await.expect("commands run");
    stop.cancel();
    serving.task.await.expect("it ends");
    assert!(!data_dir.join("api.json").exists(), "the token is removed with the host");
    store.close().await;
    drop(store);
    let path = dir.path().to_owned();
    let commands: Vec<&str> = READING.to_vec();
    let without = tokio::task::spawn_blocking(move || all(&path, &commands)).await.expect("commands run");
    assert_eq!(with_host, without);
    compare("data", &without);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_sent_back_once_and_functions_stand_still() {
    let dir = workplace();
    let store = shop::open(&dir.path().join(".isobar")).await;
    shop::fill(&store).await;
    store.close().await;
    drop(store);
    let commands = [
        "dead-letters | redrive | total",
        "dead-letters | redrive | total | --all",
        "dead-letters | redrive | total | 7 | --yes",
        "dead-letters | redrive | totals | --all | --yes",
        "dead-letters | redrive | total | --all | --yes",
        "dead-letters | redrive | total | --all | --yes",
        "dead-letters | list | total",
        "dead-letters | list | total | --all",
        "dead-letters | show | total | 3",
        "topic | list",
        "pause | totals",
        "pause | total",
        "status",
        "resume | total",
        "status",
    ];
    compare("dead_letters", &without_sizes(&all(dir.path(), &commands)));
}

/// What was written just now holds the time, and is compressed by it to some bytes more or less.
fn without_sizes(text: &str) -> String {
    let parts: Vec<&str> = text.split(" B").map(|part| part.trim_end_matches(|c: char| c.is_ascii_digit())).collect();
    parts.join("some B")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_loaded_whole_or_not_at_all() {
    let dir = workplace();
    let store = shop::open(&dir.path().join(".isobar")).await;
    store.close().await;
    drop(store);
    fs::write(dir.path().join("bad.csv"), "id,debt\n1,2.5\n2,much\n1,3\n").expect("a file is written");
    fs::write(dir.path().join("good.csv"), "id,debt\n1,2.5\n2,3\n").expect("a file is written");
    let commands = [
        "table | load | customers | bad.csv",
        "table | list",
        "table | load | customers | good.csv",
        "table | list",
        "table | load | totals | good.csv",
    ];
    compare("load", &all(dir.path(), &commands));
}

#[test]
fn a_demo_that_may_have_been_meant_is_named() {
    let dir = workplace();
    fs::create_dir_all(dir.path().join(".isobar/demo")).expect("a folder is made");
    fs::write(dir.path().join(".isobar/demo/isobar.sqlite"), "").expect("a file is written");
    let said = said(dir.path(), "status");
    assert!(said.contains("the demo's data are in `.isobar/demo`; add `--demo`"), "{said}");
}
