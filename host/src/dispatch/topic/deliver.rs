//! One delivery: the call, what follows from how it ended, and the commits under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{error, warn};

use super::TopicSource;
use crate::bindings::CallContext;
use crate::clock::now_ms;
use crate::delivery::failure::{hidden, rejected_by};
use crate::delivery::letters::{Story, letters, meant_for};
use crate::delivery::{Effects, Failure, Interval, Patience, Records, Trial, Verdict, retry};
use crate::dispatch::held;
use crate::dispatch::pending::{MOST_UNDER_WAY, Settled};
use crate::dispatch::progress::Standing;
use crate::embedded::{Attempt, Commit, Frame, WriteError};
use crate::registry::Version;
use crate::registry::call::{Called, Outcome};

/// The first wait for an import that was not available, in milliseconds, and how often it is doubled: to some seconds, so that
/// work goes on soon after the import is back.
const IMPORT_BACKOFF_MS: u32 = 100;
const MOST_DOUBLINGS: u32 = 6;
/// After so many waits in a row, about a minute, publishers are no longer paced for the sake of who waits.
pub(super) const PACING_WAITS: u32 = 15;

/// Where a batch's commit started from, and what to count when it is through.
pub(super) struct Stand {
    pub(super) first: i64,
    next: i64,
    trial: Option<Trial>,
    records: usize,
    dead_letters: usize,
    micros: u64,
}

/// A batch on its way.
struct Delivery {
    /// The records that are meant for the function.
    batch: Arc<Records>,
    version: Arc<Version>,
    /// What a commit of it says, apart from what the call did.
    commit: Commit,
    /// The trial that it is a part of, or that begins should it fail.
    trial: Trial,
    /// What the call took, without what it waited for its turn and for the stores.
    tried: Duration,
}

impl TopicSource {
    pub(super) async fn deliver(&mut self, cut: Arc<Records>) -> Result<(), WriteError> {
        self.first_seen = None;
        let interval = Interval { first: self.position, next: cut.offsets.last().map_or(self.position, |o| o + 1) };
        let batch = meant_for(&cut, &self.note.function).map_or_else(|| Arc::clone(&cut), Arc::new);
        let version = Arc::clone(&self.version);
        // What was read at one time may end before the range under trial.
        let trial = self.trial.map(|trial| Trial { range: interval, ..trial });
        let commit = Commit {
            note: self.note.clone(),
            interval: Some(interval),
            records: cut.len() as u32,
            version: Arc::clone(&version.digest),
            application: Some(Arc::clone(&version.application)),
            attempt: trial.map_or(1, |t| t.attempts + 1),
            at_ms: now_ms(),
            trial: trial.map(Trial::rest),
            ..Commit::default()
        };
        let trial = trial.unwrap_or_else(|| Trial::of(interval));
        let mut delivery = Delivery { batch, version, commit, trial, tried: Duration::ZERO };
        if delivery.batch.is_empty() {
            self.settle_to(MOST_UNDER_WAY - 1).await?;
            self.commit(delivery.commit, Effects::default(), 0);
            return Ok(());
        }
        self.standing(Standing::Running, true);
        let called = self.call(&delivery.version, &delivery.batch, delivery.commit.attempt).await;
        delivery.commit.micros = called.took.as_micros() as u64;
        delivery.tried = called.tried;
        self.log_output(&delivery.version, &called.output);
        // When what it read was not written, the call counts for nothing.
        let succeeded = matches!(called.outcome, Outcome::Done { .. });
        self.settle_to(if succeeded { MOST_UNDER_WAY - 1 } else { 0 }).await?;
        match called.outcome {
            Outcome::Done { effects, rejected, .. } => match rejected_by(delivery.batch.len(), rejected) {
                Ok(failures) if failures.is_empty() => self.accept(delivery, effects, &failures).await,
                Ok(failures) => match self.does_worse(&delivery.batch, failures.keys().copied().collect()).await? {
                    true => Ok(()),
                    false => self.accept(delivery, effects, &failures).await,
                },
                Err(failure) => {
                    self.settle().await?;
                    self.failed(delivery, failure).await
                }
            },
            Outcome::Failed { unavailable: Some(what), .. } => {
                self.wait_for_import(what);
                Ok(())
            }
            Outcome::Failed { failure, .. } => self.failed(delivery, failure).await,
        }
    }

