//! A schedule as one function has it: runs that are due, one at a time, each a transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Shared;
use super::fresh::Fresh;
use super::log::Log;
use super::pending::{Commits, MOST_UNDER_WAY, Settled};
use super::progress::Standing;
use super::worker::Step;
use crate::bindings::{CallContext, WireNext, WireTick};
use crate::clock::now_ms;
use crate::delivery::failure::hidden;
use crate::delivery::{Cause, Effects, Interval, Trial, retry};
use crate::embedded::{Attempt, Commit, Note, WriteError};
use crate::manifest::{Delivery, Trigger};
use crate::registry::Version;
use crate::registry::call::{Called, Outcome};
use crate::registry::deliver::seed;
use crate::triggers::schedule::{Due, LONGEST_AGAIN_MS, Schedule};

/// How long a publisher sleeps before it looks whether its reader has come closer.
pub(super) const PACING: Duration = Duration::from_millis(100);

/// One schedule under one function.
pub(super) struct ScheduleSource {
    shared: Arc<Shared>,
    log: Log,
    version: Arc<Version>,
    delivery: Delivery,
    note: Note,
    cron: String,
    schedule: Schedule,
    stands: Stands,
    not_before: Instant,
    /// How often in a row it waited for what it imports.
    waits: u32,
    commits: Commits<(Stands, u64)>,
    fresh: Fresh,
}

/// How far the schedule has come.
#[derive(Clone, Copy)]
struct Stands {
    /// When it is due next, and whether the function asked for that itself.
    stored: Option<(i64, bool)>,
    runs: i64,
    attempt: u32,
    due: Option<Due>,
    /// Times up to this one passed while a run was under way, and wait. Who starts anew takes them for missed.
    queued_ms: i64,
    /// When the first try of the run that is due began.
    began_ms: Option<i64>,
    /// Whether somebody called for the run that is due: its schedule goes on as if it had not been.
    is_called: bool,
}

impl Stands {
    fn at(stored: Option<(i64, bool)>, runs: i64, attempt: u32) -> Self {
        Stands { stored, runs, attempt, due: None, queued_ms: i64::MIN, began_ms: None, is_called: false }
    }
}

impl ScheduleSource {
    pub(super) async fn new(
        shared: Arc<Shared>,
        version: &Arc<Version>,
        trigger: &Trigger,
        cron: &str,
        log: Log,
    ) -> anyhow::Result<Self> {
        let note =
            Note { function: version.function.name.as_str().into(), source: trigger.id.as_str().into(), partition: 0 };
        let runs = shared.store.position(&note).await?;
        let stored = shared.store.schedule(&note).await?;
        let attempt = shared.store.attempt(&note).await?.filter(|a| a.trial.range.first == runs);
        let attempt = attempt.map_or(0, |a| a.trial.attempts);
        let source = ScheduleSource {
            schedule: Schedule::parse(cron)?.timed(trigger.timing, &trigger.id),
            cron: cron.to_owned(),
            delivery: trigger.delivery.clone(),
            shared,
            log,
            version: Arc::clone(version),
            note,
            stands: Stands::at(stored, runs, attempt),
            not_before: Instant::now(),
            waits: 0,
            commits: Commits::default(),
            fresh: Fresh::default(),
        };
        source.standing(Standing::Idle, true);
        Ok(source)
    }

    /// Goes by what the trigger says from the next run on.
    ///
    /// # Errors
    /// When its cron expression cannot be parsed.
    pub(super) fn renew(&mut self, version: &Arc<Version>, trigger: &Trigger, cron: &str) -> anyhow::Result<()> {
        self.fresh.takes_over(&self.version, version, self.stands.attempt > 0);
        self.version = Arc::clone(version);
        self.delivery = trigger.delivery.clone();
        self.not_before = Instant::now();
        self.schedule = Schedule::parse(cron)?.timed(trigger.timing, &trigger.id);
        if cron != self.cron {
            cron.clone_into(&mut self.cron);
            // A time that the function asked for stays; one by the other expression is none of this one's.
            if let Some((_, false)) = self.stands.stored {
                self.stands.stored = self.schedule.next_after(now_ms()).map(|due_ms| (due_ms, false));
                if !self.stands.is_called {
                    self.stands.due = None;
                }
            }
        }
        self.standing(Standing::Idle, true);
        Ok(())
    }

    /// Who reads, and what.
    pub(super) fn note(&self) -> &Note {
        &self.note
    }

    /// Notes trouble with the data file.
    pub(super) fn trouble(&mut self, error: &WriteError) {
        warn!(function = %self.note.function, schedule = %self.note.source, %error, "waiting");
        self.standing(Standing::Waiting { reason: error.to_string() }, true);
    }

