//! The outbox of one partition as its owner sees it: what was just committed, from memory; what was there before, or did not fit
//! into memory, from the topic.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::offsets::{commit, committed, decided, extent};
use super::reader::Reader;
use super::{Cluster, Fault, blocking};
use crate::delivery::Records;
use crate::embedded::WriteError;

/// Bytes that are kept of one partition until they are applied.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How often it is noted how far a store has come.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// What comes next in an outbox.
#[derive(Debug)]
pub enum Next {
    /// These records.
    Records(Box<Records>),
    /// Nothing, before this offset.
    Nothing(i64),
}

/// One partition of an outbox, for one store.
pub struct Tail {
    cluster: Arc<Cluster>,
    topic: Arc<str>,
    partition: u32,
    newest: Mutex<Newest>,
    /// Reads what is not in memory.
    reader: Mutex<Option<(i64, Reader)>>,
    /// The group whose positions say how far the store has come.
    group: String,
    /// What was said of that last, and when.
    said: Mutex<(i64, Option<Instant>)>,
}

#[derive(Default)]
struct Newest {
    runs: VecDeque<Records>,
    bytes: usize,
    /// What stands before is not in memory; `None` once everything from the position on is.
    missing: Option<i64>,
    /// Behind the last record that is known of.
    next: i64,
}

impl Tail {
    /// The outbox's partition, of which everything before `next` is in the topic alone.
    pub(super) fn new(cluster: Arc<Cluster>, topic: Arc<str>, partition: u32, group: String, next: i64) -> Self {
        let newest = Mutex::new(Newest { missing: Some(next), next, ..Newest::default() });
        Tail { cluster, topic, partition, newest, reader: Mutex::default(), group, said: Mutex::default() }
    }

    /// How far the store has come, as was said last.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn position(self: &Arc<Self>) -> Result<i64, WriteError> {
        let tail = Arc::clone(self);
        let asked = blocking(move || {
            let known = committed(&tail.cluster, &tail.group, &tail.topic, tail.partition)?.map(|stands| stands.next);
            known.map_or_else(|| Ok(extent(&tail.cluster, &tail.topic, tail.partition, false)?.first), Ok)
        });
        Ok(asked.await?)
    }

    /// Notes that the store has what stands before `next`: now and then, as what is not noted is applied again to the same effect.
    pub async fn applied(self: &Arc<Self>, next: i64) {
        let is_due = {
            let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            said.1.is_none_or(|at| at.elapsed() >= SAY_EVERY)
        };
        if is_due {
            self.say(next).await;
        }
    }

    /// How far it is noted that the store has come.
    pub(super) fn said(&self) -> i64 {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// As [`Tail::applied`], at once.
    pub async fn say(self: &Arc<Self>, next: i64) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = (next, Some(Instant::now()));
        let tail = Arc::clone(self);
        let said = blocking(move || commit(&tail.cluster, &tail.group, &tail.topic, tail.partition, next));
        if let Err(error) = said.await {
            tracing::debug!(%error, topic = %self.topic, partition = self.partition, "not noted; it is applied again");
        }
    }

    /// Takes records that were just committed.
    pub(super) fn push(&self, records: &Records) {
        let Some(last) = records.offsets.last() else { return };
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.next = last + 1;
        newest.bytes += records.bytes();
        if newest.bytes > MOST_BYTES {
            // All of it is in the topic.
            *newest = Newest { missing: Some(last + 1), next: last + 1, ..Newest::default() };
            return;
        }
        newest.runs.push_back(records.clone());
    }

    /// Behind the last record.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).next
    }

    /// What comes at `from` or later, about `max_bytes` of it.
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub async fn next(self: &Arc<Self>, from: i64, max_bytes: usize) -> Result<Next, WriteError> {
        if let Some(next) = self.newest(from, max_bytes) {
            return Ok(next);
        }
        let tail = Arc::clone(self);
        Ok(blocking(move || tail.read(from, max_bytes)).await?)
    }

    /// From memory, if it is there.
    fn newest(&self, from: i64, max_bytes: usize) -> Option<Next> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.missing.is_some_and(|missing| from < missing) {
            return None;
        }
        newest.missing = None;
        while newest.runs.front().is_some_and(|run| run.offsets.last().is_none_or(|last| *last < from)) {
            let gone = newest.runs.pop_front().map_or(0, |run| run.bytes());
            newest.bytes -= gone;
        }
        let mut runs = newest.runs.iter();
        let Some(first) = runs.next() else { return Some(Next::Nothing(newest.next)) };
        let mut records = first.slice(first.index_of(from), first.len());
        runs.take_while(|run| {
            let fits = records.bytes() + run.bytes() <= max_bytes;
            if fits {
                records.append(run);
            }
            fits
        })
        .for_each(drop);
        Some(Next::Records(Box::new(records)))
    }

    /// From the topic. Blocks.
    fn read(&self, from: i64, max_bytes: usize) -> Result<Next, Fault> {
        let missing = self.newest.lock().unwrap_or_else(PoisonError::into_inner).missing.unwrap_or(from);
        let kept = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((_, reader)) = kept.filter(|(at, _)| *at == from)
            && let Some(records) = self.read_by(reader, from, missing, max_bytes)?
        {
            return Ok(Next::Records(Box::new(records)));
        }
        // A commit is answered before its records can be read: an end that is seen before proves nothing.
        decided(&self.cluster, &self.topic, self.partition)?;
        let reader = Reader::start(&self.cluster, &self.topic, self.partition, from)?;
        Ok(match self.read_by(reader, from, missing, max_bytes)? {
            Some(records) => Next::Records(Box::new(records)),
            None => Next::Nothing(missing),
        })
    }

    /// Records from `from` to `missing`; the reader is kept for those that follow.
    fn read_by(&self, mut reader: Reader, from: i64, missing: i64, max_bytes: usize) -> Result<Option<Records>, Fault> {
        // What is in memory, too, is taken from there.
        let found = reader.next(max_bytes)?.map(|r| r.slice(r.index_of(from), r.index_of(missing)));
        let found = found.filter(|records| !records.is_empty());
        if let Some(next) = found.as_ref().and_then(|r| r.offsets.last()).map(|last| last + 1) {
            *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some((next, reader));
        }
        Ok(found)
    }
}
