//! Where a source reads and commits: in the data folder, or in Kafka for as long as the partition is this host's.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use futures::future::Either;

use crate::delivery::Records;
use crate::embedded::{Attempt, Commit, Note, Store, WriteError};
use crate::kafka::Owned;

/// The log, as one function has it in one partition.
#[derive(Clone)]
pub(super) enum Log {
    Embedded(Arc<Store>),
    Kafka(Arc<Store>, Arc<Owned>),
}

impl Log {
    /// The data folder: the log itself, or the copies of what Kafka holds.
    pub(super) fn store(&self) -> &Arc<Store> {
        match self {
            Log::Embedded(store) | Log::Kafka(store, _) => store,
        }
    }

    /// Whether records are kept as frames.
    pub(super) fn stores_frames(&self) -> bool {
        matches!(self, Log::Embedded(_))
    }

    /// Whether it is known that what has come is all that there was.
    pub(super) fn seen_end(&self) -> bool {
        match self {
            Log::Embedded(_) => true,
            Log::Kafka(_, owned) => owned.seen_end(),
        }
    }

    /// Records from `from` on, that have come; as [`Store::read`].
    pub(super) async fn read(&self, note: &Note, from: i64, max_bytes: usize) -> Result<Arc<Records>, WriteError> {
        match self {
            Log::Embedded(store) => store.read(&note.source, note.partition, from, max_bytes).await,
            Log::Kafka(_, owned) => owned.read(from, max_bytes).await,
        }
    }

    /// Records from `from` on, that were handled before.
    pub(super) async fn read_back(&self, note: &Note, from: i64, max_bytes: usize) -> Result<Arc<Records>, WriteError> {
        match self {
            Log::Embedded(store) => store.read(&note.source, note.partition, from, max_bytes).await,
            Log::Kafka(_, owned) => owned.read_back(from, max_bytes).await,
        }
    }

    /// Says that what stands before `next` was taken.
    pub(super) fn release(&self, next: i64) {
        if let Log::Kafka(_, owned) = self {
            owned.release(next);
        }
    }

    /// Puts a commit into the queue, which keeps its order; gives what its result comes by.
    pub(super) async fn queue_commit(
        &self,
        commit: Commit,
    ) -> Result<impl Future<Output = Result<(), WriteError>> + use<>, WriteError> {
        match self {
            Log::Embedded(store) => store.queue_commit(commit).await.map(Either::Left),
            Log::Kafka(_, owned) => owned.queue_commit(commit).await.map(Either::Right),
        }
    }

    /// Keeps a failed delivery, in a transaction of its own.
    pub(super) async fn keep_attempt(&self, attempt: Attempt) -> Result<(), WriteError> {
        match self {
            Log::Embedded(store) => store.keep_attempt(attempt).await,
            Log::Kafka(_, owned) => owned.keep_attempt(attempt).await,
        }
    }

    /// Whether a table that the function reads was loaded and its input not read again yet; if so, what to hand to
    /// [`Log::reread_done`].
    pub(super) async fn wants_reread(&self, note: &Note) -> Result<Option<u64>, WriteError> {
        match self {
            Log::Embedded(store) => store.wants_reread(note).await,
            Log::Kafka(_, owned) => Ok(Some(owned.loads()).filter(|loads| !loads.is_empty()).map(|l| number(&l))),
        }
    }

    /// Notes that the input was read again, unless a table was loaded meanwhile.
    pub(super) async fn reread_done(&self, note: Note, loads: u64) -> Result<(), WriteError> {
        match self {
            Log::Embedded(store) => store.reread_done(note, loads).await,
            Log::Kafka(_, owned) => {
                let known = owned.loads();
                if number(&known) == loads { owned.loads_done(&note, known).await } else { Ok(()) }
            }
        }
    }
}

/// Another one for other loads.
fn number(loads: &BTreeSet<Vec<u8>>) -> u64 {
    let mut hasher = DefaultHasher::new();
    loads.hash(&mut hasher);
    hasher.finish()
}
