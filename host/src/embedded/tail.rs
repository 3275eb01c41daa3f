//! The last records of the log as they were before they were encoded: a function that keeps up reads what another has
//! just published without a read, a decompression and a copy. What is not here any more is in the file.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::delivery::Records;

/// Bytes that are kept, of all partitions together.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// What an entry, a record and a header cost besides; bounds how many small ones there are.
const ENTRY_BYTES: usize = 1024;
const RECORD_BYTES: usize = 24;
const HEADER_BYTES: usize = 128;

/// Topic, partition and first offset.
type Place = (Arc<str>, u32, i64);

/// What was appended last.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    runs: BTreeMap<Place, Arc<Records>>,
    /// Oldest first.
    order: VecDeque<Place>,
    bytes: usize,
}

impl Tail {
    /// Keeps records that were committed, with their offsets, and lets go of the oldest.
    pub(super) fn push(&self, topic: &Arc<str>, partition: u32, records: Records) {
        let Some(first) = records.offsets.first() else { return };
        let place = (Arc::clone(topic), partition, *first);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.bytes += cost(&records);
        entries.order.push_back(place.clone());
        entries.runs.insert(place, Arc::new(records));
        while entries.bytes > MOST_BYTES {
            let Some(oldest) = entries.order.pop_front() else { break };
            let gone = entries.runs.remove(&oldest).map_or(0, |records| cost(&records));
            entries.bytes -= gone;
        }
    }

    /// Records of a partition, those at `from` among them, and what follows up to about `max_bytes`; `None` when they
    /// are not here.
    pub(super) fn read(&self, topic: &str, partition: u32, from: i64, max_bytes: usize) -> Option<Arc<Records>> {
        let mut runs = self.runs(topic, partition, from, max_bytes).into_iter();
        let first = runs.next()?;
        // Whoever needs one run alone shares it; several are small and joined.
        let Some(second) = runs.next() else { return Some(first) };
        let mut joined = Records::clone(&first);
        joined.append(&second);
        runs.for_each(|run| joined.append(&run));
        Some(Arc::new(joined))
    }

    /// The run that holds `from` and those that follow it without a gap; the writer waits meanwhile, so none is copied.
    fn runs(&self, topic: &str, partition: u32, from: i64, max_bytes: usize) -> Vec<Arc<Records>> {
        let topic: Arc<str> = topic.into();
        let place = |offset| (Arc::clone(&topic), partition, offset);
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = entries.runs.range(place(i64::MIN)..=place(from)).next_back();
        let following = entries.runs.range(place(from + 1)..=place(i64::MAX));
        let (mut found, mut next, mut bytes) = (Vec::new(), None, 0);
        for ((_, _, first), records) in before.into_iter().chain(following) {
            let Some(last) = records.offsets.last() else { break };
            let fits = match next {
                None => *first <= from && *last >= from,
                Some(next) => *first == next && bytes + records.bytes() <= max_bytes,
            };
            if !fits {
                break;
            }
            found.push(Arc::clone(records));
            bytes += records.bytes();
            next = Some(last + 1);
        }
        found
    }
}

fn cost(records: &Records) -> usize {
    records.bytes() + records.len() * RECORD_BYTES + records.headers.len() * HEADER_BYTES + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: i64, count: i64, bytes: usize) -> Records {
        let value = vec![b'v'; bytes];
        Records {
            keys: (0..count).map(|_| Some(&b"k"[..])).collect(),
            values: (0..count).map(|_| Some(value.as_slice())).collect(),
            offsets: (first..first + count).collect(),
            timestamps: vec![0; count as usize],
            headers: Vec::new(),
        }
    }

    #[test]
    fn small_runs_that_follow_each_other_are_read_as_one() {
        let (tail, topic) = (Tail::default(), Arc::from("t"));
        for first in [0, 3, 6, 20] {
            tail.push(&topic, 1, run(first, 3, 10));
        }
        tail.push(&topic, 0, run(9, 3, 10));
        let offsets = |from, max_bytes| tail.read("t", 1, from, max_bytes).map(|r| r.offsets.clone());
        assert_eq!(offsets(4, 1000), Some((3..9).collect()), "from the run that holds the offset to the gap");
        assert_eq!(offsets(0, 70), Some((0..6).collect()), "no more bytes than asked for");
        assert_eq!(offsets(0, 1), Some((0..3).collect()), "one run in any case");
        assert_eq!(offsets(9, 1000), None, "of another partition");
        assert_eq!(offsets(23, 1000), None, "not there yet");
        assert_eq!(tail.read("s", 1, 0, 1000), None);
    }

    #[test]
    fn the_oldest_make_room() {
        let (tail, topic) = (Tail::default(), Arc::from("t"));
        for n in 0..40 {
            tail.push(&topic, 0, run(n, 1, 1024 * 1024));
        }
        assert_eq!(tail.read("t", 0, 20, 1), None);
        assert!(tail.read("t", 0, 39, 1).is_some());
        assert!(tail.0.lock().unwrap().bytes <= MOST_BYTES);
    }
}
