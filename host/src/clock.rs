//! The host's wall clock: the one place that reads it.

use std::time::{Duration, Instant};

/// Milliseconds since the Unix epoch; 0 for a clock set before it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A jump ahead of this many milliseconds is doubted; suspended machines and leap seconds make small ones.
const DOUBTED_MS: i64 = 5 * 60 * 1000;
/// A clock that stays where it jumped to for so long is right.
const BELIEVED_AFTER: Duration = Duration::from_secs(60 * 60);

/// The time of day as far as it goes on steadily: when the system's clock jumps ahead, this one follows after an hour.
#[derive(Debug)]
pub struct Steady {
    at: Instant,
    at_ms: i64,
    jumped: Option<Instant>,
}

impl Steady {
    /// Begins with the system's time.
    #[must_use]
    pub fn begin() -> Self {
        Steady { at: Instant::now(), at_ms: now_ms(), jumped: None }
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&mut self) -> i64 {
        self.look(Instant::now(), now_ms())
    }

    fn look(&mut self, at: Instant, system_ms: i64) -> i64 {
        let passed = i64::try_from(at.saturating_duration_since(self.at).as_millis()).unwrap_or(i64::MAX);
        let steady_ms = self.at_ms.saturating_add(passed);
        let is_near = system_ms <= steady_ms.saturating_add(DOUBTED_MS);
        let jumped = *self.jumped.get_or_insert(at);
        if !is_near && at.saturating_duration_since(jumped) < BELIEVED_AFTER {
            return steady_ms;
        }
        *self = Steady { at, at_ms: system_ms, jumped: None };
        system_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_ahead_is_believed_after_an_hour_and_one_back_at_once() {
        const HOUR_MS: i64 = 3_600_000;
        const DAY_MS: i64 = 24 * HOUR_MS;
        let mut steady = Steady { at: Instant::now(), at_ms: 0, jumped: None };
        let began = steady.at;
        let mut look =
            |passed_ms: i64, system_ms| steady.look(began + Duration::from_millis(passed_ms.unsigned_abs()), system_ms);
        assert_eq!(look(60_000, 60_000), 60_000);
        assert_eq!(look(120_000, DAY_MS), 120_000, "ahead");
        assert_eq!(look(180_000, 180_000), 180_000, "and right again");
        assert_eq!(look(240_000, 1_000), 1_000, "back");
        assert_eq!(look(300_000, DAY_MS), 61_000);
        assert_eq!(look(300_000 + HOUR_MS / 2, DAY_MS + HOUR_MS / 2), 61_000 + HOUR_MS / 2);
        assert_eq!(look(300_000 + HOUR_MS, DAY_MS + HOUR_MS), DAY_MS + HOUR_MS, "for an hour");
    }
}