    /// Stands still for a while, because an import was not available: for longer each time, and told once.
    pub(super) fn wait_for_import(&mut self, what: String) {
        if self.troubled.as_ref() != Some(&what) {
            warn!(function = %self.note.function, what, "an import was not available; the batch waits");
            self.troubled = Some(what.clone());
        }
        let wait = retry::backoff(IMPORT_BACKOFF_MS, 2 + self.waits.min(MOST_DOUBLINGS));
        self.waits = self.waits.saturating_add(1);
        self.not_before = Instant::now() + wait;
        self.standing(Standing::Waiting { reason: what }, true);
    }

    pub(super) async fn call(&self, version: &Version, batch: &Records, attempt: u32) -> Called<()> {
        let context = version.context(&self.shared.store, self.note.partition);
        let context = CallContext { before: self.commits.effects(), ..context };
        version.deliver(context, &self.note, batch, attempt).await
    }

    /// Commits what a call did, and the records that it refused as dead letters.
    async fn accept(
        &mut self,
        mut delivery: Delivery,
        effects: Effects,
        failures: &BTreeMap<usize, Failure>,
    ) -> Result<(), WriteError> {
        if !self.may_lose(&delivery.version, failures).await? {
            return Ok(());
        }
        if !failures.is_empty() {
            let letters = self.dead_letters(&delivery.batch, &delivery.commit, failures)?;
            delivery.commit.frames.push(letters);
            delivery.commit.refused = offsets_of(&delivery.batch, failures);
        }
        self.commit(delivery.commit, effects, failures.len());
        Ok(())
    }

    /// Counts a failed delivery: it is tried again, or in parts, or the one record that is left becomes a dead letter.
    async fn failed(&mut self, mut delivery: Delivery, failure: Failure) -> Result<(), WriteError> {
        if self.does_worse(&delivery.batch, (0..delivery.batch.len()).collect()).await? {
            return Ok(());
        }
        let Delivery { trial, ref commit, ref batch, tried, .. } = delivery;
        let (attempt, at_ms) = (commit.attempt, commit.at_ms);
        self.waits = 0;
        let shown = self.shown(&failure);
        warn!(function = %self.note.function, topic = %self.note.source, partition = self.note.partition,
            first = trial.range.first, records = batch.len(), attempt, reason = shown, "the batch failed");
        match trial.failed(&batch.offsets, self.patience(), tried) {
            Verdict::Again { trial, wait } => {
                self.keep(trial, &failure, at_ms).await?;
                self.not_before = Instant::now() + wait;
                self.standing(Standing::Retrying { attempt, reason: shown }, true);
                Ok(())
            }
            Verdict::Condemned { attempts } => {
                delivery.commit.attempt = attempts;
                delivery.commit.trial = Some(trial.rest());
                self.accept(delivery, Effects::default(), &BTreeMap::from([(0, failure)])).await
            }
        }
    }

    async fn keep(&mut self, trial: Trial, failure: &Failure, at_ms: i64) -> Result<(), WriteError> {
        let code = failure.cause.code().to_owned();
        // What is not kept cannot be shown once the function may not read sensitive data any more.
        let reason = if self.reads_sensitive() { hidden(&code) } else { failure.to_string() };
        let kept = Attempt { note: self.note.clone(), trial, code, reason, at_ms };
        self.log.keep_attempt(kept).await?;
        self.trial = Some(trial);
        Ok(())
    }

    pub(super) fn patience(&self) -> Patience {
        Patience {
            max_attempts: self.delivery.max_attempts,
            backoff_ms: self.delivery.retry_backoff_ms,
            timeout_ms: self.delivery.retry_timeout_ms,
        }
    }

