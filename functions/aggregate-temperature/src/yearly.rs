//! A year of one station: what each of its days contributes, kept so that a day can be replaced exactly, and the row
//! that follows. Sums are whole tenths; a double is made only at the very end.

use observation::{Day, Stamp, StationId, days_in_year};

use crate::daily::{Contribution, Valid, degrees, heating};

/// Version of the encoding, its first byte.
const FORMAT: u8 = 1;
/// Bytes of a day: flags, quality, mean, count, first and last slot, lowest, highest, sum, squares.
const DAY_BYTES: usize = 19;
const NO_QUALITY: u8 = u8::MAX;

const SEEN: u8 = 1;
const SUMMER: u8 = 2;
const HOT: u8 = 4;
const FROST: u8 = 8;
const ICE: u8 = 16;
const MEAN: u8 = 32;

/// A row of `yearly_data_temp`. Temperatures in °C, deviations in K.
#[derive(Clone, Debug, PartialEq)]
pub struct YearlyRow {
    /// Which station.
    pub station: StationId,
    /// Which year in UTC.
    pub year: i32,
    /// Mean of the daily means, rounded to 0.1, ties towards +∞.
    pub mean_temp: Option<f64>,
    /// Mean of all valid readings, not rounded.
    pub mean_temp_all: Option<f64>,
    /// Sample standard deviation of all valid readings.
    pub mean_deviation: Option<f64>,
    /// Sample standard deviation of the daily means.
    pub daily_mean_deviation: Option<f64>,
    /// The lowest reading.
    pub min_temp: Option<f64>,
    /// The highest reading.
    pub max_temp: Option<f64>,
    /// The lowest quality level of the days.
    pub quality: Option<i32>,
    /// Days with a daily mean.
    pub days: i32,
    /// 365 or 366.
    pub expected_days: i32,
    /// Valid readings.
    pub readings: i32,
    /// `readings` of all that the year can have.
    pub completeness: f64,
    /// Days with a maximum of at least 25 °C.
    pub summer_days: i32,
    /// Days with a maximum of at least 30 °C.
    pub hot_days: i32,
    /// Days with a minimum below 0 °C.
    pub frost_days: i32,
    /// Days with a maximum below 0 °C.
    pub ice_days: i32,
    /// Sum of the days' degree-days by VDI 2067, in K.
    pub heating_degrees_20_15: f64,
    /// Sum of the days' degree-days from 15 °C, in K.
    pub heating_degrees_15: f64,
}

/// What a year gives to its station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) entries: u32,
    pub(crate) first: Stamp,
    pub(crate) last: Stamp,
    pub(crate) lowest: i16,
    pub(crate) highest: i16,
}

/// The contributions of a year's days.
#[derive(Clone, Debug)]
pub(crate) struct Year {
    station: StationId,
    year: i32,
    /// The encoding itself: days up to the last that has any.
    bytes: Vec<u8>,
}

impl Year {
    pub(crate) fn empty(station: StationId, year: i32) -> Self {
        Year { station, year, bytes: vec![FORMAT] }
    }

    /// Reads an encoding; `None` when it is of another format or damaged.
    pub(crate) fn decode(station: StationId, year: i32, bytes: &[u8]) -> Option<Self> {
        let [FORMAT, days @ ..] = bytes else {
            return None;
        };
        let whole = days.len().is_multiple_of(DAY_BYTES) && days.len() <= days_in_year(year) as usize * DAY_BYTES;
        whole.then(|| Year { station, year, bytes: bytes.to_vec() })
    }

    /// The encoding: format, then 19 bytes for each day up to the last that was seen.
    pub(crate) fn encode(&self) -> &[u8] {
        &self.bytes
    }

    /// What `day` contributes; of another year, nothing.
    pub(crate) fn get(&self, day: Day) -> Contribution {
        self.place(day).and_then(|at| self.bytes.get(at..at + DAY_BYTES)).and_then(decode_day).unwrap_or_default()
    }

    /// Replaces what `day` contributes. A day that was seen stays seen, so that the encoding never shrinks.
    pub(crate) fn set(&mut self, day: Day, contribution: &Contribution) {
        let Some(at) = self.place(day) else {
            return;
        };
        if self.bytes.len() < at + DAY_BYTES {
            self.bytes.resize(at + DAY_BYTES, 0);
        }
        if let Some(cell) = self.bytes.get_mut(at..at + DAY_BYTES) {
            cell.copy_from_slice(&encode_day(contribution));
        }
    }

    fn place(&self, day: Day) -> Option<usize> {
        let of_year = day.number() - Day::first_of_year(self.year).number();
        (0..days_in_year(self.year)).contains(&of_year).then_some(1 + of_year as usize * DAY_BYTES)
    }

    fn days(&self) -> impl DoubleEndedIterator<Item = (Day, Contribution)> + ExactSizeIterator {
        let first = Day::first_of_year(self.year).number();
        let days = self.bytes.get(1..).unwrap_or_default().chunks_exact(DAY_BYTES);
        days.enumerate()
            .map(move |(of_year, day)| (Day::new(first + of_year as i32), decode_day(day).unwrap_or_default()))
    }

