//! That a table was loaded, told to the hosts of the functions that read it: in their attempts' topics, in each partition, under a
//! SOH, what is read there and a number of the load. Whoever has read again takes the numbers away that it knew of.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use super::alone::Alone;
use super::follow::Local;
use super::owned::Owned;
use super::reader::walk;
use super::transaction::Outgoing;
use super::{Cluster, Fault, blocking};
use crate::clock::now_ms;
use crate::delivery::Records;
use crate::embedded::{Note, WriteError};
use crate::manifest::Application;

/// No name of a trigger begins so.
const LOAD: u8 = 1;
const NUMBER_BYTES: usize = 16;

/// Loads after which a partition's records have to be read again, and how far the topic was looked through for them.
#[derive(Debug, Default)]
pub(super) struct Loads {
    pub(super) open: BTreeSet<Vec<u8>>,
    pub(super) next: i64,
}

impl Cluster {
    /// Asks functions to read their input again, wherever they run.
    ///
    /// # Errors
    /// When no broker answers; the table is to be loaded again then.
    pub async fn reread(self: &Arc<Self>, application: &Application, notes: Vec<Note>) -> Result<(), Fault> {
        if notes.is_empty() {
            return Ok(());
        }
        let number = rand::random::<u128>();
        let mark = |note: &Note| {
            let topic = Self::names(application, &note.function).attempts;
            let key = [&[LOAD], note.source.as_bytes(), &number.to_be_bytes()].concat();
            Outgoing { topic, partition: note.partition, records: records([(key.as_slice(), Some(&b""[..]))]) }
        };
        let outgoing: Vec<Outgoing> = notes.iter().map(mark).collect();
        let (cluster, id) = (Arc::clone(self), format!("{}.loads", application.name));
        blocking(move || Alone::take(&cluster, &id)?.commit(&outgoing)).await
    }
}

impl Owned {
    /// Looks whether a table was loaded since the last time; whether there are records to be read again.
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub async fn look_for_loads(&self, source: &Arc<str>) -> Result<bool, WriteError> {
        let from = self.loads.lock().unwrap_or_else(PoisonError::into_inner).next;
        let source = Arc::clone(source);
        let looked = self.member.blocking(self.partition, move |member, partition| {
            look(&member.cluster, &member.names.attempts, partition, &source, from)
        });
        let (changes, next) = looked.await?;
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_new = false;
        for (key, is_open) in changes {
            match is_open {
                true => is_new |= loads.open.insert(key),
                false => drop(loads.open.remove(&key)),
            }
        }
        loads.next = next;
        Ok(is_new)
    }

    /// The loads that are known of.
    #[must_use]
    pub fn loads(&self) -> BTreeSet<Vec<u8>> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner).open.clone()
    }

    /// Notes that the partition was read again after `loads`.
    ///
    /// # Errors
    /// [`WriteError`]; it is read again then.
    pub async fn loads_done(&self, note: &Note, loads: BTreeSet<Vec<u8>>) -> Result<(), WriteError> {
        if loads.is_empty() {
            return Ok(());
        }
        let gone = records(loads.iter().map(|key| (key.as_slice(), None)));
        let outgoing = vec![self.own(&self.member.names.attempts, gone)];
        self.queue(note.clone(), None, outgoing, Local::Nothing).await?.await?;
        let mut known = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        known.open.retain(|key| !loads.contains(key));
        Ok(())
    }
}

type Found = (Vec<(Vec<u8>, bool)>, i64);

/// Loads that were told of or done since `from`. Blocks.
fn look(cluster: &Arc<Cluster>, topic: &str, partition: u32, source: &str, from: i64) -> Result<Found, Fault> {
    let mut found = Vec::new();
    let next = walk(cluster, topic, partition, from, |key, value, _| {
        found.extend(key.filter(|key| is_of(key, source)).map(|key| (key.to_vec(), value.is_some())));
        Ok(())
    })?;
    Ok((found, next))
}

/// Whether `key` tells of a load to what reads `source`.
fn is_of(key: &[u8], source: &str) -> bool {
    let name = key.len().checked_sub(NUMBER_BYTES).and_then(|end| key.get(1..end));
    key.first() == Some(&LOAD) && name == Some(source.as_bytes())
}

fn records<'r>(entries: impl IntoIterator<Item = (&'r [u8], Option<&'r [u8]>)>) -> Records {
    let mut records = Records::default();
    for (key, value) in entries {
        records.offsets.push(records.len() as i64);
        records.keys.push(Some(key));
        records.values.push(value);
        records.timestamps.push(now_ms());
    }
    records
}
