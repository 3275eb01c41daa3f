//! The figures of one station and day, from its winning readings. Nothing here depends on other days.
//!
//! The mean is DWD's. Since 1 April 2001 it is that of the 24 hourly readings (hour 0 is 23:50 of the day before, hour
//! `h` is `h-1`:50 UTC) when no more than three are missing, else that of hours 0, 6, 12 and 18 (readings of 23:50,
//! 05:50, 11:50 and 17:50) when all four are there, else there is none. Before, it is that of the three climate terms
//! I, II and III, the last counted twice. Observers kept them at 07:30, 14:30 and 21:30 MEZ until March 2001
//! (<https://www.wetter.com/wetterlexikon/tagesmitteltemperatur_aid_510.html>), so they are the readings of 06:30,
//! 13:30 and 20:30 UTC. When one of the three is missing, the rule of today is taken instead. `mean_method` says which
//! it was.

use observation::{Column, Day, DayReadings, HOUR_ZERO, SLOTS, StationId, rounded};

/// The first day whose mean DWD takes from 24 hourly readings: 2001-04-01.
const HOURLY_SINCE: Day = Day::new(11_413);
/// Slots of 06:30, 13:30 and 20:30 UTC, the climate terms I, II and III.
const TERMS: [usize; 3] = [39, 81, 123];
/// DWD's hours for the mean of four when hourly readings are missing.
const FOUR_HOURS: [usize; 4] = [0, 6, 12, 18];

/// 25.0 °C in tenths: a summer day reaches it.
const SUMMER_DAY: i32 = 250;
/// 30.0 °C in tenths: a hot day reaches it.
const HOT_DAY: i32 = 300;
/// 15.0 °C in tenths: below such a mean a day is heated (VDI 2067).
const HEATING_LIMIT: i32 = 150;
/// 20.0 °C in tenths: the indoor temperature of VDI 2067.
const INDOORS: i32 = 200;

/// How a daily mean was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeanMethod {
    /// Of at least 21 of the 24 hourly readings.
    Hourly,
    /// Of hours 0, 6, 12 and 18.
    FourTerms,
    /// Of the climate terms, (I + II + 2 III) / 4.
    Mannheim,
}

impl MeanMethod {
    /// The name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            MeanMethod::Hourly => "hourly",
            MeanMethod::FourTerms => "four-terms",
            MeanMethod::Mannheim => "mannheim",
        }
    }

    /// Whether the mean takes 23:50 of the day before.
    fn takes_hour_zero(self) -> bool {
        !matches!(self, MeanMethod::Mannheim)
    }
}

/// A row of `daily_temp_data`. Temperatures in °C; figures without a note are of the day's own valid readings.
#[derive(Clone, Debug, PartialEq)]
pub struct DailyRow {
    /// Which station.
    pub station: StationId,
    /// Which day in UTC.
    pub day: Day,
    /// DWD's daily mean, rounded to 0.1, ties towards +∞.
    pub mean_temp: Option<f64>,
    /// How it was taken.
    pub mean_method: Option<MeanMethod>,
    /// Mean of all readings, not rounded.
    pub mean_temp_all: Option<f64>,
    /// The lowest reading.
    pub min_temp: Option<f64>,
    /// The highest reading.
    pub max_temp: Option<f64>,
    /// The lowest reading 5 cm above ground.
    pub min_temp_5cm: Option<f64>,
    /// How many, of 144.
    pub readings: i32,
    /// How many hourly readings, of 24, hour 0 included.
    pub hours: i32,
    /// `readings` / 144.
    pub completeness: f64,
    /// The lowest quality level of the readings, hour 0 included when the mean takes it.
    pub min_quality: Option<i32>,
    /// Whether the maximum is at least 25 °C; null when it is not, but might be were the day complete.
    pub summer_day: Option<bool>,
    /// The same for 30 °C.
    pub hot_day: Option<bool>,
    /// Whether the minimum is below 0 °C; null when it is not, but might be were the day complete.
    pub frost_day: Option<bool>,
    /// Whether the maximum is below 0 °C; null when it is, but might not be were the day complete.
    pub ice_day: Option<bool>,
    /// Degree-days of VDI 2067 in K: 20 - mean on days with a mean below 15, else 0.
    pub heating_degrees_20_15: Option<f64>,
    /// Degree-days in K: 15 - mean on days with a mean below 15, else 0.
    pub heating_degrees_15: Option<f64>,
}

