//! How long a failing batch waits before it is delivered again.

use std::time::Duration;

/// No wait is longer than this, however often a batch failed: a fixed function should not wait for minutes.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// The wait before delivery `attempt` (2 for the second): `first_ms` doubled for each one after.
#[must_use]
pub fn backoff(first_ms: u32, attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(2).min(20);
    Duration::from_millis(u64::from(first_ms) << doublings).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest() {
        assert_eq!(backoff(200, 2), Duration::from_millis(200));
        assert_eq!(backoff(200, 4), Duration::from_millis(800));
        assert_eq!(backoff(200, u32::MAX), LONGEST_BACKOFF);
        assert_eq!(backoff(0, 9), Duration::ZERO);
    }
}
