//! The API tells nothing to those who may not ask.

use std::net::SocketAddr;
use std::sync::Arc;

use isobar::console::token::Access;
use isobar::console::{self, Serving, view::View};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::shop;

struct Host {
    dir: tempfile::TempDir,
    serving: Serving,
    access: Access,
    loads: watch::Receiver<()>,
    stop: CancellationToken,
}

impl Host {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = shop::open(dir.path()).await;
        shop::fill(&store).await;
        let (stop, loads) = (CancellationToken::new(), store.loads());
        let view = Arc::new(View::new(store, None));
        let listen = Some("127.0.0.1:0".parse().expect("an address"));
        let serving = console::serve(view, listen, stop.clone()).await.expect("it is served");
        let access = Access::read(dir.path()).expect("the data folder says where");
        assert_eq!(access.address, serving.address);
        Host { dir, serving, access, loads, stop }
    }

    /// The answer to a request with these headers: its status, and all of it.
    async fn ask(&self, request: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.serving.address).await.expect("it listens");
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("{request} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n{body}");
        stream.write_all(request.as_bytes()).await.expect("it is sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it answers");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        (status, answer)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.access.token)
    }
}

#[tokio::test]
async fn only_the_token_from_this_machine_and_no_foreign_page_gets_an_answer() {
    let host = Host::start().await;
    let (us, token) = (host.serving.address.to_string(), host.bearer());
    let (us, token) = (us.as_str(), token.as_str());
    let cases: [(&[(&str, &str)], u16); 7] = [
        (&[("Host", us), ("Authorization", token)], 200),
        (&[("Host", us)], 401),
        (&[("Host", us), ("Authorization", "Bearer 0000")], 401),
        (&[("Host", "rebound.example"), ("Authorization", token)], 403),
        (&[("Host", us), ("Origin", "http://evil.example"), ("Authorization", token)], 403),
        (&[("Host", us), ("Origin", "null"), ("Authorization", token)], 403),
        (&[("Authorization", token)], 403),
    ];
    for path in ["/api/v1/status", "/api/v1/tables/customers/rows", "/api/v1/topics/orders/records", "/api/v1"] {
        for (headers, expected) in &cases {
            let (status, answer) = host.ask(&format!("GET {path}"), headers, "").await;
            assert_eq!(status, *expected, "{path} {headers:?}: {answer}");
            let told = ["Ada", "price", "shop", "total"].iter().any(|word| answer.contains(word));
            assert_eq!(told, *expected == 200, "{answer}");
        }
    }
    let (status, _) = host.ask("GET /nowhere", &[("Host", us)], "").await;
    assert_eq!(status, 401, "not even what exists is told");
}

#[tokio::test]
async fn what_is_sensitive_is_told_only_when_asked_for() {
    let host = Host::start().await;
    let (us, token) = (host.serving.address.to_string(), host.bearer());
    let headers = [("Host", us.as_str()), ("Authorization", token.as_str())];
    for (path, with) in [("topics/complaints/records", "too late"), ("tables/customers/rows", "7.5")] {
        let (_, answer) = host.ask(&format!("GET /api/v1/{path}"), &headers, "").await;
        assert!(!answer.contains(with), "{answer}");
        let (status, answer) = host.ask(&format!("GET /api/v1/{path}?sensitive=true"), &headers, "").await;
        assert!(status == 200 && answer.contains(with), "{answer}");
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
        let serving = console::serve(Arc::clone(&view), Some(listen), CancellationToken::new());
        async move { format!("{:#}", serving.await.err().expect("it is refused")) }
    };
    let all = refused("0.0.0.0:3000".parse().expect("an address")).await;
    assert!(all.contains("can be reached from other machines") && all.contains("127.0.0.1:3000"), "{all}");
    let taken = refused(host.serving.address).await;
    assert!(taken.contains(&format!("cannot listen on `{}`", host.serving.address)), "{taken}");
    assert!(taken.contains("in use"), "{taken}");
    host.stop.cancel();
    host.serving.task.await.expect("it ends");
    assert!(Access::read(host.dir.path()).is_none(), "the token is removed with the host");
}
