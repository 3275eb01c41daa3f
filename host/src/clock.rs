//! The host's wall clock: the one place that reads it.

use std::time::Instant;

/// Milliseconds since the Unix epoch; 0 for a clock set before it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time of day as far as it has gone on steadily: when the system's clock jumps ahead, this one does not.
#[derive(Debug)]
pub struct Steady {
    began: Instant,
    began_ms: i64,
}

impl Steady {
    /// Begins with the system's time.
    #[must_use]
    pub fn begin() -> Self {
        Steady { began: Instant::now(), began_ms: now_ms() }
    }

    /// Milliseconds since the Unix epoch, never more than have passed since it began.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.at(now_ms())
    }

    fn at(&self, system_ms: i64) -> i64 {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        system_ms.min(self.began_ms.saturating_add(passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_ahead_is_not_believed_and_one_back_is() {
        let steady = Steady::begin();
        let system_ms = now_ms();
        assert!(steady.at(system_ms + 3_600_000) < system_ms + 60_000);
        assert_eq!(steady.at(system_ms - 3_600_000), system_ms - 3_600_000);
    }
}
