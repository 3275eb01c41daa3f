//! A shadow's work: batch after batch, what the version in charge made of it beside what the shadow makes of it.

use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::log::Log;
use super::{Data, Running};
use crate::bindings::CallContext;
use crate::delivery::failure::{hidden, rejected_by};
use crate::delivery::letters::meant_for;
use crate::delivery::outcome::{self, Refused};
use crate::delivery::{Effects, Failure, Interval, Records, retry};
use crate::dispatch::Progress;
use crate::embedded::mirrors::{Mirrors, REREAD};
use crate::embedded::shadows::{Extent, Recorded};
use crate::embedded::{Commit, Note, Store, WriteError};
use crate::registry::call::Outcome;

/// The part of its time that a shadow works while others have work: a quarter.
pub const SHARE: u32 = 4;
/// The first wait for what was not available, in milliseconds, and how often it is doubled.
const BACKOFF_MS: u32 = 100;
const MOST_DOUBLINGS: u32 = 6;

/// Why a shadow does not go on.
enum Trouble {
    /// Something is away: it is tried again.
    Away(String),
    /// It cannot go on.
    Ended(String),
}

impl From<WriteError> for Trouble {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::File(_)
            | WriteError::Transaction(_)
            | WriteError::DiskLow { .. }
            | WriteError::Counting { .. } => Trouble::Away(error.to_string()),
            error => Trouble::Ended(error.to_string()),
        }
    }
}

/// What a shadow made of a batch.
#[derive(Default)]
struct Made {
    effects: Vec<Arc<Effects>>,
    refused: Vec<i64>,
    took: Duration,
}

