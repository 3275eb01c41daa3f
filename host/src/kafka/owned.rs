//! A partition that this host works on, until it is another's: records to read, and the way to commit.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::feed::Feed;
use super::follow::Local;
use super::group::Member;
use super::loads::Loads;
use super::reader::Reader;
use super::tail::Tail;
use super::transaction::{Entry, Outgoing, Work};
use super::{blocking, changes};
use crate::delivery::{Interval, Records};
use crate::embedded::{Attempt, Commit, Note, WriteError};
use crate::manifest::DATA_FOLDER;

/// One partition under one assignment.
pub struct Owned {
    pub(super) member: Arc<Member>,
    pub(super) partition: u32,
    pub(super) assignment: u64,
    pub(super) is_over: Arc<AtomicBool>,
    pub(super) feed: Arc<Feed>,
    pub(super) works: mpsc::Sender<Work>,
    /// The failed delivery that was kept last.
    pub(super) kept: Mutex<Option<Attempt>>,
    /// Loads of tables that the function reads.
    pub(super) loads: Mutex<Loads>,
    /// What of the outbox was let go.
    pub(super) trimmed: AtomicI64,
}

impl Owned {
    /// The partition.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// Whether everything that was there when the partition was assigned has been read.
    #[must_use]
    pub fn seen_end(&self) -> bool {
        self.member.is_scheduled || self.feed.seen_end()
    }

    /// Records at `from` and later that have come, if there are any; about `max_bytes` where they have to be read again, since
    /// their commit failed.
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub async fn read(&self, from: i64, max_bytes: usize) -> Result<Arc<Records>, WriteError> {
        match self.feed.is_gone(from) {
            true => self.read_back(from, max_bytes).await,
            false => Ok(self.feed.read(from).unwrap_or_default()),
        }
    }

    /// Lets go of records before `next`: they were taken.
    pub fn release(&self, next: i64) {
        self.feed.release(next);
    }

    /// Records that were read before, from `from` on, up to about `max_bytes`.
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub async fn read_back(&self, from: i64, max_bytes: usize) -> Result<Arc<Records>, WriteError> {
        let (member, partition) = (Arc::clone(&self.member), self.partition);
        let read = blocking(move || Reader::start(&member.cluster, &member.input, partition, from)?.next(max_bytes));
        Ok(Arc::new(read.await?.unwrap_or_default()))
    }

    /// The outbox's end here, for each store that the function writes to.
    #[must_use]
    pub fn tails(&self) -> Vec<(Arc<str>, Arc<Tail>)> {
        self.member.connections.iter().cloned().zip(self.member.tails(self.partition)).collect()
    }

    /// Lets go of what all stores have of the outbox. What goes to the data folder stays: another folder has it from there.
    ///
    /// # Errors
    /// When the broker does not do it; it is tried again the next time.
    pub async fn trim_outbox(&self) -> Result<(), WriteError> {
        let tails = self.tails();
        if tails.iter().any(|(connection, _)| connection.as_ref() == DATA_FOLDER) {
            return Ok(());
        }
        let next = tails.iter().map(|(_, tail)| tail.said()).min().unwrap_or_default();
        if next > self.trimmed.load(Ordering::SeqCst) {
            self.member.cluster.delete_before(&self.member.names.outbox, self.partition, next).await?;
            self.trimmed.store(next, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Puts a commit into the queue of the function's transactions, which keeps its order; gives what its result comes by.
    ///
    /// # Errors
    /// [`WriteError`] where it may not be committed: what the function stores is limited, and the host may be stopping.
    pub async fn queue_commit(
        &self,
        mut commit: Commit,
    ) -> Result<impl Future<Output = Result<(), WriteError>> + use<>, WriteError> {
        let frames = std::mem::take(&mut commit.frames);
        self.member.store.admit(commit.clone()).await?;
        let mut outgoing: Vec<Outgoing> = frames
            .into_iter()
            .map(|frame| Outgoing { topic: frame.topic, partition: frame.partition, records: frame.records })
            .collect();
        let names = &self.member.names;
        let state = changes::state(&commit)?;
        if !state.is_empty() {
            outgoing.push(self.own(&names.state, state));
        }
        if let Some(rest) = &commit.trial {
            let left = rest.as_ref().map(|trial| self.follows(&commit.note, *trial, commit.at_ms));
            outgoing.push(self.own(&names.attempts, changes::attempt(&commit.note, left.as_ref(), commit.at_ms)?));
        }
        outgoing.push(self.own(&names.ledger, changes::line(&commit)?));
        commit.is_decided = true;
        let (note, interval) = (commit.note.clone(), commit.interval);
        self.queue(note, interval, outgoing, Local::Commit(Box::new(commit))).await
    }

    /// Keeps a failed delivery, in a transaction of its own; positions stay.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn keep_attempt(&self, attempt: Attempt) -> Result<(), WriteError> {
        let records = changes::attempt(&attempt.note, Some(&attempt), attempt.at_ms)?;
        let outgoing = vec![self.own(&self.member.names.attempts, records)];
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(attempt.clone());
        let note = attempt.note.clone();
        self.queue(note, None, outgoing, Local::Attempt(Box::new(attempt))).await?.await
    }

    pub(super) async fn queue(
        &self,
        note: Note,
        interval: Option<Interval>,
        outgoing: Vec<Outgoing>,
        local: Local,
    ) -> Result<impl Future<Output = Result<(), WriteError>> + use<>, WriteError> {
        let (answer, answered) = oneshot::channel();
        let (assignment, is_over) = (self.assignment, Arc::clone(&self.is_over));
        let entry = Entry { note, assignment, is_over, interval, outgoing, local, answer };
        self.works.send(Work::Commit(Box::new(entry))).await.map_err(|_| WriteError::Stopped)?;
        Ok(async { answered.await.unwrap_or(Err(WriteError::Stopped)) })
    }

    pub(super) fn own(&self, topic: &Arc<str>, records: Records) -> Outgoing {
        Outgoing { topic: Arc::clone(topic), partition: self.partition, records }
    }

    /// What is left of the trial, told as the delivery that failed last.
    fn follows(&self, note: &Note, trial: crate::delivery::Trial, at_ms: i64) -> Attempt {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (code, reason) = kept.as_ref().map(|kept| (kept.code.clone(), kept.reason.clone())).unwrap_or_default();
        Attempt { note: note.clone(), trial, code, reason, at_ms }
    }
}
