//! Data folders that cannot be used: each is refused with what is wrong and what to do, and nothing in it is touched.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use isobar::embedded::{Folder, Kind};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::cli::{said, workplace};
use crate::shop;

/// `isobar <words>` in `within`, as a user who may do no more than the files' rights say; root may otherwise.
fn as_user(within: &Path, words: &[&str]) -> Output {
    let isobar = env!("CARGO_BIN_EXE_isobar");
    let mut command = match fs::metadata("/proc/self").unwrap().uid() {
        0 => {
            let mut command = Command::new("setpriv");
            command.args(["--inh-caps=-all", "--bounding-set=-all", isobar]);
            command
        }
        _ => Command::new(isobar),
    };
    command.args(words).current_dir(within).output().unwrap()
}

/// What it says, which has to be a failure.
pub(crate) fn refused(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder with the shop's manifest and its data.
async fn with_data() -> tempfile::TempDir {
    let dir = workplace();
    let store = shop::open(&dir.path().join(".isobar")).await;
    shop::fill(&store).await;
    store.close().await;
    dir
}

/// That all is there, as it was.
#[track_caller]
fn assert_whole(within: &Path) {
    let said = said(within, "verify");
    assert!(said.contains("1 record handled") && said.contains("0 findings"), "{said}");
}

#[tokio::test]
async fn nobody_but_the_owner_can_look_into_a_new_folder() {
    let dir = workplace();
    let data_dir = dir.path().join(".isobar");
    let store = shop::open(&data_dir).await;
    shop::fill(&store).await;
    assert_eq!(mode(&data_dir), 0o700);
    for file in ["isobar.sqlite", "isobar.sqlite-wal", "isobar.sqlite-shm", "lock"] {
        assert_eq!(mode(&data_dir.join(file)), 0o600, "{file}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_closed_store_leaves_its_file_alone() {
    let dir = with_data().await;
    let data_dir = dir.path().join(".isobar");
    let left = || fs::read_dir(&data_dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(left().all(|name| !name.starts_with("isobar.sqlite-")), "{:?}", left().collect::<Vec<_>>());
    assert_whole(dir.path());
    assert!(left().all(|name| !name.starts_with("isobar.sqlite-")), "{:?}", left().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_refused() {
    let dir = with_data().await;
    let data_dir = dir.path().join(".isobar");
    fs::remove_file(data_dir.join("lock")).unwrap();
    set_mode(&data_dir, 0o500);
    for command in [&["up", "--demo", "--data-dir", ".isobar"][..], &["status"], &["restore", "b", "--data-dir", "."]] {
        let said = refused(&as_user(dir.path(), command));
        assert!(!command.contains(&"status") || said.contains("cannot write to the data folder `.isobar`"), "{said}");
    }
    let said = refused(&as_user(dir.path(), &["status"]));
    assert!(said.contains("Permission denied") && said.contains("hint: it must be writable"), "{said}");
    set_mode(&data_dir, 0o700);
    assert_whole(dir.path());
}

#[tokio::test]
async fn a_file_of_another_owner_is_refused() {
    let dir = with_data().await;
    let file = dir.path().join(".isobar/isobar.sqlite");
    for rights in [0o000, 0o400] {
        set_mode(&file, rights);
        let said = refused(&as_user(dir.path(), &["status"]));
        assert!(said.contains("isobar.sqlite`") && said.contains("hint: it must be readable and writable"), "{said}");
        set_mode(&file, 0o600);
        assert_whole(dir.path());
    }
}

#[test]
fn a_file_in_the_place_of_the_folder_is_refused() {
    let dir = workplace();
    fs::write(dir.path().join(".isobar"), "notes").unwrap();
    for command in ["status", "restore | spin.toml | --data-dir | .isobar"] {
        let said = said(dir.path(), command);
        assert!(command != "status" || said.contains("`.isobar` is a file; name a folder for the data"), "{said}");
    }
    assert_eq!(fs::read_to_string(dir.path().join(".isobar")).unwrap(), "notes");
}

#[tokio::test]
async fn a_file_of_a_newer_format_or_of_another_program_is_refused() {
    let dir = with_data().await;
    let file = dir.path().join(".isobar/isobar.sqlite");
    let whole = fs::read(&file).unwrap();
    let cases = [
        ("PRAGMA user_version = 99", "has format 99, and this isobar knows formats up to"),
        ("PRAGMA application_id = 7", "is another program's file"),
    ];
    for (change, expected) in cases {
        let mut connection = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
        sqlx::raw_sql(change).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let changed = fs::read(&file).unwrap();
        let said = said(dir.path(), "status");
        assert!(said.contains(expected), "{said}");
        assert!(fs::read(&file).unwrap() == changed, "a file that is refused is not touched");
        fs::write(&file, &whole).unwrap();
    }
    assert_whole(dir.path());
}

/// What a program that is not isobar made, in the way SQLite makes files where nothing else is said.
async fn foreign(file: &Path) {
    let mut connection = SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.unwrap();
    let make = "PRAGMA application_id = 7; CREATE TABLE note (note TEXT); INSERT INTO note VALUES ('buy milk')";
    sqlx::raw_sql(make).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn what_is_refused_for_its_mark_is_not_changed_before() {
    let dir = with_data().await;
    let data_dir = dir.path().join(".isobar");
    let file = data_dir.join("isobar.sqlite");
    // Made-up data of an older format, in what is a folder of real data now.
    fs::remove_file(data_dir.join("made-up")).unwrap();
    let mut connection = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 2").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    for expected in ["holds made-up data", "is another program's file"] {
        let before = fs::read(&file).unwrap();
        let said = said(dir.path(), "status");
        assert!(said.contains(expected), "{said}");
        assert!(fs::read(&file).unwrap() == before, "{expected}");
        let names = fs::read_dir(&data_dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        assert_eq!(names, ["isobar.sqlite", "lineage", "lock"], "{expected}");
        fs::remove_file(&file).unwrap();
        foreign(&file).await;
    }
}

#[tokio::test]
async fn a_sensitive_export_is_its_owners_alone_and_what_is_no_file_stays_what_it_is() {
    let dir = with_data().await;
    let export = "table | export | customers | --format | csv | --output";
    for (path, options, expected) in [("open.csv", "", 0o644), ("private.csv", "| --sensitive", 0o600)] {
        let said = said(dir.path(), &format!("{export} | {path} {options}"));
        assert!(said.contains("Wrote"), "{said}");
        let mode = mode(&dir.path().join(path));
        assert!(mode & !expected == 0 && mode & 0o600 == 0o600, "{path}: {mode:o}");
    }
    let out = dir.path().join("out");
    std::os::unix::fs::symlink("/proc/self/fd/1", &out).unwrap();
    let said = said(dir.path(), &format!("{export} | out"));
    assert!(said.contains("Ada") && said.contains("Wrote out"), "{said}");
    assert!(out.symlink_metadata().unwrap().is_symlink(), "a file was put in its place");
}

#[test]
fn a_demo_writes_only_into_a_folder_that_is_its_own() {
    let dir = workplace();
    let manifest = dir.path().join("spin.toml");
    let demo = "[application.trigger.isobar.demo]\ncommand = \"false\"\n";
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap() + demo).unwrap();
    let data_dir = |name: &str| dir.path().join(name);
    drop(Folder::take(&data_dir("real"), Kind::Real).unwrap());
    fs::write(data_dir("real").join("isobar.sqlite"), "").unwrap();
    let _held = Folder::take(&data_dir("held"), Kind::MadeUp).unwrap();
    let cases = [("real", "holds real data"), ("held", "another isobar process"), ("new", "the demo's command ended")];
    for (name, expected) in cases {
        let said = said(dir.path(), &format!("up | --demo | --data-dir | {name}"));
        assert!(said.contains(expected), "{said}");
        assert_eq!(data_dir(name).join("demo-files").exists(), name == "new", "{name}");
        assert_eq!(mode(&data_dir(name)), 0o700, "{name}");
    }
}

#[tokio::test]
async fn made_up_data_stay_made_up_without_the_folders_mark() {
    let dir = with_data().await;
    fs::remove_file(dir.path().join(".isobar/made-up")).unwrap();
    let said = said(dir.path(), "status");
    assert!(said.contains("holds made-up data, and the mark of the folder around it says otherwise"), "{said}");
}

#[tokio::test]
async fn a_second_host_is_told_who_is_in_the_way() {
    let dir = workplace();
    let store = shop::open(&dir.path().join(".isobar")).await;
    shop::fill(&store).await;
    for command in ["up", "status", "restore | spin.toml | --data-dir | .isobar"] {
        let said = said(dir.path(), command);
        let expected = command.starts_with("restore") || said.contains("another isobar process uses the data folder");
        assert!(expected && said.ends_with("= 3\n\n"), "{said}");
    }
    store.close().await;
    drop(store);
    assert_whole(dir.path());
}

/// `isobar <words>` where no file may grow beyond so many blocks of 512 bytes, which stands for a full disk.
pub(crate) fn without_room(within: &Path, blocks: u64, words: &[&str]) -> Output {
    let limited = format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
    let isobar = ["-c", &limited, env!("CARGO_BIN_EXE_isobar")];
    Command::new("sh").args(isobar).args(words).current_dir(within).output().unwrap()
}

#[tokio::test]
async fn without_room_at_the_start_nothing_is_lost() {
    let dir = with_data().await;
    let size = fs::metadata(dir.path().join(".isobar/isobar.sqlite")).unwrap().len();
    let mut refusals = 0;
    for blocks in [0, 1, 9, 33, size / 512] {
        let output = without_room(dir.path(), blocks, &["status"]);
        if !output.status.success() {
            let said = refused(&output);
            assert!(said.contains("hint: make room on the disk"), "{blocks}: {said}");
            refusals += 1;
        }
        assert_whole(dir.path());
    }
    assert!(refusals > 0, "there was always room");
}
