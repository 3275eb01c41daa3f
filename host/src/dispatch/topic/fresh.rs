//! A new version that loses records of a batch, held against the one before it.

use std::collections::BTreeSet;

use super::TopicSource;
use crate::delivery::Records;
use crate::dispatch::progress::Standing;
use crate::embedded::WriteError;
use crate::registry::call::Outcome;

impl TopicSource {
    /// Whether the version before handles records of a batch that the new one loses, by their indices; then it is asked for, and
    /// the batch waits for it.
    pub(super) async fn does_worse(&mut self, batch: &Records, lost: BTreeSet<usize>) -> Result<bool, WriteError> {
        let Some(before) = self.fresh.before(&self.delivery) else { return Ok(false) };
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
        self.fresh.ask(&self.shared, &self.note, (&self.version, &before), &reason);
        self.standing(Standing::Waiting { reason }, true);
        Ok(true)
    }
}
