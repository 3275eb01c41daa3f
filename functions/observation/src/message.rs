//! The two messages of an observation and how they are written. A message is an object of JSON, keyed by the station's
//! five digits:
//!
//! ```json
//! {"measurement_date":202401311450,"station_id":"00433","temperature":-3.2,"quality":3,"temperature_5cm":-4.1,"product":"recent","revision":1585123456}
//! {"measurement_date":202401311450,"station_id":"00433","pressure":1005.2,"humidity":88.6,"dewpoint":-4.8,"quality":3,"product":"recent","revision":1585123456}
//! ```
//!
//! `measurement_date` is UTC; -999.0 marks an invalid value; `temperature_5cm`, `quality`, `product` and `revision` may
//! be absent; unknown fields are ignored. The writers give one canonical form, which the parsers read fastest, besides that of
//! the original pipeline's producer.

use crate::{Invalid, MessageWriter, Source, Stamp, StationId, Tenths, fallback, template};

/// One reading of the topic `temperature`. Values in °C; `None` is a value that is missing or was found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Temperature {
    /// Where it was read.
    pub station: StationId,
    /// When it was read.
    pub stamp: Stamp,
    /// Air temperature at 2 m, within [`crate::Range::TEMPERATURE`].
    pub temperature: Option<Tenths>,
    /// Air temperature 5 cm above ground, within [`crate::Range::TEMPERATURE_5CM`].
    pub temperature_5cm: Option<Tenths>,
    /// DWD's quality level of the row, 0 to 10.
    pub quality: Option<u8>,
    /// The archive it came from.
    pub source: Source,
}

/// One reading of the topic `others`. `None` is a value that is missing or was found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Others {
    /// Where it was read.
    pub station: StationId,
    /// When it was read.
    pub stamp: Stamp,
    /// Pressure at station height in hPa, within [`crate::Range::PRESSURE`].
    pub pressure: Option<Tenths>,
    /// Relative humidity in %, within [`crate::Range::HUMIDITY`].
    pub humidity: Option<Tenths>,
    /// Dew point in °C, within [`crate::Range::DEWPOINT`].
    pub dewpoint: Option<Tenths>,
    /// DWD's quality level of the row, 0 to 10.
    pub quality: Option<u8>,
    /// The archive it came from.
    pub source: Source,
}

/// Reads a message of the topic `temperature`.
///
/// # Errors
/// The first field that is missing, of a wrong shape, off the 10-minute grid, with more than one decimal or outside
/// of its physical range.
pub fn parse_temperature(message: &[u8]) -> Result<Temperature, Invalid> {
    match template::temperature(message) {
        Some(reading) => Ok(reading),
        None => fallback::temperature(message),
    }
}

/// Reads a message of the topic `others`.
///
/// # Errors
/// As [`parse_temperature`].
pub fn parse_others(message: &[u8]) -> Result<Others, Invalid> {
    match template::others(message) {
        Some(reading) => Ok(reading),
        None => fallback::others(message),
    }
}

/// Appends a message of the topic `temperature` in its canonical form; see [`MessageWriter`] for many.
pub fn write_temperature(out: &mut Vec<u8>, reading: &Temperature) {
    MessageWriter::default().temperature(out, reading);
}

