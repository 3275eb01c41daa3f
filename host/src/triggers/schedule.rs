//! When a schedule is due: cron in UTC with seconds, and which of its times become runs.

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::manifest::{CatchUp, Overlap, Timing};

/// Missed runs that are counted; beyond it the number says "at least".
const MAX_MISSED: u32 = 100_000;

/// The longest wait that a function may ask for itself.
pub const LONGEST_AGAIN_MS: i64 = 24 * 60 * 60 * 1000;

/// A run that is not to be made up for may begin so late.
const LATE_MS: i64 = 60_000;

/// A cron expression, seconds first, and what becomes of its times.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    timing: Timing,
    /// What tells its chance from that of others.
    name: String,
}

/// A run that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it was due, in milliseconds since the Unix epoch.
    pub due_ms: i64,
    /// Runs before it that never happened.
    pub missed: u32,
}

impl Schedule {
    /// Reads an expression of six fields.
    ///
    /// # Errors
    /// What the parser says of one that it cannot read; one with a list that lacks a value.
    pub fn parse(expression: &str) -> anyhow::Result<Self> {
        // The parser takes a list of nothing for never, and looks for that through thousands of years, second by second.
        let has_gaps = expression.split_whitespace().any(|field| field.split(',').any(str::is_empty));
        anyhow::ensure!(!has_gaps, "a `,` has nothing before or after it");
        let cron = CronParser::builder().seconds(Seconds::Required).build().parse(expression)?;
        Ok(Schedule { cron, timing: Timing::default(), name: String::new() })
    }

    /// The same with what `timing` says, under a name of its own.
    #[must_use]
    pub fn timed(self, timing: Timing, name: &str) -> Self {
        Schedule { timing, name: name.to_owned(), ..self }
    }

    /// When a run begins that is due by what was stored.
    #[must_use]
    pub fn begins(&self, (due_ms, again): (i64, bool)) -> i64 {
        match (again, self.timing.jitter_ms) {
            (true, _) | (_, 0) => due_ms,
            (false, jitter) => {
                let chance = crc32fast::hash(format!("{} {due_ms}", self.name).as_bytes());
                due_ms.saturating_add(i64::from(chance % (jitter + 1)))
            }
        }
    }

    /// The first time after `after_ms`; `None` for an expression that never matches again.
    #[must_use]
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        let next = self.cron.find_next_occurrence(&utc(after_ms)?, false).ok()?;
        Some(TimeZone::UTC.to_timestamp(next).ok()?.as_millisecond())
    }

    /// What to believe at `now_ms` of a stored time, where times up to `queued_ms` wait for a run that was under way (as [`Schedule::due`] takes it). One that is further away than the
    /// second next match, or than a function may ask for, was stored while the clock was ahead: in its place comes the
    /// next match, or now. A clock that was ahead by less than a match delays by as much and repeats nothing.
    #[must_use]
    pub fn believed(&self, stored: Option<(i64, bool)>, queued_ms: i64, now_ms: i64) -> Option<(i64, bool)> {
        match stored? {
            (due_ms, false) if due_ms <= queued_ms.min(now_ms) => stored,
            (due_ms, false) if self.timing.catch_up == CatchUp::None && due_ms < now_ms => {
                Some(self.not_late(due_ms, now_ms))
            }
            (due_ms, true) if due_ms > now_ms.saturating_add(LONGEST_AGAIN_MS) => Some((now_ms, true)),
            (due_ms, false) if due_ms > now_ms => {
                let next = self.next_after(now_ms);
                let after = next.and_then(|next| self.next_after(next)).or(next);
                if after.is_some_and(|after| due_ms > after) { next.map(|next| (next, false)) } else { stored }
            }
            _ => stored,
        }
    }

    /// The first time from `due_ms` on whose run would not be late.
    fn not_late(&self, due_ms: i64, now_ms: i64) -> (i64, bool) {
        let oldest = now_ms - LATE_MS;
        // What is older has been late with any chance.
        let from = oldest - i64::from(self.timing.jitter_ms);
        let mut at = if due_ms < from { self.next_after(from - 1) } else { Some(due_ms) };
        while let Some(late) = at.filter(|at| self.begins((*at, false)) < oldest) {
            at = self.next_after(late);
        }
        (at.unwrap_or(i64::MAX), false)
    }

    /// When the next run is due after one that began at `began_ms` and has ended, by what the schedule says; and up to which time those
    /// that passed wait, as `queued_ms` said before.
    #[must_use]
    pub fn after(&self, due: Due, queued_ms: i64, began_ms: i64, now_ms: i64) -> (i64, i64) {
        let queues = self.timing.overlap == Overlap::Queue;
        let catches_up = self.timing.catch_up == CatchUp::All || due.due_ms <= queued_ms;
        let from = if catches_up { due.due_ms } else { due.due_ms.max(began_ms) };
        let is_kept = |next: &i64| *next > now_ms || queues || catches_up && *next <= began_ms;
        let next = self.next_after(from).filter(is_kept).or_else(|| self.next_after(now_ms)).unwrap_or(i64::MAX);
        (next, self.queued(now_ms))
    }

    /// Up to which time those that passed while a run was under way wait, when it ends at `now_ms`.
    #[must_use]
    pub fn queued(&self, now_ms: i64) -> i64 {
        if self.timing.overlap == Overlap::Queue { now_ms } else { i64::MIN }
    }

    /// Whether a run is due at `now_ms`, given what was stored: when the next run is due, and whether the function
    /// asked for that time itself. Times up to `queued_ms` become a run each. A schedule that never ran (`None`) is due at once.
    #[must_use]
    pub fn due(&self, stored: Option<(i64, bool)>, queued_ms: i64, now_ms: i64) -> Option<Due> {
        let Some((mut due_ms, again)) = stored else { return Some(Due { due_ms: now_ms, missed: 0 }) };
        if self.begins((due_ms, again)) > now_ms {
            return None;
        }
        let mut missed = 0;
        let makes_up = !again && self.timing.catch_up != CatchUp::All && due_ms > queued_ms;
        let is_due = |next: &i64| self.begins((*next, false)) <= now_ms;
        while let Some(next) = self.next_after(due_ms).filter(|next| makes_up && is_due(next) && missed < MAX_MISSED) {
            due_ms = next;
            missed += 1;
        }
        Some(Due { due_ms, missed })
    }
}