impl Running {
    pub(super) async fn run(self: Arc<Self>, store: Arc<Store>, log: Log, progress: Arc<Progress>) {
        let function = self.shadow.function.as_str();
        let mut news = store.shadow_news();
        let mut waits = 0;
        while !self.stop.is_cancelled() {
            news.mark_unchanged();
            match self.follow(&store, &log, &progress).await {
                // Whoever ends it sees to the rest.
                Err(_) if self.stop.is_cancelled() => return,
                Ok(0) => {
                    waits = 0;
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        _ = news.changed() => {}
                    }
                }
                Ok(_) => waits = 0,
                Err(Trouble::Away(what)) => {
                    if waits == 0 {
                        warn!(function, what, "a shadow waits");
                    }
                    let wait = retry::backoff(BACKOFF_MS, 2 + u32::min(waits, MOST_DOUBLINGS));
                    waits += 1;
                    let _ = tokio::time::timeout(wait, self.stop.cancelled()).await;
                }
                Err(Trouble::Ended(reason)) => {
                    info!(function, reason, "a shadow has ended");
                    if let Err(error) = store.fail_shadow(function, reason).await {
                        // The next batch, or the next start, comes to the same.
                        warn!(function, %error, "that a shadow has ended could not be written");
                    }
                    return;
                }
            }
        }
    }

    /// Handles some batches; gives how many.
    async fn follow(&self, store: &Arc<Store>, log: &Log, progress: &Progress) -> Result<usize, Trouble> {
        let past = self.past(store, log).await?;
        if !past.is_empty() {
            let through = self.handle_all(store, log, progress, &past).await?;
            let mut held = self.data.lock().await;
            if let (Some(Data { past: Some(cursors), .. }), Some(through)) = (held.as_mut(), through) {
                cursors.extend(past.first().map(|batch| (batch.note.partition, through)));
            }
            return Ok(past.len());
        }
        if self.shadow.extent != Extent::Open {
            return Ok(0);
        }
        let batches = store.shadow_batches(&self.shadow.function).await?;
        if let Some(through) = self.handle_all(store, log, progress, &batches).await? {
            store.shadow_done(&self.shadow.function, through).await?;
        } else if store.shadows().await?.iter().any(|s| s.function == self.shadow.function && s.ended.is_some()) {
            return Err(Trouble::Ended("what was kept for it is gone".to_owned()));
        }
        Ok(batches.len())
    }

    /// Some batches that were handled before it began, of one partition; none once all of them are done.
    async fn past(&self, store: &Store, log: &Log) -> Result<Vec<Recorded>, Trouble> {
        let mut held = self.data.lock().await;
        let Some(Data { mirrors, past: Some(cursors), .. }) = held.as_mut() else { return Ok(Vec::new()) };
        let function = self.shadow.function.as_str();
        let places = mirrors.places(function).await.map_err(WriteError::from)?;
        let left = |note: &Note, interval: Interval| {
            let (charge, shadow) = places.get(&(Arc::clone(&note.source), note.partition)).copied().unwrap_or_default();
            shadow < interval.next && interval.next <= charge
        };
        let unfinished = places.iter().find(|(_, (charge, shadow))| shadow < charge);
        if let Some(((source, partition), (charge, shadow))) = unfinished {
            let cursor = match cursors.entry(*partition) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let all = places.iter().filter(|((_, p), (charge, shadow))| p == partition && shadow < charge);
                    let mut first = i64::MAX;
                    for ((source, _), (_, shadow)) in all {
                        first = first.min(log.before(function, source, *partition, *shadow).await?);
                    }
                    place.insert(first)
                }
            };
            loop {
                if self.stop.is_cancelled() {
                    return Err(Trouble::Away("it ends".to_owned()));
                }
                let (mut batches, through) = log.past(&function.into(), *partition, *cursor).await?;
                if through <= *cursor {
                    let place = format!("`{source}`/{partition} from {shadow} to {charge}");
                    return Err(Trouble::Ended(format!("the ledger has no batches of {place}")));
                }
                batches.retain(|batch| left(&batch.note, batch.interval));
                if !batches.is_empty() {
                    return Ok(batches);
                }
                *cursor = through;
            }
        }
        store.shadow_arrived(function).await?;
        if let Some(data) = held.as_mut() {
            data.past = None;
        }
        Ok(Vec::new())
    }

    /// Handles batches, at its pace; gives the last one that it came to.
    async fn handle_all(
        &self,
        store: &Arc<Store>,
        log: &Log,
        progress: &Progress,
        batches: &[Recorded],
    ) -> Result<Option<i64>, Trouble> {
        let mut through = None;
        for batch in batches {
            if self.stop.is_cancelled() {
                break;
            }
            let began = Instant::now();
            self.handle(store, log, batch).await?;
            through = Some(batch.id);
            if !self.hurries.load(Ordering::Relaxed) && !progress.idle() {
                let rest = began.elapsed() * (SHARE - 1);
                let _ = tokio::time::timeout(rest, self.stop.cancelled()).await;
            }
        }
        Ok(through)
    }

    async fn handle(&self, store: &Arc<Store>, log: &Log, batch: &Recorded) -> Result<(), Trouble> {
        let place = (Arc::clone(&of(batch).note.source), batch.note.partition);
        let (mirrors, known) = {
            let held = self.data.lock().await;
            let gone = || Trouble::Away("its data are gone".to_owned());
            let data = held.as_ref().ok_or_else(gone)?;
            (Arc::clone(&data.mirrors), data.positions.get(&place).copied())
        };
        let (charge, shadow) = match known {
            Some(both) => both,
            None => {
                let note = of(batch).note;
                (mirrors.charge.position(&note).await?, mirrors.shadow.position(&note).await?)
            }
        };
        let next = end_of(batch);
        // After a crash, one of the two may have been written.
        let made = match shadow < next {
            true => {
                let records = records(log, batch).await?;
                let records = meant_for(&records, &batch.note.function).unwrap_or(records);
                Some(self.make(store, &mirrors, batch, &records).await?)
            }
            false => None,
        };
        let mut held = self.data.lock().await;
        if charge < next {
            let tables = batch.tables(&mirrors.charge.application()).map_err(Trouble::Ended)?;
            let effects = Arc::new(Effects { tables, ..Effects::default() });
            let (version, micros) = (Arc::clone(&batch.version), batch.micros);
            let commit = Commit {
                interval: Some(Interval { first: first_of(batch, charge), next }),
                version,
                micros,
                effects,
                ..of(batch)
            };
            mirrors.charge.commit(commit).await?;
        }
        if let Some(made) = made {
            let (version, micros) = (Arc::clone(&self.version.digest), made.took.as_micros() as u64);
            let effects = Arc::new(self.held(batch, made));
            let commit = Commit {
                interval: Some(Interval { first: first_of(batch, shadow), next }),
                version,
                micros,
                effects,
                ..of(batch)
            };
            mirrors.shadow.commit(commit).await?;
        }
        if let Some(data) = held.as_mut() {
            data.positions.insert(place, (charge.max(next), shadow.max(next)));
            data.told.0 += batch.micros;
            data.told.1 |= *batch.version != *self.shadow.version;
        }
        Ok(())
    }

    /// Calls the shadow with a batch, in ever smaller parts where that fails, as the version in charge would be in the end.
    async fn make(
        &self,
        store: &Arc<Store>,
        mirrors: &Mirrors,
        batch: &Recorded,
        records: &Records,
    ) -> Result<Made, Trouble> {
        let mut made = Made::default();
        let mut open = Vec::from_iter((!records.is_empty()).then_some((0, records.len())));
        while let Some((from, to)) = open.pop() {
            let part = records.slice(from, to);
            let context = self.version.context(store, batch.note.partition);
            let aside = Some(Arc::clone(&mirrors.shadow));
            let context = CallContext { aside, before: made.effects.clone(), ..context };
            let called = tokio::select! {
                called = self.version.deliver(context, &batch.note, &part, batch.attempt) => called,
                () = self.stop.cancelled() => return Err(Trouble::Away("it ends".to_owned())),
            };
            made.took += called.took;
            let failure = match called.outcome {
                Outcome::Failed { unavailable: Some(what), .. } => return Err(Trouble::Away(what)),
                Outcome::Failed { failure, .. } => failure,
                Outcome::Done { effects, rejected, .. } => match rejected_by(part.len(), rejected) {
                    Err(failure) => failure,
                    Ok(failures) => {
                        made.refused.extend(failures.keys().filter_map(|at| part.offsets.get(*at)));
                        made.effects.push(Arc::new(effects));
                        failures.values().last().into_iter().for_each(|failure| self.note(failure));
                        continue;
                    }
                },
            };
            self.note(&failure);
            match to - from {
                0 | 1 => made.refused.extend(&part.offsets),
                count => open.extend([(from + count / 2, to), (from, from + count / 2)]),
            }
        }
        Ok(made)
    }

    fn note(&self, failure: &Failure) {
        let words = match self.hides {
            true => hidden(failure.cause.code()),
            false => failure.to_string(),
        };
        *self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(words);
    }

    /// What is written of it: state, rows, and what it came to besides.
    fn held(&self, batch: &Recorded, made: Made) -> Effects {
        let mut all = Effects::default();
        for effects in made.effects {
            let effects = Arc::unwrap_or_clone(effects);
            all.state.extend(effects.state);
            for (table, held) in effects.tables {
                all.tables.entry(table).or_default().follow(held);
            }
            for (topic, published) in effects.published {
                all.published.entry(topic).or_default().extend(published);
            }
        }
        let published = std::mem::take(&mut all.published);
        let compared = published.iter().filter(|(topic, _)| outcome::counts(&self.version.function, topic));
        let records = compared.flat_map(|(topic, published)| {
            let records = published.iter().flat_map(|p| p.keys.iter().zip(p.values.iter()));
            records.map(|(key, value)| (topic.as_str(), key, value))
        });
        let Note { source, partition, .. } = &batch.note;
        let refused = Refused { topic: source, partition: *partition, offsets: &made.refused };
        all.tables.extend(outcome::rows(records, &refused));
        all
    }
}

