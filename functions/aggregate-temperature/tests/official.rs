//! The daily figures of both aggregates, taken from a real archive, against those that DWD publishes of the same
//! station. The files are not part of the repository; without them the test says that it was skipped.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails is what it is for")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use aggregate_temperature::DailyRow;
use observation::{
    Day, MemoryState, Others, Product, Range, Source, Stamp, StationId, Temperature, Tenths, write_others,
    write_temperature,
};

const ARCHIVE: &str = "tree/10_minutes/air_temperature/recent/10minutenwerte_TU_03379_akt.zip";
const OFFICIAL: &str = "official/produkt_klima_tag_20181004_20190630_03379.txt";
/// The share of days that have to agree.
const NEEDED: f64 = 0.995;
/// The days that both series have: 2018-10-04 to 2019-06-30.
const DAYS: usize = 270;
/// Records in a batch.
const BATCH: usize = 4096;

/// Speaks past the test harness, which hides what a passing test prints.
macro_rules! say {
    ($($words:tt)*) => {
        writeln!(std::io::stderr(), $($words)*).unwrap()
    };
}

struct Official {
    mean_temp: f64,
    mean_pressure: f64,
    mean_humidity: f64,
}

#[test]
fn daily_means_are_those_that_dwd_publishes() {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/dwd");
    if !real.join(ARCHIVE).exists() || !real.join(OFFICIAL).exists() {
        say!("SKIPPED: no real DWD files in `../shared/dwd`, so nothing was compared with DWD's figures");
        return;
    }
    let (temperatures, others) = messages(&archive(&real.join(ARCHIVE)));
    let official = official(&fs::read_to_string(real.join(OFFICIAL)).unwrap());
    assert_eq!(official.len(), DAYS);

    let temperature = daily_temperatures(&temperatures);
    let pressure = daily_others(&others);
    let agree = |same: &dyn Fn(&Day, &Official) -> bool| {
        official.iter().filter(|(day, figures)| same(day, figures)).count() as f64 / DAYS as f64
    };
    let near = |ours: Option<f64>, theirs: f64, by: f64| ours.is_some_and(|ours| (ours - theirs).abs() < by);
    let temperature = agree(&|day, figures| temperature[day].mean_temp == Some(figures.mean_temp));
    // 0.01 hPa and the error of subtracting doubles.
    let mean_pressure = agree(&|day, figures| near(pressure[day].mean_pressure, figures.mean_pressure, 0.010_001));
    let humidity = agree(&|day, figures| near(pressure[day].mean_humidity, figures.mean_humidity, 0.5));
    say!("mean temperature equal to DWD's on {:.1} % of {DAYS} days", 100.0 * temperature);
    say!("mean pressure within 0.01 hPa of DWD's on {:.1} %", 100.0 * mean_pressure);
    say!("mean humidity, of all readings, within 0.5 % of DWD's on {:.1} %", 100.0 * humidity);
    assert!(temperature >= NEEDED && mean_pressure >= NEEDED);
}

fn archive(path: &Path) -> String {
    let mut zip = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut text = String::new();
    zip.by_index(0).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The messages of every row, in the shape in which they travel.
fn messages(product: &str) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let source = Source { product: Product::Recent, revision: 1_586_152_800 };
    let mut messages = (Vec::new(), Vec::new());
    // The header.
    for line in product.lines().skip(1) {
        let fields: Vec<&str> = line.split(';').map(str::trim).collect();
        let value = |at: usize, range: Range| {
            range.check(Tenths::parse_decimal(fields[at].as_bytes()).expect("a decimal number")).expect("in range")
        };
        let station = StationId::new(fields[0].parse().unwrap()).unwrap();
        let stamp = Stamp::from_number(fields[1].parse().unwrap()).unwrap();
        let quality = Some(fields[2].parse().unwrap());
        let (mut temperature, mut others) = (Vec::new(), Vec::new());
        let reading = Temperature {
            station,
            stamp,
            temperature: value(4, Range::TEMPERATURE),
            temperature_5cm: value(5, Range::TEMPERATURE_5CM),
            quality,
            source,
        };
        write_temperature(&mut temperature, &reading);
        let reading = Others {
            station,
            stamp,
            pressure: value(3, Range::PRESSURE),
            humidity: value(6, Range::HUMIDITY),
            dewpoint: value(7, Range::DEWPOINT),
            quality,
            source,
        };
        write_others(&mut others, &reading);
        messages.0.push(temperature);
        messages.1.push(others);
    }
    messages
}

fn official(text: &str) -> HashMap<Day, Official> {
    let figures = |line: &str| {
        let fields: Vec<&str> = line.split(';').map(str::trim).collect();
        let number = |at: usize| fields[at].parse::<f64>().unwrap();
        let date: u64 = fields[1].parse().unwrap();
        let day = Stamp::from_number(date * 10_000).unwrap().day();
        (day, Official { mean_pressure: number(12), mean_temp: number(13), mean_humidity: number(14) })
    };
    // The header.
    text.lines().skip(1).map(figures).collect()
}

fn records(batch: &[Vec<u8>]) -> impl Iterator<Item = (&[u8], &[u8])> {
    batch.iter().map(|message| (&b"03379"[..], message.as_slice()))
}

fn daily_temperatures(messages: &[Vec<u8>]) -> HashMap<Day, DailyRow> {
    let mut state = MemoryState::default();
    let mut rows = HashMap::new();
    for batch in messages.chunks(BATCH) {
        let outcome = aggregate_temperature::fold(records(batch), &mut state).unwrap();
        assert_eq!(outcome.refusals, []);
        rows.extend(outcome.daily.into_iter().map(|row| (row.day, row)));
    }
    rows
}

fn daily_others(messages: &[Vec<u8>]) -> HashMap<Day, aggregate_others::DailyRow> {
    let mut state = MemoryState::default();
    let mut rows = HashMap::new();
    for batch in messages.chunks(BATCH) {
        let outcome = aggregate_others::fold(records(batch), &mut state).unwrap();
        assert_eq!(outcome.refusals, []);
        rows.extend(outcome.daily.into_iter().map(|row| (row.day, row)));
    }
    rows
}
