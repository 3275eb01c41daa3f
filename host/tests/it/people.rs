//! Users who sign in with a password, and the listener that others reach.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use isobar::config::console::{ConsoleConfig, HashSource, Proof, Role, UserConfig};
use isobar::console::{self, Listening, passwords, view::View};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509NameBuilder};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_util::sync::CancellationToken;

use crate::api::{Host, answer, put};
use crate::page::Browser;
use crate::shop;

const NAME: &str = "isobar.example.org";
const PASSWORD: &str = "correct horse battery";

fn user(roles: &[Role]) -> UserConfig {
    let hash = HashSource::Text(passwords::hash(PASSWORD).expect("it is hashed"));
    UserConfig { roles: roles.iter().copied().collect(), hash }
}

fn anna(roles: &[Role]) -> BTreeMap<String, UserConfig> {
    [("anna".to_owned(), user(roles))].into()
}

/// Reached by others on a free port, known to Anna.
fn for_others() -> ConsoleConfig {
    let listen = Some("127.0.0.1:0".parse().expect("an address"));
    ConsoleConfig { listen, names: [NAME.to_owned()].into(), users: anna(&[Role::Viewer]), ..ConsoleConfig::default() }
}

fn credentials(name: &str, password: &str) -> String {
    serde_json::json!({ "name": name, "password": password }).to_string()
}