/// What both commits of a batch say. Records that were only read again have a source of their own, whose positions are the numbers
/// of such batches, so that each counts once.
fn of(batch: &Recorded) -> Commit {
    let source = match batch.reread {
        None => Arc::clone(&batch.note.source),
        Some(_) => REREAD.into(),
    };
    Commit {
        note: Note { source, ..batch.note.clone() },
        records: batch.records,
        attempt: batch.attempt,
        at_ms: batch.at_ms,
        ..Commit::default()
    }
}

/// Where a file stands once it has a batch.
fn end_of(batch: &Recorded) -> i64 {
    if batch.reread.is_some() { batch.id } else { batch.interval.next }
}

/// Where a file has to stand before it, which is at `position`.
fn first_of(batch: &Recorded, position: i64) -> i64 {
    if batch.reread.is_some() { position } else { batch.interval.first }
}

/// The records of a batch.
async fn records(log: &Log, batch: &Recorded) -> Result<Records, Trouble> {
    let Interval { first, next } = batch.interval;
    let (mut all, mut from) = (Records::default(), first);
    while from < next {
        let read = log.read(&batch.note.source, batch.note.partition, from).await?;
        let part = read.slice(read.index_of(from), read.index_of(next));
        let Some(last) = part.offsets.last() else { break };
        from = last + 1;
        all.append(&part);
        if read.offsets.last().is_some_and(|last| *last >= next) {
            break;
        }
    }
    if log.is_shared() && all.len() < batch.records as usize {
        let Note { source, partition, .. } = &batch.note;
        return Err(Trouble::Ended(format!("records of `{source}`/{partition} from {first} to {next} are gone")));
    }
    let Some(chosen) = &batch.reread else { return Ok(all) };
    let mut again = Records::default();
    for at in
        chosen.iter().map(|offset| (offset, all.index_of(*offset))).filter(|(o, at)| all.offsets.get(*at) == Some(o))
    {
        again.append(&all.slice(at.1, at.1 + 1));
    }
    Ok(again)
}
