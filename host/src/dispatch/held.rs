//! From what a call held to what a commit writes: records placed in partitions and encoded.

use std::sync::Arc;

use crate::delivery::frame::FrameError;
use crate::delivery::partitioner::partition_of;
use crate::delivery::{Effects, Packed, Published, Records};
use crate::embedded::{Commit, Frame, LogEnds};

/// Records of one frame; a frame is decoded whole, so this bounds what a reader holds.
const MAX_FRAME_RECORDS: usize = 16_384;

/// Moves what a call held into `commit`, its records stamped with its time.
///
/// # Errors
/// When records cannot be compressed.
pub(super) fn fill(commit: &mut Commit, effects: Effects, ends: &LogEnds) -> Result<(), FrameError> {
    for (topic, published) in effects.published {
        let partitions = ends.partitions(&topic);
        let topic: Arc<str> = topic.into();
        for (partition, records) in (0..).zip(place(published, partitions)) {
            for from in (0..records.0.len()).step_by(MAX_FRAME_RECORDS) {
                let to = from + MAX_FRAME_RECORDS;
                let records = stamped(records.0.slice(from, to), records.1.slice(from, to), commit.at_ms);
                commit.frames.push(Frame::encode(Arc::clone(&topic), partition, &records)?);
            }
        }
    }
    commit.state = effects.state;
    commit.tables = effects.tables;
    Ok(())
}

/// Keys and values by partition. A record without a key goes where its place in the call says: the same again when the
/// call is repeated, and spread evenly.
fn place(published: Vec<Published>, partitions: u32) -> Vec<(Packed, Packed)> {
    let mut placed = vec![(Packed::default(), Packed::default()); partitions as usize];
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
            if let Some((keys, values)) = placed.get_mut(partition as usize) {
                keys.push(key);
                values.push(value);
            }
        }
    }
    placed
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
        let placed = place(vec![Published { keys, values }], 4);
        let of_a = &placed[partition_of(b"a", 4) as usize];
        let a: Vec<_> = of_a.0.iter().zip(of_a.1.iter()).filter(|(k, _)| *k == Some(b"a")).map(|(_, v)| v).collect();
        assert_eq!(a, vec![Some(&b"1"[..]), None]);
        assert_eq!(placed.iter().map(|(k, _)| k.len()).sum::<usize>(), 5);
        assert_eq!(placed[0].0.iter().filter(Option::is_none).count(), 1);
        assert_eq!(placed[1].0.iter().filter(Option::is_none).count(), 1);
    }
}