    /// Runs the function once, if it is due.
    pub(super) async fn step(&mut self, stop: &CancellationToken) -> Result<Step, WriteError> {
        let wait = self.not_before.saturating_duration_since(Instant::now());
        if !wait.is_zero() || stop.is_cancelled() {
            self.settle().await?;
            return Ok(Step::Idle(wait));
        }
        if let Some(reason) = self.shared.pauses.reason(&self.note.function) {
            self.settle().await?;
            self.standing(Standing::Stopped { reason }, true);
            return Ok(Step::Idle(Duration::MAX));
        }
        if let Some(wait) = self.fresh.waits() {
            return Ok(Step::Idle(wait));
        }
        let now = now_ms();
        self.doubt(now);
        if self.stands.due.is_none() && self.shared.take_call(&self.note.function) {
            (self.stands.due, self.stands.is_called) = (Some(Due { due_ms: now, missed: 0 }), true);
        }
        let Some(due) = self.stands.due.or_else(|| self.schedule.due(self.stands.stored, self.stands.queued_ms, now))
        else {
            self.settle().await?;
            let stored = self.stands.stored.unwrap_or((now, false));
            self.standing(Standing::Idle, stored.1);
            let wait = self.schedule.begins(stored).saturating_sub(now);
            return Ok(Step::Idle(Duration::from_millis(u64::try_from(wait).unwrap_or_default())));
        };
        if let Some(reader) = paced_by(&self.shared, &self.version) {
            self.settle().await?;
            self.standing(Standing::Paced { reader }, true);
            return Ok(Step::Idle(PACING));
        }
        self.stands.due = Some(due);
        self.run(due).await?;
        Ok(Step::Worked)
    }

    /// Lets go of a time that only a clock that was ahead can have stored.
    fn doubt(&mut self, now: i64) {
        let believed = self.schedule.believed(self.stands.stored, self.stands.queued_ms, now);
        if self.stands.stored.is_some_and(|(due_ms, _)| due_ms <= now) {
            // Times that were missed may be left out.
            self.stands.stored = believed;
        } else if believed != self.stands.stored {
            let (stored_ms, due_ms) = (self.stands.stored.map(|(ms, _)| ms), believed.map(|(ms, _)| ms));
            warn!(function = %self.note.function, schedule = %self.note.source, stored_ms, due_ms,
                "the next run was further away than it can be, so the clock was ahead; it is due anew");
            self.stands.stored = believed;
        }
    }

    async fn run(&mut self, due: Due) -> Result<(), WriteError> {
        self.standing(Standing::Running, true);
        let version = Arc::clone(&self.version);
        let began_ms = *self.stands.began_ms.get_or_insert_with(now_ms);
        let attempt = self.stands.attempt + 1;
        let tick = WireTick { due_ms: due.due_ms, missed: due.missed, attempt };
        let called = self.call(&version, tick).await;
        let micros = called.took.as_micros() as u64;
        tracing::debug!(function = %self.note.function, micros, attempt, "called");
        let sensitive = version.reads_sensitive();
        if !sensitive {
            self.shared.voices.log(&self.note.function, &version, &called.output);
        }
        // When what it read was not written, the run counts for nothing.
        let succeeded = matches!(called.outcome, Outcome::Done { .. });
        self.settle_to(if succeeded { MOST_UNDER_WAY - 1 } else { 0 }).await?;
        self.standing(Standing::Running, true);
        match called.outcome {
            Outcome::Done { effects, answer, .. } => {
                self.accept(effects, answer, (attempt, micros, began_ms), due, &version);
                Ok(())
            }
            Outcome::Failed { failure, unavailable } => {
                if unavailable.is_none() && self.does_worse(tick).await? {
                    return Ok(());
                }
                let told = if sensitive { hidden(failure.cause.code()) } else { failure.to_string() };
                self.failed(attempt, failure.cause, told, unavailable).await
            }
        }
    }

    async fn call(&self, version: &Version, tick: WireTick) -> Called<WireNext> {
        let context = version.context(&self.shared.store, self.note.partition);
        let context = CallContext { before: self.commits.effects(), ..context };
        version.run(context, tick, seed(&self.note, self.stands.runs)).await
    }

    /// Whether the version before succeeds with a run with which the new one fails; then it is asked for, and the run waits for it.
    async fn does_worse(&mut self, tick: WireTick) -> Result<bool, WriteError> {
        let Some(before) = self.fresh.before(&self.delivery) else { return Ok(false) };
        self.settle().await?;
        let called = self.call(&before, WireTick { attempt: 1, ..tick }).await;
        if !matches!(called.outcome, Outcome::Done { .. }) {
            return Ok(false);
        }
        let reason = format!("its run fails, and version {} succeeds with it", before.short());
        self.fresh.ask(&self.shared, &self.note, (&self.version, &before), &reason);
        self.standing(Standing::Waiting { reason }, true);
        Ok(true)
    }

