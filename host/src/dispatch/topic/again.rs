//! Reading again after a table was loaded: the last record per key of what was read before, delivered once more, so that
//! it does not matter which came first. Positions do not move; such calls stand in the ledger without an interval.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::deliver::offsets_of;
use super::{READ_AHEAD_BYTES, TopicSource};
use crate::clock::now_ms;
use crate::delivery::failure::rejected_by;
use crate::delivery::letters::is_for_another;
use crate::delivery::{Effects, Failure, Interval, Records, Trial, Verdict};
use crate::dispatch::pending::Commits;
use crate::dispatch::progress::Standing;
use crate::embedded::{Commit, WriteError};
use crate::registry::call::Outcome;

/// Bytes of keys of which the last record is looked for: they are in memory meanwhile. Beyond them records are not read again.
const MOST_KEY_BYTES: usize = 256 * 1024 * 1024;
/// What a key costs beside its bytes, about.
const KEY_BYTES: usize = 64;

/// How far reading again has come.
pub(super) struct Again {
    /// The load that asked for it; another one means that all is to be read anew.
    loads: u64,
    /// What stands before has been delivered.
    next: i64,
    /// The offset of the last record of each key.
    last: HashMap<Vec<u8>, i64>,
}

impl TopicSource {
    /// Reads again, if that was asked for. What was done before an interruption stands.
    pub(super) async fn read_again(&mut self, stop: &CancellationToken) -> Result<(), WriteError> {
        let Some(loads) = self.log.wants_reread(&self.note).await? else {
            self.reread = false;
            return Ok(());
        };
        self.standing(Standing::Running, true);
        let mut again = match self.again.take().filter(|again| again.loads == loads) {
            Some(again) => again,
            None => Again { loads, next: 0, last: self.last_per_key().await? },
        };
        let ended = self.go_on_again(&mut again, stop).await;
        if !matches!(ended, Ok(true)) {
            // The mark stays, so that the rest of it is tried again.
            self.again = Some(again);
            return ended.map(drop);
        }
        // Another load meanwhile leaves the mark, and the next look finds it.
        self.log.reread_done(self.note.clone(), loads).await?;
        self.reread = self.log.wants_reread(&self.note).await?.is_some();
        Ok(())
    }

    /// Whether that could be done to its end: `false` when the host stops, an import was not available or the function stands
    /// still, which is not the records' fault.
    async fn go_on_again(&mut self, again: &mut Again, stop: &CancellationToken) -> Result<bool, WriteError> {
        while again.next < self.position {
            let records = self.log.read_back(&self.note, again.next, READ_AHEAD_BYTES).await?;
            let Some(end) = records.offsets.last().map(|o| o + 1) else { break };
            let mut chosen = Records::default();
            for (at, offset) in records.offsets.iter().enumerate().skip(records.index_of(again.next)) {
                let key = records.keys.get(at);
                if key.is_some_and(|k| again.last.get(k) == Some(offset)) {
                    chosen.append(&records.slice(at, at + 1));
                }
            }
            let most = (self.delivery.batch_max_records as usize, self.delivery.batch_max_bytes as usize);
            let mut at = 0;
            while at < chosen.len() {
                let count = chosen.fitting(at, most.0, most.1);
                if !self.try_again(&chosen.slice(at, at + count), &mut again.next, stop).await? {
                    return Ok(false);
                }
                at += count;
            }
            again.next = end;
        }
        Ok(!stop.is_cancelled())
    }

