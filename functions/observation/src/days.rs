//! The first layer of both aggregates: a batch of readings taken into the days they touch, with one reading and, at
//! the caller's time, one writing of state. What figures follow from the days is the caller's.

use isobar_guest::types::Packed;
use isobar_guest::{Items, PackedBuilder};

use crate::{Change, Day, DayReadings, HOUR_ZERO, Provenance, SLOTS, Stamp, State, StationId, Tenths, Unreadable};

/// One reading of `N` quantities.
#[derive(Clone, Copy, Debug)]
pub struct Reading<const N: usize> {
    /// Where.
    pub station: StationId,
    /// When.
    pub stamp: Stamp,
    /// What.
    pub values: [Option<Tenths>; N],
    /// How much it counts.
    pub provenance: Provenance,
}

/// A day that the batch touches.
#[derive(Debug)]
pub struct TouchedDay<const N: usize> {
    /// Which station.
    pub station: StationId,
    /// Which day.
    pub day: Day,
    /// Its readings, those of the batch included.
    pub readings: DayReadings<N>,
    change: Change,
}

/// The days that a batch touches, ascending by station and day.
#[derive(Debug)]
pub struct TouchedDays<const N: usize>(Vec<TouchedDay<N>>);

impl<const N: usize> TouchedDays<N> {
    /// Reads the days that `readings` touch from `state` and lets the readings contend for their slots. A reading of
    /// 23:50 contends twice: for its own day, and for hour 0 of the next.
    ///
    /// # Errors
    /// A value in the state that cannot be read.
    pub fn take(readings: &[Reading<N>], state: &mut impl State) -> Result<Self, Unreadable> {
        let ids = ids_of(readings);
        let mut days = TouchedDays(Vec::with_capacity(ids.len()));
        let mut keys = PackedBuilder::with_capacity(ids.len(), ids.len() * 16);
        for &(station, day) in &ids {
            keys.push_with(|key| write_key(key, station, day));
        }
        let keys = keys.build();
        let values = state.get_many(&keys);
        for ((&(station, day), key), value) in ids.iter().zip(Items::of(&keys)).zip(Items::of(&values)) {
            let readings = match value {
                None => DayReadings::default(),
                Some(value) => {
                    DayReadings::decode(value).ok_or_else(|| Unreadable::new(key.unwrap_or_default(), value))?
                }
            };
            days.0.push(TouchedDay { station, day, readings, change: Change::None });
        }
        days.offer(readings);
        Ok(days)
    }

    fn offer(&mut self, readings: &[Reading<N>]) {
        let mut at = 0;
        for reading in readings {
            let (day, slot) = (reading.stamp.day(), reading.stamp.slot());
            at = self.find(at, reading.station, day);
            self.offer_at(at, slot, reading);
            if slot == SLOTS - 1 {
                let next = self.find(at + 1, reading.station, day.next());
                self.offer_at(next, HOUR_ZERO, reading);
            }
        }
    }

    fn offer_at(&mut self, at: usize, slot: usize, reading: &Reading<N>) {
        if let Some(day) = self.0.get_mut(at) {
            let change = day.readings.offer(slot, &reading.values, reading.provenance);
            day.change = day.change.max(change);
        }
    }

    /// The place of a day: `likely`, or found by bisection.
    fn find(&self, likely: usize, station: StationId, day: Day) -> usize {
        match self.0.get(likely) {
            Some(known) if (known.station, known.day) == (station, day) => likely,
            _ => self.0.partition_point(|known| (known.station, known.day) < (station, day)),
        }
    }

    /// The days whose figures may have changed.
    pub fn changed(&self) -> impl Iterator<Item = &TouchedDay<N>> {
        self.0.iter().filter(|day| day.change == Change::Figures)
    }

    /// Appends to `puts` the days that changed in any way.
    pub fn write(&self, puts: &mut Puts) {
        for day in self.0.iter().filter(|day| day.change != Change::None) {
            puts.put(|key| write_key(key, day.station, day.day), |value| day.readings.encode(value));
        }
    }
}

/// Values on their way into the state, written in one call.
#[derive(Default)]
pub struct Puts {
    keys: PackedBuilder,
    values: PackedBuilder,
}

impl Puts {
    /// Adds a value.
    pub fn put(&mut self, key: impl FnOnce(&mut Vec<u8>), value: impl FnOnce(&mut Vec<u8>)) {
        self.keys.push_with(key);
        self.values.push_with(value);
    }

    /// Writes them, if there are any.
    pub fn write(self, state: &mut impl State) {
        if !self.keys.is_empty() {
            let (keys, values): (Packed, Packed) = (self.keys.build(), self.values.build());
            state.put_many(&keys, &values);
        }
    }
}

fn ids_of<const N: usize>(readings: &[Reading<N>]) -> Vec<(StationId, Day)> {
    let mut ids = Vec::new();
    let mut last = None;
    for reading in readings {
        let id = (reading.station, reading.stamp.day());
        if last != Some(id) {
            ids.push(id);
            last = Some(id);
        }
        if reading.stamp.slot() == SLOTS - 1 {
            ids.push((id.0, id.1.next()));
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// `d/00433/19753`: the readings of a station and day.
fn write_key(out: &mut Vec<u8>, station: StationId, day: Day) {
    out.extend_from_slice(b"d/");
    out.extend_from_slice(&station.digits());
    out.push(b'/');
    out.extend_from_slice(day.number().to_string().as_bytes());
}
