//! What became of dead letters, known to all hosts: in the function's attempts' topic, under a NUL and the letter's place.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::alone::Alone;
use super::reader::walk;
use super::transaction::Outgoing;
use super::{Cluster, Fault, Names, blocking};
use crate::delivery::Records;
use crate::embedded::{Fate, Settlement, WriteError};
use crate::manifest::Application;

/// The partition that holds them.
const PARTITION: u32 = 0;
/// No name of a trigger begins so.
const LETTER: u8 = 0;

/// Fates by partition and offset of the letter.
pub(super) type Fates = BTreeMap<(u32, i64), Fate>;

impl Cluster {
    /// The fates of the letters of `function` in `topic`.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn fates(
        self: &Arc<Self>,
        application: &Application,
        function: &str,
        topic: &str,
    ) -> Result<Fates, Fault> {
        let (cluster, names, topic) = (Arc::clone(self), Self::names(application, function), topic.to_owned());
        blocking(move || fates(&cluster, &names, &topic)).await
    }

    /// Decides the fate of dead letters of `function`: one transaction, with the records that go back.
    ///
    /// # Errors
    /// [`WriteError::Settled`] when another host was faster; nothing is changed then.
    pub async fn settle(
        self: &Arc<Self>,
        application: &Application,
        function: &str,
        settlement: Settlement,
    ) -> Result<(), WriteError> {
        let (cluster, names) = (Arc::clone(self), Self::names(application, function));
        blocking(move || Ok(settle(&cluster, &names, settlement))).await?
    }
}

fn fates(cluster: &Arc<Cluster>, names: &Names, topic: &str) -> Result<Fates, Fault> {
    let mut found = Fates::new();
    walk(cluster, &names.attempts, PARTITION, 0, |key, value, _| {
        let place = key.and_then(<[u8]>::split_first).filter(|(kind, _)| **kind == LETTER);
        let place: Option<(&str, u32, i64)> = place.and_then(|(_, place)| postcard::from_bytes(place).ok());
        let fate = value.and_then(|value| Fate::parse(std::str::from_utf8(value).ok()?));
        if let (Some((of, partition, offset)), Some(fate)) = (place, fate)
            && of == topic
        {
            found.insert((partition, offset), fate);
        }
        Ok(())
    })?;
    Ok(found)
}

fn settle(cluster: &Arc<Cluster>, names: &Names, settlement: Settlement) -> Result<(), WriteError> {
    let Settlement { topic, letters, fate, frames, at_ms } = settlement;
    let alone = Alone::take(cluster, &format!("{}.letters", names.group))?;
    let known = fates(cluster, names, &topic)?;
    if let Some((_, offset)) = letters.iter().find(|letter| known.contains_key(letter)) {
        return Err(WriteError::Settled { topic, offset: *offset });
    }
    let mut records = Records::default();
    for (partition, offset) in letters {
        let place =
            postcard::to_allocvec(&(topic.as_str(), partition, offset)).map_err(|e| Fault::Wrong(e.to_string()))?;
        records.offsets.push(records.len() as i64);
        records.keys.push(Some(&[&[LETTER], place.as_slice()].concat()));
        records.values.push(Some(fate.name().as_bytes()));
        records.timestamps.push(at_ms);
    }
    let back = frames.into_iter().map(|f| Outgoing { topic: f.topic, partition: f.partition, records: f.records });
    let noted = Outgoing { topic: Arc::clone(&names.attempts), partition: PARTITION, records };
    let outgoing: Vec<Outgoing> = back.chain([noted]).collect();
    Ok(alone.commit(&outgoing)?)
}
