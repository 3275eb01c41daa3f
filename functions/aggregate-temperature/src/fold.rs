//! From a batch to what follows of it: days, then the years of the days that changed, then the stations of the years
//! that changed. Each layer reads its state in one call; all is written in one.

use std::iter;

use isobar_guest::types::Packed;
use isobar_guest::{Items, PackedBuilder};
use observation::{
    Day, Puts, Refusal, State, StationId, StationSummary, TouchedDays, Unreadable, parse_temperature, read,
};

use crate::daily::{self, Contribution, DailyRow, degrees};
use crate::station::Years;
use crate::yearly::{Extent, Year, YearlyRow};

/// 20.0 °C in tenths: a warmer day is in `overall_temp`.
const WARM: i16 = 200;

/// A row of `overall_temp`: a day warmer than 20 °C or colder than 0 °C.
#[derive(Clone, Debug, PartialEq)]
pub struct OverallRow {
    /// Which station.
    pub station: StationId,
    /// Which day in UTC.
    pub day: Day,
    /// The lowest reading in °C.
    pub min_temperature: f64,
    /// The highest reading in °C.
    pub max_temperature: f64,
}

/// What follows from a batch. Rows come ascending by key, each key at most once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Days whose figures may have changed.
    pub daily: Vec<DailyRow>,
    /// Years of which a day changed.
    pub yearly: Vec<YearlyRow>,
    /// Days that are warm or cold, and changed.
    pub overall: Vec<OverallRow>,
    /// Days that are neither any more.
    pub overall_deleted: Vec<(StationId, Day)>,
    /// Stations whose summary changed.
    pub summaries: Vec<StationSummary>,
    /// Records that were not taken.
    pub refusals: Vec<Refusal>,
}

/// Takes a batch's records, pairs of key and value, into `state`. Records that are already there change nothing and
/// lead to no row.
///
/// # Errors
/// A value in the state that cannot be read.
pub fn fold<'a>(
    records: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    state: &mut impl State,
) -> Result<Outcome, Unreadable> {
    let (readings, refusals) = read(records, parse_temperature);
    let mut outcome = Outcome { refusals, ..Outcome::default() };
    let days = TouchedDays::take(&readings, state)?;
    let mut puts = Puts::default();
    days.write(&mut puts);
    let changed = outcome.take_days(&days);
    let extents = outcome.take_years(&changed, state, &mut puts)?;
    outcome.take_stations(&extents, state, &mut puts)?;
    puts.write(state);
    Ok(outcome)
}

type ChangedDay = (StationId, Day, Contribution);
type ChangedYear = (StationId, i32, Option<Extent>);

impl Outcome {
    fn take_days(&mut self, days: &TouchedDays<2>) -> Vec<ChangedDay> {
        let mut changed = Vec::new();
        for day in days.changed() {
            if let Some((row, contribution)) = daily::of(day.station, day.day, &day.readings) {
                self.daily.push(row);
                changed.push((day.station, day.day, contribution));
            }
        }
        changed
    }

    fn take_years(
        &mut self,
        changed: &[ChangedDay],
        state: &mut impl State,
        puts: &mut Puts,
    ) -> Result<Vec<ChangedYear>, Unreadable> {
        let mut extents = Vec::new();
        let same_year = |a: &ChangedDay, b: &ChangedDay| (a.0, a.1.year()) == (b.0, b.1.year());
        let ids = || changed.chunk_by(same_year).filter_map(|days| days.first()).map(|day| (day.0, day.1.year()));
        let (keys, values) = get(state, ids(), |key, (station, year)| write_year_key(key, *station, *year));
        let held = Items::of(&keys).zip(Items::of(&values));
        for (((station, number), days), (key, value)) in ids().zip(changed.chunk_by(same_year)).zip(held) {
            let mut year = match value {
                None => Year::empty(station, number),
                Some(value) => Year::decode(station, number, value)
                    .ok_or_else(|| Unreadable::new(key.unwrap_or_default(), value))?,
            };
            if self.take_days_of(&mut year, days) {
                self.yearly.push(year.row());
                puts.put(|key| write_year_key(key, station, number), |value| value.extend_from_slice(year.encode()));
                extents.push((station, number, year.extent()));
            }
        }
        Ok(extents)
    }

    /// Puts the days into their year; whether that changed it.
    fn take_days_of(&mut self, year: &mut Year, days: &[ChangedDay]) -> bool {
        let mut any = false;
        for &(station, day, contribution) in days {
            let before = year.get(day);
            if before == contribution {
                continue;
            }
            any = true;
            year.set(day, &contribution);
            match (extremes(&before), extremes(&contribution)) {
                (_, Some((lowest, highest))) => self.overall.push(OverallRow {
                    station,
                    day,
                    min_temperature: degrees(lowest),
                    max_temperature: degrees(highest),
                }),
                (Some(_), None) => self.overall_deleted.push((station, day)),
                (None, None) => {}
            }
        }
        any
    }

    fn take_stations(
        &mut self,
        extents: &[ChangedYear],
        state: &mut impl State,
        puts: &mut Puts,
    ) -> Result<(), Unreadable> {
        let same_station = |a: &ChangedYear, b: &ChangedYear| a.0 == b.0;
        let ids = || extents.chunk_by(same_station).filter_map(|years| years.first()).map(|year| year.0);
        let (keys, values) = get(state, ids(), |key, station| write_station_key(key, *station));
        let held = Items::of(&keys).zip(Items::of(&values));
        for ((station, changed), (key, value)) in ids().zip(extents.chunk_by(same_station)).zip(held) {
            let mut years = match value {
                None => Years::default(),
                Some(value) => Years::decode(value).ok_or_else(|| Unreadable::new(key.unwrap_or_default(), value))?,
            };
            let before = years.clone();
            for &(_, year, extent) in changed {
                years.set(year, extent);
            }
            if years != before {
                puts.put(|key| write_station_key(key, station), |value| years.encode(value));
                let summary = years.summary(station);
                self.summaries.extend(summary.filter(|_| summary != before.summary(station)));
            }
        }
        Ok(())
    }
}

/// The lowest and the highest reading in tenths of a day that belongs into `overall_temp`.
fn extremes(day: &Contribution) -> Option<(i32, i32)> {
    let valid = day.valid.filter(|valid| valid.highest > WARM || valid.lowest < 0)?;
    Some((i32::from(valid.lowest), i32::from(valid.highest)))
}

/// One call for all the ids, and none without any.
fn get<I>(state: &mut impl State, ids: impl Iterator<Item = I>, write: impl Fn(&mut Vec<u8>, &I)) -> (Packed, Packed) {
    let mut keys = PackedBuilder::default();
    for id in ids {
        keys.push_with(|key| write(key, &id));
    }
    let any = !keys.is_empty();
    let keys = keys.build();
    let values = if any { state.get_many(&keys) } else { PackedBuilder::default().build() };
    (keys, values)
}

/// `y/00433/2024`: what the days of a station's year contribute.
fn write_year_key(out: &mut Vec<u8>, station: StationId, year: i32) {
    out.extend_from_slice(b"y/");
    out.extend_from_slice(&station.digits());
    out.push(b'/');
    out.extend([1000, 100, 10, 1].map(|place| b'0' + (year / place % 10) as u8));
}

/// `s/00433`: the extents of a station's years.
fn write_station_key(out: &mut Vec<u8>, station: StationId) {
    out.extend(iter::chain(*b"s/", station.digits()));
}
