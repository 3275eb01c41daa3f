//! A secret that one function may read, and a function that tries every way out with it: nobody who does not ask for sensitive
//! data finds it, not in logs, answers, exports or lists.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::console::token::Access;
use isobar::console::view::View;
use isobar::delivery::Interval;
use isobar::embedded::{Commit, Folder, Kind, Note, Store};

use crate::stage::{build, manifest_path};

const CANARY: &str = "canary-2f81c4b07d";
/// What the spy tries.
const WAYS: [&str; 10] = [
    "stdout",
    "stderr",
    "panic",
    "retry",
    "state",
    "a key that is too long",
    "topic",
    "table",
    "text that a table refuses",
    // The last one: what it rejects is put aside, and the rest counts as handled.
    "reject",
];
/// Of those, the ones that cost the record.
const DEADLY: usize = 5;
const LONGEST: Duration = Duration::from_secs(60);
/// Longer than a second, after which it is told anew what happens.
const MOMENT: Duration = Duration::from_secs(3);

fn isobar(data_dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isobar"));
    let output = command.args(args).arg("--manifest").arg(manifest_path()).arg("--data-dir").arg(data_dir).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Everything that can be asked without asking for sensitive data.
fn open_answers(data_dir: &Path) -> Vec<(String, String)> {
    let asked: [&[&str]; 12] = [
        &["status"],
        &["status", "--json"],
        &["verify", "--json"],
        &["topic", "list", "--json"],
        &["topic", "read", "ways", "--json"],
        &["topic", "read", "echo", "--json"],
        &["topic", "read", "stage.hostile.dead-letters", "--json"],
        &["table", "list", "--json"],
        &["table", "query", "seen", "--format", "json"],
        &["table", "export", "seen", "--format", "csv"],
        &["dead-letters", "list", "spy", "--json", "--all"],
        &["dead-letters", "show", "spy", "0", "--json"],
    ];
    asked.iter().map(|args| (args.join(" "), said(&isobar(data_dir, args)))).collect()
}

/// Waits for a host, and says where it is.
fn access(data_dir: &Path, host: &mut Child) -> Access {
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < LONGEST && host.try_wait().unwrap().is_none(), "the host does not start");
        if let Some(access) = Access::read(data_dir) {
            return access;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Everything that a page asks, and that asks for no sensitive data.
fn answers_to_a_page(data_dir: &Path) -> Vec<(String, String)> {
    let mut host = Command::new(env!("CARGO_BIN_EXE_isobar"))
        .args(["up", "--listen", "127.0.0.1:0", "--manifest"])
        .arg(manifest_path())
        .arg("--data-dir")
        .arg(data_dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let access = access(data_dir, &mut host);
    let asked = [
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/v1/",
        "/api/v1/application",
        "/api/v1/audit",
        "/api/v1/dashboard",
        "/api/v1/events",
        "/api/v1/functions/spy/dead-letters",
        "/api/v1/functions/spy/shadow",
        "/api/v1/functions/spy/state",
        "/api/v1/functions/spy/versions",
        "/api/v1/logs?lines=1000",
        "/api/v1/manifest",
        "/api/v1/session",
        "/api/v1/status",
        "/api/v1/tables",
        "/api/v1/tables/seen/rows?shared=true",
        "/api/v1/tables/secrets/rows",
        "/api/v1/tables/reports/rows?order=name",
        "/api/v1/topics",
        "/api/v1/topics/whispers/records",
    ];
    let answers = asked.map(|path| (path.to_owned(), get(&access, path)));
    host.kill().unwrap();
    host.wait().unwrap();
    answers.into()
}

/// What a path answers in a moment: one that tells all that happens has no end.
fn get(access: &Access, path: &str) -> String {
    let Access { address, token } = access;
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(MOMENT)).unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut piece, started) = (Vec::new(), [0; 4096], Instant::now());
    while started.elapsed() < MOMENT {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
        }
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 "), "GET {path} is answered: {answer}");
    answer
}

#[test]
fn a_secret_stays_with_the_function_that_may_read_it() {
    build();
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let secrets = dir.path().join("secrets.csv");
    fs::write(&secrets, format!("name,secret\ncanary,{CANARY}\n")).unwrap();
    let log = dir.path().join("log");
    let mut host = Command::new(env!("CARGO_BIN_EXE_isobar"))
        .args(["up", "--listen", "127.0.0.1:0", "--manifest"])
        .arg(manifest_path())
        .arg("--data-dir")
        .arg(&data_dir)
        .env("ISOBAR_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    access(&data_dir, &mut host);
    isobar(&data_dir, &["table", "load", "secrets", secrets.to_str().unwrap()]);
    host.kill().unwrap();
    host.wait().unwrap();
    crate::stage::write_and_close(&data_dir, "ways", &WAYS.map(|way| ("k", way)));
    let again = Command::new(env!("CARGO_BIN_EXE_isobar"))
        .args(["up", "--until-idle", "--listen", "127.0.0.1:0", "--manifest"])
        .arg(manifest_path())
        .arg("--data-dir")
        .arg(&data_dir)
        .env("ISOBAR_LOG", "trace")
        .stdout(Stdio::null())
        .stderr(fs::OpenOptions::new().append(true).open(&log).unwrap())
        .status()
        .unwrap();
    let logged = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    assert!(again.success(), "{logged}");
    assert!(logged.contains("the batch failed"), "the log says what happened: {logged}");
    let leaks: Vec<&str> = logged.lines().filter(|line| line.contains(CANARY)).collect();
    assert!(leaks.is_empty(), "the log holds the secret: {leaks:#?}");

    for (asked, answer) in open_answers(&data_dir) {
        assert!(!answer.contains(CANARY), "`isobar {asked}` tells the secret:\n{answer}");
    }
    for (asked, answer) in answers_to_a_page(&data_dir) {
        assert!(!answer.contains(CANARY), "GET {asked} tells the secret:\n{answer}");
    }
    for refused in [
        ["topic", "read", "whispers"],
        ["topic", "read", "stage.spy.dead-letters"],
        ["table", "query", "secrets"],
        ["table", "query", "reports"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isobar"));
        let output = command.args(refused).arg("--manifest").arg(manifest_path()).arg("--data-dir").arg(&data_dir);
        let output = output.output().unwrap();
        assert!(!output.status.success(), "{refused:?} is shown");
        assert!(!said(&output).contains(CANARY), "{refused:?}");
    }

    // Who asks for it finds it: the search above could have found it.
    let letters = said(&isobar(&data_dir, &["dead-letters", "list", "spy", "--json", "--sensitive"]));
    let told: serde_json::Value = serde_json::from_str(&letters).unwrap();
    assert_eq!(told["letters"].as_array().unwrap().len(), DEADLY, "{letters}");
    assert!(letters.contains(CANARY));
    let whispered = said(&isobar(&data_dir, &["topic", "read", "whispers", "--sensitive"]));
    assert!(whispered.contains(CANARY), "{whispered}");
    let reported = said(&isobar(&data_dir, &["table", "query", "reports", "--sensitive"]));
    assert!(reported.contains(CANARY), "{reported}");
}

#[tokio::test]
async fn when_a_function_wants_to_be_called_again_tells_nobody_what_it_read() {
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(manifest_path()).unwrap();
    let text =
        text + "\n[[trigger.isobar]]\nid = \"by-time\"\ncomponent = \"spy\"\ncron_expression = \"0 0 * * * *\"\n";
    let application = Arc::new(isobar::manifest::parse(&text).unwrap());
    let folder = Folder::take(dir.path(), Kind::MadeUp).unwrap();
    let store = Arc::new(Store::open(folder, application).await.unwrap());
    let note = Note { function: "spy".into(), source: "by-time".into(), partition: 0 };
    store.position(&note).await.unwrap();
    let view = View::new(Arc::clone(&store), None);
    for (first, again, told) in [(0, false, Some(7_000)), (1, true, None)] {
        let interval = Some(Interval { first, next: first + 1 });
        let schedule = Some((7_000, again));
        store.commit(Commit { note: note.clone(), interval, records: 1, schedule, ..Commit::default() }).await.unwrap();
        let status = view.status().await.unwrap();
        let due: Vec<_> = status.sources.iter().filter(|s| s.scheduled).map(|s| s.due_ms).collect();
        assert_eq!(due, [told]);
    }
}
