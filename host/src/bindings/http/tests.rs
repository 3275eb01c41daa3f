//! Requests to servers on this machine; names are resolved by the tests.

mod proxy;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::manifest::HttpLimits;
use server::{Server, chunk, closing};

/// No test takes longer.
const LONGEST: Duration = Duration::from_secs(10);

/// A response with its connection driven on.
struct Answer {
    response: Response<WasiBody>,
    _driver: JoinHandle<Result<()>>,
}

fn to_loopback(_: String, port: u16) -> futures::future::BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(vec![([127, 0, 0, 1], port).into()]) })
}

fn outbound(entries: &[&str], limits: HttpLimits, look_up: LookUp) -> Outbound {
    Outbound {
        allowed: entries.iter().map(|entry| OutboundHost::parse(entry).unwrap()).collect(),
        https_proxy: None,
        meter: Meter::new(limits, "f".into()),
        sent: 0,
        away: Arc::default(),
        output: Output::new(64 * 1024),
        look_up,
    }
}

/// To `server` only, within `limits`.
fn limited(server: &Server, limits: HttpLimits) -> Outbound {
    outbound(&[&server.url()], limits, |_, _| panic!("an address is looked up"))
}

async fn send(outbound: &mut Outbound, request: Request<WasiBody>) -> Result<Answer> {
    let sent = Box::into_pin(outbound.send_request(request, None, Box::new(async { Ok(()) })));
    let (response, driver) = timeout(LONGEST, sent).await.expect("the request ends")?;
    Ok(Answer { response, _driver: tokio::spawn(Box::into_pin(driver)) })
}

async fn get(outbound: &mut Outbound, url: &str) -> Result<Answer> {
    let body = Full::default().map_err(Error::from).boxed_unsync();
    send(outbound, Request::get(url).body(body).unwrap()).await
}

impl Answer {
    async fn read(self) -> Result<Bytes> {
        Ok(timeout(LONGEST, self.response.into_body().collect()).await.expect("the body ends")?.to_bytes())
    }
}

/// The text of the limit that was hit, as `name` of `limit`.
fn hit(outbound: &Outbound, name: &str, limit: u32) -> bool {
    let text = outbound.exceeded().unwrap_or_default();
    let told = format!("than `{name}` of {limit}; raise it in [application.trigger.isobar.limits.f]");
    text.ends_with(&told) || panic!("`{text}` does not end with `{told}`")
}

