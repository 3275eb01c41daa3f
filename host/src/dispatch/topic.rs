//! A topic's partition as one function reads it: batches cut, called, committed; failing ones tried again and in the
//! end put aside.

mod again;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::dead_letters::{Story, letters};
use super::pending::{Commits, MOST_UNDER_WAY, Settled};
use super::progress::Standing;
use super::schedule::{PACING, paced_by};
use super::worker::Step;
use super::{Shared, held};
use crate::bindings::{CallContext, WireBatch};
use crate::clock::now_ms;
use crate::delivery::{Effects, Records, Rejection, retry};
use crate::embedded::{Attempt, Commit, Frame, Interval, Note, WriteError};
use crate::manifest::{Delivery, Trigger};
use crate::registry::call::{Called, Outcome};
use crate::registry::{Registered, Version};

/// Bytes of records that are read ahead of the function.
const READ_AHEAD_BYTES: usize = 4 * 1024 * 1024;

/// One topic's partition under one function.
pub(super) struct TopicSource {
    shared: Arc<Shared>,
    registered: Arc<Registered>,
    context: CallContext,
    delivery: Delivery,
    note: Note,
    end: watch::Receiver<i64>,
    position: i64,
    ahead: Arc<Records>,
    ahead_from: usize,
    trial: Option<Trial>,
    first_seen: Option<Instant>,
    reread: bool,
    commits: Commits<Stand>,
}

/// Where a batch's commit started from, and what to count when it is through.
struct Stand {
    first: i64,
    next: i64,
    trial: Option<Trial>,
    records: usize,
    dead_letters: usize,
    micros: u64,
}

/// A batch that failed before.
struct Trial {
    interval: Interval,
    attempt: u32,
    not_before: Instant,
}

impl TopicSource {
    pub(super) async fn new(
        shared: Arc<Shared>,
        registered: Arc<Registered>,
        trigger: &Trigger,
        topic: &str,
        context: CallContext,
    ) -> anyhow::Result<Self> {
        let note = Note { function: Arc::clone(&registered.name), source: topic.into(), partition: context.partition };
        let position = shared.store.position(&note).await?;
        let kept = shared.store.attempt(&note).await?.filter(|a| a.interval.first == position);
        let end = shared.store.ends().watch(topic, note.partition);
        let source = TopicSource {
            end: end.ok_or_else(|| anyhow::anyhow!("topic `{topic}` has no partition {}", note.partition))?,
            trial: kept.map(|a| Trial { interval: a.interval, attempt: a.attempt, not_before: Instant::now() }),
            delivery: trigger.delivery.clone(),
            shared,
            registered,
            context,
            note,
            position,
            ahead: Arc::default(),
            ahead_from: 0,
            first_seen: None,
            reread: true,
            commits: Commits::default(),
        };
        source.standing(Standing::Idle, true);
        Ok(source)
    }

    /// Notes what is there now: what comes later wakes [`TopicSource::grown`].
    pub(super) fn mark_seen(&mut self) {
        self.end.mark_unchanged();
    }

    /// Says that a table was loaded: before its next batch the source looks whether it has to read again.
    pub(super) fn table_loaded(&mut self) {
        self.reread = true;
    }

    /// Waits until the partition grows.
    pub(super) async fn grown(&mut self) {
        if self.end.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Notes trouble with the data file.
    pub(super) fn trouble(&mut self, error: &WriteError) {
        warn!(function = %self.note.function, topic = %self.note.source, partition = self.note.partition, %error, "waiting");
        self.standing(Standing::Waiting { reason: error.to_string() }, true);
    }

    /// Handles one batch, if there is one.
    pub(super) async fn step(&mut self, stop: &CancellationToken) -> Result<Step, WriteError> {
        if self.reread {
            self.settle().await?;
            self.read_again(stop).await?;
        }
        if let Some(wait) = self.must_wait() {
            self.settle().await?;
            return Ok(Step::Idle(wait));
        }
        let Some(batch) = self.next_batch().await? else {
            self.settle().await?;
            self.standing(Standing::Idle, false);
            return Ok(Step::Idle(Duration::MAX));
        };
        if let Some(wait) = self.waits_for_more(&batch) {
            self.settle().await?;
            return Ok(Step::Idle(wait));
        }
        self.deliver(batch).await?;
        Ok(Step::Worked)
    }

    fn must_wait(&mut self) -> Option<Duration> {
        let left = self.trial.as_ref().map(|t| t.not_before.saturating_duration_since(Instant::now()));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            return Some(left);
        }
        let reader = paced_by(&self.shared, &self.registered)?;
        self.standing(Standing::Paced { reader }, true);
        Some(PACING)
    }

