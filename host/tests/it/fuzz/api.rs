//! Requests to the API, from the first byte on: no one makes it fail or fall silent for others, none without the token
//! is answered, and what is sensitive is told to none that does not ask for it.

use std::time::Duration;

use mutate::Target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::panics;
use crate::api::Host;

/// In the customers' column `debt`, and in the topic `complaints`.
const SENSITIVE: [&str; 2] = ["7.5", "too late"];
/// A request that was not sent whole is not answered; that is waited for so long.
const SILENCE: Duration = Duration::from_millis(30);
/// No answer of this little data takes so long.
const ANSWER: Duration = Duration::from_secs(10);

#[test]
fn requests() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let host = runtime.block_on(Host::start());
    let head = format!("Host: {}\r\nAuthorization: {}\r\n", host.address(), host.bearer());
    let get = |path: &str| format!("GET /api/v1{path} HTTP/1.1\r\n{head}\r\n");
    let post = |path: &str, kind: &str, body: &str| {
        format!("POST /api/v1{path} HTTP/1.1\r\n{head}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let json = "Content-Type: application/json\r\n";
    let seeds = [
        get(""),
        get("/status"),
        get("/verify"),
        get("/application"),
        get("/dashboard"),
        get("/session"),
        post("/session", json, "{\"code\":\"0000\"}"),
        post("/session/view", json, "{\"as_viewer\":true}"),
        format!("GET /functions/total HTTP/1.1\r\n{head}Cookie: isobar_session_3000=00; theme=dark\r\n\r\n"),
        format!("GET /metrics HTTP/1.1\r\n{head}Accept-Encoding: gzip\r\n\r\n"),
        format!("GET /readyz HTTP/1.1\r\n{head}\r\n"),
        get("/topics"),
        get("/topics/orders/records?partition=0&from=0&limit=2"),
        get("/topics/complaints/records"),
        get("/tables"),
        get("/tables/customers/rows?where=name%20%3D%20'Ada'&columns=id,name&limit=5"),
        get("/tables/customers/rows?where=debt%20%3E%201"),
        get("/tables/customers/rows?order=-name&offset=1&limit=2"),
        get("/tables/customers/export?format=csv"),
        get("/tables/customers/export?format=json&where=id%20in%20('1')"),
        get("/tables/customers/export?format=parquet"),
        get("/tables/salaries/rows"),
        get("/functions/total/dead-letters?limit=5&all=true&offset=0"),
        post("/functions/total/pause", "", ""),
        post("/functions/total/resume", "", ""),
        post("/functions/total/dead-letters/redrive", json, "{\"offsets\":[0]}"),
        post("/functions/total/dead-letters/drop", json, "{\"offsets\":[]}"),
        post("/tables/customers/load", "", "id,name\n3,Grace\n"),
        format!(
            "POST /api/v1/tables/totals/load HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n3\r\nid,\r\n0\r\n\r\n"
        ),
        format!("OPTIONS /api/v1/status HTTP/1.1\r\n{head}Origin: http://{}\r\n\r\n", host.address()),
    ];
    let words = [
        "HTTP/1.0",
        "Content-Length: 99999999999",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "Origin: null",
        "Upgrade: h2c",
        "%00",
        "%2e%2e/",
        "..",
        "?",
        "&limit=0",
        "&limit=18446744073709551615",
        "&from=-9223372036854775808",
        "&partition=4294967295",
        "&columns=",
        "&where=",
        "&format=",
        "debt",
        "salaries",
        "complaints",
        "\r\n\r\n",
    ];
    let token = host.bearer();
    let before = panics();
    let target = Target::new("request").seeds(seeds).words(words).longest(16 * 1024);
    target.time(ANSWER, Duration::from_millis(20)).memory(16 << 20, 1_000).run(|request| {
        let answer = runtime.block_on(asked(&host.address(), request));
        assert_eq!(panics(), before, "something behind the API panics");
        let answer = String::from_utf8_lossy(&answer);
        let asked = String::from_utf8_lossy(request);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        // Several may have been sent: the first answer is that to the first.
        if let Some(status) = status {
            assert!(
                [200, 400, 401, 403, 404, 405, 408, 413, 414, 415, 422, 431, 501, 503, 505].contains(&status),
                "{answer}"
            );
            let is_told = status != 200 || asked.contains(&token) || is_for_anybody(&answer);
            assert!(is_told, "answered without the token: {answer}");
        }
        if !asked.contains("ensitive") && !SENSITIVE.iter().any(|told| asked.contains(told)) {
            assert!(!SENSITIVE.iter().any(|told| answer.contains(told)), "{answer}");
        }
        (status, answer.matches("HTTP/1.1").count().min(3), answer.len().min(300) / 20)
    });
    let answer = runtime.block_on(asked(&host.address(), get("/tables/customers/rows").as_bytes()));
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "it still answers");
}

/// Whether an answer is the page, which holds no data, or what those who watch over the host are told.
fn is_for_anybody(answer: &str) -> bool {
    let kinds = ["text/html", "text/javascript", "text/css", "image/svg+xml", "application/openmetrics-text"];
    let is_kind = |kind: &str| answer.contains(&format!("content-type: {kind}"));
    kinds.iter().any(|kind| is_kind(kind)) || answer.ends_with("\r\n\r\nalive\n") || answer.ends_with("\r\n\r\nready\n")
}

/// What comes back until it falls silent; behind a whole answer that is not waited for long.
async fn asked(address: &str, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    // It may have heard enough and closed.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    loop {
        let mut part = [0; 16 * 1024];
        let patience = if is_whole(&answer) { Duration::from_millis(1) } else { SILENCE };
        match timeout(patience, stream.read(&mut part)).await {
            Ok(Ok(read)) if read > 0 => answer.extend_from_slice(&part[..read]),
            _ => return answer,
        }
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
    length.map_or(body.ends_with("0\r\n\r\n"), |length| body.len() >= length)
}
