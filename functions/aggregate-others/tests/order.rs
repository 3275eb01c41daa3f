//! The same observations give the same table and state, to the bit: in whatever order they come, however often, and
//! wherever a batch ends.

#![expect(clippy::unwrap_used, reason = "a test that fails is what it is for")]

use std::collections::BTreeMap;

use aggregate_others::{DailyRow, fold};
use observation::{Day, MemoryState, Others, Product, Source, Stamp, StationId, Tenths, write_others};
use proptest::prelude::*;

fn deliver<'a>(
    batches: impl Iterator<Item = &'a [Others]>,
    state: &mut MemoryState,
) -> BTreeMap<(StationId, Day), DailyRow> {
    let mut table = BTreeMap::new();
    for batch in batches {
        let records: Vec<_> = batch.iter().map(message).collect();
        let outcome = fold(records.iter().map(|(key, value)| (key.as_slice(), value.as_slice())), state).unwrap();
        assert_eq!(outcome.refusals, []);
        table.extend(outcome.daily.into_iter().map(|row| ((row.station, row.day), row)));
    }
    table
}

fn message(reading: &Others) -> ([u8; 5], Vec<u8>) {
    let mut value = Vec::new();
    write_others(&mut value, reading);
    (reading.station.digits(), value)
}

/// Some slots of one of two days, from one source, each quantity there or not.
fn stretch() -> impl Strategy<Value = Vec<Others>> {
    let value = |range: std::ops::Range<i32>| prop::option::of(range.prop_map(|tenths| Tenths::new(tenths).unwrap()));
    let slots = prop_oneof![Just((0u8, 144u8)), Just((143, 1)), (0u8..140, 1u8..9)];
    let source = (0u8..4, 0u64..3, prop::option::of(1u8..4));
    (19_000i32..19_002, slots, value(9500..9520), value(0..1010), value(-99..99), source).prop_map(
        |(day, (first, count), pressure, humidity, dewpoint, (rank, revision, quality))| {
            let reading = |slot| Others {
                station: StationId::new(3379).unwrap(),
                stamp: Stamp::of_slot(Day::new(day), slot),
                pressure,
                humidity,
                dewpoint,
                quality,
                source: Source { product: Product::from_rank(rank).unwrap(), revision },
            };
            (first..(first + count).min(144)).map(reading).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_table_follows_from_the_set_of_readings(
        (readings, shuffled) in prop::collection::vec(stretch(), 1..9).prop_flat_map(|stretches| {
            let readings = stretches.concat();
            let twice = [readings.clone(), readings.iter().step_by(2).copied().collect()].concat();
            (Just(readings), Just(twice).prop_shuffle())
        }),
        batch in 1usize..300,
    ) {
        let (mut state, mut other) = (MemoryState::default(), MemoryState::default());
        let table = deliver([readings.as_slice()].into_iter(), &mut state);
        prop_assert_eq!(format!("{table:?}"), format!("{:?}", deliver(shuffled.chunks(batch), &mut other)));
        prop_assert_eq!(state.values(), other.values());
        let puts = other.puts;
        prop_assert!(deliver(readings.chunks(batch), &mut other).is_empty());
        prop_assert_eq!(other.puts, puts);
    }
}

#[test]
fn a_refused_record_leaves_the_rest_standing() {
    let good: &[u8] =
        br#"{"measurement_date":202401311450,"station_id":"00433","pressure":-999.0,"humidity":100.4,"dewpoint":-4.8}"#;
    let bad: &[u8] =
        br#"{"measurement_date":202401311450,"station_id":"00433","pressure":99999.0,"humidity":100.4,"dewpoint":-4.8}"#;
    let records = [(&b"00433"[..], bad), (b"00433", good)];
    let outcome = fold(records.into_iter(), &mut MemoryState::default()).unwrap();
    assert_eq!(outcome.refusals.iter().map(|refusal| refusal.at).collect::<Vec<_>>(), [0]);
    assert!(outcome.refusals[0].reason.starts_with("`pressure` is `99999.0`"), "{}", outcome.refusals[0].reason);
    assert_eq!((outcome.daily[0].mean_humidity, outcome.daily[0].pressure_readings), (Some(100.4), 0));
}
