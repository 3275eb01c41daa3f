//! The same observations give the same tables, messages and state, to the bit: in whatever order they come, however
//! often, and wherever a batch ends.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails is what it is for")]

use std::collections::{BTreeMap, HashSet};

use aggregate_temperature::{DailyRow, OverallRow, YearlyRow, fold};
use observation::{
    Day, MemoryState, Product, Source, Stamp, StationId, StationSummary, Temperature, Tenths, write_temperature,
};
use proptest::prelude::*;

/// What a user finds after some batches.
#[derive(Debug, Default, PartialEq)]
struct Tables {
    daily: BTreeMap<(StationId, Day), DailyRow>,
    yearly: BTreeMap<(StationId, i32), YearlyRow>,
    overall: BTreeMap<(StationId, Day), OverallRow>,
    summaries: BTreeMap<StationId, StationSummary>,
}

#[derive(Debug, Default)]
struct World {
    tables: Tables,
    state: MemoryState,
    rows: usize,
}

impl World {
    fn deliver(&mut self, readings: &[Temperature]) {
        let records: Vec<_> = readings.iter().map(message).collect();
        let pairs = records.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let outcome = fold(pairs, &mut self.state).unwrap();
        assert_eq!(outcome.refusals, []);
        let rows = outcome.daily.len() + outcome.yearly.len() + outcome.overall.len() + outcome.overall_deleted.len();
        self.rows += rows + outcome.summaries.len();
        self.tables.daily.extend(outcome.daily.into_iter().map(|row| ((row.station, row.day), row)));
        self.tables.yearly.extend(outcome.yearly.into_iter().map(|row| ((row.station, row.year), row)));
        self.tables.overall.extend(outcome.overall.into_iter().map(|row| ((row.station, row.day), row)));
        for key in outcome.overall_deleted {
            assert!(self.tables.overall.remove(&key).is_some(), "a row that never was is deleted: {key:?}");
        }
        self.tables.summaries.extend(outcome.summaries.into_iter().map(|summary| (summary.station, summary)));
    }

    fn of(readings: &[Temperature], borders: &HashSet<usize>) -> World {
        let mut world = World::default();
        let mut from = 0;
        for to in (1..=readings.len()).filter(|to| borders.contains(to) || *to == readings.len()) {
            world.deliver(&readings[from..to]);
            from = to;
        }
        world
    }
}

fn message(reading: &Temperature) -> (Vec<u8>, Vec<u8>) {
    let mut value = Vec::new();
    write_temperature(&mut value, reading);
    (reading.station.digits().to_vec(), value)
}

/// The days at which rules or tables change: a year's border and the end of the climate terms.
fn day() -> impl Strategy<Value = Day> {
    prop_oneof![Just((2000, 12, 31)), Just((2001, 1, 1)), Just((2001, 3, 31)), Just((2001, 4, 1)), Just((2001, 4, 2))]
        .prop_map(|(year, month, day)| Day::from_date(year, month, day).unwrap())
}

fn source() -> impl Strategy<Value = (Source, Option<u8>)> {
    (0u8..4, 0u64..3, prop::option::of(1u8..4)).prop_map(|(rank, revision, quality)| {
        (Source { product: Product::from_rank(rank).unwrap(), revision }, quality)
    })
}

/// A stretch of readings of one source: some slots of a day, about as warm as the limits of the kinds of days.
fn stretch() -> impl Strategy<Value = Vec<Temperature>> {
    let slots = prop_oneof![Just((0u8, 144u8)), Just((143, 1)), Just((0, 140)), (0u8..144, 1u8..9)];
    let values = prop_oneof![-20i32..40, 180..310, Just(Tenths::MISSING)];
    (1u32..3, day(), slots, values, 0i32..7, source()).prop_map(
        |(station, day, (first, count), base, swing, (source, quality))| {
            let reading = |slot: u8| {
                let value = (base != Tenths::MISSING).then(|| base + swing * (i32::from(slot) % 5));
                Temperature {
                    station: StationId::new(station).unwrap(),
                    stamp: Stamp::of_slot(day, slot),
                    temperature: value.and_then(Tenths::new),
                    temperature_5cm: value.and_then(|value| Tenths::new(value - 7)),
                    quality,
                    source,
                }
            };
            (first..first.saturating_add(count).min(144)).map(reading).collect()
        },
    )
}

/// Readings, and the same again in another order with many of them twice.
fn deliveries() -> impl Strategy<Value = (Vec<Temperature>, Vec<Temperature>)> {
    prop::collection::vec(stretch(), 1..12).prop_flat_map(|stretches| {
        let readings = stretches.concat();
        let twice = [readings.clone(), readings.iter().step_by(2).copied().collect()].concat();
        (Just(readings), Just(twice).prop_shuffle())
    })
}

