//! The message of the topic `station-summary`: what is known of one station's valid temperature readings. Its writer
//! and parser, and nothing of how it comes about.
//!
//! ```json
//! {"station_id":"00433","min_date":200001010000,"max_date":202401311450,"entry_count":12,"min_temperature":-3.2,"max_temperature":31.0}
//! ```
//!
//! Dates are UTC, YYYYMMDDHHMM; temperatures in °C. All four are null while a station has no valid reading.

use crate::fallback::Fields;
use crate::{Invalid, Range, Stamp, StationId, Tenths};

/// More readings than any station can have within the years a stamp can lie in, and a number every JSON parser keeps.
const MAX_ENTRIES: u64 = 1 << 32;

/// What is known of a station's valid temperature readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StationSummary {
    /// Which station.
    pub station: StationId,
    /// The first valid reading.
    pub min_date: Option<Stamp>,
    /// The last valid reading.
    pub max_date: Option<Stamp>,
    /// How many valid readings there are.
    pub entry_count: u64,
    /// The lowest reading.
    pub min_temperature: Option<Tenths>,
    /// The highest reading.
    pub max_temperature: Option<Tenths>,
}

/// Appends the message.
pub fn write_summary(out: &mut Vec<u8>, summary: &StationSummary) {
    let date = |stamp: Option<Stamp>| stamp.map_or_else(|| "null".to_owned(), |stamp| stamp.number().to_string());
    let value = |value: Option<Tenths>| value.map_or_else(|| "null".to_owned(), |value| value.to_string());
    let text = format!(
        r#"{{"station_id":"{}","min_date":{},"max_date":{},"entry_count":{},"min_temperature":{},"max_temperature":{}}}"#,
        summary.station,
        date(summary.min_date),
        date(summary.max_date),
        summary.entry_count,
        value(summary.min_temperature),
        value(summary.max_temperature),
    );
    out.extend_from_slice(text.as_bytes());
}

/// Reads the message.
///
/// # Errors
/// The first field that is missing, of a wrong shape or outside of its range.
pub fn parse_summary(message: &[u8]) -> Result<StationSummary, Invalid> {
    let fields = Fields::of(message)?;
    let entries = fields.integer("entry_count", MAX_ENTRIES)?;
    Ok(StationSummary {
        station: fields.station()?,
        min_date: fields.stamp("min_date")?,
        max_date: fields.stamp("max_date")?,
        entry_count: entries.ok_or_else(|| Invalid::new("entry_count", "absent", "a whole number"))?,
        min_temperature: fields.value("min_temperature", Range::TEMPERATURE)?,
        max_temperature: fields.value("max_temperature", Range::TEMPERATURE)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_returns_with_and_without_readings() {
        let full = StationSummary {
            station: StationId::new(433).unwrap(),
            min_date: Stamp::from_number(200_001_010_000),
            max_date: Stamp::from_number(202_401_311_450),
            entry_count: 12,
            min_temperature: Tenths::new(-32),
            max_temperature: Tenths::new(310),
        };
        let empty = StationSummary {
            min_date: None,
            max_date: None,
            entry_count: 0,
            min_temperature: None,
            max_temperature: None,
            ..full
        };
        for summary in [full, empty] {
            let mut message = Vec::new();
            write_summary(&mut message, &summary);
            assert_eq!(parse_summary(&message), Ok(summary));
        }
        let refusal = parse_summary(br#"{"station_id":"00433"}"#).unwrap_err().to_string();
        assert!(refusal.starts_with("`entry_count` is `absent`"), "{refusal}");
    }
}
