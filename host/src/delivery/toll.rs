//! How many of a function's last records became dead letters: the measure by which it is stopped. Pure.

use std::collections::VecDeque;

/// So many records are looked back on. They go in whole batches, so that it may be some more.
pub const WINDOW: u64 = 10_000;

/// The last records of a function, batch by batch.
#[derive(Debug, Default)]
pub struct Toll {
    batches: VecDeque<(u64, u64)>,
    records: u64,
    letters: u64,
    /// Dead letters that were let through and are not committed yet.
    pending: u64,
    /// Whether the next dead letters are let through, however many: an operator wants the function to go on.
    pardons: bool,
    /// Whether those that are not committed yet were let through by that.
    pardoned: bool,
}

impl Toll {
    /// One that lets the next batch with dead letters pass, however many it has: otherwise a batch that has too many by itself
    /// would stop the function for ever.
    #[must_use]
    pub fn pardoned() -> Self {
        Toll { pardons: true, ..Toll::default() }
    }

    /// Counts a batch and those of its records that became dead letters.
    pub fn count(&mut self, records: u64, letters: u64) {
        self.pending = self.pending.saturating_sub(letters);
        self.pardoned &= letters == 0;
        self.batches.push_back((records, letters));
        self.records += records;
        self.letters += letters;
        while let Some((oldest, its_letters)) = self.batches.front().copied()
            && self.records - oldest >= WINDOW
        {
            self.batches.pop_front();
            self.records -= oldest;
            self.letters -= its_letters;
        }
    }

    /// Lets so many dead letters through, unless there would be more than `most` with them.
    #[must_use]
    pub fn admit(&mut self, letters: u64, most: u32) -> bool {
        if letters == 0 {
            return true;
        }
        let fits = self.letters + self.pending + letters <= u64::from(most);
        if !fits && !self.pardons {
            return false;
        }
        self.pardoned |= self.pardons;
        self.pardons = false;
        self.pending += letters;
        true
    }

    /// Takes back what was let through and could not be committed.
    pub fn take_back(&mut self, letters: u64) {
        self.pending = self.pending.saturating_sub(letters);
        self.pardons |= std::mem::take(&mut self.pardoned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts a batch if it is let through.
    fn lose(toll: &mut Toll, records: u64, letters: u64, most: u32) -> bool {
        let is_admitted = toll.admit(letters, most);
        if is_admitted {
            toll.count(records, letters);
        }
        is_admitted
    }

    #[test]
    fn only_the_last_records_count() {
        let mut toll = Toll::default();
        assert!(lose(&mut toll, 1, 1, 3) && lose(&mut toll, 1, 1, 3));
        assert!(!lose(&mut toll, 2, 2, 3));
        toll.count(WINDOW - 2, 0);
        assert!(!lose(&mut toll, 2, 2, 3), "they are still among the last");
        toll.count(1, 0);
        assert!(!lose(&mut toll, 3, 3, 3) && lose(&mut toll, 2, 2, 3), "the first has gone");
        toll.count(WINDOW, 0);
        assert!(lose(&mut toll, 3, 3, 3), "all have gone");
    }

    #[test]
    fn a_pardon_is_for_one_batch() {
        let mut toll = Toll::pardoned();
        toll.count(10, 0);
        assert!(lose(&mut toll, 500, 500, 3));
        assert!(!lose(&mut toll, 1, 1, 3));
    }

    #[test]
    fn what_is_being_committed_counts_and_is_taken_back_when_it_fails() {
        let mut toll = Toll::default();
        assert!(toll.admit(2, 3));
        assert!(!toll.admit(2, 3), "another partition's come on top");
        toll.take_back(2);
        assert!(toll.admit(3, 3));
        let mut toll = Toll::pardoned();
        assert!(toll.admit(9, 3) && !toll.admit(1, 3), "the pardon is used");
        toll.take_back(9);
        assert!(toll.admit(9, 3), "and back, since nothing was lost");
    }

    #[test]
    fn a_batch_without_dead_letters_never_stops_a_function() {
        let mut toll = Toll::default();
        assert!(lose(&mut toll, 5, 5, 5) && lose(&mut toll, 5, 0, 1));
        assert!(!lose(&mut Toll::default(), 1, 1, 0));
    }
}