#[tokio::test]
async fn a_literal_address_and_localhost_are_reached_when_they_are_named() {
    let server = Server::start(closing("hello")).await;
    let mut http = limited(&server, HttpLimits::default());
    let answer = get(&mut http, &format!("{}/path", server.url())).await.unwrap();
    assert_eq!(answer.response.status(), StatusCode::OK);
    assert_eq!(answer.read().await.unwrap(), "hello");

    let localhost = format!("http://localhost:{}", server.port);
    let mut http = outbound(&[&localhost], HttpLimits::default(), to_loopback);
    assert_eq!(get(&mut http, &localhost).await.unwrap().read().await.unwrap(), "hello");
    assert_eq!((server.hits(), http.exceeded()), (2, None));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_before_anything_is_sent() {
    let server = Server::start(closing("secret")).await;
    let url = |host: &str| format!("http://{host}:{}/", server.port);
    let mixed: LookUp =
        |_, port| Box::pin(async move { Ok(vec![([1, 1, 1, 1], port).into(), ([127, 0, 0, 1], port).into()]) });
    let mapped: LookUp =
        |_, port| Box::pin(async move { Ok(vec![format!("[::ffff:127.0.0.1]:{port}").parse().unwrap()]) });
    let metadata: LookUp = |_, port| Box::pin(async move { Ok(vec![([169, 254, 169, 254], port).into()]) });
    for (entry, host, look_up) in [
        ("example.org", "example.org", to_loopback as LookUp),
        ("*.example.org", "a.example.org", to_loopback),
        ("127.1", "127.1", to_loopback),
        ("example.org", "example.org", mixed),
        ("example.org", "example.org", mapped),
        ("example.org", "example.org", metadata),
        ("localhost", "localhost", metadata),
    ] {
        let mut http = outbound(&[&url(entry), &server.url()], HttpLimits::default(), look_up);
        let refused = get(&mut http, &url(host)).await.err();
        assert!(matches!(refused, Some(Error::DestinationIpProhibited)), "{host}: {refused:?}");
        let told = http.output.take();
        assert!(told.starts_with(&format!("isobar: `http://{host}:{}` leads to a ", server.port)), "{told}");
        assert!(!told.contains("127.0.0.1") && !told.contains("169.254"), "{told}");
    }
    assert_eq!(server.hits(), 0);
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_what_was_checked_is_connected_to() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    // The second answer has nobody listening, as the second answer of a name that is bound anew.
    let rebound: LookUp = |_, port| {
        Box::pin(async move { Ok(vec![([127, 0, 0, 1 + ASKED.fetch_add(1, Ordering::Relaxed) as u8], port).into()]) })
    };
    let server = Server::start(closing("hello")).await;
    let localhost = format!("http://localhost:{}", server.port);
    let mut http = outbound(&[&localhost], HttpLimits::default(), rebound);
    assert_eq!(get(&mut http, &localhost).await.unwrap().read().await.unwrap(), "hello");
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
    let refused = get(&mut http, &localhost).await.err();
    assert!(matches!(refused, Some(Error::Connect(_))), "{refused:?}");
}

#[tokio::test]
async fn what_is_not_named_is_denied_and_the_reason_told_to_the_operator() {
    let server = Server::start(closing("secret")).await;
    let port = server.port;
    for (url, reason) in [
        (format!("http://localhost:{port}/"), format!("`http://localhost:{port}` is not in `allowed_outbound_hosts`")),
        ("http://127.0.0.1:1/".to_owned(), "`http://127.0.0.1:1` is not in `allowed_outbound_hosts`".to_owned()),
        (
            format!("http://user:pw@127.0.0.1:{port}/"),
            "the address of a request holds a user or a password; ".to_owned(),
        ),
        ("/relative".to_owned(), "the address of a request is no http or https address; ".to_owned()),
    ] {
        let mut http = limited(&server, HttpLimits::default());
        let denied = get(&mut http, &url).await.err();
        assert!(matches!(denied, Some(Error::HttpRequestDenied)), "{url}: {denied:?}");
        let told = http.output.take();
        assert!(told.starts_with(&format!("isobar: {reason}")), "{told}");
        assert!(!told.contains("pw"), "{told}");
        assert_eq!(http.exceeded(), None, "a denied request is no limit");
    }
    assert_eq!(server.hits(), 0);
}

#[tokio::test]
async fn no_redirect_is_followed_and_what_it_names_is_checked_as_any_request() {
    let inside = Server::start(closing("secret")).await;
    for target in
        [format!("http://127.0.0.1:{}/", inside.port), format!("http://internal.example.org:{}/", inside.port)]
    {
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
        let server = Server::start(vec![(0, head)]).await;
        let wildcard = format!("http://*.example.org:{}", inside.port);
        let mut http = outbound(&[&server.url(), &wildcard], HttpLimits::default(), to_loopback);
        let answer = get(&mut http, &server.url()).await.unwrap();
        assert_eq!(answer.response.status(), StatusCode::FOUND);
        let location = answer.response.headers()[LOCATION].to_str().unwrap().to_owned();
        assert_eq!(location, target);
        let refused = get(&mut http, &location).await.err();
        let expected = matches!(refused, Some(Error::HttpRequestDenied | Error::DestinationIpProhibited));
        assert!(expected, "{target}: {refused:?}");
        assert_eq!((server.hits(), inside.hits()), (1, 0));
    }
}

#[tokio::test]
async fn the_body_of_a_request_is_cut_off_at_its_limit() {
    let limits = HttpLimits { request_bytes: 1000, ..HttpLimits::default() };
    let pieces = |count: usize| {
        let frames = (0..count).map(|_| Ok(Frame::data(Bytes::from(vec![b'x'; 100]))));
        StreamBody::new(futures::stream::iter(frames)).boxed_unsync()
    };
    let whole = Full::new(Bytes::from(vec![b'x'; 1001])).map_err(Error::from).boxed_unsync();
    for (body, fits) in [(pieces(10), true), (pieces(11), false), (whole, false)] {
        let server = Server::start(closing("thanks")).await;
        let mut http = limited(&server, limits);
        let sent = send(&mut http, Request::post(server.url()).body(body).unwrap()).await;
        if fits {
            assert_eq!(sent.unwrap().read().await.unwrap(), "thanks");
            assert_eq!(http.exceeded(), None);
            continue;
        }
        // As wasmtime-wasi-http looks for what it tells the guest.
        let Some(Error::Hyper(error)) = sent.err() else { panic!("the request is sent") };
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<Error>());
        assert!(matches!(cause, Some(Error::HttpRequestBodySize(Some(1000)))), "{cause:?}");
        assert!(hit(&http, "http_request_bytes", 1000));
    }
}