    /// The records under trial, or the next ones.
    async fn next_batch(&mut self) -> Result<Option<Arc<Records>>, WriteError> {
        if *self.end.borrow() <= self.position {
            self.ahead = Arc::default();
            self.ahead_from = 0;
            return Ok(None);
        }
        if self.ahead_from >= self.ahead.len() {
            self.ahead =
                self.shared.store.read(&self.note.source, self.note.partition, self.position, READ_AHEAD_BYTES).await?;
            self.ahead_from = self.ahead.index_of(self.position);
        }
        let from = self.ahead_from;
        let most = (self.delivery.batch_max_records as usize, self.delivery.batch_max_bytes as usize);
        let count = match &self.trial {
            Some(trial) => self.ahead.offsets.partition_point(|o| *o < trial.interval.next).saturating_sub(from),
            None => self.ahead.fitting(from, most.0, most.1),
        };
        let all = count == self.ahead.len();
        Ok((count > 0)
            .then(|| if all { Arc::clone(&self.ahead) } else { Arc::new(self.ahead.slice(from, from + count)) }))
    }

    /// How long a batch that is not full waits for more records.
    fn waits_for_more(&mut self, batch: &Records) -> Option<Duration> {
        let full = batch.len() >= self.delivery.batch_max_records as usize
            || batch.bytes() * 2 >= self.delivery.batch_max_bytes as usize;
        let wait = Duration::from_millis(u64::from(self.delivery.batch_wait_ms));
        if full || wait.is_zero() || self.trial.is_some() {
            return None;
        }
        let left = wait.saturating_sub(self.first_seen.get_or_insert_with(Instant::now).elapsed());
        // What was read ahead is read anew, so that records that came meanwhile are in the batch.
        (!left.is_zero()).then(|| {
            self.ahead = Arc::default();
            left
        })
    }

    async fn deliver(&mut self, batch: Arc<Records>) -> Result<(), WriteError> {
        self.first_seen = None;
        let interval =
            Interval { first: self.position, next: batch.offsets.last().map_or(self.position, |last| last + 1) };
        let attempt = self.trial.as_ref().map_or(1, |t| t.attempt + 1);
        self.standing(Standing::Running, true);
        let version = self.registered.version.load_full();
        let started = Instant::now();
        let called = self.call(&version, &batch, attempt).await;
        let micros = started.elapsed().as_micros() as u64;
        self.log_output(&version, &called.output);
        // When what it read was not written, the call counts for nothing.
        let succeeded = matches!(called.outcome, Outcome::Done { .. });
        self.settle_to(if succeeded { MOST_UNDER_WAY - 1 } else { 0 }).await?;
        let mut commit = Commit {
            note: self.note.clone(),
            interval: Some(interval),
            records: batch.len() as u32,
            version: Arc::clone(&version.digest),
            attempt,
            micros,
            at_ms: now_ms(),
            ..Commit::default()
        };
        match called.outcome {
            Outcome::Done { effects, rejected, .. } => match reasons(&batch, rejected) {
                Ok(reasons) => self.accept(commit, effects, &batch, &reasons, &version),
                Err(reason) => {
                    self.settle().await?;
                    self.failed(commit, &batch, reason, &version).await
                }
            },
            Outcome::Failed { reason, unavailable: Some(what) } => {
                warn!(function = %self.note.function, what, reason, "an import was not available; the batch waits");
                self.trial = Some(Trial {
                    interval,
                    attempt: attempt - 1,
                    not_before: Instant::now() + retry::backoff(self.delivery.retry_backoff_ms.max(100), attempt + 1),
                });
                self.standing(Standing::Waiting { reason: what }, true);
                Ok(())
            }
            Outcome::Failed { reason, .. } => {
                commit.attempt = attempt;
                self.failed(commit, &batch, reason, &version).await
            }
        }
    }

    async fn call(&self, version: &Version, batch: &Records, attempt: u32) -> Called<()> {
        let headers: Vec<_> = batch
            .headers
            .iter()
            .map(|h| crate::bindings::WireHeader { at: h.at, name: &h.name, value: &h.value })
            .collect();
        let wire = WireBatch {
            topic: &self.note.source,
            partition: i32::try_from(self.note.partition).unwrap_or(i32::MAX),
            keys: (&batch.keys).into(),
            values: (&batch.values).into(),
            offsets: &batch.offsets,
            timestamps: &batch.timestamps,
            headers: &headers,
            attempt,
        };
        let unix_ms = batch.timestamps.last().copied().unwrap_or_default();
        let seed = seed(&self.note, batch.offsets.first().copied().unwrap_or_default());
        let context = CallContext { before: self.commits.effects(), ..self.context.clone() };
        let _running = self.shared.calls.acquire().await;
        version.handle(context, wire, unix_ms, seed).await
    }

    /// Commits what a call did, and the records that it refused as dead letters.
    fn accept(
        &mut self,
        mut commit: Commit,
        effects: Effects,
        batch: &Records,
        reasons: &BTreeMap<usize, String>,
        version: &Version,
    ) -> Result<(), WriteError> {
        if !reasons.is_empty() {
            commit.frames.push(self.dead_letters(&commit, batch, reasons, version)?);
        }
        self.commit(commit, effects, reasons.len());
        Ok(())
    }

