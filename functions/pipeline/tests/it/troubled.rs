//! A server that misbehaves delays the tables and changes nothing in them; nothing is fetched twice without need.

use dwd_mirror::{Mirror, Options};

use crate::host::{Host, TABLES};

#[tokio::test(flavor = "multi_thread")]
async fn a_misbehaving_server_delays_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let calm = Mirror::start(Options::made_up(2, 2.0)).await.unwrap();
    let expected =
        Host { manifest: None, config: None, data_dir: &dir.path().join("calm"), url: calm.url(), station_ids: "all" };
    tokio::task::block_in_place(|| expected.until_idle());

    let troubled = Mirror::start(Options::made_up(2, 2.0)).await.unwrap();
    for rule in [
        "kind=status500&path=/10_minutes/air_temperature/now/&count=2",
        "kind=cut-body&path=/10_minutes/air_temperature/recent/10minutenwerte&count=1",
        "kind=status500&path=/10_minutes/air_temperature/historical/10minutenwerte&count=1",
    ] {
        post(&format!("{}/_misbehave?{rule}", troubled.root())).await;
    }
    let host = Host {
        manifest: None,
        config: None,
        data_dir: &dir.path().join("troubled"),
        url: troubled.url(),
        station_ids: "all",
    };
    tokio::task::block_in_place(|| {
        host.until_idle();
        for table in TABLES {
            assert!(host.export(table) == expected.export(table), "`{table}` differs");
        }
    });
    calm.stop().await.unwrap();
    troubled.stop().await.unwrap();
}

/// A POST without a body; the mirror says 2xx or the test fails.
pub(crate) async fn post(url: &str) {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("POST /{path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
}
