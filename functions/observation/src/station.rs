//! DWD's station number.

use std::fmt;

/// A station's number, 1 to 99999, written with five digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StationId(u32);

impl StationId {
    /// The station of this number; `None` outside 1..=99999.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (1..=99_999).contains(&number).then_some(StationId(number))
    }

    /// Reads exactly five digits.
    #[must_use]
    pub fn parse(digits: &[u8]) -> Option<Self> {
        let digits: &[u8; 5] = digits.try_into().ok()?;
        let mut number = 0;
        for digit in digits {
            let digit = digit.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            number = number * 10 + u32::from(digit);
        }
        Self::new(number)
    }

    /// The number itself.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// Five ASCII digits: the key of a record and the id in messages and tables.
    #[must_use]
    pub fn digits(self) -> [u8; 5] {
        [10_000, 1_000, 100, 10, 1].map(|place| b'0' + (self.0 / place % 10) as u8)
    }
}

impl fmt::Display for StationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:05}", self.0)
    }
}
