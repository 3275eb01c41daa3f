//! Messages and state as nobody wrote them.

use crate::{
    DayReadings, Invalid, Product, Provenance, SLOTS, Source, Stamp, StationId, StationSummary, Tenths, fallback,
    parse_others, parse_summary, parse_temperature, template, write_others, write_summary, write_temperature,
};
use mutate::Target;

/// For `mutate` to bound memory by.
#[global_allocator]
static ALLOCATOR: mutate::Counting = mutate::Counting;

const WORDS: [&str; 22] = [
    "\"measurement_date\":",
    "\"station_id\":\"00433\"",
    "\"temperature\":",
    "\"temperature_5cm\":-999.0",
    "\"pressure\":1005.2",
    "\"humidity\":88.6",
    "\"dewpoint\":-4.8",
    "\"quality\":10",
    "\"product\":\"historical\"",
    "\"revision\":253402300799",
    "\"min_date\":200001010000",
    "\"entry_count\":4294967296",
    "\"min_temperature\":-90.0",
    "202402291450",
    "202302290000",
    "999912312350",
    "190001010000",
    "-999.0",
    "null",
    "{\"a\":[[{}]]}",
    "\\u0030",
    ",",
];

/// What came out of a reading: nothing of its values, or which field was wrong.
fn outcome<T>(read: &Result<T, Invalid>) -> Option<String> {
    read.as_ref().err().map(|invalid| invalid.to_string().split('`').nth(1).unwrap_or_default().to_owned())
}

#[test]
fn messages() {
    let seeds = [
        r#"{"measurement_date":202401311450,"station_id":"00433","temperature":-3.2,"quality":3,"temperature_5cm":-4.1,"product":"recent","revision":1585123456}"#,
        r#"{"measurement_date":202401311450,"station_id":"00433","pressure":1005.2,"humidity":88.6,"dewpoint":-4.8,"quality":3,"product":"now","revision":1585123456}"#,
        r#"{"measurement_date": 202401311450, "station_id": "00433", "temperature": -3.2, "quality": 3}"#,
        r#"{"station_id":"00433","min_date":200001010000,"max_date":202401311450,"entry_count":12,"min_temperature":-3.2,"max_temperature":31.0}"#,
        r#"{"station_id":"00433","min_date":null,"max_date":null,"entry_count":0,"min_temperature":null,"max_temperature":null}"#,
    ];
    Target::new("messages").seeds(seeds).words(WORDS).run(|message| {
        let (temperature, others) = (parse_temperature(message), parse_others(message));
        let summary = parse_summary(message);
        let mut written = Vec::new();
        if let Ok(reading) = &temperature {
            assert!(template::temperature(message).is_none() || fallback::temperature(message).as_ref() == Ok(reading));
            write_temperature(&mut written, reading);
            assert_eq!(template::temperature(&written).as_ref(), Some(reading), "what it says can be said");
        }
        if let Ok(reading) = &others {
            assert!(template::others(message).is_none() || fallback::others(message).as_ref() == Ok(reading));
            written.clear();
            write_others(&mut written, reading);
            assert_eq!(template::others(&written).as_ref(), Some(reading), "what it says can be said");
        }
        if let Ok(reading) = &summary {
            written.clear();
            write_summary(&mut written, reading);
            assert_eq!(parse_summary(&written).as_ref(), Ok::<&StationSummary, &Invalid>(reading));
        }
        (outcome(&temperature), outcome(&others), outcome(&summary))
    });
}

/// The encoded day of some readings.
fn day<const N: usize>(readings: usize) -> Vec<u8> {
    let mut day = DayReadings::<N>::default();
    for slot in 0..readings {
        let product = Product::from_rank((slot % 4) as u8).unwrap();
        let source = Source { product, revision: (slot % 5) as u64 };
        let provenance = Provenance { source, quality: (slot % 3 > 0).then_some(slot as u8 % 3) };
        day.offer(slot, &[Tenths::new(slot as i32 * 3 - 200); N], provenance);
    }
    let mut bytes = Vec::new();
    day.encode(&mut bytes);
    bytes
}

/// A day that was read from any bytes can be written, and that says the same.
fn check<const N: usize>(bytes: &[u8]) -> Option<usize> {
    let mut day = DayReadings::<N>::decode(bytes)?;
    let mut written = Vec::new();
    day.encode(&mut written);
    let again = DayReadings::<N>::decode(&written).unwrap();
    assert_eq!(again.columns(), day.columns());
    let mut twice = Vec::new();
    again.encode(&mut twice);
    assert_eq!(twice, written);
    for column in day.columns() {
        let (totals, hours) = (column.totals(), column.hours());
        assert!((0..=SLOTS as i32).contains(&totals.count) && hours.count <= 24);
        let _ = (totals.mean(), column.span());
    }
    let _ = (day.has_own(), day.lowest_quality(|slot| slot < SLOTS));
    // It can go on: more sources than a byte can number are forgotten in time.
    for slot in 0..SLOTS {
        let source = Source { product: Product::Historical, revision: slot as u64 + (1 << 40) };
        day.offer(slot, &[None; N], Provenance { source, quality: None });
    }
    written.clear();
    day.encode(&mut written);
    assert!(DayReadings::<N>::decode(&written).is_some());
    Some(written.len())
}

#[test]
fn days() {
    let seeds = [day::<2>(144), day::<2>(0), day::<3>(144), day::<3>(7)];
    Target::new("days").seeds(seeds).run(|bytes| (check::<2>(bytes), check::<3>(bytes)));
}

#[test]
fn stations_and_stamps() {
    let seeds = ["00433", "202401311450", "99999", "202402290000"];
    Target::new("stations-and-stamps").seeds(seeds).longest(64).run(|text| {
        let station = StationId::parse(text);
        if let Some(station) = station {
            assert_eq!(station.digits().as_slice(), text, "a station has one name");
        }
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        let stamp = number.and_then(Stamp::from_number);
        if let Some(stamp) = stamp {
            assert_eq!(Some(stamp.number()), number);
            assert_eq!(Stamp::from_minutes(stamp.minutes()), Some(stamp));
        }
        let tenths = Tenths::parse_decimal(text);
        (station.is_some(), stamp.is_some(), tenths.is_some())
    });
}
