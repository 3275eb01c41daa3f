//! A topic's partition as one function reads it: batches cut, called, committed; failing ones tried again and in the
//! end put aside.

mod again;
mod deliver;
mod fresh;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Shared;
use super::fresh::Fresh;
use super::log::Log;
use super::pending::Commits;
use super::progress::Standing;
use super::schedule::{PACING, paced_by};
use super::worker::Step;
use crate::delivery::failure::hidden;
use crate::delivery::{Failure, Records, Trial};
use crate::embedded::{Note, WriteError};
use crate::manifest::{Delivery, Trigger};
use crate::registry::Version;
use again::Again;
use deliver::{PACING_WAITS, Stand};

/// Bytes of records that are read ahead of the function.
const READ_AHEAD_BYTES: usize = 4 * 1024 * 1024;

/// One topic's partition under one function.
pub(super) struct TopicSource {
    shared: Arc<Shared>,
    log: Log,
    version: Arc<Version>,
    delivery: Delivery,
    note: Note,
    end: watch::Receiver<i64>,
    position: i64,
    ahead: Arc<Records>,
    ahead_from: usize,
    trial: Option<Trial>,
    /// Nothing is delivered before.
    not_before: Instant,
    letters: Arc<str>,
    first_seen: Option<Instant>,
    /// The last trouble with the data file.
    troubled: Option<String>,
    /// How often in a row it waited for what it imports.
    waits: u32,
    reread: bool,
    /// Where reading again was interrupted.
    again: Option<Again>,
    commits: Commits<Stand>,
    fresh: Fresh,
}

