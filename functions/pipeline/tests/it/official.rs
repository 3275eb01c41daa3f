//! The real archive of München-Stadt through the whole pipeline, held against DWD's own daily figures.

use std::collections::HashMap;
use std::fs;

use dwd_mirror::{Mirror, Options};

use crate::host::{Host, root};
use local_services::say;

/// The share of days that have to agree.
const NEEDED: f64 = 0.995;
/// The days that both series have: 2018-10-04 to 2019-06-30.
const DAYS: usize = 270;

#[tokio::test(flavor = "multi_thread")]
async fn daily_means_are_those_that_dwd_publishes() {
    let real = root().join("../shared/dwd");
    let official = real.join("official/produkt_klima_tag_20181004_20190630_03379.txt");
    if !real.join("tree").exists() || !official.exists() {
        say!("SKIPPED: no real DWD files in `../shared/dwd`, so the pipeline was not compared with DWD's figures");
        return;
    }
    let mirror = Mirror::start(Options::tree(real.join("tree"))).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host {
        manifest: None,
        config: None,
        data_dir: &dir.path().join("data"),
        url: mirror.url(),
        station_ids: "03379",
    };
    tokio::task::block_in_place(|| host.until_idle());
    mirror.stop().await.unwrap();

    let temperature = column(&host.export("daily_temp_data"), "mean_temp");
    let pressure = column(&host.export("daily_othe_data"), "mean_pressure");
    let official = figures(&fs::read_to_string(official).unwrap());
    assert_eq!(official.len(), DAYS);
    let share = |same: &dyn Fn(&str, &(f64, f64)) -> bool| {
        official.iter().filter(|(day, figures)| same(day, figures)).count() as f64 / DAYS as f64
    };
    let temperature = share(&|day, (mean, _)| temperature[day] == Some(*mean));
    let near = |ours: Option<f64>, theirs: f64| ours.is_some_and(|ours| (ours - theirs).abs() < 0.010_001);
    let pressure = share(&|day, (_, mean)| near(pressure[day], *mean));
    say!("through the pipeline, mean temperature equals DWD's on {:.1} % of {DAYS} days", 100.0 * temperature);
    say!("through the pipeline, mean pressure is within 0.01 hPa of DWD's on {:.1} %", 100.0 * pressure);
    assert!(temperature >= NEEDED && pressure >= NEEDED);

    let verified = host.command(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// A column of an export by date (YYYY-MM-DD); every row carries the notice.
fn column(text: &str, name: &str) -> HashMap<String, Option<f64>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|h| h == name).unwrap();
    let (date, value, notice) = (at("measurement_date"), at(name), at("notice"));
    let row = |row: csv::StringRecord| {
        assert_eq!(&row[notice], "Datenbasis: Deutscher Wetterdienst, Einzelwerte gemittelt");
        (row[date].to_owned(), row[value].parse().ok())
    };
    reader.records().map(|r| row(r.unwrap())).collect()
}

/// TMK and PM by date.
fn figures(text: &str) -> HashMap<String, (f64, f64)> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(';').map(str::trim).collect();
        let (year, rest) = fields[1].split_at(4);
        let (month, day) = rest.split_at(2);
        (format!("{year}-{month}-{day}"), (fields[13].parse().unwrap(), fields[12].parse().unwrap()))
    };
    // The header.
    text.lines().skip(1).map(row).collect()
}
