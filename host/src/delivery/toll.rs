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
    /// Whether the next dead letters are let through, however many: an operator wants the function to go on.
    pardons: bool,
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
        self.pardons &= letters == 0;
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

    /// Whether with so many more dead letters there would be more than `most`.
    #[must_use]
    pub fn would_exceed(&self, letters: u64, most: u32) -> bool {
        letters > 0 && !self.pardons && self.letters + letters > u64::from(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_records_count() {
        let mut toll = Toll::default();
        toll.count(1, 1);
        toll.count(1, 1);
        assert!(!toll.would_exceed(1, 3) && toll.would_exceed(2, 3));
        toll.count(WINDOW - 2, 0);
        assert!(toll.would_exceed(2, 3), "they are still among the last");
        toll.count(1, 0);
        assert!(!toll.would_exceed(2, 3) && toll.would_exceed(3, 3));
        toll.count(1, 0);
        assert!(!toll.would_exceed(3, 3), "both have gone");
    }

    #[test]
    fn a_pardon_is_for_one_batch() {
        let mut toll = Toll::pardoned();
        toll.count(10, 0);
        assert!(!toll.would_exceed(500, 3));
        toll.count(500, 500);
        assert!(toll.would_exceed(1, 3));
    }

    #[test]
    fn a_batch_without_dead_letters_never_stops_a_function() {
        let mut toll = Toll::default();
        toll.count(5, 5);
        assert!(!toll.would_exceed(0, 1));
        assert!(Toll::default().would_exceed(1, 0));
    }
}
