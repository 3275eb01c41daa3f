//! What is known of one station as a whole: the extent of each of its years, and the summary that follows. It holds
//! no readings.

use observation::{Stamp, StationId, StationSummary, Tenths};

use crate::yearly::Extent;

/// Version of the encoding, its first byte.
const FORMAT: u8 = 1;
/// Bytes of a year: year, entries, first, last, lowest, highest.
const YEAR_BYTES: usize = 18;

/// The extents of a station's years, ascending. A year that was seen without a valid reading has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Years(Vec<(i16, Option<Extent>)>);

impl Years {
    /// Reads an encoding; `None` when it is of another format or damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let [FORMAT, years @ ..] = bytes else {
            return None;
        };
        let (years, []) = years.as_chunks::<YEAR_BYTES>() else {
            return None;
        };
        years.iter().map(decode_year).collect::<Option<_>>().map(Years)
    }

    /// Appends the encoding: format, then 18 bytes a year.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        for (year, extent) in &self.0 {
            out.extend_from_slice(&year.to_le_bytes());
            match extent {
                None => out.extend_from_slice(&[0; YEAR_BYTES - 2]),
                Some(extent) => {
                    out.extend_from_slice(&extent.entries.to_le_bytes());
                    out.extend_from_slice(&extent.first.minutes().to_le_bytes());
                    out.extend_from_slice(&extent.last.minutes().to_le_bytes());
                    out.extend_from_slice(&extent.lowest.to_le_bytes());
                    out.extend_from_slice(&extent.highest.to_le_bytes());
                }
            }
        }
    }

    /// Replaces the extent of a year.
    pub(crate) fn set(&mut self, year: i32, extent: Option<Extent>) {
        let year = year as i16;
        match self.0.binary_search_by_key(&year, |&(known, _)| known) {
            Ok(at) => {
                if let Some(entry) = self.0.get_mut(at) {
                    entry.1 = extent;
                }
            }
            Err(at) => self.0.insert(at, (year, extent)),
        }
    }

    /// The summary; `None` while no year was seen.
    pub(crate) fn summary(&self, station: StationId) -> Option<StationSummary> {
        if self.0.is_empty() {
            return None;
        }
        let extents = || self.0.iter().filter_map(|(_, extent)| *extent);
        let tenths = |value: Option<i16>| value.and_then(|value| Tenths::new(i32::from(value)));
        Some(StationSummary {
            station,
            min_date: extents().next().map(|extent| extent.first),
            max_date: extents().next_back().map(|extent| extent.last),
            entry_count: extents().map(|extent| u64::from(extent.entries)).sum(),
            min_temperature: tenths(extents().map(|extent| extent.lowest).min()),
            max_temperature: tenths(extents().map(|extent| extent.highest).max()),
        })
    }
}

fn decode_year(bytes: &[u8; YEAR_BYTES]) -> Option<(i16, Option<Extent>)> {
    let &[y0, y1, e0, e1, e2, e3, f0, f1, f2, f3, l0, l1, l2, l3, low0, low1, high0, high1] = bytes;
    let entries = u32::from_le_bytes([e0, e1, e2, e3]);
    let extent = Extent {
        entries,
        first: Stamp::from_minutes(i32::from_le_bytes([f0, f1, f2, f3]))?,
        last: Stamp::from_minutes(i32::from_le_bytes([l0, l1, l2, l3]))?,
        lowest: i16::from_le_bytes([low0, low1]),
        highest: i16::from_le_bytes([high0, high1]),
    };
    Some((i16::from_le_bytes([y0, y1]), (entries > 0).then_some(extent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_return_and_a_year_can_lose_its_readings() {
        let station = StationId::new(433).unwrap();
        let extent = |date, entries, lowest, highest| {
            let first = Stamp::from_number(date).unwrap();
            Some(Extent { entries, first, last: first, lowest, highest })
        };
        let mut years = Years::default();
        assert_eq!(years.summary(station), None);
        years.set(2021, extent(202_105_050_500, 3, -10, 70));
        years.set(2019, extent(201_905_050_500, 4, 0, 90));
        years.set(2020, None);
        let mut bytes = Vec::new();
        years.encode(&mut bytes);
        assert_eq!(Years::decode(&bytes), Some(years.clone()));
        let summary = years.summary(station).unwrap();
        assert_eq!((summary.entry_count, summary.min_temperature), (7, Tenths::new(-10)));
        assert_eq!(summary.max_date, Stamp::from_number(202_105_050_500));
        years.set(2021, None);
        years.set(2019, None);
        let empty = years.summary(station).unwrap();
        assert_eq!((empty.entry_count, empty.min_date, empty.max_temperature), (0, None, None));
        assert_eq!(Years::decode(&[2]), None);
    }
}
