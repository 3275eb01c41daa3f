//! A version that has just taken over. Where it fails with something, the one before it is called with the same, and what that does is
//! let go of: if it does better, it is put in charge again before anything is lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::{self, error::TryRecvError};
use tracing::{error, warn};

use super::{Rollback, Shared};
use crate::embedded::Note;
use crate::manifest::{Delivery, OnFailure};
use crate::registry::Version;

/// Batches of a partition, or runs of a schedule, in which a version is new.
const FIRST: u32 = 16;
/// How long a batch or run waits for the version before to be in charge again; then it is tried as any other.
const LONGEST_ROLLBACK: Duration = Duration::from_secs(300);
/// How often it is looked whether it is; what takes over wakes the worker besides.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is known of a version while it is new; nothing of one that is not.
#[derive(Default)]
pub(super) struct Fresh {
    new: Option<New>,
    /// Tells when the version before was put in charge again, or cannot be, and until when that is waited for.
    rollback: Option<(oneshot::Receiver<()>, Instant)>,
}

struct New {
    /// The version that was in charge before.
    before: Arc<Version>,
    left: u32,
    /// Whether it was found to do worse, and stays.
    is_judged: bool,
}

impl Fresh {
    /// Notes that `next` takes over from `charge`, while something is under trial or not.
    pub(super) fn takes_over(&mut self, charge: &Arc<Version>, next: &Arc<Version>, is_trying: bool) {
        if next.digest == charge.digest {
            return;
        }
        let before = match self.new.take() {
            // It goes back.
            Some(new) if new.before.digest == next.digest => return,
            // The one that it takes over from was not proven yet.
            Some(new) => new.before,
            None => Arc::clone(charge),
        };
        let state = |version: &Version| version.function.grants.state.then_some(version.function.grants.state_version);
        // It would take its state for what it is not any more.
        let is_outdated = state(&before).is_some_and(|form| state(next).is_some_and(|now| now != form));
        // What failed before may fail again.
        self.new = (!is_trying && !is_outdated).then_some(New { before, left: FIRST, is_judged: false });
    }

    /// Notes that something is handled.
    pub(super) fn proven(&mut self) {
        if let Some(new) = &mut self.new {
            new.left -= 1;
        }
        self.new.take_if(|new| new.left == 0);
    }

    /// The version against which a new one is held where it fails, if that is asked for.
    pub(super) fn before(&self, delivery: &Delivery) -> Option<Arc<Version>> {
        let asks = delivery.on_failure == OnFailure::Rollback;
        self.new.as_ref().filter(|new| asks && !new.is_judged).map(|new| Arc::clone(&new.before))
    }

    /// Asks for the version before, which does better than `charge`.
    pub(super) fn ask(&mut self, shared: &Shared, note: &Note, (charge, before): (&Version, &Version), reason: &str) {
        warn!(function = %note.function, version = charge.short(), reason, "the version before is put in charge again");
        let (answer, answered) = oneshot::channel();
        let ask = Rollback {
            function: Arc::clone(&note.function),
            version: Arc::clone(&charge.digest),
            before: Arc::clone(&before.digest),
            reason: reason.to_owned(),
            answer,
        };
        if shared.rollbacks.try_send(ask).is_err() {
            error!(function = %note.function, "too many rollbacks wait");
        }
        // It stays new until that is answered: so it is known that the version before comes back, and is not judged in its turn.
        self.rollback = Some((answered, Instant::now() + LONGEST_ROLLBACK));
    }

    /// How long a batch or run waits for the version before to be in charge again: until that is answered, but not for ever. Once it
    /// is, the worker looks first which version is in charge.
    pub(super) fn waits(&mut self) -> Option<Duration> {
        let (answered, until) = self.rollback.as_mut()?;
        if answered.try_recv() == Err(TryRecvError::Empty) && Instant::now() < *until {
            return Some(LOOK_EVERY);
        }
        self.rollback = None;
        // Should the new version still be in charge then, it was not rolled back, and is not asked to be again.
        if let Some(new) = &mut self.new {
            new.is_judged = true;
        }
        Some(Duration::ZERO)
    }
}