    pub(crate) fn row(&self) -> YearlyRow {
        let sums = self.sums();
        let expected_days = days_in_year(self.year);
        YearlyRow {
            station: self.station,
            year: self.year,
            mean_temp: sums.means.mean_rounded().map(degrees),
            mean_temp_all: sums.readings.mean(),
            mean_deviation: sums.readings.deviation(),
            daily_mean_deviation: sums.means.deviation(),
            min_temp: sums.lowest.map(|tenths| degrees(i32::from(tenths))),
            max_temp: sums.highest.map(|tenths| degrees(i32::from(tenths))),
            quality: sums.quality.map(i32::from),
            days: sums.means.count as i32,
            expected_days,
            readings: sums.readings.count as i32,
            completeness: sums.readings.count as f64 / f64::from(expected_days * 144),
            summer_days: sums.summer,
            hot_days: sums.hot,
            frost_days: sums.frost,
            ice_days: sums.ice,
            heating_degrees_20_15: degrees(sums.heating.0),
            heating_degrees_15: degrees(sums.heating.1),
        }
    }

    /// What the station's summary needs; `None` while the year has no valid reading.
    pub(crate) fn extent(&self) -> Option<Extent> {
        let mut valid = self.days().filter_map(|(day, contribution)| Some((day, contribution.valid?)));
        let (first_day, first) = valid.next()?;
        let mut extent = Extent {
            entries: u32::from(first.count),
            first: Stamp::of_slot(first_day, first.first_slot),
            last: Stamp::of_slot(first_day, first.last_slot),
            lowest: first.lowest,
            highest: first.highest,
        };
        for (day, more) in valid {
            extent.entries += u32::from(more.count);
            extent.last = Stamp::of_slot(day, more.last_slot);
            extent.lowest = extent.lowest.min(more.lowest);
            extent.highest = extent.highest.max(more.highest);
        }
        Some(extent)
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for (_, day) in self.days() {
            sums.add(&day);
        }
        sums
    }
}

#[derive(Default)]
struct Sums {
    readings: Moments,
    means: Moments,
    lowest: Option<i16>,
    highest: Option<i16>,
    quality: Option<u8>,
    summer: i32,
    hot: i32,
    frost: i32,
    ice: i32,
    heating: (i32, i32),
}

impl Sums {
    fn add(&mut self, day: &Contribution) {
        if let Some(valid) = &day.valid {
            self.readings.count += i64::from(valid.count);
            self.readings.sum += i64::from(valid.sum);
            self.readings.squares += i64::from(valid.squares);
            self.lowest = Some(self.lowest.map_or(valid.lowest, |lowest| lowest.min(valid.lowest)));
            self.highest = self.highest.max(Some(valid.highest));
        }
        if let Some(mean) = day.mean.map(i32::from) {
            self.means.count += 1;
            self.means.sum += i64::from(mean);
            self.means.squares += i64::from(mean * mean);
            let (vdi, from_limit) = heating(mean);
            self.heating.0 += vdi;
            self.heating.1 += from_limit;
        }
        self.quality = match (self.quality, day.quality) {
            (Some(held), Some(more)) => Some(held.min(more)),
            (held, more) => held.or(more),
        };
        self.summer += i32::from(day.summer);
        self.hot += i32::from(day.hot);
        self.frost += i32::from(day.frost);
        self.ice += i32::from(day.ice);
    }
}

/// Count, sum and sum of squares of values in tenths. A year's stay below 2^53 in every product taken here.
#[derive(Default)]
struct Moments {
    count: i64,
    sum: i64,
    squares: i64,
}

impl Moments {
    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / (self.count * 10) as f64)
    }

    fn mean_rounded(&self) -> Option<i32> {
        (self.count > 0).then(|| observation::rounded(self.sum, self.count) as i32)
    }

    /// The sample standard deviation in whole units: exact up to one division and one square root. State that was damaged
    /// can hold sums that no year has, and whose squares are wider.
    fn deviation(&self) -> Option<f64> {
        let [count, sum, squares] = [self.count, self.sum, self.squares].map(i128::from);
        let numerator = count * squares - sum * sum;
        let denominator = 100 * count * (count - 1);
        (self.count > 1).then(|| (numerator as f64 / denominator as f64).sqrt())
    }
}

