//! A version in its first batches. Where one of them loses records, the version before it is called with the same ones, and what it
//! does is let go of: if it handles them, it is put in charge again before anything is lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

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
const LONGEST_ROLLBACK: Duration = Duration::from_secs(5);

/// What is known of a version that is new.
pub(super) struct Fresh {
    /// The version that was in charge before.
    before: Arc<Version>,
    left: u32,
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
        self.fresh = self.trial.is_none().then_some(Fresh { before, left: FIRST_BATCHES });
    }

    /// Notes that a batch is handled.
    pub(super) fn proven(&mut self) {
        if let Some(fresh) = &mut self.fresh {
            fresh.left -= 1;
        }
        self.fresh.take_if(|fresh| fresh.left == 0);
    }

    /// Whether the version before handles a batch of which the new one loses `lost` records; then it is asked for, and the batch
    /// waits for it.
    pub(super) async fn does_worse(&mut self, batch: &Records, lost: usize) -> Result<bool, WriteError> {
        let asks = self.delivery.on_failure == OnFailure::Rollback;
        let Some(fresh) = self.fresh.take_if(|_| asks) else { return Ok(false) };
        self.settle().await?;
        let called = self.call(&fresh.before, batch, 1).await;
        let loses = match called.outcome {
            Outcome::Done { rejected, .. } => rejected.len(),
            Outcome::Failed { .. } => batch.len(),
        };
        if loses >= lost {
            return Ok(false);
        }
        let (version, before) = (Arc::clone(&self.version.digest), Arc::clone(&fresh.before.digest));
        let of = batch.len();
        let reason =
            format!("it loses {lost} records of a batch of {of}, and version {} loses {loses}", fresh.before.short());
        warn!(function = %self.note.function, version = self.version.short(), reason, "the version before is put in charge again");
        let ask = Rollback { function: Arc::clone(&self.note.function), version, before, reason: reason.clone() };
        if self.shared.rollbacks.try_send(ask).is_err() {
            error!(function = %self.note.function, "too many rollbacks wait");
        }
        self.not_before = Instant::now() + LONGEST_ROLLBACK;
        self.standing(Standing::Waiting { reason }, true);
        Ok(true)
    }
}
