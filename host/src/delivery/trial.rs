//! The rules by which a failing batch is tried: delivered again with growing waits, then split in halves until the record
//! that fails stands alone. Pure: what a delivery is, and where a trial is kept, is not known here.
//!
//! The records under trial are always the first that are not handled. So a half that passes is committed like any batch,
//! and what is left of the trial begins where the position stands.

use std::time::Duration;

use super::retry;

/// Positions `[first, next)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// The position before.
    pub first: i64,
    /// The position after.
    pub next: i64,
}

/// Records under trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// The records to be delivered next.
    pub range: Interval,
    /// Where the smallest range that failed and holds `range` ends: the record that fails is looked for up to there.
    pub upper: i64,
    /// Where the batch that failed ends.
    pub until: i64,
    /// Whether that batch was split.
    pub split: bool,
    /// Failed deliveries of exactly `range`.
    pub deliveries: u32,
    /// Failed deliveries of the whole batch.
    pub whole: u32,
    /// Failed deliveries that the first record of `range` took part in.
    pub attempts: u32,
    /// What was spent on deliveries that failed and on waits between them, in milliseconds. Time in which nothing was tried,
    /// because the host or a store was away or the function stood still, is not in it.
    pub spent_ms: u64,
}

/// How long a failing batch is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Deliveries of a batch, the first included, before it is split; and of a record that stands alone.
    pub max_attempts: u32,
    /// The wait before the second delivery, in milliseconds; doubled for each one after.
    pub backoff_ms: u32,
    /// Once so much was spent on a batch, nothing is waited for any more: each part of it is delivered once.
    pub timeout_ms: u32,
}

/// What follows from a failed delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The trial goes on after a wait.
    Again {
        /// What is delivered next.
        trial: Trial,
        /// How long to wait before.
        wait: Duration,
    },
    /// The one record of the range cannot be handled.
    Condemned {
        /// Deliveries that it took part in.
        attempts: u32,
    },
}

impl Trial {
    /// The same records under trial, as if nothing had been tried yet.
    #[must_use]
    pub fn anew(self) -> Self {
        Trial { deliveries: 0, whole: 0, attempts: 0, spent_ms: 0, ..self }
    }

    /// A trial of a batch that has not failed yet.
    #[must_use]
    pub fn of(range: Interval) -> Self {
        Trial {
            range,
            upper: range.next,
            until: range.next,
            split: false,
            deliveries: 0,
            whole: 0,
            attempts: 0,
            spent_ms: 0,
        }
    }

    /// After a delivery of the range, whose records have these offsets, failed and took so long.
    #[must_use]
    pub fn failed(mut self, offsets: &[i64], patience: Patience, took: Duration) -> Verdict {
        self.deliveries += 1;
        self.attempts += 1;
        self.whole += u32::from(!self.split);
        self.spend(took);
        let may_wait = self.deliveries < patience.max_attempts && self.spent_ms < u64::from(patience.timeout_ms);
        let middle = offsets.get(offsets.len() / 2).filter(|_| offsets.len() > 1);
        match middle {
            Some(&middle) if self.split || !may_wait => {
                let range = Interval { next: middle, ..self.range };
                let trial = Trial { range, upper: self.range.next, split: true, deliveries: 0, ..self };
                Verdict::Again { trial, wait: Duration::ZERO }
            }
            None if !may_wait => Verdict::Condemned { attempts: self.attempts },
            _ => {
                let wait = retry::backoff(patience.backoff_ms, self.deliveries + 1);
                self.spend(wait);
                Verdict::Again { trial: self, wait }
            }
        }
    }

