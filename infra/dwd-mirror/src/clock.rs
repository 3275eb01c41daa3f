//! The mirror's clock, and the rule by which the archives follow it: everything served is a function of the
//! *published* instant, which moves in steps.
//!
//! With a clock that runs at a day a second, a `now` rewritten every ten minutes of its own time would change 144
//! times a second: no listing would ever fit the file fetched after it. So a step is ten minutes, but at least
//! [`PUBLISH_SECONDS`] of real time. Likewise `recent`, 79,200 rows a station, is rewritten every day by a slow
//! clock and at most every [`RECENT_SECONDS`] of real time by a fast one. No reading is ever out of reach: `now`
//! begins where `recent` ends, so that it holds today only when `recent` is daily, and more days otherwise.

use crate::calendar::{DAY_SECONDS, SLOT_SECONDS, day_of, instant};
use crate::options::{CLOCK_LAST, MAX_RECENT_EVERY_DAYS, Options};
use anyhow::{Result, ensure};
use jiff::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// A client has this long between a listing and the files it named.
pub const PUBLISH_SECONDS: f64 = 1.0;
/// A client has this long to read a version of `recent` before the next.
pub const RECENT_SECONDS: f64 = 30.0;

/// What is on the server at one instant: all that the files depend on besides the stations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Seconds since 1970, a multiple of ten minutes: the newest stamp in `now`.
    pub seconds: i64,
    /// The day after the last one that `recent` holds, as a day number; the instant at which it was written.
    pub recent_until: i64,
}

/// The schedule: start, steps and pace, without the time that passes.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    start: i64,
    step: i64,
    recent_every: i64,
    speed: f64,
}

impl Schedule {
    pub(crate) fn new(options: &Options) -> Self {
        let start = options.start.as_second();
        let day_steps = |real_seconds: f64| options.speed * real_seconds;
        let slots = (day_steps(PUBLISH_SECONDS) * DAY_SECONDS as f64 / SLOT_SECONDS as f64).ceil().max(1.0);
        let by_speed = (day_steps(RECENT_SECONDS).ceil() as u32).clamp(1, MAX_RECENT_EVERY_DAYS);
        Self {
            start: start - start.rem_euclid(SLOT_SECONDS),
            step: slots as i64 * SLOT_SECONDS,
            recent_every: i64::from(options.recent_every_days.unwrap_or(by_speed)),
            speed: options.speed,
        }
    }

    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    /// What is on the server when the clock shows `seconds`, at its start or later.
    pub(crate) fn published(&self, seconds: i64) -> Published {
        let passed = (seconds - self.start).max(0);
        let seconds = self.start + passed - passed.rem_euclid(self.step);
        let first = day_of(self.start);
        let days = day_of(seconds) - first;
        Published { seconds, recent_until: first + days - days.rem_euclid(self.recent_every) }
    }
}

/// A running clock.
#[derive(Debug)]
pub(crate) struct Clock {
    schedule: Schedule,
    since: Instant,
    advanced: AtomicI64,
}

impl Clock {
    pub(crate) fn start(schedule: Schedule) -> Self {
        Self { schedule, since: Instant::now(), advanced: AtomicI64::new(0) }
    }

    /// What the clock shows, in seconds since 1970. It stops at the end of 2199.
    pub(crate) fn seconds(&self) -> i64 {
        let ran = self.since.elapsed().as_secs_f64() * self.schedule.speed * DAY_SECONDS as f64;
        let shown = self.schedule.start.saturating_add(ran as i64);
        shown.saturating_add(self.advanced.load(Ordering::Relaxed)).min(CLOCK_LAST)
    }

    pub(crate) fn published(&self) -> Published {
        self.schedule.published(self.seconds())
    }

    pub(crate) fn shows(&self) -> Timestamp {
        instant(self.seconds())
    }

    /// Puts the clock forward. Refused when it would pass the end of 2199.
    pub(crate) fn advance(&self, seconds: i64) -> Result<()> {
        ensure!(seconds >= 0, "the clock cannot go back: give a number of days that is not negative");
        ensure!(
            self.seconds().checked_add(seconds).is_some_and(|at| at <= CLOCK_LAST),
            "the clock would pass the end of 2199: give fewer days"
        );
        self.advanced.fetch_add(seconds, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(speed: f64) -> Schedule {
        Schedule::new(&Options::made_up(1, 1.0).speed(speed))
    }

    #[test]
    fn a_slow_clock_publishes_every_ten_minutes_and_recent_every_day() {
        let slow = schedule(0.0);
        let at = |seconds| slow.published(slow.start() + seconds);
        assert_eq!(at(599), at(0));
        assert_eq!(at(600).seconds, slow.start() + 600);
        assert_eq!(at(DAY_SECONDS - 1).recent_until, at(0).recent_until);
        assert_eq!(at(DAY_SECONDS).recent_until, at(0).recent_until + 1);
    }

    #[test]
    fn a_fast_clock_leaves_its_clients_a_second_for_a_listing_and_half_a_minute_for_recent() {
        let fast = schedule(1.0);
        let mut versions = std::collections::BTreeSet::new();
        let mut recents = std::collections::BTreeSet::new();
        for tenth in 0..600 {
            let published = fast.published(fast.start() + tenth * DAY_SECONDS / 10);
            versions.insert(published.seconds);
            recents.insert(published.recent_until);
        }
        assert_eq!(versions.len(), 60, "one version a second in a minute at a day a second");
        assert_eq!(recents.len(), 2);
    }

    #[test]
    fn the_clock_goes_forward_only_and_stops_in_2199() {
        let clock = Clock::start(schedule(0.0));
        clock.advance(DAY_SECONDS).unwrap();
        assert_eq!(clock.shows().to_string(), "2025-06-02T00:00:00Z");
        assert!(clock.advance(-1).is_err());
        assert!(clock.advance(i64::MAX).is_err());
        assert_eq!(clock.shows().to_string(), "2025-06-02T00:00:00Z");
    }
}