fn encode_day(day: &Contribution) -> [u8; DAY_BYTES] {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = flag(day.seen, SEEN)
        | flag(day.summer, SUMMER)
        | flag(day.hot, HOT)
        | flag(day.frost, FROST)
        | flag(day.ice, ICE)
        | flag(day.mean.is_some(), MEAN);
    let [mean0, mean1] = day.mean.unwrap_or(0).to_le_bytes();
    let quality = if day.seen { day.quality.unwrap_or(NO_QUALITY) } else { 0 };
    let nothing = Valid { count: 0, first_slot: 0, last_slot: 0, lowest: 0, highest: 0, sum: 0, squares: 0 };
    let valid = day.valid.unwrap_or(nothing);
    let ([lowest0, lowest1], [highest0, highest1]) = (valid.lowest.to_le_bytes(), valid.highest.to_le_bytes());
    let ([sum0, sum1, sum2, sum3], [sq0, sq1, sq2, sq3]) = (valid.sum.to_le_bytes(), valid.squares.to_le_bytes());
    [
        flags,
        quality,
        mean0,
        mean1,
        valid.count,
        valid.first_slot,
        valid.last_slot,
        lowest0,
        lowest1,
        highest0,
        highest1,
        sum0,
        sum1,
        sum2,
        sum3,
        sq0,
        sq1,
        sq2,
        sq3,
    ]
}

fn decode_day(bytes: &[u8]) -> Option<Contribution> {
    let &[
        flags,
        quality,
        mean0,
        mean1,
        count,
        first_slot,
        last_slot,
        lowest0,
        lowest1,
        highest0,
        highest1,
        sum0,
        sum1,
        sum2,
        sum3,
        sq0,
        sq1,
        sq2,
        sq3,
    ] = bytes.as_array::<DAY_BYTES>()?;
    let has = |flag: u8| flags & flag != 0;
    let valid = Valid {
        count,
        first_slot,
        last_slot,
        lowest: i16::from_le_bytes([lowest0, lowest1]),
        highest: i16::from_le_bytes([highest0, highest1]),
        sum: i32::from_le_bytes([sum0, sum1, sum2, sum3]),
        squares: u32::from_le_bytes([sq0, sq1, sq2, sq3]),
    };
    Some(Contribution {
        seen: has(SEEN),
        summer: has(SUMMER),
        hot: has(HOT),
        frost: has(FROST),
        ice: has(ICE),
        mean: has(MEAN).then_some(i16::from_le_bytes([mean0, mean1])),
        quality: Some(quality).filter(|&quality| has(SEEN) && quality != NO_QUALITY),
        valid: (count > 0).then_some(valid),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contribution(tenths: i32, count: u8) -> Contribution {
        let sum = tenths * i32::from(count);
        Contribution {
            seen: true,
            mean: Some(tenths as i16),
            quality: Some(3),
            frost: tenths < 0,
            valid: Some(Valid {
                count,
                first_slot: 1,
                last_slot: count,
                lowest: tenths as i16,
                highest: tenths as i16,
                sum,
                squares: (tenths * sum) as u32,
            }),
            ..Contribution::default()
        }
    }

    #[test]
    fn a_replaced_day_leaves_no_trace() {
        let station = StationId::new(433).unwrap();
        let (new_year, last) = (Day::from_date(2020, 1, 1).unwrap(), Day::from_date(2020, 12, 31).unwrap());
        let mut year = Year::empty(station, 2020);
        year.set(last, &contribution(-50, 100));
        let before = year.encode().to_vec();
        year.set(last, &contribution(200, 144));
        year.set(last, &contribution(-50, 100));
        assert_eq!(year.encode(), before);
        year.set(new_year, &contribution(51, 100));
        let row = year.row();
        assert_eq!((row.mean_temp, row.days, row.readings, row.expected_days), (Some(0.1), 2, 200, 366));
        assert_eq!((row.mean_temp_all, row.frost_days, row.quality), (Some(0.05), 1, Some(3)));
        // 100 readings of -5.0 and 100 of 5.1: variance 200 / 199 * 5.05².
        assert!((row.mean_deviation.unwrap() - (200.0f64 / 199.0).sqrt() * 5.05).abs() < 1e-12);
        assert!((row.daily_mean_deviation.unwrap() - 2f64.sqrt() * 5.05).abs() < 1e-12);
        let extent = year.extent().unwrap();
        assert_eq!((extent.first.number(), extent.last.number()), (202_001_010_010, 202_012_311_640));
        assert_eq!(Year::decode(station, 2020, year.encode()).unwrap().row(), row);
        assert!(Year::decode(station, 2021, year.encode()).is_none());
    }

    #[test]
    fn a_year_of_the_extremes_stays_exact() {
        let mut year = Year::empty(StationId::new(1).unwrap(), 2020);
        for (day, number) in (Day::first_of_year(2020).number()..).zip(0..366) {
            year.set(Day::new(day), &contribution(if number % 2 == 0 { -900 } else { 900 }, 144));
        }
        let row = year.row();
        let readings = 366.0f64 * 144.0;
        assert_eq!((row.mean_temp_all, row.completeness), (Some(0.0), 1.0));
        assert_eq!(row.mean_deviation, Some((readings * 810_000.0 / (100.0 * (readings - 1.0))).sqrt()));
    }

    #[test]
    fn sums_that_no_year_has_do_not_overflow() {
        let damaged = Moments { count: 2, sum: 0, squares: 8_000_000_000_000_000_000 };
        assert_eq!(damaged.deviation(), Some(8e16_f64.sqrt()));
    }
}