    /// Begins to commit a run and stands behind it, as if that were done.
    fn accept(
        &mut self,
        effects: Effects,
        answer: WireNext,
        (attempt, micros, began_ms): (u32, u64, i64),
        due: Due,
        version: &Version,
    ) {
        let now = now_ms();
        let Stands { stored, queued_ms, is_called, .. } = self.stands;
        let asked = stored.is_some_and(|(_, again)| again);
        let mut queued = queued_ms;
        let next = match (answer, stored) {
            (WireNext::Again(ms), _) => (now + i64::from(ms).min(LONGEST_AGAIN_MS), true),
            // What passed while a function called itself again and again belongs to that run.
            (WireNext::Done, Some(stored)) if is_called => {
                queued = self.schedule.queued(now);
                stored
            }
            (WireNext::Done, _) if asked => (self.schedule.next_after(now).unwrap_or(i64::MAX), false),
            (WireNext::Done, _) => {
                let (next, until) = self.schedule.after(due, queued_ms, began_ms, now);
                queued = until;
                (next, false)
            }
        };
        let runs = self.stands.runs;
        let commit = Commit {
            note: self.note.clone(),
            interval: Some(Interval { first: runs, next: runs + 1 }),
            records: 1,
            version: Arc::clone(&version.digest),
            application: Some(Arc::clone(&version.application)),
            attempt,
            micros,
            at_ms: now,
            schedule: Some(next),
            trial: (attempt > 1).then_some(None),
            ..Commit::default()
        };
        self.fresh.proven();
        self.commits.begin(&self.log, commit, effects, (self.stands, micros));
        self.stands = Stands { queued_ms: queued, ..Stands::at(Some(next), runs + 1, 0) };
        self.waits = 0;
    }

    /// Waits for all commits under way; stands before the first run that failed again.
    pub(super) async fn settle(&mut self) -> Result<(), WriteError> {
        if self.commits.oldest().is_none() {
            return Ok(());
        }
        self.settle_to(0).await?;
        self.standing(Standing::Idle, self.stands.stored.is_some_and(|(_, again)| again));
        Ok(())
    }

    async fn settle_to(&mut self, left: usize) -> Result<(), WriteError> {
        let Settled { through, failed } = self.commits.settle(left).await;
        for (_, micros) in through {
            self.shared.progress.committed();
            self.shared.progress.update(&self.note, |s| {
                s.commits += 1;
                s.call_micros += micros;
            });
        }
        let Some(((before, _), error)) = failed else { return Ok(()) };
        self.stands = before;
        if matches!(error, WriteError::Position { .. }) {
            // What stands in the file is what counts, however it came there.
            let (runs, stored) =
                (self.shared.store.position(&self.note).await?, self.shared.store.schedule(&self.note).await?);
            self.stands = Stands::at(stored, runs, 0);
        }
        Err(error)
    }

    /// A failed run is tried again for ever, ever more slowly: it has no records that could be put aside.
    async fn failed(
        &mut self,
        attempt: u32,
        cause: Cause,
        reason: String,
        unavailable: Option<String>,
    ) -> Result<(), WriteError> {
        warn!(function = %self.note.function, schedule = %self.note.source, attempt, reason, "the run failed");
        let tries = attempt.saturating_add(self.waits).saturating_add(1);
        self.not_before = Instant::now() + retry::backoff(self.delivery.retry_backoff_ms.max(100), tries);
        if let Some(what) = unavailable {
            self.waits = self.waits.saturating_add(1);
            self.standing(Standing::Waiting { reason: what }, true);
            return Ok(());
        }
        self.stands.attempt = attempt;
        let interval = Interval { first: self.stands.runs, next: self.stands.runs + 1 };
        let now = now_ms();
        let trial = Trial { attempts: attempt, deliveries: attempt, ..Trial::of(interval) };
        let kept = Attempt {
            note: self.note.clone(),
            trial,
            code: cause.code().to_owned(),
            reason: reason.clone(),
            at_ms: now,
        };
        self.log.keep_attempt(kept).await?;
        self.standing(Standing::Retrying { attempt, reason }, true);
        Ok(())
    }

    fn standing(&self, standing: Standing, busy: bool) {
        let stands = self.commits.oldest().map_or(&self.stands, |(before, _)| before);
        // A time that the function chose itself could say what it read.
        let is_sensitive = self.version.reads_sensitive();
        self.shared.progress.update(&self.note, |s| {
            s.scheduled = true;
            s.position = stands.runs;
            let stored = stands.stored.filter(|(_, again)| !(*again && is_sensitive));
            s.due_ms = stored.map(|stored| self.schedule.begins(stored));
            s.standing = standing;
            s.busy = busy;
            self.version.short().clone_into(&mut s.version);
        });
    }
}

/// The reader for which a publisher has to wait, by the bound that a topic declares. Nobody waits for a reader that waits for
/// it.
pub(super) fn paced_by(shared: &Shared, version: &Version) -> Option<String> {
    let application = shared.store.application();
    let bounds = version.function.grants.publish.iter().filter_map(|t| application.topics.get(t));
    let outbox = version.function.outbox_topic(&application.name);
    if let Some(store) = shared.progress.laggard(&outbox, super::outbox::MOST_AHEAD, |_| true) {
        return Some(store);
    }
    let counts = |reader: &str| !application.leads_to(reader, &version.function.name);
    bounds
        .filter_map(|t| Some((t, t.max_lag_records?)))
        .find_map(|(t, most)| shared.progress.laggard(&t.name, most, counts))
}
