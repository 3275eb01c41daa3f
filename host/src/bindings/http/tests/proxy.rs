//! Requests by way of the operator's proxy, which here refuses to connect or plays the server badly.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A proxy that gives `answer` to whoever asks, and what it was asked for.
async fn proxy(answer: &'static str) -> (Uri, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap()
    });
    (uri, asked)
}

fn by_way_of(proxy: &Uri, look_up: LookUp) -> Outbound {
    let allowed = ["https://*.example.org", "http://api.example.org", "https://127.0.0.1:9"];
    Outbound { https_proxy: Some(proxy.clone()), ..outbound(&allowed, HttpLimits::default(), look_up) }
}

fn unknown(_: String, _: u16) -> futures::future::BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
    Box::pin(async { Err(std::io::Error::other("there is no name server")) })
}

#[tokio::test]
async fn a_name_that_only_the_proxy_knows_is_asked_of_it() {
    let (uri, asked) = proxy("HTTP/1.1 200 OK\r\n\r\nno TLS").await;
    let refused = get(&mut by_way_of(&uri, unknown), "https://api.example.org/secret").await.err();
    assert!(matches!(refused, Some(Error::Tls(_))), "the server behind it must prove its name: {refused:?}");
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("CONNECT api.example.org:443 HTTP/1.1\r\n"), "{asked}");
    assert!(!asked.contains("secret"), "{asked}");
}

#[tokio::test]
async fn a_name_that_can_be_looked_up_is_asked_for_by_the_address_that_was_checked() {
    let (uri, asked) = proxy("HTTP/1.1 200 OK\r\n\r\n").await;
    let public: LookUp = |_, port| Box::pin(async move { Ok(vec![([93, 184, 215, 14], port).into()]) });
    get(&mut by_way_of(&uri, public), "https://api.example.org/").await.err().unwrap();
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("CONNECT 93.184.215.14:443 HTTP/1.1\r\n"), "{asked}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_as_a_connection_that_failed() {
    let (uri, asked) = proxy("HTTP/1.1 403 Forbidden\r\n\r\n").await;
    let refused = get(&mut by_way_of(&uri, unknown), "https://api.example.org/").await.err();
    assert!(matches!(refused, Some(Error::Connect(_))), "{refused:?}");
    asked.await.unwrap();
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_asked_of_the_proxy() {
    let (uri, asked) = proxy("HTTP/1.1 200 OK\r\n\r\n").await;
    let refused = get(&mut by_way_of(&uri, to_loopback), "https://api.example.org/").await.err();
    assert!(matches!(refused, Some(Error::DestinationIpProhibited)), "{refused:?}");
    assert!(!asked.is_finished());
}

#[tokio::test]
async fn addresses_and_plain_requests_do_not_go_by_way_of_it() {
    let (uri, asked) = proxy("HTTP/1.1 200 OK\r\n\r\n").await;
    let literal = get(&mut by_way_of(&uri, unknown), "https://127.0.0.1:9/").await.err();
    assert!(matches!(literal, Some(Error::Connect(_))), "{literal:?}");
    let plain = get(&mut by_way_of(&uri, unknown), "http://api.example.org/").await.err();
    assert!(matches!(plain, Some(Error::Connect(_))), "{plain:?}");
    assert!(!asked.is_finished());
}
