//! A server that cannot be reached is not the fault of the records for which it is asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::app::{self, Plan};
use isobar::delivery::Records;
use isobar::delivery::letters::Letter;
use isobar::deploys::Settings;
use isobar::dispatch::{Progress, SourceStatus, Standing};
use isobar::embedded::{Commit, Frame, Kind, Note, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};

use crate::guests::{rowdy_alone, written};

const LONGEST: Duration = Duration::from_secs(60);

async fn write(store: &Store, keys: &[&str]) {
    let mut records = Records::default();
    for (at, key) in keys.iter().enumerate() {
        records.keys.push(Some(key.as_bytes()));
        records.values.push(Some(b"1"));
        records.offsets.push(at as i64);
        records.timestamps.push(1_000);
    }
    let note = Note { function: "test".into(), source: "test".into(), partition: 0 };
    let frames = vec![Frame::encode("rowdy".into(), 0, records).unwrap()];
    store.commit(Commit { note, frames, attempt: 1, ..Commit::default() }).await.unwrap();
}

async fn until(what: &str, progress: &Progress, done: impl Fn(&SourceStatus) -> bool) {
    let started = Instant::now();
    let ours = |s: &SourceStatus| s.source == "rowdy" && s.partition == 0;
    while !progress.sources().iter().any(|s| ours(s) && done(s)) {
        assert!(started.elapsed() < LONGEST, "{what} did not come about: {:#?}", progress.sources());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Answers every request, with nothing.
async fn serve(listener: TcpListener) {
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_for_a_server_that_is_away_and_a_denied_one_costs_them() {
    let dir = tempfile::tempdir().unwrap();
    // As long as it does not listen, whoever connects to it is refused.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap();
    let text = rowdy_alone().replace("127.0.0.1:1", &address.to_string());
    let text = text.replace("http_timeout_ms = 300", "http_timeout_ms = 20000");
    let manifest = tokio::task::block_in_place(|| written(dir.path(), &text));
    let manifest = std::fs::read_to_string(manifest).unwrap();
    let (root, data_dir) = (dir.path().to_owned(), dir.path().join("data"));
    let plan = Plan { manifest, root, data_dir, kind: Kind::MadeUp, settings: Settings::default() };
    let app = app::prepare(plan).await.unwrap().start().await.unwrap();
    let progress = Arc::clone(app.dispatcher.progress());

    // One delivery is all that a record of this topic has.
    write(&app.store, &["ask"]).await;
    let waits = |s: &SourceStatus| {
        let told = format!("`http://{address}` cannot be reached");
        matches!(&s.standing, Standing::Waiting { reason } if *reason == told)
    };
    until("a wait", &progress, waits).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    until("the same wait", &progress, waits).await;
    assert_eq!(app.store.ends().of("weather.rowdy.dead-letters", 0), 0);

    let server = tokio::spawn(serve(socket.listen(8).unwrap()));
    until("an answer", &progress, |s| s.position == 1).await;
    write(&app.store, &["ask elsewhere", "ask"]).await;
    until("an end", &progress, |s| s.position == 3 && s.lag == 0).await;
    let letters = app.store.read("weather.rowdy.dead-letters", 0, 0, 1 << 20).await.unwrap();
    assert_eq!(letters.len(), 1);
    let letter = Letter::of(&letters, 0).unwrap();
    assert!(letter.offset == 1 && letter.reason.contains("Denied"), "{letter:?}");
    app.stop().await;
    server.abort();
}
