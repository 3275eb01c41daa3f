//! The page, who may see what on it, and how it learns what happens.

use std::time::{Duration, Instant};

use isobar::console::events::{Change, ChangedRows};
use isobar::console::view::View;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::api::Host;

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);
/// How long a host that stops waits for answers that are under way.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A browser that keeps one cookie.
pub(crate) struct Browser<'h> {
    host: &'h Host,
    pub(crate) cookie: String,
}

impl<'h> Browser<'h> {
    pub(crate) fn new(host: &'h Host) -> Self {
        Browser { host, cookie: String::new() }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let us = self.host.address();
        self.host.ask(&format!("GET {path}"), &[("Host", &us), ("Cookie", &self.cookie)], "").await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) -> (u16, String) {
        self.send(path, body, &[("X-Isobar-Page", "1")]).await
    }

    async fn send(&mut self, path: &str, body: &str, more: &[(&str, &str)]) -> (u16, String) {
        let (us, length) = (self.host.address(), body.len().to_string());
        let origin = format!("http://{us}");
        let mut headers = vec![
            ("Host", us.as_str()),
            ("Origin", &origin),
            ("Content-Type", "application/json"),
            ("Content-Length", &length),
        ];
        headers.push(("Cookie", &self.cookie));
        headers.extend(more);
        let (status, answer) = self.host.ask(&format!("POST {path}"), &headers, body).await;
        let set = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ").map(str::to_owned));
        if let Some(set) = set {
            assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
            self.cookie = set.split(';').next().unwrap_or_default().to_owned();
        }
        (status, answer)
    }