/// What the answer says, without its headers.
fn body(answer: &str) -> serde_json::Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("headers end");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[tokio::test]
async fn a_user_signs_in_with_a_password_and_may_what_the_roles_say() {
    let host = Host::known_to(ConsoleConfig { users: anna(&[Role::Viewer]), ..ConsoleConfig::default() }).await;
    let mut browser = Browser::new(&host);
    let (status, told) = browser.get("/api/v1/session").await;
    assert!(status == 401 && body(&told)["sign_in"] == serde_json::json!(["link", "password"]), "{told}");
    for (name, password) in [("anna", "wrong horse battery"), ("ben", PASSWORD), ("anna", "")] {
        let (status, told) = browser.post("/api/v1/session", &credentials(name, password)).await;
        assert_eq!(status, 401, "{told}");
        let told = body(&told);
        assert_eq!((&told["status"], &told["title"]), (&401.into(), &"Unauthorized".into()), "{told}");
        assert_eq!(told["detail"], "the name or the password is wrong", "who is known is told to nobody");
    }
    let (status, told) = browser.post("/api/v1/session", &credentials("anna", PASSWORD)).await;
    assert!(status == 200 && body(&told)["user"] == "anna", "{told}");
    assert_eq!(browser.get("/api/v1/tables/customers/rows").await.0, 200);
    let owners = ["/api/v1/tokens", "/api/v1/users", "/api/v1/backup?sensitive=true"];
    for refused in ["/api/v1/tables/customers/rows?sensitive=true"].into_iter().chain(owners) {
        assert_eq!(browser.get(refused).await.0, 403, "{refused}");
    }
    assert_eq!(browser.post("/api/v1/functions/count/pause", "{}").await.0, 403);
    let (_, audit) = browser.get("/api/v1/audit").await;
    assert!(audit.contains("the password was wrong") && audit.contains(r#""action":"sign in""#), "{audit}");
    assert!(!audit.contains("ben"), "what anybody types as a name is not kept: {audit}");
    host.stop().await;
}

#[tokio::test]
async fn roles_add_up() {
    let roles = [Role::Operator, Role::Sensitive];
    let host = Host::known_to(ConsoleConfig { users: anna(&roles), ..ConsoleConfig::default() }).await;
    let mut browser = Browser::new(&host);
    let (_, told) = browser.post("/api/v1/session", &credentials("anna", PASSWORD)).await;
    assert_eq!(body(&told)["may"], serde_json::json!({"sensitive": true, "operate": true, "deploy": true}));
    assert_eq!(browser.get("/api/v1/tables/customers/rows?sensitive=true").await.0, 200);
    assert_eq!(browser.post("/api/v1/users", "{}").await.0, 403, "she gives rights to nobody");
    assert_eq!(browser.get("/api/v1/backup?sensitive=true").await.0, 403, "it holds the passwords' hashes");
    host.stop().await;
}

#[tokio::test]
async fn who_tries_passwords_has_to_wait() {
    let host = Host::known_to(ConsoleConfig { users: anna(&[Role::Viewer]), ..ConsoleConfig::default() }).await;
    let mut browser = Browser::new(&host);
    let mut told = Vec::new();
    for _ in 0..32 {
        told.push(browser.post("/api/v1/session", &credentials("anna", "a guess, one of many")).await.0);
    }
    assert_eq!(told[..30], [401; 30]);
    assert_eq!(told[30..], [429; 2]);
    assert_eq!(browser.post("/api/v1/session", &credentials("anna", PASSWORD)).await.0, 429, "right or wrong");
    host.stop().await;
}

#[tokio::test]
async fn users_of_the_data_folder_come_and_go_while_the_host_runs() {
    let host = Host::start().await;
    let (us, bearer) = (host.address(), host.bearer());
    let owner = async |request: &str, body: &str| {
        let length = body.len().to_string();
        let json = ("Content-Type", "application/json");
        host.ask(request, &[("Host", &us), ("Authorization", &bearer), ("Content-Length", &length), json], body).await
    };
    let mut browser = Browser::new(&host);
    assert_eq!(body(&browser.get("/api/v1/session").await.1)["sign_in"], serde_json::json!(["link"]));
    let hash = passwords::hash(PASSWORD).expect("it is hashed");
    let ask = |name: &str, role: &str, hash: &str| {
        serde_json::json!({ "name": name, "roles": [role], "hash": hash }).to_string()
    };
    for (name, role, hash) in [("ben", "viewer", "hunter2"), ("ben", "admin", &hash), ("operator", "viewer", &hash)] {
        let (status, told) = owner("POST /api/v1/users", &ask(name, role, hash)).await;
        assert!(status == 400 && !told.contains("argon2id$"), "{told}");
    }
    let (status, told) = owner("POST /api/v1/users", &ask("ben", "viewer", &hash)).await;
    assert!(status == 200 && !told.contains("argon2"), "{told}");
    assert_eq!(owner("POST /api/v1/users", &ask("ben", "operator", &hash)).await.0, 400, "there is one");
    let (_, all) = owner("GET /api/v1/users", "").await;
    assert!(all.contains(r#""roles":["viewer"]"#) && !all.contains("argon2"), "{all}");
    let (status, _) = browser.post("/api/v1/session", &credentials("ben", PASSWORD)).await;
    assert_eq!((status, browser.get("/api/v1/status").await.0), (200, 200));
    assert_eq!(owner("POST /api/v1/users/ben/remove", "").await.0, 200);
    assert_eq!(browser.get("/api/v1/status").await.0, 401, "he is signed out");
    assert_eq!(browser.post("/api/v1/session", &credentials("ben", PASSWORD)).await.0, 401);
    assert_eq!(owner("POST /api/v1/users/ben/remove", "").await.0, 400);
    host.stop().await;
}

/// An answer of the listener for others.
async fn ask(at: SocketAddr, request: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    put(&mut stream, request, headers, body).await;
    answer(stream).await
}

#[tokio::test]
async fn others_reach_the_host_by_its_name_and_as_who_they_are() {
    let host = Host::known_to(for_others()).await;
    let public = host.public().expect("it listens for others");
    assert!(host.warning().is_none(), "on this machine nobody reads along");
    let named = ("Host", NAME);
    assert_eq!(ask(public, "GET /healthz", &[named], "").await.0, 200);
    assert_eq!(ask(public, "GET /", &[named], "").await.0, 200, "the page holds nothing");
    let (status, told) = ask(public, "GET /readyz", &[named], "").await;
    assert!(status == 503 && told.ends_with("not ready\n"), "what is lacking is not others' affair: {told}");
    assert_eq!(ask(public, "GET /metrics", &[named], "").await.0, 401);
    let local = host.address();
    assert_eq!(host.ask("GET /metrics", &[("Host", &local)], "").await.0, 200);
    let bearer = host.bearer();
    let owner = ("Authorization", bearer.as_str());
    assert_eq!(ask(public, "GET /api/v1/status", &[named, owner], "").await.0, 401, "the owner is on this machine");
    assert_eq!(ask(public, "GET /healthz", &[("Host", "evil.example")], "").await.0, 403);
    let (_, told) = ask(public, "GET /api/v1/session", &[named], "").await;
    assert_eq!(body(&told)["sign_in"], serde_json::json!(["password"]), "links are for this machine: {told}");
    let (status, told) = sign_in(public, &[named]).await;
    assert!(status == 200 && !told.contains("Secure"), "{told}");
    let (cookie, _) = told.split("set-cookie: ").nth(1).and_then(|c| c.split_once(';')).expect("a cookie");
    for (origin, expected) in [("http://isobar.example.org", 200), ("http://evil.example", 403)] {
        let headers = [named, ("Cookie", cookie), ("Origin", origin)];
        assert_eq!(ask(public, "GET /api/v1/status", &headers, "").await.0, expected, "{origin}");
    }
    assert_eq!(ask(public, "GET /metrics", &[named, ("Cookie", cookie)], "").await.0, 200);
    let code = host.link().split("#sign-in=").nth(1).expect("a link has a code");
    let link = serde_json::json!({ "code": code }).to_string();
    let length = link.len().to_string();
    let headers = [named, ("Content-Type", "application/json"), ("Content-Length", length.as_str())];
    let (status, told) = ask(public, "POST /api/v1/session", &headers, &link).await;
    assert!(status == 401 && told.contains("on the host's machine only"), "{told}");
    let mut browser = Browser::new(&host);
    assert_eq!(browser.post("/api/v1/session", &link).await.0, 200, "it is good here still");
    let renamed = browser.cookie.replace(local.rsplit(':').next().expect("a port"), &public.port().to_string());
    assert_ne!(renamed, browser.cookie);
    let elsewhere = ask(public, "GET /api/v1/status", &[named, ("Cookie", &renamed)], "").await;
    assert_eq!(elsewhere.0, 401, "a session is known where it was begun");
    host.stop().await;
}

async fn sign_in(at: SocketAddr, more: &[(&str, &str)]) -> (u16, String) {
    let body = credentials("anna", PASSWORD);
    let length = body.len().to_string();
    let mut headers = vec![("Content-Type", "application/json"), ("Content-Length", length.as_str())];
    headers.extend(more);
    ask(at, "POST /api/v1/session", &headers, &body).await
}

#[tokio::test]
async fn a_proxy_that_the_operator_names_says_how_others_came() {
    let proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    let host = Host::known_to(ConsoleConfig { proxies, ..for_others() }).await;
    let public = host.public().expect("it listens for others");
    let by_proxy = [("Host", "10.0.0.1"), ("X-Forwarded-Host", NAME), ("X-Forwarded-Proto", "https")];
    let (status, told) = sign_in(public, &by_proxy).await;
    assert!(status == 200 && told.contains("; Secure"), "{told}");
    for at in 0..40 {
        let from = format!("203.0.113.{at}");
        let (status, _) = sign_in(public, &[&by_proxy[..], &[("X-Forwarded-For", &from)]].concat()).await;
        assert_eq!(status, 200, "each tries for itself");
    }
    host.stop().await;

    let host = Host::known_to(for_others()).await;
    let public = host.public().expect("it listens for others");
    assert_eq!(sign_in(public, &by_proxy).await.0, 200);
    let (_, told) = sign_in(public, &by_proxy).await;
    assert!(!told.contains("; Secure"), "who is no proxy says what it likes: {told}");
    host.stop().await;
}

/// A certificate for a name, and its key, as PEM in a folder.
fn certificate(folder: &std::path::Path) -> (Proof, Vec<u8>) {
    let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", NAME).expect("a name");
    let name = name.build();
    let mut made = X509::builder().expect("a certificate");
    made.set_version(2).expect("a version");
    made.set_subject_name(&name).expect("a subject");
    made.set_issuer_name(&name).expect("an issuer");
    made.set_pubkey(&key).expect("a key");
    made.set_not_before(&Asn1Time::days_from_now(0).expect("a time")).expect("a time");
    made.set_not_after(&Asn1Time::days_from_now(2).expect("a time")).expect("a time");
    let names = SubjectAlternativeName::new().dns(NAME).build(&made.x509v3_context(None, None)).expect("names");
    made.append_extension(names).expect("names");
    made.sign(&key, MessageDigest::sha256()).expect("it is signed");
    let made = made.build();
    let proof = Proof { certificate: folder.join("tls.crt"), key: folder.join("tls.key") };
    std::fs::write(&proof.certificate, made.to_pem().expect("PEM")).expect("it is written");
    std::fs::write(&proof.key, key.private_key_to_pem_pkcs8().expect("PEM")).expect("it is written");
    (proof, made.to_der().expect("DER"))
}

#[tokio::test]
async fn over_tls_the_host_proves_its_name_and_the_session_is_sent_over_tls_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let (proof, authority) = certificate(folder.path());
    let host = Host::known_to(ConsoleConfig { tls: Some(proof), ..for_others() }).await;
    let public = host.public().expect("it listens for others");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority)).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(public).await.expect("it listens");
    let name = ServerName::try_from(NAME).expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("it proves its name");
    let body = credentials("anna", PASSWORD);
    let length = body.len().to_string();
    let origin = format!("https://{NAME}");
    let headers = [
        ("Host", NAME),
        ("Origin", origin.as_str()),
        ("Content-Type", "application/json"),
        ("Content-Length", length.as_str()),
    ];
    put(&mut stream, "POST /api/v1/session", &headers, &body).await;
    let (status, told) = answer(stream).await;
    assert!(status == 200 && told.contains("SameSite=Strict; Secure"), "{told}");
    let mut clear = TcpStream::connect(public).await.expect("it listens");
    put(&mut clear, "GET /healthz", &[("Host", NAME)], "").await;
    let mut said = Vec::new();
    // It breaks off, with or without a word of TLS.
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut clear, &mut said).await;
    assert!(!String::from_utf8_lossy(&said).contains("alive"), "nothing is said in the clear");
    host.stop().await;
}

