//! Days, ten-minute slots and the zone of a file's stamps. Pure arithmetic; the mirror's running clock is in `clock`.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::Offset;

/// One reading every ten minutes.
pub const SLOT_SECONDS: i64 = 600;
/// Readings of a full day.
pub const SLOTS_PER_DAY: i64 = 144;
pub(crate) const DAY_SECONDS: i64 = 86_400;

/// How a file writes its stamps. DWD decides this by file: those that end before 2000 are MEZ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// UTC+1 the whole year.
    Mez,
    Utc,
}

impl Zone {
    /// Slots to add to UTC to get what the file writes.
    pub(crate) fn shift(self) -> i64 {
        match self {
            Zone::Mez => 6,
            Zone::Utc => 0,
        }
    }
}

/// Days since 1970-01-01 of an instant in seconds.
pub(crate) fn day_of(seconds: i64) -> i64 {
    seconds.div_euclid(DAY_SECONDS)
}

/// The civil date of a day number. Options keep every day of the mirror within jiff's range, so the fallback,
/// 1970-01-01, is never met.
pub(crate) fn date_of(day: i64) -> Date {
    Offset::UTC.to_datetime(instant(day.saturating_mul(DAY_SECONDS))).date()
}

/// The day number of a civil date.
pub(crate) fn day_number(of: Date) -> i64 {
    Offset::UTC.to_timestamp(of.at(0, 0, 0, 0)).map_or(0, |at| day_of(at.as_second()))
}

/// The first day of a year.
pub(crate) fn new_year(year: i16) -> i64 {
    day_number(date(year, 1, 1))
}

/// An instant from seconds, for printing.
pub(crate) fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `20250601`, as file names and stamps hold it.
pub(crate) fn compact(day: i64) -> String {
    let date = date_of(day);
    format!("{:04}{:02}{:02}", date.year(), date.month(), date.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_on_both_sides_of_1970() {
        for (day, text) in [(0, "19700101"), (-1, "19691231"), (10_957, "20000101"), (20_240, "20250601")] {
            assert_eq!(compact(day), text);
            assert_eq!(day_number(date_of(day)), day);
        }
        assert_eq!(new_year(2000), 10_957);
    }
}
