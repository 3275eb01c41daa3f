//! A version in its first batches. Where one of them loses records, the version before it is called with the same ones, and what it
//! does is let go of: if it handles them, it is put in charge again before anything is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::{self, error::TryRecvError};
use tracing::{error, warn};

use super::TopicSource;
use crate::delivery::Records;
use crate::dispatch::Rollback;
use crate::dispatch::progress::Standing;
use crate::embedded::WriteError;
use crate::manifest::OnFailure;
use crate::registry::Version;
use crate::registry::call::Outcome;

/// Batches of a partition in which a version is new.
const FIRST_BATCHES: u32 = 16;
/// How long a batch waits for the version before to be in charge again; then it is tried as any other.
const LONGEST_ROLLBACK: Duration = Duration::from_secs(300);
/// How often it is looked whether it is; what takes over wakes the worker besides.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is known of a version that is new.
pub(super) struct Fresh {
    /// The version that was in charge before.
    before: Arc<Version>,
    left: u32,
    /// Whether it was found to do worse, and stays.
    is_judged: bool,
}

impl TopicSource {
    /// Notes that `version` takes over.
    pub(super) fn refresh(&mut self, version: &Arc<Version>) {
        if version.digest == self.version.digest {
            return;
        }
        let before = match self.fresh.take() {
            // It goes back.
            Some(fresh) if fresh.before.digest == version.digest => return,
            // The one that it takes over from was not proven yet.
            Some(fresh) => fresh.before,
            None => Arc::clone(&self.version),
        };
        // Records that failed before may fail again.
        self.fresh = self.trial.is_none().then_some(Fresh { before, left: FIRST_BATCHES, is_judged: false });
    }

    /// Notes that a batch is handled.
    pub(super) fn proven(&mut self) {
        if let Some(fresh) = &mut self.fresh {
            fresh.left -= 1;
        }
        self.fresh.take_if(|fresh| fresh.left == 0);
    }

    /// Whether the version before handles records of a batch that the new one loses, by their indices; then it is asked for, and
    /// the batch waits for it.
    pub(super) async fn does_worse(&mut self, batch: &Records, lost: BTreeSet<usize>) -> Result<bool, WriteError> {
        let asks = self.delivery.on_failure == OnFailure::Rollback;
        let Some(before) =
            self.fresh.as_ref().filter(|fresh| asks && !fresh.is_judged).map(|fresh| Arc::clone(&fresh.before))
        else {
            return Ok(false);
        };
        self.settle().await?;
        let called = self.call(&before, batch, 1).await;
        // Where it fails with the whole batch, too, parts of it tell more.
        let Outcome::Done { rejected, .. } = called.outcome else { return Ok(false) };
        let refused: BTreeSet<usize> = rejected.iter().map(|rejection| rejection.at as usize).collect();
        let handled = lost.difference(&refused).count();
        if handled == 0 {
            return Ok(false);
        }
        let reason = format!(
            "it loses {} records of a batch of {}, and version {} handles {handled} of them",
            lost.len(),
            batch.len(),
            before.short()
        );
        warn!(function = %self.note.function, version = self.version.short(), reason, "the version before is put in charge again");
        let (answer, answered) = oneshot::channel();
        let (function, version) = (Arc::clone(&self.note.function), Arc::clone(&self.version.digest));
        let ask = Rollback { function, version, before: Arc::clone(&before.digest), reason: reason.clone(), answer };
        if self.shared.rollbacks.try_send(ask).is_err() {
            error!(function = %self.note.function, "too many rollbacks wait");
        }
        // It stays fresh until that is answered: so it is known that the version before comes back, and is not judged in its turn.
        self.rollback = Some((answered, Instant::now() + LONGEST_ROLLBACK));
        self.standing(Standing::Waiting { reason }, true);
        Ok(true)
    }

    /// How long the batch waits for the version before to be in charge again: until that is answered, but not for ever. Once it is, the
    /// worker looks first which version is in charge.
    pub(super) fn waits_for_rollback(&mut self) -> Option<Duration> {
        let (answered, until) = self.rollback.as_mut()?;
        if answered.try_recv() == Err(TryRecvError::Empty) && Instant::now() < *until {
            return Some(LOOK_EVERY);
        }
        self.rollback = None;
        // Should the new version still be in charge then, it was not rolled back, and is not asked to be again.
        if let Some(fresh) = &mut self.fresh {
            fresh.is_judged = true;
        }
        Some(Duration::ZERO)
    }
}
