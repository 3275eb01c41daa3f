//! A commit under way: what a call did is encoded and written while the next call of the same function and partition
//! already runs and reads it from here. That next call's own commit waits for this one.

use std::mem::take;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{Shared, held};
use crate::delivery::Effects;
use crate::embedded::{Commit, WriteError};

/// A commit that may or may not be through.
pub(super) struct Pending {
    effects: Arc<Effects>,
    task: JoinHandle<Result<(), WriteError>>,
}

impl Pending {
    /// Begins to commit what a call held, besides what is in `commit` already.
    pub(super) fn begin(shared: &Arc<Shared>, mut commit: Commit, mut effects: Effects) -> Self {
        let published = take(&mut effects.published);
        let effects = Arc::new(effects);
        commit.effects = Arc::clone(&effects);
        let shared = Arc::clone(shared);
        let task = tokio::spawn(async move {
            let frames = held::frames(published, shared.store.ends(), commit.at_ms).map_err(held::unencodable)?;
            commit.frames.extend(frames);
            shared.store.commit(commit).await
        });
        Pending { effects, task }
    }

    /// What the next call has to see.
    pub(super) fn effects(&self) -> Arc<Effects> {
        Arc::clone(&self.effects)
    }

    /// Waits until it is through.
    ///
    /// # Errors
    /// [`WriteError`]; nothing of it is left then.
    pub(super) async fn done(self) -> Result<(), WriteError> {
        // The task is never aborted, so that only a panic of the writing ends it without an answer.
        self.task.await.unwrap_or(Err(WriteError::File(sqlx::Error::WorkerCrashed)))
    }
}
