//! The API tells nothing to those who may not ask.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::config::console::ConsoleConfig;
use isobar::console::answers::{NewToken, RowsAsk};
use isobar::console::token::Access;
use isobar::console::{self, Listening, Patience, Serving, view::View};
use isobar::embedded::tokens::Token;
use isobar::embedded::{Folder, Store};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::{said, workplace};
use crate::shop;

/// Far longer than the host may take to lose a patience of [`SHORT`].
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

pub(crate) struct Host {
    dir: tempfile::TempDir,
    serving: Serving,
    access: Access,
    store: Arc<Store>,
    loads: watch::Receiver<()>,
    stop: CancellationToken,
}

impl Host {
    pub(crate) async fn start() -> Self {
        Self::known_to(ConsoleConfig::default()).await
    }

    /// That others may reach, who are these.
    pub(crate) async fn known_to(people: ConsoleConfig) -> Self {
        Self::with(Patience::default(), people).await
    }

    async fn with(patience: Patience, people: ConsoleConfig) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = shop::open(dir.path()).await;
        shop::fill(&store).await;
        let (stop, loads) = (CancellationToken::new(), store.loads());
        let view = Arc::new(View::new(Arc::clone(&store), None));
        let listen = Some("127.0.0.1:0".parse().expect("an address"));
        let serving = console::serve(view, Listening { here: listen, console: people, patience }, stop.clone())
            .await
            .expect("it is served");
        let access = Access::read(dir.path()).expect("the data folder says where");
        assert_eq!(access.address, serving.address);
        Host { dir, serving, access, store, loads, stop }
    }

    /// The answer to a request with these headers: its status, and all of it.
    pub(crate) async fn ask(&self, request: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        answer(self.send(request, headers, body).await).await
    }

    /// A request on its way, and little room for the answer.
    pub(crate) async fn send(&self, request: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(16 * 1024).expect("a small buffer");
        let mut stream = socket.connect(self.serving.address).await.expect("it listens");
        put(&mut stream, request, headers, body).await;
        stream
    }

    /// With the token, from here.
    async fn ask_as_owner(&self, request: &str) -> (u16, String) {
        let (us, token) = (self.serving.address.to_string(), self.bearer());
        self.ask(request, &[("Host", &us), ("Authorization", &token)], "").await
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.access.token)
    }

    pub(crate) fn link(&self) -> &str {
        &self.serving.link
    }

    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// Stops to serve.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.serving.task.await.expect("it ends in order");
    }

    /// Where others reach it.
    pub(crate) fn public(&self) -> Option<SocketAddr> {
        self.serving.public
    }

    pub(crate) fn warning(&self) -> Option<&str> {
        self.serving.warning.as_deref()
    }

    pub(crate) fn address(&self) -> String {
        self.serving.address.to_string()
    }
}

/// Sends a request with these headers.
pub(crate) async fn put(stream: &mut (impl AsyncWrite + Unpin), request: &str, headers: &[(&str, &str)], body: &str) {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("{request} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n{body}");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
}

/// The answer to what was sent: its status, and all of it.
pub(crate) async fn answer(mut stream: impl AsyncRead + Unpin) -> (u16, String) {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("it answers");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, answer)
}

