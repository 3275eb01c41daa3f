//! A schedule as one function has it: runs that are due, one at a time, each a transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::progress::Standing;
use super::topic::{seed, unencodable};
use super::worker::Step;
use super::{Shared, held};
use crate::bindings::{CallContext, WireNext, WireTick};
use crate::clock::now_ms;
use crate::delivery::{Effects, retry};
use crate::embedded::{Attempt, Commit, Interval, Note, WriteError};
use crate::manifest::{Delivery, Trigger};
use crate::registry::call::Outcome;
use crate::registry::{Registered, Version};
use crate::triggers::schedule::{Due, Schedule};

/// How long a publisher sleeps before it looks whether its reader has come closer.
const PACING: Duration = Duration::from_millis(100);
/// The longest wait that a function may ask for with `again`.
const LONGEST_AGAIN_MS: i64 = 24 * 60 * 60 * 1000;

/// One schedule under one function.
pub(super) struct ScheduleSource {
    shared: Arc<Shared>,
    registered: Arc<Registered>,
    context: CallContext,
    delivery: Delivery,
    note: Note,
    schedule: Schedule,
    stored: Option<(i64, bool)>,
    runs: i64,
    attempt: u32,
    due: Option<Due>,
    not_before: Instant,
}

impl ScheduleSource {
    pub(super) async fn new(
        shared: Arc<Shared>,
        registered: Arc<Registered>,
        trigger: &Trigger,
        cron: &str,
        context: CallContext,
    ) -> anyhow::Result<Self> {
        let note = Note { function: Arc::clone(&registered.name), source: trigger.id.as_str().into(), partition: 0 };
        let runs = shared.store.position(&note).await?;
        let stored = shared.store.schedule(&note).await?;
        let attempt = shared.store.attempt(&note).await?.filter(|a| a.interval.first == runs).map_or(0, |a| a.attempt);
        let source = ScheduleSource {
            schedule: Schedule::parse(cron)?,
            delivery: trigger.delivery.clone(),
            shared,
            registered,
            context,
            note,
            stored,
            runs,
            attempt,
            due: None,
            not_before: Instant::now(),
        };
        source.standing(Standing::Idle, true);
        Ok(source)
    }

    /// Notes trouble with the data file; gives the wait.
    pub(super) fn trouble(&mut self, error: &WriteError, wait: Duration) -> Duration {
        warn!(function = %self.note.function, schedule = %self.note.source, %error, "waiting");
        self.standing(Standing::Waiting { reason: error.to_string() }, true);
        wait
    }

    /// Runs the function once, if it is due.
    pub(super) async fn step(&mut self, stop: &CancellationToken) -> Result<Step, WriteError> {
        let wait = self.not_before.saturating_duration_since(Instant::now());
        if !wait.is_zero() || stop.is_cancelled() {
            return Ok(Step::Idle(wait));
        }
        let now = now_ms();
        let Some(due) = self.due.or_else(|| self.schedule.due(self.stored, now)) else {
            let (due_ms, again) = self.stored.unwrap_or((now, false));
            self.standing(Standing::Idle, again);
            return Ok(Step::Idle(Duration::from_millis(u64::try_from(due_ms - now).unwrap_or_default())));
        };
        if let Some(reader) = paced_by(&self.shared, &self.registered) {
            self.standing(Standing::Paced { reader }, true);
            return Ok(Step::Idle(PACING));
        }
        self.due = Some(due);
        self.run(due).await?;
        Ok(Step::Worked)
    }

    async fn run(&mut self, due: Due) -> Result<(), WriteError> {
        self.standing(Standing::Running, true);
        let version = self.registered.version.load_full();
        let started = Instant::now();
        let attempt = self.attempt + 1;
        let tick = WireTick { due_ms: due.due_ms, missed: due.missed, attempt };
        let called = version.run(self.context.clone(), tick, seed(&self.note, self.runs)).await;
        let micros = started.elapsed().as_micros() as u64;
        tracing::debug!(function = %self.note.function, micros, attempt, "called");
        let sensitive = version.function.reads_sensitive(self.shared.store.application());
        if !sensitive {
            called.output.lines().for_each(|line| info!(function = %self.note.function, "{line}"));
        }
        match called.outcome {
            Outcome::Done { effects, answer, .. } => self.accept(effects, answer, attempt, micros, &version).await,
            Outcome::Failed { reason, unavailable } => {
                let reason =
                    if sensitive { "hidden, because the function reads sensitive data".to_owned() } else { reason };
                self.failed(attempt, reason, unavailable).await
            }
        }
    }

    async fn accept(
        &mut self,
        effects: Effects,
        answer: WireNext,
        attempt: u32,
        micros: u64,
        version: &Version,
    ) -> Result<(), WriteError> {
        let now = now_ms();
        let next = match answer {
            WireNext::Again(ms) => (now + i64::from(ms).min(LONGEST_AGAIN_MS), true),
            WireNext::Done => (self.schedule.next_after(now).unwrap_or(i64::MAX), false),
        };
        let mut commit = Commit {
            note: self.note.clone(),
            interval: Some(Interval { first: self.runs, next: self.runs + 1 }),
            records: 1,
            version: Arc::clone(&version.digest),
            attempt,
            micros,
            at_ms: now,
            schedule: Some(next),
            ..Commit::default()
        };
        held::fill(&mut commit, effects, self.shared.store.ends()).map_err(unencodable)?;
        self.shared.store.commit(commit).await?;
        self.shared.progress.committed();
        self.runs += 1;
        self.stored = Some(next);
        self.due = None;
        self.attempt = 0;
        self.shared.progress.update(&self.note, |s| {
            s.commits += 1;
            s.call_micros += micros;
        });
        self.standing(Standing::Idle, next.1);
        Ok(())
    }

    /// A failed run is tried again for ever, ever more slowly: it has no records that could be put aside.
    async fn failed(&mut self, attempt: u32, reason: String, unavailable: Option<String>) -> Result<(), WriteError> {
        warn!(function = %self.note.function, schedule = %self.note.source, attempt, reason, "the run failed");
        self.not_before = Instant::now() + retry::backoff(self.delivery.retry_backoff_ms.max(100), attempt + 1);
        if let Some(what) = unavailable {
            self.standing(Standing::Waiting { reason: what }, true);
            return Ok(());
        }
        self.attempt = attempt;
        let interval = Interval { first: self.runs, next: self.runs + 1 };
        let kept = Attempt { note: self.note.clone(), interval, attempt, reason: reason.clone(), at_ms: now_ms() };
        self.shared.store.keep_attempt(kept).await?;
        self.standing(Standing::Retrying { attempt, reason }, true);
        Ok(())
    }

    fn standing(&self, standing: Standing, busy: bool) {
        let version = self.registered.version.load();
        self.shared.progress.update(&self.note, |s| {
            s.scheduled = true;
            s.position = self.runs;
            s.due_ms = self.stored.map(|(due, _)| due);
            s.standing = standing;
            s.busy = busy;
            version.short().clone_into(&mut s.version);
        });
    }
}

/// The reader for which a publisher has to wait, by the bound that a topic declares.
pub(super) fn paced_by(shared: &Shared, registered: &Registered) -> Option<String> {
    let version = registered.version.load();
    let topics = &shared.store.application().topics;
    let bounds = version.function.grants.publish.iter().filter_map(|t| topics.get(t));
    bounds.filter_map(|t| Some((t, t.max_lag_records?))).find_map(|(t, most)| shared.progress.laggard(&t.name, most))
}