/// What a day gives to its year and station, exactly. All zero for a day without any reading of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contribution {
    /// Whether the day has a reading of its own, valid or not.
    pub(crate) seen: bool,
    pub(crate) summer: bool,
    pub(crate) hot: bool,
    pub(crate) frost: bool,
    pub(crate) ice: bool,
    /// The rounded mean in tenths.
    pub(crate) mean: Option<i16>,
    pub(crate) quality: Option<u8>,
    pub(crate) valid: Option<Valid>,
}

/// Of a day with valid readings: how many there are, between which slots, and their exact figures in tenths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Valid {
    pub(crate) count: u8,
    pub(crate) first_slot: u8,
    pub(crate) last_slot: u8,
    pub(crate) lowest: i16,
    pub(crate) highest: i16,
    pub(crate) sum: i32,
    pub(crate) squares: u32,
}

/// The row and the contribution of a day; `None` while it has no reading of its own.
pub(crate) fn of(station: StationId, day: Day, readings: &DayReadings<2>) -> Option<(DailyRow, Contribution)> {
    if !readings.has_own() {
        return None;
    }
    let [air, ground] = readings.columns();
    let totals = air.totals();
    let hours = air.hours();
    let mean = mean(day, air);
    let with_hour_zero = mean.is_some_and(|(_, method)| method.takes_hour_zero());
    let quality = readings.lowest_quality(|slot| (slot != HOUR_ZERO || with_hour_zero) && air.at(slot).is_some());
    let days = Kinds::of(totals.lowest(), totals.highest(), hours.suffice());
    let mean_tenths = mean.map(|(tenths, _)| tenths);
    let row = DailyRow {
        station,
        day,
        mean_temp: mean_tenths.map(degrees),
        mean_method: mean.map(|(_, method)| method),
        mean_temp_all: totals.mean(),
        min_temp: totals.lowest().map(degrees),
        max_temp: totals.highest().map(degrees),
        min_temp_5cm: ground.totals().lowest().map(degrees),
        readings: totals.count,
        hours: hours.count,
        completeness: f64::from(totals.count) / SLOTS as f64,
        min_quality: quality.map(i32::from),
        summer_day: days.summer,
        hot_day: days.hot,
        frost_day: days.frost,
        ice_day: days.ice,
        heating_degrees_20_15: mean_tenths.map(|mean| degrees(heating(mean).0)),
        heating_degrees_15: mean_tenths.map(|mean| degrees(heating(mean).1)),
    };
    let contribution = Contribution {
        seen: true,
        summer: days.summer == Some(true),
        hot: days.hot == Some(true),
        frost: days.frost == Some(true),
        ice: days.ice == Some(true),
        mean: mean_tenths.map(|mean| mean as i16),
        quality,
        valid: valid(air),
    };
    Some((row, contribution))
}

/// Heating degrees of a day with this mean, all in tenths: by VDI 2067 and from the limit itself.
pub(crate) fn heating(mean: i32) -> (i32, i32) {
    if mean < HEATING_LIMIT { (INDOORS - mean, HEATING_LIMIT - mean) } else { (0, 0) }
}

/// Tenths as °C or K: one division of two exact numbers.
pub(crate) fn degrees(tenths: i32) -> f64 {
    f64::from(tenths) / 10.0
}

fn valid(air: &Column) -> Option<Valid> {
    let totals = air.totals();
    let (first_slot, last_slot) = air.span()?;
    Some(Valid {
        count: totals.count as u8,
        first_slot,
        last_slot,
        lowest: totals.lowest()? as i16,
        highest: totals.highest()? as i16,
        sum: totals.sum,
        squares: totals.squares as u32,
    })
}

/// The mean in tenths, and how it was taken.
fn mean(day: Day, air: &Column) -> Option<(i32, MeanMethod)> {
    if day < HOURLY_SINCE
        && let [Some(first), Some(second), Some(third)] = TERMS.map(|slot| air.at(slot))
    {
        return Some((quotient(first + second + 2 * third, 4), MeanMethod::Mannheim));
    }
    let hours = air.hours();
    if hours.suffice() {
        return Some((quotient(hours.sum, hours.count), MeanMethod::Hourly));
    }
    match FOUR_HOURS.map(|hour| air.at_hour(hour)) {
        [Some(h0), Some(h6), Some(h12), Some(h18)] => Some((quotient(h0 + h6 + h12 + h18, 4), MeanMethod::FourTerms)),
        _ => None,
    }
}

fn quotient(sum: i32, count: i32) -> i32 {
    rounded(i64::from(sum), i64::from(count)) as i32
}

/// What kinds of day it is, as far as that is known: the extremes of an incomplete day can only be exceeded.
struct Kinds {
    summer: Option<bool>,
    hot: Option<bool>,
    frost: Option<bool>,
    ice: Option<bool>,
}