    /// Tries one batch by the rules of any other, kept in memory: after a restart all is read again. `next` follows what is
    /// committed of it.
    async fn try_again(
        &mut self,
        batch: &Records,
        next: &mut i64,
        stop: &CancellationToken,
    ) -> Result<bool, WriteError> {
        let Some((first, last)) = batch.offsets.first().zip(batch.offsets.last()) else { return Ok(true) };
        let mut under_way = Some(Trial::of(Interval { first: *first, next: last + 1 }));
        while let Some(trial) = under_way {
            if stop.is_cancelled() || self.shared.pauses.reason(&self.note.function).is_some() {
                return Ok(false);
            }
            let part = batch.slice(batch.index_of(trial.range.first), batch.index_of(trial.range.next));
            let version = Arc::clone(&self.version);
            let called = self.call(&version, &part, trial.attempts + 1).await;
            self.log_output(&version, &called.output);
            let commit = Commit {
                note: self.note.clone(),
                records: part.len() as u32,
                version: Arc::clone(&version.digest),
                application: Some(Arc::clone(&version.application)),
                attempt: trial.attempts + 1,
                micros: called.took.as_micros() as u64,
                at_ms: now_ms(),
                reread: part.offsets.clone(),
                ..Commit::default()
            };
            let ended = match called.outcome {
                Outcome::Done { effects, rejected, .. } => {
                    rejected_by(part.len(), rejected).map(|failures| (effects, failures))
                }
                Outcome::Failed { unavailable: Some(what), .. } => {
                    self.wait_for_import(what);
                    return Ok(false);
                }
                Outcome::Failed { failure, .. } => Err(failure),
            };
            let (effects, lost) = match ended {
                Ok(done) => done,
                Err(failure) => {
                    warn!(function = %self.note.function, reason = self.shown(&failure), "reading again failed");
                    match trial.failed(&part.offsets, self.patience(), called.tried) {
                        Verdict::Again { trial, wait } => {
                            let reason = self.shown(&failure);
                            self.standing(Standing::Retrying { attempt: commit.attempt, reason }, true);
                            under_way = Some(trial);
                            let _ = tokio::time::timeout(wait, stop.cancelled()).await;
                            continue;
                        }
                        Verdict::Condemned { .. } => (Effects::default(), BTreeMap::from([(0, failure)])),
                    }
                }
            };
            if !self.may_lose(&version, &lost).await? {
                return Ok(false);
            }
            self.commit_again(&part, commit, effects, &lost).await?;
            *next = trial.range.next;
            under_way = trial.rest();
        }
        Ok(true)
    }

    async fn commit_again(
        &self,
        part: &Records,
        mut commit: Commit,
        effects: Effects,
        lost: &BTreeMap<usize, Failure>,
    ) -> Result<(), WriteError> {
        if !lost.is_empty() {
            commit.frames.push(self.dead_letters(part, &commit, lost)?);
            commit.dead_letters = lost.len() as u32;
            commit.refused = offsets_of(part, lost);
        }
        let mut commits = Commits::default();
        commits.begin(&self.log, commit, effects, ());
        if let Some(((), error)) = commits.settle(0).await.failed {
            self.shared.pauses.take_back(&self.note.function, lost.len() as u64);
            return Err(error);
        }
        self.shared.pauses.count(&self.note.function, part.len() as u64, lost.len() as u64);
        self.shared.progress.committed();
        self.shared.progress.update(&self.note, |s| s.dead_letters += lost.len() as u64);
        Ok(())
    }

    fn is_ours(&self, records: &Records, at: usize) -> bool {
        !records.headers_of(at).iter().any(|h| is_for_another(h, &self.note.function))
    }

    async fn last_per_key(&self) -> Result<HashMap<Vec<u8>, i64>, WriteError> {
        let mut last: HashMap<Vec<u8>, i64> = HashMap::new();
        let (mut from, mut bytes, mut is_complete) = (0, 0, true);
        while from < self.position {
            let records = self.log.read_back(&self.note, from, READ_AHEAD_BYTES).await?;
            let Some(end) = records.offsets.last().map(|o| o + 1) else { break };
            for (at, (key, offset)) in records.keys.iter().zip(&records.offsets).enumerate() {
                let Some(key) = key.filter(|_| *offset < self.position && self.is_ours(&records, at)) else { continue };
                if let Some(newer) = last.get_mut(key) {
                    *newer = *offset;
                } else if bytes + key.len() + KEY_BYTES <= MOST_KEY_BYTES {
                    bytes += key.len() + KEY_BYTES;
                    last.insert(key.to_vec(), *offset);
                } else {
                    is_complete = false;
                }
            }
            from = end;
        }
        if !is_complete {
            warn!(function = %self.note.function, topic = %self.note.source, partition = self.note.partition,
                keys = last.len(), "there are more keys than fit into memory: only records of these are read again");
        }
        Ok(last)
    }
}
