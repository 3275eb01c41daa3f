//! From what a call published to what a commit appends: records placed in partitions and encoded.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

use crate::bindings::tables::groups::Writes;
use crate::delivery::frame::FrameError;
use crate::delivery::partitioner::partition_of;
use crate::delivery::{Effects, Packed, Published, Records, outbox, rounds};
use crate::embedded::{Commit, Frame, WriteError};
use crate::manifest::Application;

/// Records of one frame; a frame is decoded whole, so this bounds what a reader holds.
const MAX_FRAME_RECORDS: usize = 16_384;

/// What a call published, placed in as many `partitions` as a topic has and encoded, its records stamped with `at_ms`.
///
/// # Errors
/// When records cannot be compressed.
pub(crate) fn frames(
    published: BTreeMap<String, Vec<Published>>,
    partitions: impl Fn(&str) -> u32,
    at_ms: i64,
    encoded: bool,
) -> Result<Vec<Frame>, FrameError> {
    let mut frames = Vec::new();
    for (topic, published) in published {
        let topic: Arc<str> = topic.into();
        let round = published.iter().map(|p| p.round).max().unwrap_or_default();
        for (partition, (keys, values)) in place(published, partitions(&topic)) {
            let mut records = stamped(keys, values, at_ms);
            rounds::note(&mut records, round);
            if records.len() <= MAX_FRAME_RECORDS {
                frames.push(frame(Arc::clone(&topic), partition, records, encoded)?);
                continue;
            }
            for from in (0..records.len()).step_by(MAX_FRAME_RECORDS) {
                let mut part = records.slice(from, from + MAX_FRAME_RECORDS);
                part.offsets.iter_mut().for_each(|offset| *offset -= from as i64);
                frames.push(frame(Arc::clone(&topic), partition, part, encoded)?);
            }
        }
    }
    Ok(frames)
}

/// Records for `partition` of `topic`, as the data file keeps them if `encoded`.
fn frame(topic: Arc<str>, partition: u32, records: Records, encoded: bool) -> Result<Frame, FrameError> {
    match encoded {
        true => Frame::encode(topic, partition, records),
        false => Ok(Frame { topic, partition, records, bytes: Vec::new() }),
    }
}

/// The writes of a commit to tables of the operator's stores, for its outbox; `None` where there are none.
///
/// # Errors
/// [`WriteError::Table`] where a write would make a row that may not be, or when records cannot be compressed.
pub(super) fn outbox(
    application: &Application,
    commit: &Commit,
    effects: &Effects,
    encoded: bool,
) -> Result<Option<Frame>, WriteError> {
    let stored = effects.tables.iter().filter_map(|(name, held)| {
        let table = application.tables.get(name)?;
        table.connection.is_some().then_some((table, held))
    });
    let stored: Vec<_> = stored.collect();
    for (table, held) in &stored {
        Writes::of(table, held)?;
    }
    let Some(function) = application.functions.get(commit.note.function.as_ref()).filter(|_| !stored.is_empty()) else {
        return Ok(None);
    };
    let written = stored.into_iter().map(|(table, held)| outbox::Written {
        table: &table.name,
        key: &table.key,
        columns: table.columns.iter().map(|column| column.name.as_str()).collect(),
        held,
    });
    let records = outbox::records(written, commit.at_ms).map_err(|error| protocol(error.to_string()))?;
    let topic = function.outbox_topic(&application.name).into();
    frame(topic, commit.note.partition, records, encoded).map(Some).map_err(unencodable)
}

fn protocol(text: String) -> WriteError {
    WriteError::File(sqlx::Error::Protocol(text))
}

/// What cannot be compressed cannot be written.
pub(crate) fn unencodable(error: FrameError) -> WriteError {
    protocol(error.to_string())
}

/// Keys and values by partition, those that got any. A record without a key goes where its place in the call says: the
/// same again when the call is repeated, and spread evenly.
fn place(mut published: Vec<Published>, partitions: u32) -> BTreeMap<u32, (Packed, Packed)> {
    if let [one] = published.as_mut_slice()
        && let Some(partition) = only_partition(one, partitions)
    {
        return BTreeMap::from([(partition, (take(&mut one.keys), take(&mut one.values)))]);
    }
    let mut placed: BTreeMap<u32, (Packed, Packed)> = BTreeMap::new();
    let mut unkeyed = 0;
    for records in published {
        for (key, value) in records.keys.iter().zip(records.values.iter()) {
            let partition = key.map_or_else(
                || {
                    unkeyed += 1;
                    (unkeyed - 1) % partitions.max(1)
                },
                |k| partition_of(k, partitions),
            );
            let (keys, values) = placed.entry(partition).or_default();
            keys.push(key);
            values.push(value);
        }
    }
    placed
}

/// The partition of all records, where they share one: then nothing has to be copied.
fn only_partition(published: &Published, partitions: u32) -> Option<u32> {
    let mut keys = published.keys.iter();
    let first = keys.next()??;
    let partition = partition_of(first, partitions);
    let stays = |key: Option<&[u8]>| key.is_some_and(|k| k == first || partition_of(k, partitions) == partition);
    keys.all(stays).then_some(partition)
}

fn stamped(keys: Packed, values: Packed, now_ms: i64) -> Records {
    let count = keys.len();
    Records { keys, values, offsets: (0..count as i64).collect(), timestamps: vec![now_ms; count], headers: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_key_stay_together_and_in_order() {
        let keys: Packed = [Some(&b"a"[..]), Some(b"b"), None, Some(b"a"), None].into_iter().collect();
        let values: Packed = [Some(&b"1"[..]), Some(b"2"), Some(b"3"), None, Some(b"5")].into_iter().collect();
        let placed = place(vec![Published { keys, values, round: 0 }], 4);
        let of_a = &placed[&partition_of(b"a", 4)];
        let a: Vec<_> = of_a.0.iter().zip(of_a.1.iter()).filter(|(k, _)| *k == Some(b"a")).map(|(_, v)| v).collect();
        assert_eq!(a, vec![Some(&b"1"[..]), None]);
        assert_eq!(placed.values().map(|(k, _)| k.len()).sum::<usize>(), 5);
        assert_eq!(placed[&0].0.iter().filter(Option::is_none).count(), 1);
        assert_eq!(placed[&1].0.iter().filter(Option::is_none).count(), 1);
    }

    #[test]
    fn records_of_one_partition_are_not_taken_apart() {
        let keys: Packed = [Some(&b"a"[..]), Some(b"a")].into_iter().collect();
        let values: Packed = [Some(&b"1"[..]), None].into_iter().collect();
        let placed = place(vec![Published { keys: keys.clone(), values: values.clone(), round: 0 }], 4);
        assert_eq!(placed, BTreeMap::from([(partition_of(b"a", 4), (keys, values))]));
    }
}