#[tokio::test]
async fn only_the_token_from_this_machine_and_no_foreign_page_gets_an_answer() {
    let host = Host::start().await;
    let (us, token) = (host.serving.address.to_string(), host.bearer());
    let (us, token) = (us.as_str(), token.as_str());
    let cases: [(&[(&str, &str)], u16); 11] = [
        (&[("Host", us), ("Authorization", token)], 200),
        (&[("Host", us)], 401),
        (&[("Host", us), ("Authorization", "Bearer 0000")], 401),
        (&[("Host", "rebound.example"), ("Authorization", token)], 403),
        (&[("Host", us), ("Origin", "http://evil.example"), ("Authorization", token)], 403),
        (&[("Host", us), ("Origin", "null"), ("Authorization", token)], 403),
        (&[("Authorization", token)], 403),
        (&[("Host", us), ("Host", "rebound.example"), ("Authorization", token)], 403),
        (&[("Host", us), ("Origin", "null"), ("Origin", "http://evil.example"), ("Authorization", token)], 403),
        (&[("Host", us), ("Authorization", "Bearer 0000"), ("Authorization", token)], 401),
        (&[("Host", us), ("Cookie", token)], 401),
    ];
    for path in [
        "/api/v1/status",
        "/api/v1/tables/customers/rows",
        "/api/v1/tables/customers/export",
        "/api/v1/topics/orders/records",
        "/api/v1/backup?sensitive=true",
        "/api/v1/functions/total/dead-letters",
        "/api/v1",
    ] {
        for (headers, expected) in &cases {
            let (status, answer) = host.ask(&format!("GET {path}"), headers, "").await;
            assert_eq!(status, *expected, "{path} {headers:?}: {answer}");
            let told = ["Ada", "price", "shop", "total"].iter().any(|word| answer.contains(word));
            assert!(!answer.to_lowercase().contains("access-control-"), "{answer}");
            assert_eq!(told, *expected == 200, "{answer}");
        }
    }
    let (status, _) = host.ask("GET /api/v1/nowhere", &[("Host", us)], "").await;
    assert_eq!(status, 401, "not even what exists is told");
}

#[tokio::test]
async fn another_sites_page_changes_nothing() {
    let host = Host::start().await;
    let (us, body) = (host.serving.address.to_string(), "id,name\n3,Grace\n");
    let length = body.len().to_string();
    let load = "POST /api/v1/tables/customers/load";
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        for (origin, expected) in [(None, 401), (Some("null"), 403), (Some("http://evil.example"), 403)] {
            let mut headers = vec![("Host", us.as_str()), ("Content-Type", kind), ("Content-Length", &length)];
            headers.extend(origin.map(|origin| ("Origin", origin)));
            let (status, answer) = host.ask(load, &headers, body).await;
            assert_eq!(status, expected, "{kind} {origin:?}: {answer}");
        }
    }
    let asked = [("Origin", "http://evil.example"), ("Access-Control-Request-Headers", "authorization")];
    let headers = [&[("Host", us.as_str()), ("Access-Control-Request-Method", "POST")][..], &asked].concat();
    let (status, answer) = host.ask("OPTIONS /api/v1/tables/customers/load", &headers, "").await;
    assert!(status == 403 && !answer.to_lowercase().contains("access-control-allow"), "{answer}");
    assert!(!host.loads.has_changed().expect("the store is open"), "nothing was loaded");
}

#[tokio::test]
async fn another_user_of_the_machine_cannot_read_the_token() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = Host::start().await;
    let folder = host.dir.path().join("new");
    shop::open(&folder).await.close().await;
    let mode = |path| std::fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!((mode(host.dir.path().join("api.json")), mode(folder)), (0o600, 0o700));
}

#[tokio::test]
async fn where_a_killed_host_listened_nobody_is_sent_any_more() {
    let dir = workplace();
    let data_dir = dir.path().join(".isobar");
    let store = shop::open(&data_dir).await;
    shop::fill(&store).await;
    store.close().await;
    drop(store);
    let another = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    another.set_nonblocking(true).expect("it does not wait");
    let stale = Access::new(another.local_addr().expect("it has an address")).expect("a token");
    for is_held in [false, true] {
        stale.write(&data_dir).expect("it is written");
        let folder = is_held.then(|| Folder::take_existing(&data_dir).expect("nobody has it"));
        let said = said(dir.path(), "status");
        let expected = if is_held { "another isobar process uses the data folder" } else { "= 0" };
        assert!(said.contains(expected), "{said}");
        let came = another.accept();
        assert!(came.is_err(), "whoever listens there now is asked");
        assert!(Access::read(&data_dir).is_none(), "it still says so");
        drop(folder);
    }
}

