//! A value planted in the station metadata, and a function in the place of `enrich` that tries every way out with it: nobody
//! who does not ask for sensitive data finds it.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use dwd_mirror::{Mirror, Options, Source, stations_csv};

use crate::guests::{with_traitor, written};
use crate::host::Host;

const CANARY: &str = "canary-5b0e97d3c1";
const LONGEST: Duration = Duration::from_secs(120);

/// Columns of which somebody may guess the value.
const GUESSED: [(&str, &str); 3] =
    [("station_metadata", "station_name"), ("meta_data", "station_name"), ("meta_data", "station_id")];

/// What anybody may ask; a refusal is an answer too.
const OPEN: [&[&str]; 17] = [
    &["status"],
    &["status", "--json"],
    &["verify", "--json"],
    &["topic", "list", "--json"],
    &["topic", "read", "temperature", "--json"],
    &["topic", "read", "station-summary", "--json"],
    &["topic", "read", "whispers", "--json"],
    &["topic", "read", "weather.enrich.dead-letters", "--json"],
    &["table", "list", "--json"],
    &["table", "query", "daily_temp_data", "--format", "json"],
    &["table", "query", "meta_data", "--format", "json"],
    &["table", "query", "station_metadata", "--format", "json"],
    &["table", "export", "meta_data", "--format", "csv"],
    &["table", "export", "station_metadata", "--format", "csv"],
    &["dead-letters", "list", "enrich", "--json", "--all"],
    &["dead-letters", "show", "enrich", "0", "--json"],
    &["check", "--json"],
];

#[tokio::test(flavor = "multi_thread")]
async fn station_metadata_stay_with_a_function_that_wants_to_tell_them() {
    let options = Options::made_up(3, 3.0);
    let Source::MadeUp(made_up) = &options.source else { panic!("stations are made up") };
    let stations = planted(&stations_csv(made_up));
    let mirror = Mirror::start(options).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("stations.csv"), stations).unwrap();
    let manifest = written(dir.path(), &with_traitor());
    let data_dir = dir.path().join("data");
    let host =
        Host { manifest: Some(&manifest), config: None, data_dir: &data_dir, url: mirror.url(), station_ids: "all" };
    let log = dir.path().join("log");
    tokio::task::block_in_place(|| {
        let telling = [("ISOBAR_LOG", "trace"), ("RUST_BACKTRACE", "full")];
        let mut running = host.up_with(&[], &telling, File::create(&log).unwrap());
        let started = Instant::now();
        while !data_dir.join("api.json").exists() {
            assert!(started.elapsed() < LONGEST && running.try_wait().unwrap().is_none(), "the host does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let loaded =
            host.command(&["table", "load", "station_metadata", dir.path().join("stations.csv").to_str().unwrap()]);
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        until_handled(&host);
        every_way_was_tried(&host);
        search(&host, "while it runs");
        running.kill().unwrap();
        running.wait().unwrap();
        search(&host, "when it does not run");
        let logged = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
        assert!(logged.contains("the batch failed"), "the log says what happened");
        let leaks: Vec<&str> = logged.lines().filter(|line| line.contains(CANARY)).collect();
        assert!(leaks.is_empty(), "the log holds it: {leaks:#?}");
    });
    mirror.stop().await.unwrap();
}

/// The stations' list with the canary in place of each name.
fn planted(csv: &str) -> String {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let name = headers.iter().position(|h| h == "station_name").unwrap();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&headers).unwrap();
    for row in reader.records() {
        let row = row.unwrap();
        let cell = |(at, cell): (usize, &str)| if at == name { CANARY.to_owned() } else { cell.to_owned() };
        writer.write_record(row.iter().enumerate().map(cell)).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

/// Waits until the traitor has had its way with all there is.
fn until_handled(host: &Host<'_>) {
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < LONGEST, "the run does not end: {}", said(host, &["status"]));
        let status: serde_json::Value = serde_json::from_str(&said(host, &["status", "--json"])).unwrap_or_default();
        let sources = status["sources"].as_array().cloned().unwrap_or_default();
        let enrich = || sources.iter().filter(|s| s["function"] == "enrich");
        let crawled = sources.iter().any(|s| s["scheduled"] == true && s["standing"]["state"] == "idle");
        let handled: i64 = enrich().filter_map(|s| s["position"].as_i64()).sum();
        let letters: i64 = enrich().filter_map(|s| s["dead_letters"].as_i64()).sum();
        if crawled && handled > 0 && letters > 0 && sources.iter().all(|s| s["lag"] == 0) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What is asked here as somebody who may see it was found by the search below, had it been anywhere else.
fn every_way_was_tried(host: &Host<'_>) {
    let told = said(host, &["dead-letters", "list", "enrich", "--json", "--limit", "1000"]);
    for code in ["panic; its words are hidden", "retry; its words are hidden", "reject; its words are hidden"] {
        assert!(told.contains(code), "no letter says `{code}`: {told}");
    }
    for asked in [
        ["dead-letters", "list", "enrich", "--sensitive"].as_slice(),
        &["topic", "read", "whispers", "--sensitive"],
        &["table", "query", "meta_data", "--sensitive"],
    ] {
        assert!(said(host, asked).contains(CANARY), "`{}` does not hold it", asked.join(" "));
    }
}

fn search(host: &Host<'_>, when: &str) {
    for asked in OPEN {
        let answer = said(host, asked);
        assert!(!answer.contains(CANARY), "{when}, `isobar {}` tells it:\n{answer}", asked.join(" "));
    }
    for (table, column) in GUESSED {
        let guess = |value: &str| {
            let answer = said(host, &["table", "query", table, "--where", &format!("{column} = '{value}'")]);
            answer.replace(value, "a guess")
        };
        assert_eq!(guess(CANARY), guess("another"), "{when}, a right guess of `{column}` reads like a wrong one");
    }
}

fn said(host: &Host<'_>, words: &[&str]) -> String {
    let output = host.command(words);
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
