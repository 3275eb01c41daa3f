//! Readings as whole tenths, so that sums of them are exact in any order.

use std::fmt;

/// A reading in tenths of its unit (0.1 °C, 0.1 hPa, 0.1 %).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenths(i16);

impl Tenths {
    /// What DWD writes for a missing value, -999, in tenths. Not a reading: messages give it as `None`.
    pub const MISSING: i32 = -9990;

    /// The reading of so many tenths. `None` below -3276.7 and above 3276.7, far outside any physical range.
    #[must_use]
    pub fn new(tenths: i32) -> Option<Self> {
        i16::try_from(tenths).ok().filter(|&tenths| tenths != i16::MIN).map(Tenths)
    }

    /// Reads a decimal number with at most one decimal and without spaces (`-3.2`, `17`) into tenths, [`Tenths::MISSING`]
    /// included; `None` for anything else.
    #[must_use]
    pub fn parse_decimal(text: &[u8]) -> Option<i32> {
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, tenth) = match text {
            [whole @ .., b'.', tenth] => (whole, *tenth),
            whole => (whole, b'0'),
        };
        if whole.is_empty() || whole.len() > 5 || !tenth.is_ascii_digit() {
            return None;
        }
        let mut tenths = 0;
        for &digit in whole.iter().chain([&tenth]) {
            let digit = digit.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            tenths = tenths * 10 + i32::from(digit);
        }
        Some(if negative { -tenths } else { tenths })
    }

    /// The number of tenths.
    #[must_use]
    pub fn get(self) -> i16 {
        self.0
    }

    /// The nearest double: one division of two exact numbers, so the same bits everywhere.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.0) / 10.0
    }
}

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let tenths = self.0.unsigned_abs();
        write!(f, "{sign}{}.{}", tenths / 10, tenths % 10)
    }
}

/// The values a field can physically have, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    lowest: Tenths,
    highest: Tenths,
}

impl Range {
    /// Air temperature at 2 m in °C: wider than the records of the Earth (-89.2 and 56.7).
    pub const TEMPERATURE: Range = Range::of(-900, 600);
    /// Air temperature 5 cm above ground in °C: colder on snow and hotter over dry ground than at 2 m.
    pub const TEMPERATURE_5CM: Range = Range::of(-950, 800);
    /// Pressure at station height in hPa: the Zugspitze has about 700, the record at sea level is 1084.
    pub const PRESSURE: Range = Range::of(4000, 11_500);
    /// Relative humidity in %: sensors report a little more than 100 in fog.
    pub const HUMIDITY: Range = Range::of(0, 1100);
    /// Dew point in °C: far below the air temperature in very dry air.
    pub const DEWPOINT: Range = Range::of(-1500, 600);

    const fn of(lowest: i16, highest: i16) -> Self {
        Range { lowest: Tenths(lowest), highest: Tenths(highest) }
    }

    /// Whether `value` lies within.
    #[must_use]
    pub fn contains(self, value: Tenths) -> bool {
        (self.lowest..=self.highest).contains(&value)
    }

    /// A field of a message: `Some(None)` for -999, `None` when it is outside of the range.
    #[must_use]
    pub fn check(self, tenths: i32) -> Option<Option<Tenths>> {
        if tenths == Tenths::MISSING {
            return Some(None);
        }
        Tenths::new(tenths).filter(|&value| self.contains(value)).map(Some)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.lowest, self.highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        let cases: [(&str, Option<i32>); 14] = [
            ("-3.2", Some(-32)),
            ("-0.3", Some(-3)),
            ("0.0", Some(0)),
            ("17", Some(170)),
            ("1005.2", Some(10_052)),
            ("-999", Some(-9990)),
            ("-999.0", Some(-9990)),
            ("3.25", None),
            (".5", None),
            ("3.", None),
            ("", None),
            ("-", None),
            ("1e3", None),
            ("123456", None),
        ];
        for (text, tenths) in cases {
            assert_eq!(Tenths::parse_decimal(text.as_bytes()), tenths, "{text}");
        }
    }

    #[test]
    fn a_missing_value_is_null_and_fog_may_exceed_100_percent() {
        assert_eq!(Range::TEMPERATURE.check(-9990), Some(None));
        assert_eq!(Range::HUMIDITY.check(1004), Some(Tenths::new(1004)));
        assert_eq!(Range::HUMIDITY.check(1101), None);
        assert_eq!(Range::TEMPERATURE.check(-901), None);
    }
}