#[tokio::test]
async fn the_body_of_a_response_is_cut_off_at_its_limit() {
    let limits = HttpLimits { response_bytes: 1000, ..HttpLimits::default() };
    let long = |bytes: usize| "x".repeat(bytes);
    let chunked = |bytes: usize| {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
        vec![(0, head), (0, chunk(&long(bytes - 1))), (10, chunk("x") + &chunk(""))]
    };
    for (pieces, fits) in [
        (closing(&long(1000)), true),
        (chunked(1000), true),
        (closing(&long(1001)), false),
        (chunked(1001), false),
        (chunked(100_000), false),
    ] {
        let server = Server::start(pieces).await;
        let mut http = limited(&server, limits);
        let read = get(&mut http, &server.url()).await.unwrap().read().await;
        match read {
            Ok(body) => assert!(fits && body.len() == 1000 && http.exceeded().is_none(), "{} bytes", body.len()),
            Err(Error::HttpResponseBodySize(Some(1000))) => assert!(!fits && hit(&http, "http_response_bytes", 1000)),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_is_silent_or_slow_ends_with_the_time() {
    let limits = HttpLimits { timeout_ms: 300, ..HttpLimits::default() };
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n".to_owned();
    let drips = (0..100).map(|_| (50, "x".to_owned()));
    for pieces in [vec![], vec![(0, head.clone())], std::iter::once((0, head)).chain(drips).collect()] {
        let server = Server::start(pieces).await;
        let mut http = limited(&server, limits);
        let begun = Instant::now();
        let ended = match get(&mut http, &server.url()).await {
            Ok(answer) => answer.read().await.err(),
            Err(error) => Some(error),
        };
        assert!(matches!(ended, Some(Error::HttpResponseTimeout)), "{ended:?}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert!(hit(&http, "http_timeout_ms", 300));
    }
}

#[tokio::test]
async fn a_guests_own_shorter_wait_is_no_limit() {
    let server = Server::start(vec![]).await;
    let mut http = limited(&server, HttpLimits::default());
    let options = RequestOptions { first_byte_timeout: Some(Duration::from_millis(50)), ..RequestOptions::default() };
    let body = Full::default().map_err(Error::from).boxed_unsync();
    let request = Request::get(server.url()).body(body).unwrap();
    let sent = Box::into_pin(http.send_request(request, Some(options), Box::new(async { Ok(()) })));
    let ended = timeout(LONGEST, sent).await.expect("the request ends").err();
    assert!(matches!(ended, Some(Error::ConnectionReadTimeout)), "{ended:?}");
    assert_eq!(http.exceeded(), None);
}

#[tokio::test]
async fn a_tls_handshake_that_hangs_or_is_none_ends() {
    let https = |server: &Server| server.url().replace("http:", "https:");
    let silent = Server::start(vec![]).await;
    let mut http = outbound(&[&https(&silent)], HttpLimits { timeout_ms: 300, ..HttpLimits::default() }, to_loopback);
    let ended = get(&mut http, &https(&silent)).await.err();
    assert!(matches!(ended, Some(Error::HttpResponseTimeout)), "{ended:?}");

    let plain = Server::start(closing("hello")).await;
    let mut http = outbound(&[&https(&plain)], HttpLimits::default(), to_loopback);
    plain.end_at_once();
    let ended = get(&mut http, &https(&plain)).await.err();
    assert!(matches!(ended, Some(Error::Tls(_))), "{ended:?}");
}

#[tokio::test]
async fn only_a_server_that_nobody_reaches_is_away() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let closed = format!("http://localhost:{}", socket.local_addr().unwrap().port());
    let unknown: LookUp = |_, _| Box::pin(async { Err(std::io::Error::other("Name or service not known")) });
    let unanswered: LookUp =
        |_, _| Box::pin(async { Err(std::io::Error::other("Temporary failure in name resolution")) });
    let silent = Server::start(vec![]).await;
    let listening = format!("http://localhost:{}", silent.port);
    let secure = listening.replace("http:", "https:");
    let told = |url: &str| Some(format!("`{url}` cannot be reached"));
    for (url, look_up, away) in [
        (&closed, to_loopback as LookUp, told(&closed)),
        (&closed, unknown, None),
        (&closed, unanswered, told(&closed)),
        (&listening, to_loopback, None),
        (&secure, to_loopback, None),
    ] {
        let mut http = outbound(&[url], HttpLimits { timeout_ms: 300, ..HttpLimits::default() }, look_up);
        assert!(get(&mut http, url).await.is_err(), "{url}");
        assert_eq!(http.away(), away, "{url}");
    }
    let mut http = outbound(&["http://localhost:1"], HttpLimits::default(), to_loopback);
    assert!(get(&mut http, &closed).await.is_err());
    assert_eq!(http.away(), None, "what is denied is not asked");
}

#[tokio::test]
async fn only_so_many_requests_are_under_way_at_a_time() {
    let limits = HttpLimits { concurrent: 2, ..HttpLimits::default() };
    let server = Server::start(closing("hello")).await;
    let mut http = limited(&server, limits);
    for _ in 0..4 {
        get(&mut http, &server.url()).await.unwrap().read().await.unwrap();
    }
    let (first, second) = (get(&mut http, &server.url()).await.unwrap(), get(&mut http, &server.url()).await.unwrap());
    drop(second);
    let third = get(&mut http, &server.url()).await.unwrap();
    assert_eq!(http.exceeded(), None, "one was read and dropped in between");
    let fourth = get(&mut http, &server.url()).await.err();
    assert!(matches!(fourth, Some(Error::ConnectionLimitReached)), "{fourth:?}");
    assert!(hit(&http, "http_concurrent", 2));
    assert_eq!((first.read().await.unwrap(), third.read().await.unwrap()), ("hello".into(), "hello".into()));
}

#[tokio::test]
async fn a_response_without_a_body_is_not_under_way() {
    let server = Server::start(vec![(0, "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned())]).await;
    let mut http = limited(&server, HttpLimits { concurrent: 1, ..HttpLimits::default() });
    let _unread = get(&mut http, &server.url()).await.unwrap();
    assert_eq!(get(&mut http, &server.url()).await.unwrap().response.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_call_sends_only_so_many_requests_the_denied_included() {
    let server = Server::start(closing("hello")).await;
    let mut http = limited(&server, HttpLimits { requests: 2, ..HttpLimits::default() });
    get(&mut http, "http://example.org/").await.err().unwrap();
    get(&mut http, &server.url()).await.unwrap().read().await.unwrap();
    assert_eq!(http.exceeded(), None);
    let third = get(&mut http, &server.url()).await.err();
    assert!(matches!(third, Some(Error::HttpRequestDenied)), "{third:?}");
    assert!(hit(&http, "http_requests", 2));
    assert_eq!(server.hits(), 1);
}