#[tokio::test]
async fn an_answer_ends_with_the_row_that_makes_it_large() {
    const MIB: usize = 1 << 20;
    let host = Host::start().await;
    let view = View::new(Arc::clone(&host.store), None);
    let name = "n".repeat(MIB);
    let rows: String = (10..30).map(|id| format!("{id},{name}\n")).collect();
    view.load("customers", format!("id,name\n{rows}").into()).await.expect("it is loaded");
    let page = view.rows("customers", &RowsAsk::default()).await.expect("they are told");
    let bytes: usize = page.rows.iter().flatten().flatten().map(String::len).sum();
    assert!(page.more && (8 * MIB..9 * MIB + 10).contains(&bytes), "{} rows, {bytes} bytes", page.rows.len());
    let few = RowsAsk { filter: Some("id = '10'".to_owned()), ..RowsAsk::default() };
    assert!(!view.rows("customers", &few).await.expect("it is told").more);
}

#[tokio::test]
async fn who_sends_nothing_or_for_ever_is_let_go() {
    let host =
        Host::with(Patience { headers: SHORT, body: SHORT, ..Patience::default() }, ConsoleConfig::default()).await;
    let (us, token, started) = (host.serving.address.to_string(), host.bearer(), Instant::now());
    for begin in ["", "GET /api/v1/status HTTP/1.1\r\nHost: "] {
        let mut stream = TcpStream::connect(host.serving.address).await.expect("it listens");
        stream.write_all(begin.as_bytes()).await.expect("it is sent");
        let closed = tokio::time::timeout(LONG, stream.read_to_end(&mut Vec::new())).await;
        closed.expect("it is let go").ok();
    }
    let headers = [("Host", us.as_str()), ("Authorization", &token), ("Content-Length", "1000")];
    let mut slow = Vec::new();
    // As many as may load at one time; the third is told so.
    for _ in 0..2 {
        slow.push(host.send("POST /api/v1/tables/customers/load", &headers, "id,name\n").await);
        tokio::time::sleep(SHORT / 10).await;
    }
    let (status, answer) = host.ask("POST /api/v1/tables/customers/load", &headers, "id").await;
    assert_eq!(status, 503, "{answer}");
    for stream in &mut slow {
        let mut answer = String::new();
        let answered = tokio::time::timeout(LONG, stream.read_to_string(&mut answer)).await;
        answered.expect("it is let go").expect("it is told");
        assert!(answer.contains(" 408 ") && answer.contains("did not come within 0.3 s"), "{answer}");
    }
    for fate in ["redrive", "drop"] {
        let headers = [&headers[..], &[("Content-Type", "application/json")]].concat();
        let post = format!("POST /api/v1/functions/total/dead-letters/{fate}");
        let asked = tokio::time::timeout(LONG, host.ask(&post, &headers, "{")).await;
        let (status, answer) = asked.expect("it is let go");
        assert!(status == 408 && answer.contains("the question did not come within 0.3 s"), "{answer}");
    }
    assert!(started.elapsed() < LONG);
    let (status, _) = host.ask_as_owner("GET /api/v1/tables/customers/rows").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let host = Host::start().await;
    let us = host.serving.address.to_string();
    let long = "x".repeat(200 * 1024);
    let mut stream = TcpStream::connect(host.serving.address).await.expect("it listens");
    let request = format!("GET /api/v1/status HTTP/1.1\r\nHost: {us}\r\nLong: {long}\r\n\r\n");
    // It may be refused before all of it is sent.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = [0; 12];
    let read = tokio::time::timeout(LONG, stream.read_exact(&mut answer)).await.expect("it is refused at once");
    assert!(read.is_err() || &answer == b"HTTP/1.1 431", "{}", String::from_utf8_lossy(&answer));
}

