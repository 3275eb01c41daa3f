//! From a batch to the rows that follow of it. State is read in one call and written in one.

use observation::{Puts, Refusal, State, TouchedDays, Unreadable, parse_others, read};

use crate::daily::{self, DailyRow};

/// What follows from a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Days whose figures may have changed, ascending by key, each once.
    pub daily: Vec<DailyRow>,
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
    let (readings, refusals) = read(records, parse_others);
    let days = TouchedDays::take(&readings, state)?;
    let mut puts = Puts::default();
    days.write(&mut puts);
    puts.write(state);
    let daily = days.changed().filter_map(|day| daily::of(day.station, day.day, &day.readings)).collect();
    Ok(Outcome { daily, refusals })
}