    fn spend(&mut self, time: Duration) {
        self.spent_ms = self.spent_ms.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// What is left of the trial once the range is handled, one way or the other.
    #[must_use]
    pub fn rest(self) -> Option<Trial> {
        let first = self.range.next;
        let next = if first < self.upper { self.upper } else { self.until };
        let range = Interval { first, next };
        (first < next).then_some(Trial { range, upper: next, deliveries: 0, attempts: self.whole, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const PATIENCE: Patience = Patience { max_attempts: 3, backoff_ms: 100, timeout_ms: 60_000 };

    /// Runs a trial of the records at `offsets`, of which those in `bad` make every delivery fail. Gives the condemned
    /// ones with their attempts, and how many deliveries there were.
    fn run(offsets: &[i64], bad: &BTreeSet<i64>) -> (Vec<(i64, u32)>, u32) {
        let whole = Interval { first: offsets[0], next: offsets[offsets.len() - 1] + 1 };
        let (mut trial, mut condemned, mut deliveries) = (Some(Trial::of(whole)), Vec::new(), 0);
        let mut handled = whole.first;
        while let Some(current) = trial {
            deliveries += 1;
            assert_eq!(current.range.first, handled, "the range begins where the position stands");
            let batch: Vec<i64> =
                offsets.iter().copied().filter(|o| (current.range.first..current.range.next).contains(o)).collect();
            assert!(!batch.is_empty());
            if !batch.iter().any(|o| bad.contains(o)) {
                (handled, trial) = (current.range.next, current.rest());
                continue;
            }
            match current.failed(&batch, PATIENCE, Duration::ZERO) {
                Verdict::Again { trial: next, .. } => trial = Some(next),
                Verdict::Condemned { attempts } => {
                    assert_eq!(batch.len(), 1);
                    condemned.push((batch[0], attempts));
                    (handled, trial) = (current.range.next, current.rest());
                }
            }
        }
        assert_eq!(handled, whole.next);
        (condemned, deliveries)
    }

    proptest! {
        #[test]
        fn exactly_the_bad_records_are_condemned(
            steps in proptest::collection::vec(1i64..4, 1..200), picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let offsets: Vec<i64> = steps.iter().scan(0, |at, step| { *at += step; Some(*at) }).collect();
            let bad: BTreeSet<i64> = picks.iter().map(|i| offsets[i.index(offsets.len())]).collect();
            let (condemned, deliveries) = run(&offsets, &bad);
            prop_assert_eq!(condemned.iter().map(|(o, _)| *o).collect::<BTreeSet<_>>(), bad.clone());
            prop_assert_eq!(condemned.len(), bad.len());
            let halvings = offsets.len().ilog2() + 2;
            let most = PATIENCE.max_attempts + 1 + bad.len() as u32 * (2 * halvings + PATIENCE.max_attempts + 1);
            prop_assert!(deliveries <= most, "{} deliveries for {} bad of {}", deliveries, bad.len(), offsets.len());
        }
    }

    #[test]
    fn a_batch_is_tried_whole_with_growing_waits_before_it_is_split() {
        let trial = Trial::of(Interval { first: 0, next: 8 });
        let offsets: Vec<i64> = (0..8).collect();
        let Verdict::Again { trial, wait } = trial.failed(&offsets, PATIENCE, Duration::ZERO) else { panic!() };
        assert_eq!((wait.as_millis(), trial.range.next, trial.split), (100, 8, false));
        let Verdict::Again { trial, wait } = trial.failed(&offsets, PATIENCE, Duration::from_millis(7)) else {
            panic!()
        };
        assert_eq!((wait.as_millis(), trial.range.next), (200, 8));
        let Verdict::Again { trial, wait } = trial.failed(&offsets, PATIENCE, Duration::ZERO) else { panic!() };
        assert_eq!((wait.as_millis(), trial.range.next, trial.split, trial.attempts), (0, 4, true, 3));
        assert_eq!(trial.spent_ms, 307, "two waits and what one delivery took");
        let rest = trial.rest().unwrap();
        assert_eq!(
            (rest.range, rest.attempts),
            (Interval { first: 4, next: 8 }, 3),
            "they took part in three deliveries"
        );
    }

    #[test]
    fn after_its_time_nothing_is_waited_for() {
        let all = Duration::from_millis(PATIENCE.timeout_ms.into());
        let trial = Trial::of(Interval { first: 0, next: 2 });
        let Verdict::Again { trial, wait } = trial.failed(&[0, 1], PATIENCE, all) else { panic!() };
        assert_eq!((wait, trial.range.next), (Duration::ZERO, 1));
        assert_eq!(trial.failed(&[0], PATIENCE, Duration::ZERO), Verdict::Condemned { attempts: 2 });
    }

    #[test]
    fn a_record_alone_is_condemned_after_as_many_deliveries() {
        let (condemned, deliveries) = run(&[7], &BTreeSet::from([7]));
        assert_eq!((condemned, deliveries), (vec![(7, 3)], 3));
    }
}
