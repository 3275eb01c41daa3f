//! Time that a call spends waiting for the host: for its stores, or for its turn. It is not charged to the function's
//! `timeout_ms`: a slow disk is no fault of a record.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The waits of one call; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Waits {
    spent: Arc<Mutex<Spent>>,
}

#[derive(Debug, Default)]
struct Spent {
    over: Duration,
    since: Option<Instant>,
}

/// A wait, until it is dropped.
pub struct Waiting(Waits);

impl Waits {
    /// Begins a wait. A call waits for one thing at a time.
    #[must_use]
    pub fn begin(&self) -> Waiting {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).since = Some(Instant::now());
        Waiting(self.clone())
    }

    /// How long the wait that is going on has lasted, if one is.
    #[must_use]
    pub fn now(&self) -> Option<Duration> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).since.map(|since| since.elapsed())
    }

    /// All waits, the one that is going on included.
    #[must_use]
    pub fn so_far(&self) -> Duration {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.over + spent.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut spent = self.0.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = spent.since.take() {
            spent.over += since.elapsed();
        }
    }
}
