//! Commits under way: what calls did is encoded and written, in order, while the next call of the same function and
//! partition already runs and sees it from here. A commit whose predecessor failed fails too, since the position that it
//! starts from was never reached.

use std::collections::VecDeque;
use std::mem::take;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::held;
use super::log::Log;
use crate::delivery::Effects;
use crate::embedded::shadows::made_by;
use crate::embedded::{Commit, WriteError};

/// Commits under way of one function and partition: enough that a call seldom waits, few enough to hold in memory.
pub(super) const MOST_UNDER_WAY: usize = 3;

/// The commits under way of one source, each with where to go on from when it fails.
pub(super) struct Commits<S> {
    under_way: VecDeque<(Pending, S)>,
    /// Answers when the newest one is in the writer's queue.
    queued: Option<oneshot::Receiver<()>>,
}

/// How commits ended.
pub(super) struct Settled<S> {
    /// What stood with those that are through, oldest first.
    pub(super) through: Vec<S>,
    /// What stood with the first that failed, and why; those after it failed too.
    pub(super) failed: Option<(S, WriteError)>,
}

struct Pending {
    effects: Arc<Effects>,
    task: JoinHandle<Result<(), WriteError>>,
    /// How it ended, once somebody has waited for it.
    ended: Option<Result<(), WriteError>>,
}

impl<S> Default for Commits<S> {
    fn default() -> Self {
        Commits { under_way: VecDeque::new(), queued: None }
    }
}

impl<S> Commits<S> {
    /// What the next call has to see, oldest first.
    pub(super) fn effects(&self) -> Vec<Arc<Effects>> {
        self.under_way.iter().map(|(pending, _)| Arc::clone(&pending.effects)).collect()
    }

    /// Where the oldest one started from.
    pub(super) fn oldest(&self) -> Option<&S> {
        self.under_way.front().map(|(_, stand)| stand)
    }

    /// Begins to commit what a call held, besides what is in `commit` already.
    pub(super) fn begin(&mut self, log: &Log, mut commit: Commit, mut effects: Effects, stand: S) {
        let published = take(&mut effects.published);
        let effects = Arc::new(effects);
        commit.effects = Arc::clone(&effects);
        let log = log.clone();
        let (now_queued, queued) = oneshot::channel();
        let before = self.queued.replace(queued);
        let task = tokio::spawn(async move {
            let store = log.store();
            let stores_frames = log.stores_frames();
            let frames = held::frames(published, |topic| store.ends().partitions(topic), commit.at_ms, stores_frames);
            commit.frames.extend(frames.map_err(held::unencodable)?);
            let application = commit.application.clone().unwrap_or_else(|| store.application());
            commit.frames.extend(held::outbox(&application, &commit, &commit.effects, stores_frames)?);
            if store.is_shadowed(&commit.note.function) {
                commit.made = Some(made_by(&application, &commit)?);
            }
            if let Some(before) = before {
                // One that never came so far has failed; then the position refuses this one.
                let _ = before.await;
            }
            let written = log.queue_commit(commit).await?;
            // Nobody may follow.
            let _ = now_queued.send(());
            written.await
        });
        self.under_way.push_back((Pending { effects, task, ended: None }, stand));
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Waits until the oldest one has ended, for ever where there is none; [`Commits::settle`] says how.
    pub(super) async fn oldest_ended(&mut self) {
        match self.under_way.front_mut() {
            Some((oldest, _)) => oldest.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Waits until at most `left` are under way, none after one that failed.
    pub(super) async fn settle(&mut self, left: usize) -> Settled<S> {
        let mut through = Vec::new();
        while self.under_way.len() > left {
            let Some((pending, stand)) = self.under_way.pop_front() else { break };
            if let Err(error) = pending.done().await {
                for (follower, _) in self.under_way.drain(..) {
                    // It built on what failed: that is the answer for all of them.
                    let _ = follower.done().await;
                }
                return Settled { through, failed: Some((stand, error)) };
            }
            through.push(stand);
        }
        Settled { through, failed: None }
    }
}

impl Pending {
    async fn done(mut self) -> Result<(), WriteError> {
        self.wait().await;
        self.ended.unwrap_or(Err(WriteError::Stopped))
    }

    /// Waits until it has ended; nothing is lost when nobody waits any more.
    async fn wait(&mut self) {
        if self.ended.is_none() {
            let ended = (&mut self.task).await;
            // The task is never aborted, so that only a panic of the writing ends it without an answer.
            self.ended = Some(ended.unwrap_or(Err(WriteError::File(sqlx::Error::WorkerCrashed))));
        }
    }
}