#[tokio::test]
async fn others_reach_no_host_that_knows_nobody_or_cannot_prove_its_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = shop::open(dir.path()).await;
    let view = Arc::new(View::new(store, None));
    let refused = async |console: ConsoleConfig| {
        let listening = Listening { here: "127.0.0.1:0".parse().ok(), console, ..Listening::default() };
        let serving = console::serve(Arc::clone(&view), listening, CancellationToken::new()).await;
        format!("{:#}", serving.err().expect("it is refused"))
    };
    let nobody = refused(ConsoleConfig { users: BTreeMap::new(), ..for_others() }).await;
    assert!(nobody.contains("there is no user, and no token") && nobody.contains("isobar user add"), "{nobody}");
    let tls = Some(Proof { certificate: dir.path().join("none.crt"), key: dir.path().join("none.key") });
    let unproven = refused(ConsoleConfig { tls, ..for_others() }).await;
    assert!(unproven.contains("none.crt"), "{unproven}");
    let kept = |text: &str| {
        let path = dir.path().join("hash");
        std::fs::write(&path, text).expect("it is written");
        let hash = HashSource::Kept(isobar::config::stores::Secret::File(path));
        let users = [("anna".to_owned(), UserConfig { roles: [Role::Viewer].into(), hash })].into();
        ConsoleConfig { users, ..for_others() }
    };
    let unfit = refused(kept("hunter2\n")).await;
    assert!(unfit.contains("[console.users.anna]") && !unfit.contains("hunter2"), "{unfit}");
}

