//! One measured quantity over a day, and the exact figures taken from it. The day's order among readings is not
//! known here.
//!
//! DWD's hour `h` of a day is the reading of minute 50 before it: hour 0 is 23:50 of the day before, hour 1 is 00:50,
//! hour 23 is 22:50 UTC. The reading of 23:50 is therefore no hour of its own day, but hour 0 of the next.

use crate::{HOUR_ZERO, SLOTS, Tenths};

/// Slots of a day and hour 0.
pub(crate) const CELLS: usize = SLOTS + 1;
/// The cell of a slot without a valid value.
pub(crate) const NONE: i16 = i16::MIN;
/// DWD takes a mean of hourly readings when no more than three of the 24 are missing.
const HOURS_NEEDED: i32 = 21;
/// Hours of a day.
const HOURS: usize = 24;

/// The valid values of one quantity on one day, in tenths, by slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column(pub(crate) [i16; CELLS]);

impl Column {
    pub(crate) const EMPTY: Column = Column([NONE; CELLS]);

    /// The valid value of a slot (0..=143, or [`HOUR_ZERO`]) in tenths.
    #[must_use]
    pub fn at(&self, slot: usize) -> Option<i32> {
        self.0.get(slot).filter(|&&value| value != NONE).map(|&value| i32::from(value))
    }

    /// The valid value of DWD's hour 0..=23 in tenths.
    #[must_use]
    pub fn at_hour(&self, hour: usize) -> Option<i32> {
        self.at(slot_of_hour(hour))
    }

    /// Figures of the day's own valid readings, hour 0 left out.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { lowest: i32::MAX, highest: i32::MIN, ..Totals::default() };
        for &value in self.0.iter().take(SLOTS) {
            if value != NONE {
                let value = i32::from(value);
                totals.count += 1;
                totals.sum += value;
                totals.squares += i64::from(value * value);
                totals.lowest = totals.lowest.min(value);
                totals.highest = totals.highest.max(value);
            }
        }
        totals
    }

    /// The valid hourly readings, hour 0 included.
    #[must_use]
    pub fn hours(&self) -> Hours {
        let mut hours = Hours::default();
        for hour in 0..HOURS {
            if let Some(value) = self.at_hour(hour) {
                hours.count += 1;
                hours.sum += value;
            }
        }
        hours
    }

    /// The first and the last own slot with a valid value.
    #[must_use]
    pub fn span(&self) -> Option<(u8, u8)> {
        let own = self.0.get(..SLOTS)?;
        let first = own.iter().position(|&value| value != NONE)?;
        let last = own.iter().rposition(|&value| value != NONE)?;
        Some((first as u8, last as u8))
    }

    pub(crate) fn set(&mut self, slot: usize, value: Option<Tenths>) {
        if let Some(cell) = self.0.get_mut(slot) {
            *cell = value.map_or(NONE, Tenths::get);
        }
    }
}

/// Exact figures of a day's own valid readings, in tenths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many there are, 0..=144.
    pub count: i32,
    /// Their sum.
    pub sum: i32,
    /// The sum of their squares.
    pub squares: i64,
    lowest: i32,
    highest: i32,
}

impl Totals {
    /// The lowest reading.
    #[must_use]
    pub fn lowest(&self) -> Option<i32> {
        (self.count > 0).then_some(self.lowest)
    }

    /// The highest reading.
    #[must_use]
    pub fn highest(&self) -> Option<i32> {
        (self.count > 0).then_some(self.highest)
    }

    /// The mean in whole units: one division of two exact numbers.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| f64::from(self.sum) / f64::from(self.count * 10))
    }
}

/// The valid hourly readings of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// How many there are, 0..=24.
    pub count: i32,
    /// Their sum in tenths.
    pub sum: i32,
}

impl Hours {
    /// Whether DWD takes a mean of them: at least 21 of 24.
    #[must_use]
    pub fn suffice(&self) -> bool {
        self.count >= HOURS_NEEDED
    }
}

/// The quotient rounded to a whole number, ties towards +∞, exactly. `divisor` must be positive; 0 gives 0.
#[must_use]
pub fn rounded(dividend: i64, divisor: i64) -> i64 {
    (2 * dividend + divisor).checked_div_euclid(2 * divisor).unwrap_or(0)
}

fn slot_of_hour(hour: usize) -> usize {
    if hour == 0 { HOUR_ZERO } else { hour * 6 - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_towards_plus_infinity() {
        for (dividend, divisor, expected) in
            [(5, 2, 3), (-5, 2, -2), (-3, 24, 0), (-12, 24, 0), (-13, 24, -1), (12, 24, 1), (7, 0, 0)]
        {
            assert_eq!(rounded(dividend, divisor), expected, "{dividend}/{divisor}");
        }
    }

    #[test]
    fn hours_are_the_readings_of_minute_50_before_them() {
        let mut column = Column::EMPTY;
        for slot in 0..CELLS {
            column.set(slot, Tenths::new(slot as i32));
        }
        assert_eq!(column.at_hour(0), Some(144));
        assert_eq!(column.at_hour(1), Some(5));
        assert_eq!(column.at_hour(23), Some(137));
        assert_eq!(column.hours(), Hours { count: 24, sum: 144 + (1..24).map(|hour| hour * 6 - 1).sum::<i32>() });
        assert_eq!((column.totals().count, column.totals().highest()), (144, Some(143)));
        assert_eq!(column.span(), Some((0, 143)));
    }
}
