//! Instants of the 10-minute grid in UTC, and the days they belong to. No clock is read here.

use std::fmt;

/// Readings of a day: 00:00, 00:10 .. 23:50 UTC.
pub const SLOTS: usize = 144;
/// The slot beyond a day's own 144 that holds hour 0: the reading of 23:50 of the day before.
pub const HOUR_ZERO: usize = SLOTS;

const MINUTES_A_DAY: i32 = 24 * 60;
/// Years that a stamp can have: wider than any measured series in 10-minute steps.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=2199;
/// 1900-01-01 and 2200-01-01, in minutes since 1970-01-01 00:00 UTC.
const FIRST_MINUTE: i32 = number_of_date(*YEARS.start(), 1, 1) * MINUTES_A_DAY;
const AFTER_LAST_MINUTE: i32 = number_of_date(*YEARS.end() + 1, 1, 1) * MINUTES_A_DAY;

/// A day in UTC, as days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// The day of so many days since 1970-01-01.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Day(number)
    }

    /// The day of a date; `None` when there is no such date or its year lies outside 1900..=2199.
    #[must_use]
    pub fn from_date(year: i32, month: u32, day: u32) -> Option<Self> {
        if !YEARS.contains(&year) || !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
            return None;
        }
        Some(Day(number_of_date(year, month, day)))
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The day after.
    #[must_use]
    pub fn next(self) -> Self {
        Day(self.0.saturating_add(1))
    }

    /// Year, month 1..=12 and day 1..=31.
    #[must_use]
    pub fn date(self) -> (i32, u32, u32) {
        // Counted in eras of 400 years from 1 March of year 0, as Howard Hinnant's civil_from_days.
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097) as u32;
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        (year_of_era as i32 + era * 400 + i32::from(month <= 2), month, day)
    }

    /// The eight digits YYYYMMDD.
    pub(crate) fn digits(self) -> [u8; 8] {
        let (year, month, day) = self.date();
        let year = year.unsigned_abs();
        let ([y1, y2], [y3, y4]) = (two_digits(year / 100), two_digits(year % 100));
        let ([m1, m2], [d1, d2]) = (two_digits(month), two_digits(day));
        [y1, y2, y3, y4, m1, m2, d1, d2]
    }

    /// The year.
    #[must_use]
    pub fn year(self) -> i32 {
        self.date().0
    }

    /// The first day of a year.
    #[must_use]
    pub fn first_of_year(year: i32) -> Self {
        Day(number_of_date(year, 1, 1))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// How many days a year has.
#[must_use]
pub fn days_in_year(year: i32) -> i32 {
    365 + i32::from(is_leap(year))
}

/// An instant in UTC on a 10-minute border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(i32);

impl Stamp {
    /// The instant of a date and a time; `None` when there is none such, off the 10-minute grid, or outside the
    /// years 1900..=2199.
    #[must_use]
    pub fn new(year: i32, month: u32, day: u32, hour: u32, minute: u32) -> Option<Self> {
        if hour > 23 || minute > 59 || !minute.is_multiple_of(10) {
            return None;
        }
        Some(Stamp(Day::from_date(year, month, day)?.number() * MINUTES_A_DAY + (hour * 60 + minute) as i32))
    }

    /// Reads the number YYYYMMDDHHMM.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        let date = u32::try_from(number / 10_000).ok()?;
        let time = (number % 10_000) as u32;
        Stamp::new((date / 10_000) as i32, date / 100 % 100, date % 100, time / 100, time % 100)
    }

    /// The instant of so many minutes since 1970-01-01 00:00 UTC; `None` off the grid or outside 1900..=2199. An hour
    /// earlier, as MEZ needs it, is `from_minutes(stamp.minutes() - 60)`.
    #[must_use]
    pub fn from_minutes(minutes: i32) -> Option<Self> {
        (minutes % 10 == 0 && (FIRST_MINUTE..AFTER_LAST_MINUTE).contains(&minutes)).then_some(Stamp(minutes))
    }

    /// The instant of a slot of a day.
    #[must_use]
    pub fn of_slot(day: Day, slot: u8) -> Self {
        Stamp(day.number() * MINUTES_A_DAY + i32::from(slot) * 10)
    }

    /// Minutes since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn minutes(self) -> i32 {
        self.0
    }

    /// Milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn millis(self) -> i64 {
        i64::from(self.0) * 60_000
    }

    /// The day in UTC, which is DWD's climate day: 00:00 to 23:50.
    #[must_use]
    pub fn day(self) -> Day {
        Day(self.0.div_euclid(MINUTES_A_DAY))
    }

    /// The slot of the day, 0..=143.
    #[must_use]
    pub fn slot(self) -> usize {
        (self.0.rem_euclid(MINUTES_A_DAY) / 10) as usize
    }

    /// The four digits HHMM.
    pub(crate) fn time_digits(self) -> [u8; 4] {
        let minute = self.0.rem_euclid(MINUTES_A_DAY) as u32;
        let ([h1, h2], [n1, n2]) = (two_digits(minute / 60), two_digits(minute % 60));
        [h1, h2, n1, n2]
    }

    /// The number YYYYMMDDHHMM.
    #[must_use]
    pub fn number(self) -> u64 {
        let (year, month, day) = self.day().date();
        let minute = self.0.rem_euclid(MINUTES_A_DAY) as u32;
        let date = (year.unsigned_abs() * 100 + month) * 100 + day;
        u64::from(date) * 10_000 + u64::from(minute / 60 * 100 + minute % 60)
    }
}

fn two_digits(number: u32) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant's days_from_civil.
const fn number_of_date(year: i32, month: u32, day: u32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = ((153 * from_march + 2) / 5 + day - 1) as i32;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days() {
        assert_eq!(Day::from_date(1970, 1, 1).unwrap().number(), 0);
        assert_eq!(Day::from_date(2024, 2, 29).unwrap().number(), 19_782);
        assert_eq!(Day::from_date(2023, 2, 29), None);
        assert_eq!(Day::from_date(1900, 2, 29), None);
        assert_eq!(Day::new(19_782).to_string(), "2024-02-29");
        assert_eq!((days_in_year(2000), days_in_year(1900), days_in_year(2023)), (366, 365, 365));
    }

    #[test]
    fn stamps_off_the_grid_or_the_calendar_are_refused() {
        for number in [202_401_311_455, 202_401_312_400, 202_402_301_200, 202_413_011_200, 20_240_131, u64::MAX] {
            assert_eq!(Stamp::from_number(number), None, "{number}");
        }
        let stamp = Stamp::from_number(202_401_312_350).unwrap();
        assert_eq!((stamp.slot(), stamp.day().to_string().as_str()), (143, "2024-01-31"));
        assert_eq!(stamp.millis(), 1_706_745_000_000);
    }

    proptest! {
        #[test]
        fn numbers_and_dates_return(minutes in -3_600_000i32..12_000_000) {
            let stamp = Stamp::from_minutes(minutes * 10).unwrap();
            prop_assert_eq!(Stamp::from_number(stamp.number()), Some(stamp));
            let (year, month, day) = stamp.day().date();
            prop_assert_eq!(Day::from_date(year, month, day), Some(stamp.day()));
            prop_assert_eq!(Stamp::of_slot(stamp.day(), stamp.slot() as u8), stamp);
        }
    }
}
