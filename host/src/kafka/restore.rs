//! A partition taken over: what is known of it here is brought to where the broker says that it stands.

use std::sync::{Arc, PoisonError};

use tracing::info;

use super::changes::{Line, changes, kept};
use super::group::Member;
use super::offsets::{Committed, committed, decided, extent, offset_at};
use super::owned::Owned;
use super::reader::{CHUNK_BYTES, Reader, walk};
use super::tail::Tail;
use super::topics::DELETE_RETENTION_MS;
use super::transaction::Work;
use super::{Fault, blocking};
use crate::clock::now_ms;
use crate::embedded::{Attempt, Changes, Note, WriteError};

/// Records between two words of how far restoring is.
const TELL_EVERY: usize = 200_000;

impl Owned {
    /// Brings state, failed deliveries and position of the partition here to what is committed; gives the position. `source` is
    /// what the function stands at: its topic, or the id of its schedule's trigger.
    ///
    /// # Errors
    /// When a topic cannot be read, or the data folder not written: then it can be called again.
    pub async fn restore(&self, source: &Arc<str>) -> Result<i64, WriteError> {
        let note =
            Note { function: Arc::clone(&self.member.function), source: Arc::clone(source), partition: self.partition };
        let position = self.member.blocking(self.partition, position).await?;
        self.feed.release(position);
        self.restore_state(&note).await?;
        self.look_for_loads(source).await?;
        let wanted = note.clone();
        let failed = self.member.blocking(self.partition, move |member, p| attempt(member, p, &wanted)).await?;
        let failed = failed.filter(|attempt| attempt.trial.range.first == position);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = failed.clone();
        self.member.store.take(note, position, failed).await?;
        if !self.member.connections.is_empty() {
            let end = self.member.blocking(self.partition, |m, p| decided(&m.cluster, &m.names.outbox, p)).await?.next;
            let names = &self.member.names;
            let tail = |connection: &Arc<str>| {
                let (cluster, outbox) = (Arc::clone(&self.member.cluster), Arc::clone(&names.outbox));
                Arc::new(Tail::new(cluster, outbox, self.partition, names.applied(connection), end))
            };
            self.member.set_tails(self.partition, self.member.connections.iter().map(tail).collect());
        }
        let begin = Work::Begin { partition: self.partition, assignment: self.assignment, position };
        self.works.send(begin).await.map_err(|_| WriteError::Stopped)?;
        Ok(position)
    }

    async fn restore_state(&self, note: &Note) -> Result<(), WriteError> {
        let member = &self.member;
        let known = member.store.changelog(note).await?;
        let (from, end) = member.blocking(self.partition, move |m, p| begin(m, p, known)).await?;
        let mut next = from.unwrap_or(0);
        if from.is_none() {
            member.store.restore(note.clone(), Changes::default(), 0, true).await?;
        }
        if next >= end {
            return Ok(());
        }
        let topic = Arc::clone(&member.names.state);
        let mut reader =
            member.blocking(self.partition, move |m, p| Reader::start(&m.cluster, &m.names.state, p, next)).await?;
        let (mut read, mut told) = (0, 0);
        loop {
            let (kept, chunk) = blocking(move || {
                let chunk = reader.next(CHUNK_BYTES)?;
                Ok((reader, chunk))
            })
            .await?;
            reader = kept;
            let Some(records) = chunk else { break };
            let mut found = Changes::default();
            changes(&topic, &records, &mut found)?;
            next = records.offsets.last().map_or(next, |last| last + 1);
            read += records.len();
            member.store.restore(note.clone(), found, next, false).await?;
            if read - told >= TELL_EVERY {
                told = read;
                info!(function = %member.function, partition = self.partition, records = read, next, end, "restoring state");
            }
        }
        // Behind the last record stands what ended its transaction.
        member.store.restore(note.clone(), Changes::default(), end.max(next), false).await?;
        Ok(())
    }
}

/// Where the partition stands, as the group has committed it. Blocks.
fn position(member: &Member, partition: u32) -> Result<i64, Fault> {
    match committed(&member.cluster, &member.names.group, &member.input, partition)? {
        // Who has not heard of that deploy would go on with an older version.
        Some(Committed { deploy, .. }) if (1..deploy).contains(&member.cluster.reached()) => {
            Err(Fault::Wrong(format!(
                "it was handled under deploy {deploy}, and this host has only followed deploy {}: it waits until it has that one; if it does \
                 not come, start this host anew",
                member.cluster.reached()
            )))
        }
        Some(Committed { next, .. }) => Ok(next),
        // Brokers forget groups that were away for long; the ledger does not.
        None => match ledger_end(member, partition)? {
            Some(position) => Ok(position),
            None if member.is_scheduled => Ok(0),
            None => Ok(extent(&member.cluster, &member.input, partition, false)?.first),
        },
    }
}

/// Where the last interval of the ledger ends. Blocks.
fn ledger_end(member: &Member, partition: u32) -> Result<Option<i64>, Fault> {
    let mut end = None;
    walk(&member.cluster, &member.names.ledger, partition, 0, |_, value, _| {
        let line: Option<Line> = value.and_then(|value| serde_json::from_slice(value).ok());
        end = line.and_then(|line| line.interval).map(|(_, next)| next).or(end);
        Ok(())
    })?;
    Ok(end)
}

/// From where on the changelog is to be read, `None` when what is known here is of no use; and where it ends. Blocks.
fn begin(member: &Member, partition: u32, known: Option<i64>) -> Result<(Option<i64>, i64), Fault> {
    let topic = &member.names.state;
    let end = decided(&member.cluster, topic, partition)?.next;
    let Some(known) = known else { return Ok((None, end)) };
    if known == end {
        return Ok((Some(known), end));
    }
    // Deletes of entries are gone from the topic after their time: half of it, to be safe.
    let recent = offset_at(&member.cluster, topic, partition, now_ms() - DELETE_RETENTION_MS / 2)?.unwrap_or(end);
    let is_usable = known < end && known >= recent;
    Ok((is_usable.then_some(known), end))
}

/// The failed delivery of `note` that was kept last. Blocks.
fn attempt(member: &Member, partition: u32, note: &Note) -> Result<Option<Attempt>, Fault> {
    let mut last = None;
    walk(&member.cluster, &member.names.attempts, partition, 0, |key, value, _| {
        if key == Some(note.source.as_bytes()) {
            last = value.map(<[u8]>::to_vec);
        }
        Ok(())
    })?;
    last.map(|value| kept(note, &value)).transpose()
}