fn winners(readings: &[Temperature]) -> BTreeMap<(StationId, Stamp), Temperature> {
    let rank = |reading: &Temperature| {
        (reading.source.product, reading.source.revision, reading.quality, reading.temperature, reading.temperature_5cm)
    };
    let mut winners = BTreeMap::new();
    for reading in readings {
        let held = winners.entry((reading.station, reading.stamp)).or_insert(*reading);
        if rank(reading) > rank(held) {
            *held = *reading;
        }
    }
    winners
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn tables_and_state_follow_from_the_set_of_readings(
        (readings, shuffled) in deliveries(), borders in prop::collection::hash_set(0usize..2000, 0..12),
    ) {
        let one = World::of(&readings, &HashSet::new());
        let other = World::of(&shuffled, &borders);
        prop_assert_eq!(format!("{:?}", one.tables), format!("{:?}", other.tables));
        prop_assert_eq!(one.state.values(), other.state.values());
        // Winners alone, in one batch, give the same: what lost has left nothing behind.
        let won: Vec<_> = winners(&readings).into_values().collect();
        let third = World::of(&won, &HashSet::new());
        prop_assert_eq!(format!("{:?}", one.tables), format!("{:?}", third.tables));
    }

    #[test]
    fn what_was_delivered_before_changes_nothing(
        (readings, shuffled) in deliveries(), borders in prop::collection::hash_set(0usize..2000, 0..5),
    ) {
        let mut world = World::of(&readings, &borders);
        let (rows, puts) = (world.rows, world.state.puts);
        world.deliver(&shuffled);
        prop_assert_eq!((world.rows, world.state.puts), (rows, puts));
    }

    #[test]
    fn counts_and_extremes_are_those_of_the_winning_readings((readings, _) in deliveries()) {
        let tables = World::of(&readings, &HashSet::from([readings.len() / 2])).tables;
        let mut valid: BTreeMap<(StationId, Day), Vec<i32>> = BTreeMap::new();
        for ((station, stamp), reading) in winners(&readings) {
            let day = valid.entry((station, stamp.day())).or_default();
            day.extend(reading.temperature.map(|tenths| i32::from(tenths.get())));
        }
        prop_assert_eq!(tables.daily.keys().collect::<Vec<_>>(), valid.keys().collect::<Vec<_>>());
        let overall: Vec<_> =
            valid.iter().filter(|(_, day)| day.iter().any(|&tenths| !(0..=200).contains(&tenths))).map(|(key, _)| key).collect();
        prop_assert_eq!(tables.overall.keys().collect::<Vec<_>>(), overall);
        for (key, day) in &valid {
            let row = &tables.daily[key];
            prop_assert_eq!(row.readings as usize, day.len());
            prop_assert_eq!(row.max_temp, day.iter().max().map(|&tenths| f64::from(tenths) / 10.0));
            prop_assert_eq!(row.min_temp, day.iter().min().map(|&tenths| f64::from(tenths) / 10.0));
        }
        for (&(station, year), row) in &tables.yearly {
            let of_year = || valid.range((station, Day::first_of_year(year))..(station, Day::first_of_year(year + 1)));
            let readings: Vec<f64> = of_year().flat_map(|(_, day)| day).map(|&tenths| f64::from(tenths) / 10.0).collect();
            prop_assert_eq!(row.readings as usize, readings.len());
            if readings.len() > 1 {
                let mean = readings.iter().sum::<f64>() / readings.len() as f64;
                let squares: f64 = readings.iter().map(|reading| (reading - mean).powi(2)).sum();
                let deviation = (squares / (readings.len() - 1) as f64).sqrt();
                prop_assert!((row.mean_temp_all.unwrap() - mean).abs() < 1e-9);
                prop_assert!((row.mean_deviation.unwrap() - deviation).abs() < 1e-9);
            }
        }
        for (station, summary) in &tables.summaries {
            let all: Vec<i32> =
                valid.iter().filter(|((of, _), _)| of == station).flat_map(|(_, day)| day).copied().collect();
            prop_assert_eq!(summary.entry_count as usize, all.len());
            prop_assert_eq!(summary.max_temperature, all.iter().max().and_then(|&tenths| Tenths::new(tenths)));
            prop_assert_eq!(summary.min_date.is_some(), !all.is_empty());
        }
    }
}

#[test]
fn one_bad_record_does_not_stop_the_batch() {
    let good: &[u8] = br#"{"measurement_date":202401311450,"station_id":"00433","temperature":-3.2}"#;
    let late: &[u8] = br#"{"measurement_date":202401311455,"station_id":"00433","temperature":-3.2}"#;
    let mut state = MemoryState::default();
    let records = [(&b"00433"[..], late), (b"00433", good), (b"00044", good), (b"00433", b"")];
    let outcome = fold(records.into_iter(), &mut state).unwrap();
    let refused: Vec<_> = outcome.refusals.iter().map(|refusal| (refusal.at, refusal.reason.as_str())).collect();
    assert_eq!(refused.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 2, 3]);
    assert!(refused[0].1.starts_with("`measurement_date` is `202401311455`"), "{}", refused[0].1);
    assert!(refused[1].1.starts_with("`key` is `00044`"), "{}", refused[1].1);
    assert_eq!((outcome.daily.len(), outcome.daily[0].min_temp), (1, Some(-3.2)));
    assert_eq!((outcome.yearly.len(), outcome.overall.len(), outcome.summaries.len()), (1, 1, 1));
}

#[test]
fn a_corrected_reading_takes_its_day_out_of_the_table_again() {
    let reading = |revision, tenths| Temperature {
        station: StationId::new(433).unwrap(),
        stamp: Stamp::from_number(202_401_311_450).unwrap(),
        temperature: Tenths::new(tenths),
        temperature_5cm: None,
        quality: Some(3),
        source: Source { product: Product::Recent, revision },
    };
    let mut world = World::default();
    world.deliver(&[reading(1, 250)]);
    assert_eq!(world.tables.overall.len(), 1);
    world.deliver(&[reading(2, 150)]);
    assert_eq!(world.tables.overall.len(), 0);
    world.deliver(&[Temperature { temperature: None, ..reading(3, 0) }]);
    let (summary, year) =
        (world.tables.summaries.values().next().unwrap(), world.tables.yearly.values().next().unwrap());
    assert_eq!((summary.entry_count, summary.max_date, summary.max_temperature), (0, None, None));
    assert_eq!((year.readings, year.max_temp, year.mean_deviation), (0, None, None));
}