/// Appends a message of the topic `others` in its canonical form; see [`MessageWriter`] for many.
pub fn write_others(out: &mut Vec<u8>, reading: &Others) {
    MessageWriter::default().others(out, reading);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Product, Range};
    use proptest::prelude::*;

    fn value(range: Range) -> impl Strategy<Value = Option<Tenths>> {
        prop::option::of((-1500i32..=11_500).prop_filter_map("in range", move |tenths| range.check(tenths).flatten()))
    }

    fn head() -> impl Strategy<Value = (StationId, Stamp, Option<u8>, Source)> {
        let source = (0u8..4, prop_oneof![Just(0u64), 0u64..253_402_300_800])
            .prop_map(|(rank, revision)| Source { product: Product::from_rank(rank).unwrap(), revision });
        (1u32..100_000, -3_600_000i32..12_000_000, prop::option::of(0u8..=10), source).prop_map(
            |(station, tens, quality, source)| {
                (StationId::new(station).unwrap(), Stamp::from_minutes(tens * 10).unwrap(), quality, source)
            },
        )
    }

    fn any_temperature() -> impl Strategy<Value = Temperature> {
        (head(), value(Range::TEMPERATURE), value(Range::TEMPERATURE_5CM)).prop_map(
            |((station, stamp, quality, source), temperature, temperature_5cm)| Temperature {
                station,
                stamp,
                temperature,
                temperature_5cm,
                quality,
                source,
            },
        )
    }

    fn any_others() -> impl Strategy<Value = Others> {
        (head(), value(Range::PRESSURE), value(Range::HUMIDITY), value(Range::DEWPOINT)).prop_map(
            |((station, stamp, quality, source), pressure, humidity, dewpoint)| Others {
                station,
                stamp,
                pressure,
                humidity,
                dewpoint,
                quality,
                source,
            },
        )
    }

    /// A message with one byte changed, removed or added: near enough to the canonical form to tempt the template.
    fn damaged(mut message: Vec<u8>, at: prop::sample::Index, byte: u8, how: u8) -> Vec<u8> {
        let at = at.index(message.len());
        match how {
            0 => message[at] = byte,
            1 => drop(message.remove(at)),
            _ => message.insert(at, byte),
        }
        message
    }

    fn tempting_byte() -> impl Strategy<Value = u8> {
        prop_oneof![Just(b'-'), Just(b'.'), Just(b' '), Just(b','), Just(b'"'), b'0'..=b'9', any::<u8>()]
    }

    /// The same message as the original pipeline's producer writes it. Nothing in it holds a colon or a comma but its form.
    fn spaced(message: &[u8]) -> Vec<u8> {
        String::from_utf8(message.to_vec()).unwrap().replace(':', ": ").replace(',', ", ").into_bytes()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_by_both_parsers(reading in any_temperature(), others in any_others()) {
            let mut message = Vec::new();
            write_temperature(&mut message, &reading);
            prop_assert_eq!(template::temperature(&message), Some(reading));
            prop_assert_eq!(fallback::temperature(&message), Ok(reading));
            prop_assert_eq!(template::temperature(&spaced(&message)), Some(reading));
            message.clear();
            write_others(&mut message, &others);
            prop_assert_eq!(template::others(&message), Some(others));
            prop_assert_eq!(fallback::others(&message), Ok(others));
            prop_assert_eq!(template::others(&spaced(&message)), Some(others));
        }

        #[test]
        fn a_writer_carries_nothing_from_one_message_to_the_next(
            readings in prop::collection::vec((any_temperature(), any_others()), 1..20),
        ) {
            let mut writer = MessageWriter::default();
            for (reading, others) in readings {
                let (mut message, mut alone) = (Vec::new(), Vec::new());
                writer.temperature(&mut message, &reading);
                writer.others(&mut message, &others);
                write_temperature(&mut alone, &reading);
                write_others(&mut alone, &others);
                prop_assert_eq!(message, alone);
            }
        }

        #[test]
        fn the_template_takes_nothing_that_the_fallback_reads_otherwise(
            reading in any_temperature(), others in any_others(),
            at in any::<prop::sample::Index>(), byte in tempting_byte(), how in 0u8..3, is_spaced in any::<bool>(),
        ) {
            let form = |message: Vec<u8>| if is_spaced { spaced(&message) } else { message };
            let mut message = Vec::new();
            write_temperature(&mut message, &reading);
            let changed = damaged(form(message), at, byte, how);
            if let Some(read) = template::temperature(&changed) {
                prop_assert_eq!(fallback::temperature(&changed), Ok(read));
            }
            let mut message = Vec::new();
            write_others(&mut message, &others);
            let changed = damaged(form(message), at, byte, how);
            if let Some(read) = template::others(&changed) {
                prop_assert_eq!(fallback::others(&changed), Ok(read));
            }
        }
    }

    #[test]
    fn the_original_pipelines_messages_are_read() {
        let reading = parse_temperature(
            br#"{"measurement_date": 202401311450, "station_id": "00433", "temperature": -3.2, "quality": 3}"#,
        )
        .unwrap();
        assert_eq!(reading.temperature, Tenths::new(-32));
        assert_eq!((reading.temperature_5cm, reading.quality, reading.source), (None, Some(3), Source::default()));
        let others = parse_others(
            br#"{"measurement_date":202401311450,"station_id":"00433","pressure":-999.0,"humidity":100,"dewpoint":-4.8,"extra":[1]}"#,
        )
        .unwrap();
        assert_eq!((others.pressure, others.humidity, others.quality), (None, Tenths::new(1000), None));
    }

    #[test]
    fn a_refusal_names_the_field_and_the_value() {
        let cases = [
            (
                r#"{"measurement_date":202401311455,"station_id":"00433","temperature":1.0}"#,
                "`measurement_date` is `202401311455`",
            ),
            (
                r#"{"measurement_date":202402301450,"station_id":"00433","temperature":1.0}"#,
                "`measurement_date` is `202402301450`",
            ),
            (
                r#"{"measurement_date":202401311450,"station_id":"433.0","temperature":1.0}"#,
                "`station_id` is `\"433.0\"`",
            ),
            (r#"{"measurement_date":202401311450,"station_id":"00433","temperature":1.25}"#, "`temperature` is `1.25`"),
            (r#"{"measurement_date":202401311450,"station_id":"00433","temperature":61.0}"#, "`temperature` is `61.0`"),
            (r#"{"measurement_date":202401311450,"station_id":"00433"}"#, "`temperature` is `absent`"),
            (
                r#"{"measurement_date":202401311450,"station_id":"00433","temperature":1.0,"product":"soon"}"#,
                "`product` is `\"soon\"`",
            ),
            (
                r#"{"measurement_date":202401311450,"station_id":"00433","temperature":1.0,"quality":11}"#,
                "`quality` is `11`",
            ),
            (
                r#"{"measurement_date":202401311450,"station_id":"00433","temperature":1.0,"revision":-1}"#,
                "`revision` is `-1`",
            ),
            ("[1]", "`message` is `[1]`"),
            ("", "`message` is ``"),
        ];
        for (message, start) in cases {
            let refusal = parse_temperature(message.as_bytes()).unwrap_err().to_string();
            assert!(refusal.starts_with(start), "{refusal}");
        }
    }
}
