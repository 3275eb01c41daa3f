//! Readings in a fixed width, as crawl keeps them until they are published: 15 bytes each. No text and no archive here.

use observation::{Stamp, Tenths};

/// Bytes of one encoded row.
pub const WIDTH: usize = 15;

/// One line of a product file, in UTC. Fields are tenths of their unit, [`Row::MISSING`] where DWD writes -999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// When it was measured.
    pub stamp: Stamp,
    /// hPa at station height.
    pub pressure: i16,
    /// °C at 2 m.
    pub temperature: i16,
    /// °C at 5 cm.
    pub temperature_5cm: i16,
    /// %.
    pub humidity: i16,
    /// °C.
    pub dewpoint: i16,
    /// DWD's quality level of the whole row.
    pub quality: u8,
}

impl Row {
    /// A missing value, in tenths.
    pub const MISSING: i16 = Tenths::MISSING as i16;

    /// The fixed form: minutes since 1970-01-01 00:00 UTC, five fields, the quality; little-endian.
    #[must_use]
    pub fn encode(&self) -> [u8; WIDTH] {
        let [m0, m1, m2, m3] = self.stamp.minutes().to_le_bytes();
        let [p0, p1] = self.pressure.to_le_bytes();
        let [t0, t1] = self.temperature.to_le_bytes();
        let [g0, g1] = self.temperature_5cm.to_le_bytes();
        let [h0, h1] = self.humidity.to_le_bytes();
        let [d0, d1] = self.dewpoint.to_le_bytes();
        [m0, m1, m2, m3, p0, p1, t0, t1, g0, g1, h0, h1, d0, d1, self.quality]
    }

    /// Reads the fixed form; `None` when its stamp is none.
    #[must_use]
    pub fn decode(bytes: &[u8; WIDTH]) -> Option<Self> {
        let [m0, m1, m2, m3, p0, p1, t0, t1, g0, g1, h0, h1, d0, d1, quality] = *bytes;
        Some(Row {
            stamp: Stamp::from_minutes(i32::from_le_bytes([m0, m1, m2, m3]))?,
            pressure: i16::from_le_bytes([p0, p1]),
            temperature: i16::from_le_bytes([t0, t1]),
            temperature_5cm: i16::from_le_bytes([g0, g1]),
            humidity: i16::from_le_bytes([h0, h1]),
            dewpoint: i16::from_le_bytes([d0, d1]),
            quality,
        })
    }
}

/// The rows of an encoded piece; bytes that are no row are left out.
pub fn decode_all(bytes: &[u8]) -> impl Iterator<Item = Row> {
    let (rows, _) = bytes.as_chunks::<WIDTH>();
    rows.iter().filter_map(Row::decode)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any row that a product file can hold.
    pub(crate) fn any_row() -> impl Strategy<Value = Row> {
        let field = |low: i16, high: i16| prop_oneof![4 => low..=high, 1 => Just(Row::MISSING)];
        let ground = field(-950, 800);
        let fields = (field(4_000, 11_500), field(-900, 600), ground, field(0, 1_100), field(-1_500, 600));
        (-3_600_000i32..12_000_000, fields, 0u8..=10).prop_map(
            |(slots, (pressure, temperature, temperature_5cm, humidity, dewpoint), quality)| Row {
                stamp: Stamp::from_minutes(slots * 10).unwrap(),
                pressure,
                temperature,
                temperature_5cm,
                humidity,
                dewpoint,
                quality,
            },
        )
    }

    proptest! {
        #[test]
        fn the_fixed_form_returns(rows in proptest::collection::vec(any_row(), 0..20)) {
            let bytes: Vec<u8> = rows.iter().flat_map(Row::encode).collect();
            prop_assert_eq!(decode_all(&bytes).collect::<Vec<_>>(), rows);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode_all(&bytes).count() <= bytes.len() / WIDTH);
        }
    }
}
