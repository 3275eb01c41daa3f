//! What was published of a station and a product, so that only what is new or changed is published again. Per product,
//! because a value of `historical/` that equals the one of `recent/` must still be published as historical once.
//!
//! For `recent/` and `historical/` a table per year with a fingerprint of each day; a changed day is sent whole. For
//! `now/`, which grows every ten minutes, a fingerprint of each of the latest readings. Fingerprints cover the values and
//! the quality, not the revision: an archive that was only written anew changes nothing.

use crate::kept;
use crate::rows::{Row, WIDTH};
use observation::{Day, Product, SLOTS, State, StationId};
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

const DAYS: usize = 366;
/// Readings of `now/` that are remembered: two days, and as much again for a late one. An older one is sent again.
const MOST_SLOTS: usize = 4 * SLOTS;

/// What was published of a station and a product.
#[derive(Debug)]
pub(crate) struct Published {
    prefix: String,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    /// By year, a fingerprint per day; 0 is none.
    Days { years: BTreeMap<i32, Vec<u64>>, changed: BTreeSet<i32> },
    /// By minutes since the Unix epoch.
    Slots(BTreeMap<i32, u64>),
}

impl Published {
    /// Reads what is kept, of these years.
    pub(crate) fn load(state: &mut impl State, station: StationId, product: Product, years: &BTreeSet<i32>) -> Self {
        let prefix = format!("published/{station}/{}", product.name());
        let memory = if product == Product::Now {
            Memory::Slots(read_slots(&kept::read(state, &prefix).unwrap_or_default()))
        } else {
            let keys: Vec<String> = years.iter().map(|year| format!("{prefix}/{year}")).collect();
            let tables = kept::read_many(state, &keys).into_iter().map(|bytes| read_table(&bytes.unwrap_or_default()));
            Memory::Days { years: years.iter().copied().zip(tables).collect(), changed: BTreeSet::new() }
        };
        Published { prefix, memory }
    }

    /// Whether a reading has to be looked at; days are compared as a whole by [`Published::is_new_day`].
    pub(crate) fn is_new_row(&self, row: &Row) -> bool {
        match &self.memory {
            Memory::Days { .. } => true,
            Memory::Slots(slots) => slots.get(&row.stamp.minutes()) != Some(&fingerprint(&row.encode())),
        }
    }

    /// Whether a day, encoded, differs from what was published of it.
    pub(crate) fn is_new_day(&self, day: Day, encoded: &[u8]) -> bool {
        match &self.memory {
            Memory::Days { years, .. } => {
                let (year, at) = place(day);
                years.get(&year).and_then(|table| table.get(at)) != Some(&fingerprint(encoded))
            }
            Memory::Slots(_) => true,
        }
    }

    /// Remembers a day, or what there was of it, as published.
    pub(crate) fn note(&mut self, day: Day, encoded: &[u8]) {
        match &mut self.memory {
            Memory::Days { years, changed } => {
                let (year, at) = place(day);
                let table = years.entry(year).or_insert_with(|| vec![0; DAYS]);
                if let Some(held) = table.get_mut(at) {
                    *held = fingerprint(encoded);
                    changed.insert(year);
                }
            }
            Memory::Slots(slots) => {
                let (rows, _) = encoded.as_chunks::<WIDTH>();
                for (bytes, row) in rows.iter().filter_map(|bytes| Some((bytes, Row::decode(bytes)?))) {
                    slots.insert(row.stamp.minutes(), fingerprint(bytes));
                }
                while slots.len() > MOST_SLOTS {
                    slots.pop_first();
                }
            }
        }
    }

    /// Keeps what has changed.
    pub(crate) fn save(&self, state: &mut impl State) {
        match &self.memory {
            Memory::Days { years, changed } => {
                for (year, table) in years.iter().filter(|(year, _)| changed.contains(year)) {
                    let bytes: Vec<u8> = table.iter().flat_map(|day| day.to_le_bytes()).collect();
                    kept::write(state, &format!("{}/{year}", self.prefix), Some(&bytes));
                }
            }
            Memory::Slots(slots) => {
                let mut bytes = Vec::with_capacity(slots.len() * SLOT_WIDTH);
                for (minutes, print) in slots {
                    bytes.extend_from_slice(&minutes.to_le_bytes());
                    bytes.extend_from_slice(&print.to_le_bytes());
                }
                kept::write(state, &self.prefix, Some(&bytes));
            }
        }
    }
}