    /// Counts a failed delivery; after the last one the records become dead letters.
    async fn failed(
        &mut self,
        mut commit: Commit,
        batch: &Records,
        reason: String,
        version: &Version,
    ) -> Result<(), WriteError> {
        let Some(interval) = commit.interval else { return Ok(()) };
        let attempt = commit.attempt;
        warn!(function = %self.note.function, topic = %self.note.source, partition = self.note.partition,
            first = interval.first, records = batch.len(), attempt, reason = self.shown(&reason), "the batch failed");
        if attempt >= self.delivery.max_attempts {
            let reasons = (0..batch.len()).map(|at| (at, reason.clone())).collect();
            commit.frames.push(self.dead_letters(&commit, batch, &reasons, version)?);
            self.commit(commit, Effects::default(), batch.len());
            return Ok(());
        }
        let kept = Attempt { note: self.note.clone(), interval, attempt, reason: reason.clone(), at_ms: commit.at_ms };
        self.shared.store.keep_attempt(kept).await?;
        let wait = retry::backoff(self.delivery.retry_backoff_ms, attempt + 1);
        self.trial = Some(Trial { interval, attempt, not_before: Instant::now() + wait });
        self.standing(Standing::Retrying { attempt, reason: self.shown(&reason).to_owned() }, true);
        Ok(())
    }

    fn dead_letters(
        &self,
        commit: &Commit,
        batch: &Records,
        reasons: &BTreeMap<usize, String>,
        version: &Version,
    ) -> Result<Frame, WriteError> {
        let application = self.shared.store.application();
        let story = Story {
            function: &self.note.function,
            version: &version.digest,
            topic: &self.note.source,
            partition: self.note.partition,
            attempts: commit.attempt,
            now_ms: commit.at_ms,
        };
        let topic = version.function.dead_letter_topic(&application.name);
        Frame::encode(topic.into(), 0, letters(batch, reasons, &story)).map_err(held::unencodable)
    }

    /// Begins to commit a batch and stands behind it, as if that were done.
    fn commit(&mut self, commit: Commit, effects: Effects, dead_letters: usize) {
        let (records, micros) = (commit.records as usize, commit.micros);
        let first = self.position;
        self.position = commit.interval.map_or(first, |i| i.next);
        self.ahead_from += records;
        let trial = self.trial.take();
        let stand = Stand { first, next: self.position, trial, records, dead_letters, micros };
        self.commits.begin(&self.shared, commit, effects, stand);
    }

    /// Waits for all commits under way; stands before the first batch that failed again.
    pub(super) async fn settle(&mut self) -> Result<(), WriteError> {
        self.settle_to(0).await
    }

    async fn settle_to(&mut self, left: usize) -> Result<(), WriteError> {
        let Settled { through, failed } = self.commits.settle(left).await;
        for stand in through {
            self.shared.progress.committed();
            let busy = *self.end.borrow() > stand.next;
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
        self.ahead = Arc::default();
        self.ahead_from = 0;
        (self.position, self.trial) = (stand.first, stand.trial);
        if matches!(error, WriteError::Position { .. }) {
            // What stands in the file is what counts, however it came there.
            (self.position, self.trial) = (self.shared.store.position(&self.note).await?, None);
        }
        Err(error)
    }

    fn standing(&self, standing: Standing, busy: bool) {
        let version = self.registered.version.load();
        let position = self.commits.oldest().map_or(self.position, |stand| stand.first);
        self.shared.progress.update(&self.note, |s| {
            s.position = position;
            s.standing = standing;
            s.busy = busy;
            version.short().clone_into(&mut s.version);
        });
    }

    /// A function's own words, unless it reads what is sensitive: then they could hold it.
    fn shown<'r>(&self, reason: &'r str) -> &'r str {
        let version = self.registered.version.load();
        match version.function.reads_sensitive(self.shared.store.application()) {
            true => "hidden, because the function reads sensitive data",
            false => reason,
        }
    }

    fn log_output(&self, version: &Version, output: &str) {
        if !output.is_empty() && !version.function.reads_sensitive(self.shared.store.application()) {
            output.lines().for_each(|line| info!(function = %self.note.function, "{line}"));
        }
    }
}

/// Why each rejected record was rejected; an index beyond the batch is the function's mistake.
fn reasons(batch: &Records, rejected: Vec<Rejection>) -> Result<BTreeMap<usize, String>, String> {
    rejected
        .into_iter()
        .map(|r| match (r.at as usize) < batch.len() {
            true => Ok((r.at as usize, r.reason)),
            false => Err(format!("it rejects record {} of a batch of {}", r.at, batch.len())),
        })
        .collect()
}

/// Randomness follows from the position, so that a call can be repeated.
pub(super) fn seed(note: &Note, position: i64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(note.function.as_bytes());
    hash.update([0]);
    hash.update(note.source.as_bytes());
    hash.update(note.partition.to_le_bytes());
    hash.update(position.to_le_bytes());
    hash.finalize().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
