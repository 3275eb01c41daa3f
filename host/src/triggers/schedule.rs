//! When a schedule is due: cron in UTC with seconds; runs that were missed are made up for once.

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Missed runs that are counted; beyond it the number says "at least".
const MAX_MISSED: u32 = 100_000;

/// The longest wait that a function may ask for itself.
pub const LONGEST_AGAIN_MS: i64 = 24 * 60 * 60 * 1000;

/// A cron expression, seconds first.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
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
        Ok(Schedule { cron })
    }

    /// The first time after `after_ms`; `None` for an expression that never matches again.
    #[must_use]
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        let next = self.cron.find_next_occurrence(&utc(after_ms)?, false).ok()?;
        Some(TimeZone::UTC.to_timestamp(next).ok()?.as_millisecond())
    }

    /// What to believe at `now_ms` of a stored time (as [`Schedule::due`] takes it). One that is further away than the
    /// second next match, or than a function may ask for, was stored while the clock was ahead: in its place comes the
    /// next match, or now. A clock that was ahead by less than a match delays by as much and repeats nothing.
    #[must_use]
    pub fn believed(&self, stored: Option<(i64, bool)>, now_ms: i64) -> Option<(i64, bool)> {
        match stored? {
            (due_ms, true) if due_ms > now_ms.saturating_add(LONGEST_AGAIN_MS) => Some((now_ms, true)),
            (due_ms, false) if due_ms > now_ms => {
                let next = self.next_after(now_ms);
                let after = next.and_then(|next| self.next_after(next)).or(next);
                if after.is_some_and(|after| due_ms > after) { next.map(|next| (next, false)) } else { stored }
            }
            _ => stored,
        }
    }

    /// Whether a run is due at `now_ms`, given what was stored: when the next run is due, and whether the function
    /// asked for that time itself. A schedule that never ran (`None`) is due at once.
    #[must_use]
    pub fn due(&self, stored: Option<(i64, bool)>, now_ms: i64) -> Option<Due> {
        let Some((mut due_ms, again)) = stored else { return Some(Due { due_ms: now_ms, missed: 0 }) };
        if due_ms > now_ms {
            return None;
        }
        let mut missed = 0;
        while let Some(next) = self.next_after(due_ms).filter(|next| !again && *next <= now_ms && missed < MAX_MISSED) {
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
        assert_eq!(schedule.due(None, 1234), Some(Due { due_ms: 1234, missed: 0 }));
    }

    #[test]
    fn runs_missed_while_the_host_was_down_are_made_up_for_once() {
        let schedule = Schedule::parse("0 */10 * * * *").unwrap();
        assert_eq!(schedule.next_after(0), Some(10 * MINUTE));
        let stored = Some((10 * MINUTE, false));
        assert_eq!(schedule.due(stored, 10 * MINUTE - 1), None);
        assert_eq!(schedule.due(stored, 10 * MINUTE), Some(Due { due_ms: 10 * MINUTE, missed: 0 }));
        assert_eq!(schedule.due(stored, 45 * MINUTE), Some(Due { due_ms: 40 * MINUTE, missed: 3 }));
    }

    #[test]
    fn what_a_clock_stored_while_it_was_ahead_is_not_waited_for() {
        let schedule = Schedule::parse("0 */10 * * * *").unwrap();
        let now = 100 * MINUTE + 1;
        let believed = |due_ms, again| schedule.believed(Some((due_ms, again)), now);
        for ahead in [130 * MINUTE, 1_000_000 * MINUTE, i64::MAX] {
            assert_eq!(believed(ahead, false), Some((110 * MINUTE, false)), "{ahead}");
            assert_eq!(schedule.due(believed(ahead, false), 110 * MINUTE).map(|d| d.due_ms), Some(110 * MINUTE));
        }
        for near in [0, now, 110 * MINUTE, 120 * MINUTE] {
            assert_eq!(believed(near, false), Some((near, false)), "{near}");
        }
        assert_eq!(believed(now + LONGEST_AGAIN_MS, true), Some((now + LONGEST_AGAIN_MS, true)));
        assert_eq!(believed(now + LONGEST_AGAIN_MS + 1, true), Some((now, true)), "as a function may not ask");
        assert_eq!(schedule.believed(None, now), None, "one that never ran is due at once");
    }

    #[test]
    fn a_cron_that_never_matches_again_waits_for_ever() {
        let schedule = Schedule::parse("0 0 0 30 2 *").unwrap();
        assert_eq!(schedule.believed(Some((i64::MAX, false)), 0), Some((i64::MAX, false)));
    }

    #[test]
    fn a_time_that_the_function_asked_for_misses_nothing() {
        let schedule = Schedule::parse("* * * * * *").unwrap();
        assert_eq!(schedule.due(Some((5000, true)), 90_000), Some(Due { due_ms: 5000, missed: 0 }));
    }
}