fn command(args: &[&str], stdin: &str) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isobar"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().expect("it starts");
    running.stdin.take().expect("stdin").write_all(stdin.as_bytes()).expect("it listens");
    let output = running.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_hash_is_made_for_the_file_and_a_user_is_added_without_a_host() {
    let (made, hash, _) = command(&["user", "hash"], &format!("{PASSWORD}\n"));
    assert!(made && isobar::config::console::hash_fits(hash.trim()).is_ok(), "{hash}");
    let (made, _, told) = command(&["user", "hash"], "too short\n");
    assert!(!made && told.contains("9 characters") && !told.contains("too short"), "{told}");
    let dir = tempfile::tempdir().expect("a folder");
    let manifest = shop::manifest_path();
    shop::open(dir.path()).await.close().await;
    let place = ["--manifest", manifest.to_str().expect("a path"), "--data-dir", dir.path().to_str().expect("a path")];
    let run = |args: &[&str], stdin: &str| command(&[args, &place[..]].concat(), stdin);
    let (added, _, told) = run(&["user", "add", "ben", "--role", "viewer", "--role", "sensitive"], PASSWORD);
    assert!(added && told.contains("`ben` is viewer, sensitive now"), "{told}");
    let (added, _, told) = run(&["user", "add", "ben", "--role", "viewer"], PASSWORD);
    assert!(!added && told.contains("already"), "{told}");
    let (made, _, told) = run(&["token", "create", "ben", "--may", "read"], "");
    assert!(!made && told.contains("already"), "the audit log could not tell them apart: {told}");
    let (_, listed, _) = run(&["user", "list", "--json"], "");
    assert!(listed.contains(r#""name": "ben""#) && !listed.contains("argon2"), "{listed}");
    let (removed, _, told) = run(&["user", "remove", "ben"], "");
    assert!(removed, "{told}");
    let (_, audit, _) = run(&["audit", "--json"], "");
    assert!(audit.contains("user add ben") && audit.contains("user remove ben"), "{audit}");
}