/// Rows of so many bytes that no socket takes all of them.
async fn load_much(store: &Arc<Store>) {
    let name = "n".repeat(1024);
    let rows: String = (0..16 * 1024).map(|id| format!("{id},{name}\n")).collect();
    let view = View::new(Arc::clone(store), None);
    view.load("customers", format!("id,name\n{rows}").into()).await.expect("it is loaded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_reading_an_export_makes_room_for_others() {
    let host = Host::with(Patience { reading: SHORT * 5, ..Patience::default() }, ConsoleConfig::default()).await;
    load_much(&host.store).await;
    let (us, token) = (host.serving.address.to_string(), host.bearer());
    let headers = [("Host", us.as_str()), ("Authorization", token.as_str())];
    let export = "GET /api/v1/tables/customers/export";
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let mut stream = host.send(export, &headers, "").await;
        stream.read_exact(&mut [0; 100]).await.expect("it begins");
        stalled.push(stream);
    }
    assert_eq!(host.ask(export, &headers, "").await.0, 503, "as many as there may be");
    let started = Instant::now();
    while host.ask(export, &headers, "").await.0 == 503 {
        assert!(started.elapsed() < LONG, "those who do not read keep their places");
        tokio::time::sleep(SHORT / 3).await;
    }
    assert!(started.elapsed() > SHORT, "they were given time");
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_reading_does_not_keep_the_host_from_ending() {
    let host = Host::start().await;
    load_much(&host.store).await;
    let (us, token) = (host.serving.address.to_string(), host.bearer());
    let headers = [("Host", us.as_str()), ("Authorization", token.as_str())];
    let mut stream = host.send("GET /api/v1/tables/customers/export", &headers, "").await;
    stream.read_exact(&mut [0; 100]).await.expect("it begins");
    host.stop.cancel();
    let ended = async {
        host.serving.task.await.expect("it ends");
        host.store.close().await;
    };
    tokio::time::timeout(LONG / 2, ended).await.expect("it ends in time");
    assert!(!host.dir.path().join("isobar.sqlite-wal").exists(), "nobody reads any more when the data are closed");
}

#[tokio::test]
async fn what_is_sensitive_is_told_only_when_asked_for() {
    let host = Host::start().await;
    let (us, token) = (host.serving.address.to_string(), host.bearer());
    let headers = [("Host", us.as_str()), ("Authorization", token.as_str())];
    for (path, with) in
        [("topics/complaints/records", "too late"), ("tables/customers/rows", "7.5"), ("backup", "SQLite format 3")]
    {
        let (_, answer) = host.ask(&format!("GET /api/v1/{path}"), &headers, "").await;
        assert!(!answer.contains(with), "{answer}");
        let (status, answer) = host.ask(&format!("GET /api/v1/{path}?sensitive=true"), &headers, "").await;
        assert!(status == 200 && answer.contains(with), "{answer}");
    }
}

/// What a request with a token of these scopes gets.
async fn ask_with(host: &Host, secret: &str, request: &str, body: &str) -> (u16, String) {
    let (us, token, length) = (host.address(), format!("Bearer {secret}"), body.len().to_string());
    let json = ("Content-Type", "application/json");
    let headers = [("Host", us.as_str()), ("Authorization", &token), json, ("Content-Length", &length)];
    host.ask(request, &headers, body).await
}

/// A token of these scopes that is good for a day, made as the owner.
async fn token(host: &Host, name: &str, scopes: &[&str]) -> String {
    let ask = serde_json::json!({ "name": name, "scopes": scopes, "days": 1 }).to_string();
    let (status, answer) = ask_with(host, &host.access.token, "POST /api/v1/tokens", &ask).await;
    assert_eq!(status, 200, "{answer}");
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let made: NewToken = serde_json::from_str(body.trim()).unwrap();
    assert_eq!((made.token.name.as_str(), made.secret.len()), (name, 64));
    made.secret
}

#[tokio::test]
async fn a_token_may_what_its_scopes_say_until_it_is_revoked_or_expires() {
    let host = Host::start().await;
    let reader = token(&host, "reader", &["read"]).await;
    let sees = token(&host, "sees", &["read-sensitive"]).await;
    let ops = token(&host, "ops", &["operate"]).await;
    let ci = token(&host, "ci", &["deploy:total"]).await;
    let deploy = |function: &str| format!("{{\"part\":\"\",\"components\":{{\"{function}\":\"\"}}}}");
    let (total, asks) = (deploy("total"), deploy("asks"));
    for (secret, request, body, wanted) in [
        (&reader, "GET /api/v1/status", "", 200),
        (&reader, "GET /api/v1/topics/complaints/records?sensitive=true", "", 403),
        (&reader, "GET /api/v1/topics/complaints/records?%73ensitive=true", "", 403),
        (&reader, "GET /api/v1/tables/customers/rows?sensitive=true", "", 403),
        (&reader, "GET /api/v1/tables/customers/export?sensitive=true", "", 403),
        (&reader, "GET /api/v1/functions/total/dead-letters?sensitive=true", "", 403),
        (&reader, "GET /api/v1/functions/total/shadow?sensitive=true", "", 403),
        (&reader, "GET /api/v1/backup?sensitive=true", "", 403),
        (&reader, "POST /api/v1/functions/total/pause", "", 403),
        (&reader, "GET /api/v1/tokens", "", 403),
        (&sees, "GET /api/v1/topics/complaints/records?sensitive=true", "", 200),
        (&sees, "GET /api/v1/backup?sensitive=true", "", 403),
        (&sees, "POST /api/v1/tokens", "{}", 403),
        (&ops, "POST /api/v1/functions/total/pause", "", 200),
        (&ops, "POST /api/v1/functions/total/resume", "", 200),
        (&ops, "GET /api/v1/status", "", 403),
        (&ops, "POST /api/v1/functions/total/rollback", "{}", 403),
        (&ci, "GET /api/v1", "", 200),
        // There is no host to deploy to: it has come that far.
        (&ci, "POST /api/v1/deploys", total.as_str(), 400),
        (&ci, "POST /api/v1/deploys", asks.as_str(), 403),
        (&ci, "POST /api/v1/functions/total/replay", "{}", 400),
        (&ci, "POST /api/v1/functions/asks/replay", "{}", 403),
        (&ci, "POST /api/v1/functions/total/pause", "", 403),
    ] {
        let (status, answer) = ask_with(&host, secret, request, body).await;
        assert_eq!(status, wanted, "{request} {body}: {answer}");
        assert!(status != 403 || answer.contains("may not"), "{answer}");
    }
    let audit = host.store.audit_log(20).await.unwrap();
    let refused = |name: &str| -> Vec<_> {
        let of_name = audit.iter().filter(|entry| entry.who == name && entry.refused.is_some());
        // How many more there were follows.
        let told = |refused: &Option<String>| refused.as_ref().unwrap().split(';').next().unwrap().to_owned();
        of_name.map(|e| (e.action.as_str(), e.function.as_str(), told(&e.refused))).collect()
    };
    let told = |what: &str| format!("it may not {what}");
    // Each thing once in a while: who has a token cannot fill the log.
    let all = [("operate", told("operate")), ("own", told("do what only the owner of the data folder does"))];
    let all = all.into_iter().chain([("read-sensitive", told("read what is sensitive"))]);
    assert_eq!(refused("reader"), all.map(|(action, told)| (action, "", told)).collect::<Vec<_>>());
    assert_eq!(refused("ops"), [("deploy", "total", told("deploy `total`")), ("read", "", told("read"))]);
    let done = audit.iter().filter(|entry| entry.who == "ops" && entry.refused.is_none());
    let done: Vec<_> = done.map(|entry| (entry.action.as_str(), entry.function.as_str())).collect();
    assert_eq!(done, [("resume", "total"), ("pause", "total")], "who did what is told");
    assert_eq!(refused("ci").last(), Some(&("deploy", "asks", told("deploy `asks`"))));
    let file = std::fs::read(host.dir.path().join("isobar.sqlite")).unwrap();
    let log = std::fs::read(host.dir.path().join("isobar.sqlite-wal")).unwrap_or_default();
    let kept = String::from_utf8_lossy(&[file, log].concat()).into_owned();
    assert!(kept.contains("reader") && !kept.contains(&reader), "the token itself is kept nowhere");

    let (status, _) = ask_with(&host, &host.access.token, "POST /api/v1/tokens/reader/revoke", "").await;
    assert_eq!(status, 200);
    let expired = Token { name: "old".to_owned(), scopes: vec!["read".to_owned()], created_ms: 0, expires_ms: 1 };
    let entry = host.store.audit_log(1).await.unwrap().remove(0);
    assert_eq!(entry.action, "token revoke reader");
    let old = "0123".repeat(16);
    host.store.create_token(expired, &old, entry).await.unwrap();
    for secret in [reader.as_str(), old.as_str(), "0123", ""] {
        let (status, answer) = ask_with(&host, secret, "GET /api/v1/status", "").await;
        assert!(status == 401 && answer.contains("expired or revoked"), "{answer}");
    }
    let entry = host.store.audit_log(1).await.unwrap().remove(0);
    assert_eq!((entry.who.as_str(), entry.refused.as_deref()), ("old", Some("the token has expired")));
}

#[tokio::test]
async fn a_token_that_means_nothing_is_refused() {
    let host = Host::start().await;
    token(&host, "taken", &["read"]).await;
    for (name, scopes, days, says) in [
        ("taken", "read", 1, "`taken` already"),
        ("isobar", "read", 1, "cannot have that name"),
        ("a b", "read", 1, "cannot have that name"),
        ("a", "write", 1, "there is no scope `write`"),
        ("a", "deploy:none", 1, "there is no function `none`"),
        ("a", "read", 0, "1 to 3650 days"),
    ] {
        let ask = serde_json::json!({ "name": name, "scopes": [scopes], "days": days }).to_string();
        let (status, answer) = ask_with(&host, &host.access.token, "POST /api/v1/tokens", &ask).await;
        assert!(status == 400 && answer.contains(says), "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_load_tells_the_readers_and_a_file_too_large_is_refused_before_it_is_read() {
    let host = Host::start().await;
    let (us, token) = (host.serving.address.to_string(), host.bearer());
    let body = "id,name\n3,Grace\n";
    for (length, body, expected) in [(body.len(), body, 200), (65 * 1024 * 1024, "", 413)] {
        let length = length.to_string();
        let headers = [("Host", us.as_str()), ("Authorization", &token), ("Content-Length", &length)];
        let (status, answer) = host.ask("POST /api/v1/tables/customers/load", &headers, body).await;
        assert_eq!(status, expected, "{answer}");
    }
    assert!(host.loads.has_changed().expect("the store is open"), "readers are told");
}

#[tokio::test]
async fn a_listener_for_others_or_on_a_taken_port_is_refused_and_says_why() {
    let host = Host::start().await;
    let store = shop::open(&host.dir.path().join("other")).await;
    let view = Arc::new(View::new(store, None));
    let refused = |listen: SocketAddr| {
        let serving = console::serve(
            Arc::clone(&view),
            Listening { here: Some(listen), ..Listening::default() },
            CancellationToken::new(),
        );
        async move { format!("{:#}", serving.await.err().expect("it is refused")) }
    };
    let all = refused("0.0.0.0:3000".parse().expect("an address")).await;
    assert!(all.contains("can be reached from other machines") && all.contains("in [console] of isobar.toml"), "{all}");
    let taken = refused(host.serving.address).await;
    assert!(taken.contains(&format!("cannot listen on `{}`", host.serving.address)), "{taken}");
    assert!(taken.contains("in use"), "{taken}");
    host.stop.cancel();
    host.serving.task.await.expect("it ends");
    assert!(Access::read(host.dir.path()).is_none(), "the token is removed with the host");
}
