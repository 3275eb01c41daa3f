//! The tables are the same, to the bit, when an aggregate is replaced again and again while readings flow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use dwd_mirror::{Mirror, Options};
use isobar::console::answers::DeployAsk;
use isobar::console::client::Client;
use isobar::manifest;
use isobar::shadows::Comparison;
use local_services::say;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::guests::written;
use crate::host::{Host, TABLES, root};

const FUNCTION: &str = "aggregate-temperature";
const SWAPS: u32 = 100;
/// What is made of records alone, and of a table that nobody has loaded since.
const REPLAYED: [&str; 3] = [FUNCTION, "aggregate-others", "enrich"];
const LONGEST_START: Duration = Duration::from_secs(30);

/// The application, whose aggregate of temperatures takes small batches.
fn text() -> String {
    let text = std::fs::read_to_string(root().join("spin.toml")).unwrap();
    let topic = "topic = \"temperature\"\nbatch_max_records = 32768";
    assert!(text.contains(topic));
    text.replace(topic, "topic = \"temperature\"\nbatch_max_records = 512")
}

/// The aggregate as it is built, and with a section that nobody reads.
fn another_build(number: u8) -> Vec<u8> {
    let component = root().join("target/wasm32-wasip2/release/aggregate_temperature.wasm");
    let section = [0, 8, 6, b'n', b'u', b'm', b'b', b'e', b'r', number];
    std::fs::read(component).unwrap().into_iter().chain(section).collect()
}

async fn client(data_dir: &Path, host: &mut Child) -> Client {
    let started = Instant::now();
    loop {
        assert!(host.try_wait().unwrap().is_none() && started.elapsed() < LONGEST_START, "the host does not start");
        if let Some(client) = Client::find(data_dir).await {
            return client;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs a function over the past again and holds what it makes against what there is; gives how many records that were.
fn replayed_the_same(host: &Host<'_>, function: &str) -> u64 {
    let replayed = host.command(&["replay", function, "--json"]);
    let told = String::from_utf8_lossy(&replayed.stdout);
    assert!(replayed.status.success(), "{told}{}", String::from_utf8_lossy(&replayed.stderr));
    let comparison: Comparison = serde_json::from_str(&told).unwrap();
    assert_eq!((comparison.behind, comparison.differing), (0, 0), "{told}");
    let rows: u64 = comparison.tables.iter().map(|table| table.rows).sum();
    assert!(comparison.records > 0 && rows > 0, "{told}");
    comparison.records
}

/// Lets a host come to its end.
fn end(host: &mut Child) {
    let told = Command::new("kill").arg(host.id().to_string()).status().unwrap();
    assert!(told.success() && host.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_swaps_leave_the_tables_of_an_undisturbed_run() {
    let mirror = Mirror::start(Options::made_up(4, 12.0)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = tokio::task::block_in_place(|| written(dir.path(), &text()));
    let of = |data_dir| Host { manifest: Some(&path), config: None, data_dir, url: mirror.url(), station_ids: "all" };
    let (undisturbed, swapped) = (dir.path().join("undisturbed"), dir.path().join("swapped"));
    let (undisturbed, swapped) = (of(&undisturbed), of(&swapped));
    tokio::task::block_in_place(|| undisturbed.until_idle());

    let mut host = swapped.up(&["--until-idle"]);
    let client = client(swapped.data_dir, &mut host).await;
    let part = manifest::part(&text(), &BTreeSet::from([FUNCTION.to_owned()])).unwrap();
    let mut random = StdRng::seed_from_u64(11);
    let mut swaps = 0;
    while swaps < SWAPS && host.try_wait().unwrap().is_none() {
        let components = BTreeMap::from([(FUNCTION.to_owned(), another_build(1 + (swaps % 2) as u8))]);
        let Ok(taken) = client.deploy(&DeployAsk::new(part.clone(), &components)).await else { break };
        assert_ne!(taken[0].before.as_ref(), Some(&taken[0].version));
        swaps += 1;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..40))).await;
    }
    tokio::task::block_in_place(|| {
        let ended = host.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        say!("{swaps} swaps of {SWAPS} while readings flowed");
        assert_eq!(swaps, SWAPS, "the run is too short");
        for table in TABLES {
            let expected = undisturbed.export(table);
            assert!(swapped.export(table) == expected, "`{table}` differs from that of an undisturbed run");
        }
        let verified = swapped.command(&["verify"]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    });
    let mut host = swapped.up(&[]);
    self::client(swapped.data_dir, &mut host).await;
    tokio::task::block_in_place(|| {
        for function in REPLAYED {
            let records = replayed_the_same(&swapped, function);
            say!("`{function}` made the same again of {records} records");
        }
        end(&mut host);
    });
    mirror.stop().await.unwrap();
}
