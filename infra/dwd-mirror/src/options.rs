//! What a mirror is asked to be: its source, its clock, and the checks on both. Nothing here touches the disk.

use anyhow::{Result, ensure};
use jiff::Timestamp;
use std::path::PathBuf;

/// Start of the clock unless another is given: fixed, so that two runs serve the same bytes.
pub const DEFAULT_START: &str = "2025-06-01T00:00:00Z";
/// Station ids have five digits and each station its own.
pub const MAX_STATIONS: u32 = 99_990;
/// DWD's 10-minute series reach back to 1990; a century leaves room for made-up ones.
pub const MAX_YEARS: f64 = 100.0;
/// Beyond this a client sees one version of a file in many years of data.
pub const MAX_SPEED: f64 = 100.0;
/// `now` holds what `recent` does not yet: a month keeps it small.
pub const MAX_RECENT_EVERY_DAYS: u32 = 30;
/// The clock may start and stand between these, which keeps every date four digits long.
pub(crate) const CLOCK_FIRST: i64 = 0;
pub(crate) const CLOCK_LAST: i64 = 7_258_032_000; // 2199-12-31T00:00:00Z

/// Where the archives come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A folder of real archives, laid out as DWD's server is from `10_minutes/` down.
    Tree {
        folder: PathBuf,
        /// Last-Modified of every file; without it the file's own modification time.
        modified: Option<Timestamp>,
    },
    /// Stations that do not exist.
    MadeUp(MadeUp),
}

/// Made-up stations: the same values give the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct MadeUp {
    pub stations: u32,
    /// Years of data before the clock's start; a fraction is allowed.
    pub years: f64,
    pub seed: u64,
    /// Of a thousand readings, how many have another temperature in `now` than in `recent`. A quarter as many
    /// differ between `recent` and `historical`.
    pub revised_per_mille: u32,
}

/// Everything a mirror is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub source: Source,
    /// What the mirror's clock shows when it starts, rounded down to ten minutes.
    pub start: Timestamp,
    /// Days of the mirror's clock in a second; 0 lets it stand still.
    pub speed: f64,
    /// Days between two versions of `recent`; without it daily, and at most every
    /// [`RECENT_SECONDS`](crate::RECENT_SECONDS) of real time.
    pub recent_every_days: Option<u32>,
}

impl Options {
    /// Made-up stations with the defaults: seed 1, a clock that stands still at [`DEFAULT_START`].
    pub fn made_up(stations: u32, years: f64) -> Self {
        Self::new(Source::MadeUp(MadeUp { stations, years, seed: 1, revised_per_mille: 4 }))
    }

    /// A folder of real archives.
    pub fn tree(folder: impl Into<PathBuf>) -> Self {
        Self::new(Source::Tree { folder: folder.into(), modified: None })
    }

    fn new(source: Source) -> Self {
        let start = DEFAULT_START.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        Self { source, start, speed: 0.0, recent_every_days: None }
    }

    /// Another seed for made-up stations; a folder of real archives has none and is left as it is.
    pub fn seed(mut self, seed: u64) -> Self {
        if let Source::MadeUp(made_up) = &mut self.source {
            made_up.seed = seed;
        }
        self
    }

    pub fn starting_at(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    pub fn speed(mut self, days_per_second: f64) -> Self {
        self.speed = days_per_second;
        self
    }

    pub fn recent_every_days(mut self, days: u32) -> Self {
        self.recent_every_days = Some(days);
        self
    }

    /// Refuses what cannot be served, naming the flag and what it takes.
    pub fn check(&self) -> Result<()> {
        let start = self.start.as_second();
        ensure!(
            (CLOCK_FIRST..=CLOCK_LAST).contains(&start),
            "`--now-at {}` is outside 1970 to 2199: give an instant in between, such as `{DEFAULT_START}`",
            self.start
        );
        ensure!(
            (0.0..=MAX_SPEED).contains(&self.speed),
            "`--speed {}` is not between 0 and {MAX_SPEED}: give days per second, 0 for a clock that stands still",
            self.speed
        );
        if let Some(days) = self.recent_every_days {
            ensure!(
                (1..=MAX_RECENT_EVERY_DAYS).contains(&days),
                "`--recent-every {days}` is not between 1 and {MAX_RECENT_EVERY_DAYS}: give whole days"
            );
        }
        match &self.source {
            Source::Tree { .. } => Ok(()),
            Source::MadeUp(made_up) => made_up.check(),
        }
    }
}

impl MadeUp {
    fn check(&self) -> Result<()> {
        let Self { stations, years, revised_per_mille, .. } = self;
        ensure!(
            (1..=MAX_STATIONS).contains(stations),
            "`--stations {stations}` is not between 1 and {MAX_STATIONS}: ids have five digits"
        );
        ensure!(
            *years > 0.0 && *years <= MAX_YEARS,
            "`--years {years}` is not between 0 and {MAX_YEARS}: give the years of data before the clock's start"
        );
        ensure!(
            *revised_per_mille <= 1000,
            "`--revisions {revised_per_mille}` is over 1000: give readings of a thousand"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_served_is_refused_by_the_name_of_its_flag() {
        let cases = [
            (Options::made_up(0, 1.0), "--stations 0"),
            (Options::made_up(100_000, 1.0), "--stations 100000"),
            (Options::made_up(1, 0.0), "--years 0"),
            (Options::made_up(1, f64::NAN), "--years NaN"),
            (Options::made_up(1, 1.0).speed(-1.0), "--speed -1"),
            (Options::made_up(1, 1.0).speed(f64::NAN), "--speed NaN"),
            (Options::made_up(1, 1.0).recent_every_days(0), "--recent-every 0"),
            (Options::made_up(1, 1.0).starting_at("1950-01-01T00:00Z".parse().unwrap()), "--now-at 1950"),
        ];
        for (options, flag) in cases {
            let message = options.check().unwrap_err().to_string();
            assert!(message.contains(flag), "{message}");
            assert!(message.contains("give ") || message.contains("five digits"), "no remedy: {message}");
        }
        assert!(Options::made_up(MAX_STATIONS, MAX_YEARS).check().is_ok());
    }
}