impl TopicSource {
    pub(super) async fn new(
        shared: Arc<Shared>,
        version: &Arc<Version>,
        trigger: &Trigger,
        topic: &str,
        (partition, log): (u32, Log),
    ) -> anyhow::Result<Self> {
        let note = Note { function: version.function.name.as_str().into(), source: topic.into(), partition };
        let position = shared.store.position(&note).await?;
        let kept = shared.store.attempt(&note).await?.filter(|a| a.trial.range.first == position);
        let end = shared.store.ends().watch(topic, note.partition);
        let source = TopicSource {
            end: end.ok_or_else(|| anyhow::anyhow!("topic `{topic}` has no partition {}", note.partition))?,
            trial: kept.map(|a| a.trial),
            not_before: Instant::now(),
            letters: letters_of(version, trigger),
            delivery: trigger.delivery.clone(),
            shared,
            log,
            version: Arc::clone(version),
            note,
            position,
            ahead: Arc::default(),
            ahead_from: 0,
            first_seen: None,
            troubled: None,
            waits: 0,
            reread: true,
            again: None,
            commits: Commits::default(),
            fresh: Fresh::default(),
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

    /// Goes by what `version` says of the trigger from the next batch on.
    pub(super) fn renew(&mut self, version: &Arc<Version>, trigger: &Trigger) {
        self.fresh.takes_over(&self.version, version, self.trial.is_some());
        if version.digest != self.version.digest {
            // Another version may be the remedy: it gets all the deliveries that there are.
            self.trial = self.trial.map(Trial::anew);
            self.waits = 0;
        }
        self.version = Arc::clone(version);
        self.delivery = trigger.delivery.clone();
        self.letters = letters_of(version, trigger);
        // What was waited for may be another thing now.
        self.not_before = Instant::now();
    }

    /// Who reads, and what.
    pub(super) fn note(&self) -> &Note {
        &self.note
    }

    /// Notes trouble with the data file.
    pub(super) fn trouble(&mut self, error: &WriteError) {
        let reason = error.to_string();
        // It is tried twice a second: said once, it is said.
        if self.troubled.replace(reason.clone()) != Some(reason) {
            warn!(function = %self.note.function, topic = %self.note.source, partition = self.note.partition, %error, "waiting");
        }
        self.standing(Standing::Waiting { reason: error.to_string() }, true);
    }

    /// Handles one batch, if there is one.
    pub(super) async fn step(&mut self, stop: &CancellationToken) -> Result<Step, WriteError> {
        if let Some(reason) = self.shared.pauses.reason(&self.note.function) {
            self.settle().await?;
            self.standing(Standing::Stopped { reason }, true);
            return Ok(Step::Idle(Duration::MAX));
        }
        if let Some(wait) = self.must_wait() {
            self.settle().await?;
            return Ok(Step::Idle(wait));
        }
        if self.reread {
            self.settle().await?;
            self.read_again(stop).await?;
            return Ok(Step::Worked);
        }
        let Some(batch) = self.next_batch().await? else {
            return self.run_out().await;
        };
        if let Some(wait) = self.waits_for_more(&batch) {
            self.settle().await?;
            return Ok(Step::Idle(wait));
        }
        self.deliver(batch).await?;
        Ok(Step::Worked)
    }

    /// There is nothing to deliver: waits for commits, unless records come before.
    async fn run_out(&mut self) -> Result<Step, WriteError> {
        let under_way = self.commits.len();
        if under_way == 0 {
            self.standing(Standing::Idle, !self.log.seen_end());
            return Ok(Step::Idle(Duration::MAX));
        }
        tokio::select! {
            grown = self.end.changed() => {
                if grown.is_err() {
                    self.settle().await?;
                }
            }
            () = self.commits.oldest_ended() => self.settle_to(under_way - 1).await?,
        }
        Ok(Step::Worked)
    }

    fn must_wait(&mut self) -> Option<Duration> {
        if let Some(wait) = self.fresh.waits() {
            return Some(wait);
        }
        let left = self.not_before.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return Some(left);
        }
        let reader = paced_by(&self.shared, &self.version)?;
        self.standing(Standing::Paced { reader }, true);
        Some(PACING)
    }

    /// The records under trial, or the next ones.
    async fn next_batch(&mut self) -> Result<Option<Arc<Records>>, WriteError> {
        if *self.end.borrow() <= self.position {
            self.ahead = Arc::default();
            self.ahead_from = 0;
            self.log.release(self.position);
            return Ok(None);
        }
        if self.ahead_from >= self.ahead.len() {
            self.log.release(self.position);
            self.ahead = self.log.read(&self.note, self.position, READ_AHEAD_BYTES).await?;
            self.ahead_from = self.ahead.index_of(self.position);
        }
        let from = self.ahead_from;
        let most = (self.delivery.batch_max_records as usize, self.delivery.batch_max_bytes as usize);
        let first = self.ahead.offsets.get(from).copied();
        if self.trial.is_some_and(|trial| first.is_some_and(|first| first >= trial.range.next)) {
            // Its records are gone from the topic.
            self.trial = None;
        }
        let count = match &self.trial {
            Some(trial) => self.ahead.offsets.partition_point(|o| *o < trial.range.next).saturating_sub(from),
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

    fn reads_sensitive(&self) -> bool {
        self.version.reads_sensitive()
    }

    fn standing(&self, standing: Standing, busy: bool) {
        let position = self.commits.oldest().map_or(self.position, |stand| stand.first);
        let given_up = self.waits > PACING_WAITS;
        self.shared.progress.update(&self.note, |s| {
            s.position = position;
            s.standing = standing;
            s.busy = busy;
            s.given_up = given_up;
            self.version.short().clone_into(&mut s.version);
        });
    }

    /// A function's own words, unless it reads what is sensitive: then they could hold it.
    fn shown(&self, failure: &Failure) -> String {
        match self.reads_sensitive() {
            true => hidden(failure.cause.code()),
            false => failure.reason.clone(),
        }
    }
}

/// Where a trigger's dead letters go.
fn letters_of(version: &Version, trigger: &Trigger) -> Arc<str> {
    let own = || version.function.dead_letter_topic(&version.application.name);
    trigger.dead_letters.clone().unwrap_or_else(own).into()
}