    async fn sign_in(&mut self, link: &str) -> u16 {
        let code = link.split("#sign-in=").nth(1).expect("a link has a code");
        self.post("/api/v1/session", &format!(r#"{{"code":"{code}"}}"#)).await.0
    }
}

#[tokio::test]
async fn a_link_signs_one_browser_in_and_another_comes_by_command() {
    let host = Host::start().await;
    let (mut browser, mut other) = (Browser::new(&host), Browser::new(&host));
    assert_eq!(browser.get("/api/v1/status").await.0, 401);
    let (status, answer) = browser.get("/api/v1/session").await;
    assert!(status == 401 && answer.contains("isobar open"), "{answer}");
    assert_eq!(browser.sign_in(host.link()).await, 200);
    let (status, answer) = browser.get("/api/v1/session").await;
    assert!(status == 200 && answer.contains(r#""sensitive":true"#), "{answer}");
    assert_eq!(browser.get("/api/v1/status").await.0, 200);
    assert_eq!(other.sign_in(host.link()).await, 401, "a link is good for one sign-in");
    assert_eq!(other.get("/api/v1/status").await.0, 401);
    let (us, bearer) = (host.address(), host.bearer());
    let made = [("Host", us.as_str()), ("Authorization", &bearer), ("Content-Length", "0")];
    let (status, answer) = host.ask("POST /api/v1/session/links", &made, "").await;
    assert_eq!(status, 200, "{answer}");
    let link = answer.split('"').find(|part| part.contains("#sign-in=")).expect("it is told");
    assert!(link.starts_with(&format!("http://{us}/#")), "{link}");
    assert_eq!(other.sign_in(link).await, 200);
    assert_eq!(browser.get("/api/v1/status").await.0, 200, "each has a session of its own");
    assert_eq!(other.post("/api/v1/session/end", "{}").await.0, 200);
    assert_eq!(other.get("/api/v1/status").await.0, 401);
}

#[tokio::test]
async fn a_viewer_sees_nothing_sensitive_and_changes_nothing() {
    let host = Host::start().await;
    let mut browser = Browser::new(&host);
    assert_eq!(browser.sign_in(host.link()).await, 200);
    let sensitive = "/api/v1/tables/customers/rows?sensitive=true";
    let (status, answer) = browser.get(sensitive).await;
    assert!(status == 200 && answer.contains("7.5"), "{answer}");
    let (status, answer) = browser.post("/api/v1/session/view", r#"{"as_viewer":true}"#).await;
    assert!(
        status == 200 && answer.contains(r#""as_viewer":true"#) && answer.contains(r#""sensitive":false"#),
        "{answer}"
    );
    for (path, expected) in [
        (sensitive, 403),
        ("/api/v1/tables/customers/rows", 200),
        ("/api/v1/tables/customers/rows?order=debt", 400),
        ("/api/v1/tables/customers/rows?order=-no_such_column", 400),
        ("/api/v1/tables/salaries/rows", 403),
        ("/api/v1/topics/complaints/records", 403),
        ("/api/v1/backup?sensitive=true", 403),
    ] {
        let (status, answer) = browser.get(path).await;
        assert!(status == expected && !answer.contains("7.5") && !answer.contains("too late"), "{path}: {answer}");
    }
    for path in
        ["/api/v1/functions/total/pause", "/api/v1/functions/total/rollback", "/api/v1/session/links", "/api/v1/tokens"]
    {
        assert_eq!(browser.post(path, "{}").await.0, 403, "{path}");
    }
    assert_eq!(browser.get("/api/v1/status").await.0, 200);
    browser.post("/api/v1/session/view", r#"{"as_viewer":false}"#).await;
    assert_eq!(browser.get(sensitive).await.0, 200, "who signed in comes back");
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let host = Host::start().await;
    let mut browser = Browser::new(&host);
    assert_eq!(browser.sign_in(host.link()).await, 200);
    let (status, answer) = browser.send("/api/v1/functions/total/pause", "{}", &[]).await;
    assert!(status == 403 && answer.contains("X-Isobar-Page"), "{answer}");
    let us = host.address();
    let foreign = [
        ("Host", us.as_str()),
        ("Origin", "http://evil.example"),
        ("Cookie", &browser.cookie),
        ("X-Isobar-Page", "1"),
        ("Content-Length", "2"),
    ];
    assert_eq!(host.ask("POST /api/v1/functions/total/pause", &foreign, "{}").await.0, 403);
    assert_eq!(host.ask("GET /api/v1/status", &foreign[..3], "").await.0, 403, "not even read");
    for (site, expected) in [("same-site", 403), ("cross-site", 403), ("same-origin", 200), ("none", 200)] {
        let headers = [("Host", us.as_str()), ("Cookie", &browser.cookie), ("Sec-Fetch-Site", site)];
        assert_eq!(host.ask("GET /api/v1/status", &headers, "").await.0, expected, "{site}");
    }
    let long = "x".repeat(2000);
    let (status, answer) = browser.post("/api/v1/session", &format!(r#"{{"code":"{long}"}}"#)).await;
    assert_eq!(status, 413, "who is not known sends little: {answer}");
}

#[tokio::test]
async fn who_watches_over_the_host_needs_no_token_and_other_machines_names_do_not_help() {
    let host = Host::start().await;
    let us = host.address();
    // No function runs here.
    for (path, expected, told) in
        [("/healthz", 200, "alive"), ("/readyz", 503, "no function runs"), ("/metrics", 200, "# EOF")]
    {
        let (status, answer) = host.ask(&format!("GET {path}"), &[("Host", &us)], "").await;
        assert!(status == expected && answer.contains(told), "{path}: {answer}");
        assert_eq!(host.ask(&format!("GET {path}"), &[("Host", "rebound.example")], "").await.0, 403, "{path}");
    }
}

#[tokio::test]
async fn the_page_is_served_to_this_machine_and_may_speak_to_this_host_only() {
    let host = Host::start().await;
    let us = host.address();
    for path in ["/", "/functions/total", "/index.html"] {
        let (status, answer) = host.ask(&format!("GET {path}"), &[("Host", &us)], "").await;
        assert_eq!(status, 200, "{path}");
        for said in [
            "content-security-policy: default-src 'none'; script-src 'self'",
            "nosniff",
            "cache-control: no-cache",
            "<!doctype html>",
        ] {
            assert!(answer.to_lowercase().contains(said), "{said}: {answer}");
        }
    }
    assert_eq!(host.ask("GET /", &[("Host", "rebound.example")], "").await.0, 403);
    assert_eq!(host.ask("POST /", &[("Host", &us), ("Content-Length", "0")], "").await.0, 405);
    assert_eq!(host.ask("GET /assets/none.js", &[("Host", &us)], "").await.0, 404);
    for path in ["/api", "/api/v2/status"] {
        let (status, answer) = host.ask(&format!("GET {path}"), &[("Host", &us)], "").await;
        assert!(status == 404 && answer.contains("application/problem+json"), "{path}: {answer}");
    }
    assert_eq!(host.ask("GET /api/v1/nowhere", &[("Host", &us)], "").await.0, 401, "not even what exists is told");
    let (_, packed) = host.ask("GET /", &[("Host", &us), ("Accept-Encoding", "br, gzip;q=0.8")], "").await;
    assert!(packed.contains("content-encoding: gzip"), "{packed}");
    let (_, plain) = host.ask("GET /", &[("Host", &us), ("Accept-Encoding", "gzip;q=0, br")], "").await;
    assert!(!plain.contains("content-encoding"), "{plain}");
}

/// What a page is told.
struct Told {
    stream: TcpStream,
    heard: String,
}

impl Told {
    /// Listens, from the moment on at which the host says that it tells.
    async fn listen(host: &Host) -> Self {
        let (us, bearer) = (host.address(), host.bearer());
        let stream = host.send("GET /api/v1/events", &[("Host", &us), ("Authorization", &bearer)], "").await;
        let mut told = Told { stream, heard: String::new() };
        while !told.heard.contains("\r\n\r\n") {
            told.hear().await;
        }
        assert!(told.heard.contains("text/event-stream"), "{}", told.heard);
        told
    }

    async fn hear(&mut self) {
        let mut bytes = [0; 4096];
        let count = timeout(LONG, self.stream.read(&mut bytes)).await.expect("it is told in time").expect("it goes on");
        assert!(count > 0, "it ended: {}", self.heard);
        self.heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }

    /// The next change of a table.
    async fn change(&mut self, table: &str) -> ChangedRows {
        loop {
            // Each ends with an empty line, and begins behind the one before or a chunk's length.
            while let Some((event, rest)) = self.heard.split_once("\n\n") {
                let data = event.contains("event: change").then(|| event.split_once("\ndata: ")).flatten();
                let change = data.map(|(_, data)| serde_json::from_str::<Change>(data).expect("it is JSON"));
                self.heard = rest.to_owned();
                if let Some(rows) = change.and_then(|mut change| change.tables.remove(table)) {
                    return rows;
                }
            }
            self.hear().await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_shared_holds_what_was_told_and_is_nobodys_who_may_not_see_it() {
    let host = Host::start().await;
    let mut browser = Browser::new(&host);
    assert_eq!(browser.sign_in(host.link()).await, 200);
    let view = View::new(host.store(), None);
    let mut told = Told::listen(&host).await;
    let rows = "/api/v1/tables/customers/rows?columns=name&shared=true";
    let mut shared = 0;
    for id in 100..110 {
        let before = browser.get(rows).await.1;
        assert!(before.contains("Ada"), "{before}");
        view.load("customers", format!("id,name\n{id},Grace{id}\n").into()).await.expect("it is loaded");
        let meanwhile = browser.get(rows).await.1;
        shared += u32::from(!meanwhile.contains(&format!("Grace{id}")));
        let rows_told = told.change("customers").await;
        assert_eq!((rows_told.rows, rows_told.first), (1, Some(vec![id.to_string()])));
        let after = browser.get(rows).await.1;
        assert!(after.contains(&format!("Grace{id}")), "what was told is there: {after}");
    }
    assert!(shared > 0, "an answer is made once as long as nothing is told");
    let (status, answer) = browser.get("/api/v1/tables/customers/rows?shared=true&sensitive=true").await;
    assert!(status == 200 && answer.contains("7.5"), "{answer}");
    assert_eq!(browser.post("/api/v1/session/view", r#"{"as_viewer":true}"#).await.0, 200);
    let (status, answer) = browser.get("/api/v1/tables/customers/rows?shared=true&sensitive=true").await;
    assert!(status == 403 && !answer.contains("7.5"), "no answer is shared with who may not see it: {answer}");
    let (status, answer) = browser.get("/api/v1/tables/customers/rows?shared=true").await;
    assert!(status == 200 && !answer.contains("7.5"), "{answer}");
}

#[tokio::test]
async fn what_is_written_is_told_to_whoever_listens_without_what_is_sensitive() {
    let host = Host::start().await;
    let view = View::new(host.store(), None);
    let mut told = Told::listen(&host).await;
    view.load("salaries", "id,amount\nGrace,1\n".into()).await.expect("it is loaded");
    let rows = told.change("salaries").await;
    assert_eq!(rows, ChangedRows { rows: 1, first: None, last: None });
    view.load("customers", "id,name\n100,Grace\n11,Grace\n".into()).await.expect("it is loaded");
    let rows = told.change("customers").await;
    let key = |id: &str| Some(vec![id.to_owned()]);
    assert_eq!(rows, ChangedRows { rows: 2, first: key("100"), last: key("11") });
    assert!(!told.heard.contains("Grace"), "{}", told.heard);
    let began = Instant::now();
    host.stop().await;
    assert!(began.elapsed() < LAST_ANSWERS, "a host that stops waits for no page");
}