const SLOT_WIDTH: usize = 12;

fn read_slots(bytes: &[u8]) -> BTreeMap<i32, u64> {
    let (slots, _) = bytes.as_chunks::<SLOT_WIDTH>();
    let slots = slots.iter().filter_map(|slot| {
        let (minutes, print) = slot.split_first_chunk::<4>()?;
        Some((i32::from_le_bytes(*minutes), u64::from_le_bytes(*print.first_chunk::<8>()?)))
    });
    slots.collect()
}

/// A table of a wrong length was written by something else: the year is published once more.
fn read_table(bytes: &[u8]) -> Vec<u64> {
    let (days, rest) = bytes.as_chunks::<8>();
    if days.len() != DAYS || !rest.is_empty() {
        return vec![0; DAYS];
    }
    days.iter().map(|day| u64::from_le_bytes(*day)).collect()
}

fn place(day: Day) -> (i32, usize) {
    let year = day.year();
    (year, usize::try_from(day.number() - Day::first_of_year(year).number()).unwrap_or(DAYS))
}

/// Never 0, which stands for a day that was not published.
fn fingerprint(encoded: &[u8]) -> u64 {
    xxh3_64(encoded).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use observation::{MemoryState, Stamp};

    fn row(stamp: u64, temperature: i16) -> Row {
        let stamp = Stamp::from_number(stamp).unwrap();
        let missing = Row::MISSING;
        let (pressure, temperature_5cm, humidity, dewpoint) = (missing, missing, missing, missing);
        Row { stamp, pressure, temperature, temperature_5cm, humidity, dewpoint, quality: 3 }
    }

    fn station() -> StationId {
        StationId::new(433).unwrap()
    }

    #[test]
    fn a_published_day_is_known_until_one_of_its_values_changes() {
        let mut state = MemoryState::default();
        let years = BTreeSet::from([2023, 2024]);
        let (first, changed) = (row(202_412_310_000, 10), row(202_412_310_000, 11));
        let day = first.stamp.day();
        let mut published = Published::load(&mut state, station(), Product::Recent, &years);
        assert!(published.is_new_day(day, &first.encode()));
        published.note(day, &first.encode());
        published.save(&mut state);
        assert_eq!(state.values().len(), 1, "only the year that changed is kept");
        let recent = Published::load(&mut state, station(), Product::Recent, &years);
        assert!(!recent.is_new_day(day, &first.encode()) && recent.is_new_day(day, &changed.encode()));
        let historical = Published::load(&mut state, station(), Product::Historical, &years);
        assert!(historical.is_new_day(day, &first.encode()), "another product stands for itself");
    }

    #[test]
    fn of_now_each_reading_is_known_and_old_ones_are_forgotten() {
        let mut state = MemoryState::default();
        let mut published = Published::load(&mut state, station(), Product::Now, &BTreeSet::new());
        let first = row(202_401_010_000, 10);
        published.note(first.stamp.day(), &first.encode());
        published.save(&mut state);
        let mut again = Published::load(&mut state, station(), Product::Now, &BTreeSet::new());
        assert!(!again.is_new_row(&first) && again.is_new_row(&row(202_401_010_000, 11)));
        assert!(again.is_new_row(&row(202_401_010_010, 10)));
        for slot in 1..=MOST_SLOTS as i32 {
            let later = Row { stamp: Stamp::from_minutes(first.stamp.minutes() + slot * 10).unwrap(), ..first };
            again.note(later.stamp.day(), &later.encode());
        }
        assert!(again.is_new_row(&first), "the oldest made room");
    }

    #[test]
    fn a_damaged_table_counts_as_nothing_published() {
        let mut state = MemoryState::default();
        kept::write(&mut state, "published/00433/recent/2024", Some(b"short"));
        let published = Published::load(&mut state, station(), Product::Recent, &BTreeSet::from([2024]));
        let first = row(202_412_310_000, 10);
        assert!(published.is_new_day(first.stamp.day(), &first.encode()));
    }
}