impl Kinds {
    fn of(lowest: Option<i32>, highest: Option<i32>, complete: bool) -> Self {
        let reached = |limit| highest.and_then(|highest| known(highest >= limit, complete));
        Kinds {
            summer: reached(SUMMER_DAY),
            hot: reached(HOT_DAY),
            frost: lowest.and_then(|lowest| known(lowest < 0, complete)),
            ice: reached(0).map(|thawed| !thawed),
        }
    }
}

/// A statement that further readings can make true, but never false.
fn known(holds: bool, complete: bool) -> Option<bool> {
    (holds || complete).then_some(holds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use observation::{Provenance, Tenths};

    fn row(day: Day, cells: impl IntoIterator<Item = (usize, i32)>) -> DailyRow {
        let mut readings = DayReadings::default();
        for (slot, tenths) in cells {
            readings.offer(slot, &[Tenths::new(tenths), Tenths::new(tenths - 10)], Provenance::default());
        }
        of(StationId::new(433).unwrap(), day, &readings).unwrap().0
    }

    fn hours(present: usize, tenths: impl Fn(usize) -> i32) -> Vec<(usize, i32)> {
        (0..present).map(|hour| (if hour == 0 { HOUR_ZERO } else { hour * 6 - 1 }, tenths(hour))).collect()
    }

    #[test]
    fn the_hourly_mean_rounds_ties_towards_plus_infinity() {
        let day = HOURLY_SINCE;
        let of_sum = |sum: i32| row(day, hours(24, |hour| if hour == 1 { sum } else { 0 })).mean_temp;
        assert_eq!(of_sum(12), Some(0.1));
        assert_eq!(of_sum(-12), Some(0.0));
        assert_eq!(of_sum(-13), Some(-0.1));
        assert_eq!(of_sum(11), Some(0.0));
    }

    #[test]
    fn three_hours_may_be_missing_and_not_four() {
        let day = HOURLY_SINCE;
        let enough = row(day, hours(21, |_| 70));
        assert_eq!((enough.mean_temp, enough.mean_method, enough.hours), (Some(7.0), Some(MeanMethod::Hourly), 21));
        let four = row(day, hours(20, |hour| if hour == 0 { 100 } else { 0 }));
        assert_eq!((four.mean_temp, four.mean_method), (Some(2.5), Some(MeanMethod::FourTerms)));
        let without_six = row(day, hours(20, |_| 70).into_iter().filter(|&(slot, _)| slot != 35));
        assert_eq!((without_six.mean_temp, without_six.mean_method), (None, None));
        assert_eq!(without_six.heating_degrees_15, None);
    }

    #[test]
    fn before_april_2001_the_climate_terms_count() {
        let day = Day::new(HOURLY_SINCE.number() - 1);
        assert_eq!((day.to_string(), HOURLY_SINCE.to_string()), ("2001-03-31".into(), "2001-04-01".into()));
        let terms = [(39, 10), (81, 30), (123, 21)];
        let row_of = |day, more: Vec<(usize, i32)>| row(day, more.into_iter().chain(terms));
        let mannheim = row_of(day, hours(24, |_| 0));
        assert_eq!((mannheim.mean_temp, mannheim.mean_method), (Some(2.1), Some(MeanMethod::Mannheim)));
        assert_eq!(row_of(HOURLY_SINCE, hours(24, |_| 0)).mean_method, Some(MeanMethod::Hourly));
        assert_eq!(row(day, hours(24, |_| 50)).mean_method, Some(MeanMethod::Hourly));
    }

    #[test]
    fn an_incomplete_day_claims_only_what_more_readings_could_not_undo() {
        let part = row(HOURLY_SINCE, [(30, -5), (31, 260)]);
        let kinds = (part.summer_day, part.hot_day, part.frost_day, part.ice_day);
        assert_eq!(kinds, (Some(true), None, Some(true), Some(false)));
        assert_eq!((part.min_temp, part.max_temp, part.min_temp_5cm), (Some(-0.5), Some(26.0), Some(-1.5)));
        let cold = row(HOURLY_SINCE, [(30, -5)]);
        assert_eq!((cold.frost_day, cold.ice_day), (Some(true), None));
        let whole = row(HOURLY_SINCE, (0..144).map(|slot| (slot, -5)));
        assert_eq!((whole.ice_day, whole.hot_day, whole.completeness), (Some(true), Some(false), 1.0));
        assert_eq!((whole.heating_degrees_20_15, whole.heating_degrees_15), (Some(20.5), Some(15.5)));
    }
}
