//! Which summaries of a batch count, and what their rows are. The last summary of a station says all, so earlier ones
//! of the same batch are passed over.

use std::collections::BTreeMap;

use observation::{Invalid, Refusal, StationId, StationSummary, check_key, parse_summary};

/// What operators know of a station.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// ICAO code of its airport.
    pub icao_code: Option<String>,
    /// Its name.
    pub station_name: Option<String>,
    /// m above sea level.
    pub station_height: Option<f64>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// The federal state.
    pub state: Option<String>,
}

/// A row of `meta_data`.
#[derive(Clone, Debug, PartialEq)]
pub struct EnrichedRow {
    /// Five digits.
    pub station_id: String,
    /// The last valid reading, in milliseconds since the Unix epoch.
    pub max_date: Option<i64>,
    /// The first valid reading, in milliseconds since the Unix epoch.
    pub min_date: Option<i64>,
    /// Valid temperature readings.
    pub entry_count: i64,
    /// The lowest reading in °C.
    pub min_temperature: Option<f64>,
    /// The highest reading in °C.
    pub max_temperature: Option<f64>,
    /// Empty for a station without metadata.
    pub metadata: Metadata,
}

/// The last summary of each station in a batch of pairs of key and value, and the records that are none.
pub fn latest<'a>(
    records: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> (BTreeMap<StationId, StationSummary>, Vec<Refusal>) {
    let mut summaries = BTreeMap::new();
    let mut refusals = Vec::new();
    for ((key, value), at) in records.zip(0..) {
        match summary(key, value) {
            Ok(summary) => drop(summaries.insert(summary.station, summary)),
            Err(invalid) => refusals.push(Refusal { at, reason: invalid.to_string() }),
        }
    }
    (summaries, refusals)
}

fn summary(key: &[u8], value: &[u8]) -> Result<StationSummary, Invalid> {
    let summary = parse_summary(value)?;
    check_key(key, summary.station)?;
    Ok(summary)
}

/// One row per summary; `metadata` by station id, each used once.
#[must_use]
pub fn join(
    summaries: &BTreeMap<StationId, StationSummary>,
    mut metadata: BTreeMap<String, Metadata>,
) -> Vec<EnrichedRow> {
    let row = |summary: &StationSummary| {
        let station_id = summary.station.to_string();
        EnrichedRow {
            max_date: summary.max_date.map(|stamp| stamp.millis()),
            min_date: summary.min_date.map(|stamp| stamp.millis()),
            entry_count: summary.entry_count as i64,
            min_temperature: summary.min_temperature.map(|tenths| tenths.value()),
            max_temperature: summary.max_temperature.map(|tenths| tenths.value()),
            metadata: metadata.remove(&station_id).unwrap_or_default(),
            station_id,
        }
    };
    summaries.values().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_summary_counts_and_a_station_without_metadata_keeps_its_row() {
        let summary = |id: &str, count: u32| {
            format!(
                r#"{{"station_id":"{id}","min_date":202001010000,"max_date":202001010010,"entry_count":{count},"min_temperature":-0.5,"max_temperature":1.0}}"#
            )
        };
        let records = [
            ("00433", summary("00433", 1)),
            ("03379", summary("03379", 7)),
            ("00433", summary("00433", 2)),
            ("00433", summary("03379", 9)),
            ("00433", "{}".to_owned()),
        ];
        let (summaries, refusals) = latest(records.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes())));
        assert_eq!(refusals.iter().map(|refusal| refusal.at).collect::<Vec<_>>(), [3, 4]);
        assert!(refusals[0].reason.contains("`key` is `00433`"), "{}", refusals[0].reason);
        let known = Metadata { station_name: Some("München-Stadt".into()), ..Metadata::default() };
        let rows = join(&summaries, BTreeMap::from([("03379".to_owned(), known.clone())]));
        let seen: Vec<_> = rows.iter().map(|row| (row.station_id.as_str(), row.entry_count, &row.metadata)).collect();
        assert_eq!(seen, [("00433", 2, &Metadata::default()), ("03379", 7, &known)]);
        assert_eq!((rows[0].min_date, rows[0].max_date), (Some(1_577_836_800_000), Some(1_577_837_400_000)));
        assert_eq!((rows[0].min_temperature, rows[0].max_temperature), (Some(-0.5), Some(1.0)));
    }
}