fn utc(ms: i64) -> Option<DateTime> {
    Some(TimeZone::UTC.to_datetime(Timestamp::from_millisecond(ms).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn a_schedule_that_never_ran_is_due_at_once() {
        let schedule = Schedule::parse("0 */10 * * * *").unwrap();
        assert_eq!(schedule.due(None, i64::MIN, 1234), Some(Due { due_ms: 1234, missed: 0 }));
    }

    #[test]
    fn runs_missed_while_the_host_was_down_are_made_up_for_once() {
        let schedule = Schedule::parse("0 */10 * * * *").unwrap();
        assert_eq!(schedule.next_after(0), Some(10 * MINUTE));
        let stored = Some((10 * MINUTE, false));
        assert_eq!(schedule.due(stored, i64::MIN, 10 * MINUTE - 1), None);
        assert_eq!(schedule.due(stored, i64::MIN, 10 * MINUTE), Some(Due { due_ms: 10 * MINUTE, missed: 0 }));
        assert_eq!(schedule.due(stored, i64::MIN, 45 * MINUTE), Some(Due { due_ms: 40 * MINUTE, missed: 3 }));
    }

    fn timed(overlap: Overlap, catch_up: CatchUp, jitter_ms: u32) -> Schedule {
        Schedule::parse("0 */10 * * * *").unwrap().timed(Timing { overlap, catch_up, jitter_ms }, "s")
    }

    #[test]
    fn missed_runs_are_made_up_for_once_all_of_them_or_not_at_all() {
        let (stored, now) = (Some((10 * MINUTE, false)), 45 * MINUTE);
        let all = timed(Overlap::Skip, CatchUp::All, 0);
        let mut runs = Vec::new();
        let mut at = stored;
        while let Some(due) = all.due(all.believed(at, i64::MIN, now), i64::MIN, now) {
            assert_eq!(due.missed, 0);
            runs.push(due.due_ms / MINUTE);
            at = Some((all.after(due, i64::MIN, now, now + 5).0, false));
        }
        assert_eq!((runs, at), (vec![10, 20, 30, 40], Some((50 * MINUTE, false))));

        let none = timed(Overlap::Skip, CatchUp::None, 0);
        let believed = none.believed(stored, i64::MIN, now);
        assert_eq!((believed, none.due(believed, i64::MIN, now)), (Some((50 * MINUTE, false)), None));
        let late = 40 * MINUTE + LATE_MS;
        let due = none.due(none.believed(stored, i64::MIN, late), i64::MIN, late);
        assert_eq!(due, Some(Due { due_ms: 40 * MINUTE, missed: 0 }), "a minute is not late");
        assert_eq!(none.believed(stored, i64::MIN, late + 1), Some((50 * MINUTE, false)));
    }

    /// The runs, in minutes, of a schedule whose first time is at 10 minutes and whose runs take so long, from `now` on.
    fn runs(schedule: &Schedule, mut now: i64, takes: i64) -> Vec<i64> {
        let (mut stored, mut queued, mut runs) = (Some((10 * MINUTE, false)), i64::MIN, Vec::new());
        while runs.len() < 5 {
            stored = schedule.believed(stored, queued, now);
            match schedule.due(stored, queued, now) {
                Some(due) => {
                    runs.push(due.due_ms / MINUTE);
                    let (next, until) = schedule.after(due, queued, now, now + takes);
                    (now, stored, queued) = (now + takes, Some((next, false)), until);
                }
                None => now = stored.unwrap().0,
            }
        }
        runs
    }

    #[test]
    fn times_that_pass_while_a_run_is_under_way_are_left_out_or_queue() {
        for catch_up in [CatchUp::Once, CatchUp::All, CatchUp::None] {
            let [skips, queues] = [Overlap::Skip, Overlap::Queue].map(|overlap| timed(overlap, catch_up, 0));
            assert_eq!(runs(&skips, 10 * MINUTE, 25 * MINUTE), [10, 40, 70, 100, 130], "{catch_up:?}");
            assert_eq!(runs(&queues, 10 * MINUTE, 25 * MINUTE), [10, 20, 30, 40, 50], "{catch_up:?}");
            assert_eq!(runs(&queues, 10 * MINUTE, 1), [10, 20, 30, 40, 50], "{catch_up:?}: short runs");
        }
        // What was missed before a run began and what passed meanwhile are two things.
        let late = |overlap, catch_up| runs(&timed(overlap, catch_up, 0), 45 * MINUTE, 20 * MINUTE);
        assert_eq!(late(Overlap::Queue, CatchUp::Once), [40, 50, 60, 70, 80]);
        assert_eq!(late(Overlap::Skip, CatchUp::Once), [40, 70, 100, 130, 160]);
        assert_eq!(late(Overlap::Queue, CatchUp::None), [50, 60, 70, 80, 90]);
        assert_eq!(late(Overlap::Skip, CatchUp::All)[..4], [10, 20, 30, 40]);
    }

    #[test]
    fn chance_delays_each_time_by_as_much_whoever_asks() {
        let schedule = timed(Overlap::Skip, CatchUp::Once, 300_000);
        let delays: Vec<i64> = (1..200).map(|n| schedule.begins((n * 10 * MINUTE, false)) - n * 10 * MINUTE).collect();
        assert!(delays.iter().all(|delay| (0..=300_000).contains(delay)));
        assert!(
            delays.iter().any(|delay| *delay < 60_000) && delays.iter().any(|delay| *delay > 240_000),
            "{delays:?}"
        );
        assert_eq!(
            schedule.begins((600_000, false)),
            timed(Overlap::Skip, CatchUp::Once, 300_000).begins((600_000, false))
        );
        assert_eq!(schedule.begins((600_000, true)), 600_000, "a time that the function asked for is kept");
        let begins = schedule.begins((10 * MINUTE, false));
        assert_eq!(schedule.due(Some((10 * MINUTE, false)), i64::MIN, begins - 1), None);
        assert_eq!(schedule.due(Some((10 * MINUTE, false)), i64::MIN, begins).map(|due| due.due_ms), Some(10 * MINUTE));
    }

    #[test]
    fn what_a_clock_stored_while_it_was_ahead_is_not_waited_for() {
        let schedule = Schedule::parse("0 */10 * * * *").unwrap();
        let now = 100 * MINUTE + 1;
        let believed = |due_ms, again| schedule.believed(Some((due_ms, again)), i64::MIN, now);
        for ahead in [130 * MINUTE, 1_000_000 * MINUTE, i64::MAX] {
            assert_eq!(believed(ahead, false), Some((110 * MINUTE, false)), "{ahead}");
            assert_eq!(
                schedule.due(believed(ahead, false), i64::MIN, 110 * MINUTE).map(|d| d.due_ms),
                Some(110 * MINUTE)
            );
        }
        for near in [0, now, 110 * MINUTE, 120 * MINUTE] {
            assert_eq!(believed(near, false), Some((near, false)), "{near}");
        }
        assert_eq!(believed(now + LONGEST_AGAIN_MS, true), Some((now + LONGEST_AGAIN_MS, true)));
        assert_eq!(believed(now + LONGEST_AGAIN_MS + 1, true), Some((now, true)), "as a function may not ask");
        assert_eq!(schedule.believed(None, i64::MIN, now), None, "one that never ran is due at once");
    }

    #[test]
    fn a_cron_that_never_matches_again_waits_for_ever() {
        let schedule = Schedule::parse("0 0 0 30 2 *").unwrap();
        assert_eq!(schedule.believed(Some((i64::MAX, false)), i64::MIN, 0), Some((i64::MAX, false)));
    }

    #[test]
    fn a_time_that_the_function_asked_for_misses_nothing() {
        let schedule = Schedule::parse("* * * * * *").unwrap();
        assert_eq!(schedule.due(Some((5000, true)), i64::MIN, 90_000), Some(Due { due_ms: 5000, missed: 0 }));
    }
}
