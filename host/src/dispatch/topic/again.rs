//! Reading again after a table was loaded: the last record per key of what was read before, delivered once more, so that
//! it does not matter which came first. Positions do not move; such calls stand in the ledger without an interval.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{READ_AHEAD_BYTES, TopicSource};
use crate::clock::now_ms;
use crate::delivery::Records;
use crate::delivery::letters::is_for_another;
use crate::dispatch::pending::Commits;
use crate::dispatch::progress::Standing;
use crate::embedded::{Commit, WriteError};
use crate::registry::call::Outcome;

/// Keys of which the last record is looked for; each costs some dozen bytes meanwhile.
const MAX_KEYS: usize = 5_000_000;

impl TopicSource {
    /// Reads again, if that was asked for.
    pub(super) async fn read_again(&mut self, stop: &CancellationToken) -> Result<(), WriteError> {
        let Some(loads) = self.shared.store.wants_reread(&self.note).await? else {
            self.reread = false;
            return Ok(());
        };
        self.standing(Standing::Running, true);
        let last = self.last_per_key().await?;
        let mut from = 0;
        while from < self.position && !stop.is_cancelled() {
            let records =
                self.shared.store.read(&self.note.source, self.note.partition, from, READ_AHEAD_BYTES).await?;
            let Some(end) = records.offsets.last().map(|o| o + 1) else { break };
            let mut chosen = Records::default();
            for (at, offset) in records.offsets.iter().enumerate().skip(records.index_of(from)) {
                let key = records.keys.get(at);
                let ours =
                    |at| !records.headers.iter().any(|h| h.at as usize == at && is_for_another(h, &self.note.function));
                if key.is_some_and(|k| last.get(k) == Some(offset)) && ours(at) {
                    chosen.append(&records.slice(at, at + 1));
                }
            }
            from = end;
            if !self.deliver_again(&chosen).await? {
                // The mark stays, so that all of it is tried again.
                return Ok(());
            }
        }
        if !stop.is_cancelled() {
            // Another load meanwhile leaves the mark, and the next look finds it.
            self.shared.store.reread_done(self.note.clone(), loads).await?;
            self.reread = self.shared.store.wants_reread(&self.note).await?.is_some();
        }
        Ok(())
    }

    /// Whether that could be done now: `false` when an import was not available, which is not the records' fault.
    async fn deliver_again(&mut self, chosen: &Records) -> Result<bool, WriteError> {
        let mut at = 0;
        while at < chosen.len() {
            let count =
                chosen.fitting(at, self.delivery.batch_max_records as usize, self.delivery.batch_max_bytes as usize);
            let batch = chosen.slice(at, at + count);
            at += count;
            let version = self.registered.version.load_full();
            let started = Instant::now();
            let called = self.call(&version, &batch, 1).await;
            self.log_output(&version, &called.output);
            let commit = Commit {
                note: self.note.clone(),
                records: batch.len() as u32,
                version: Arc::clone(&version.digest),
                attempt: 1,
                micros: started.elapsed().as_micros() as u64,
                at_ms: now_ms(),
                ..Commit::default()
            };
            match called.outcome {
                Outcome::Done { effects, .. } => {
                    let mut commits = Commits::default();
                    commits.begin(&self.shared, commit, effects, ());
                    if let Some(((), error)) = commits.settle(0).await.failed {
                        return Err(error);
                    }
                    self.shared.progress.committed();
                }
                Outcome::Failed { unavailable: Some(what), .. } => {
                    warn!(function = %self.note.function, what, "reading again waits: an import was not available");
                    return Ok(false);
                }
                Outcome::Failed { failure, .. } => {
                    let reason = self.shown(&failure.reason);
                    warn!(function = %self.note.function, reason, "reading again failed");
                }
            }
        }
        Ok(true)
    }

    async fn last_per_key(&self) -> Result<HashMap<Vec<u8>, i64>, WriteError> {
        let mut last = HashMap::new();
        let mut from = 0;
        while from < self.position {
            let records =
                self.shared.store.read(&self.note.source, self.note.partition, from, READ_AHEAD_BYTES).await?;
            let Some(end) = records.offsets.last().map(|o| o + 1) else { break };
            for (key, offset) in records.keys.iter().zip(&records.offsets) {
                if let Some(key) =
                    key.filter(|k| *offset < self.position && (last.len() < MAX_KEYS || last.contains_key(*k)))
                {
                    last.insert(key.to_vec(), *offset);
                }
            }
            from = end;
        }
        Ok(last)
    }
}