    /// Whether these records may become dead letters. When too many have, the function is stopped instead.
    pub(super) async fn may_lose(
        &mut self,
        version: &Version,
        failures: &BTreeMap<usize, Failure>,
    ) -> Result<bool, WriteError> {
        if failures.is_empty() {
            return Ok(true);
        }
        // What is under way counts first.
        self.settle().await?;
        let most = version.function.limits.max_dead_letters;
        let Some(reason) = self.shared.pauses.refuses(&self.note.function, failures.len() as u64, most) else {
            return Ok(true);
        };
        let last = failures.values().last().map(|f| self.shown(f)).unwrap_or_default();
        error!(function = %self.note.function, reason, last, "the function is stopped");
        self.shared.pauses.stop(&self.note.function, reason).await?;
        Ok(false)
    }

    /// Records of `batch`, which `commit` handles, as dead letters.
    pub(super) fn dead_letters(
        &self,
        batch: &Records,
        commit: &Commit,
        failures: &BTreeMap<usize, Failure>,
    ) -> Result<Frame, WriteError> {
        let story = Story {
            function: &self.note.function,
            version: &commit.version,
            topic: &self.note.source,
            partition: self.note.partition,
            attempts: commit.attempt,
            now_ms: commit.at_ms,
            is_sensitive: self.reads_sensitive(),
        };
        let letters = letters(batch, failures, &story);
        Frame::encode(Arc::clone(&self.letters), 0, letters).map_err(held::unencodable)
    }

    /// Begins to commit a batch and stands behind it, as if that were done.
    fn commit(&mut self, mut commit: Commit, effects: Effects, dead_letters: usize) {
        commit.dead_letters = dead_letters as u32;
        let (records, micros) = (commit.records as usize, commit.micros);
        let first = self.position;
        self.position = commit.interval.map_or(first, |i| i.next);
        self.ahead_from += records;
        let trial = std::mem::replace(&mut self.trial, commit.trial.flatten());
        let stand = Stand { first, next: self.position, trial, records, dead_letters, micros };
        self.fresh.proven();
        self.commits.begin(&self.log, commit, effects, stand);
    }

    /// Waits for all commits under way; stands before the first batch that failed again.
    pub(in crate::dispatch) async fn settle(&mut self) -> Result<(), WriteError> {
        self.settle_to(0).await
    }

    pub(super) async fn settle_to(&mut self, left: usize) -> Result<(), WriteError> {
        let Settled { through, failed } = self.commits.settle(left).await;
        if !through.is_empty() {
            // The same trouble is worth a word again.
            self.troubled = None;
            self.waits = 0;
        }
        for stand in through {
            self.shared.progress.committed();
            self.shared.pauses.count(&self.note.function, stand.records as u64, stand.dead_letters as u64);
            let busy = *self.end.borrow() > stand.next || !self.log.seen_end();
            self.shared.progress.update(&self.note, |s| {
                s.position = stand.next;
                s.records += stand.records as u64;
                s.commits += 1;
                s.dead_letters += stand.dead_letters as u64;
                s.call_micros += stand.micros;
                s.busy = busy;
            });
        }
        let Some((stand, error)) = failed else { return Ok(()) };
        self.shared.pauses.take_back(&self.note.function, stand.dead_letters as u64);
        self.ahead = Arc::default();
        self.ahead_from = 0;
        (self.position, self.trial) = (stand.first, stand.trial);
        if matches!(error, WriteError::Position { .. }) {
            // What stands in the file is what counts, however it came there.
            (self.position, self.trial) = (self.shared.store.position(&self.note).await?, None);
        }
        Err(error)
    }

    pub(super) fn log_output(&self, version: &Version, output: &str) {
        if !version.reads_sensitive() {
            self.shared.voices.log(&self.note.function, version, output);
        }
    }
}

/// Where the records stand that are not handled.
pub(super) fn offsets_of(batch: &Records, failures: &BTreeMap<usize, Failure>) -> Vec<i64> {
    failures.keys().filter_map(|at| batch.offsets.get(*at).copied()).collect()
}
