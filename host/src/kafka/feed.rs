//! Records of one partition on their way from the thread that polls to the function: blocks of bounded size, kept until they are
//! taken. Should a commit fail, what led to it is read from the topic again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::delivery::{Header, Records};

/// Bytes of one block; a function takes its batches from blocks.
const BLOCK_BYTES: usize = 4 * 1024 * 1024;
/// Records of one block.
const BLOCK_RECORDS: usize = 32_768;
/// Blocks that may wait, with the one that is being taken.
const MOST_BLOCKS: usize = 3;
/// What a record costs beside its bytes, about.
const RECORD_BYTES: usize = 32;

/// The buffer of one partition.
pub(super) struct Feed {
    waiting: Mutex<Waiting>,
    /// Whether the end of the partition was seen since it was assigned.
    seen_end: AtomicBool,
    /// Wakes the thread that polls when there is room again.
    waker: Arc<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Waiting {
    blocks: VecDeque<Arc<Records>>,
    /// Records before it are not wanted: brokers that have forgotten where a group stood send everything.
    from: i64,
}

/// A record as it comes.
pub(super) struct Record<'m> {
    pub(super) key: Option<&'m [u8]>,
    pub(super) value: Option<&'m [u8]>,
    pub(super) offset: i64,
    /// Milliseconds since the Unix epoch.
    pub(super) timestamp: i64,
    /// In their order; whose they are is said by the block.
    pub(super) headers: Vec<Header>,
}

/// A block that is being filled.
#[derive(Default)]
pub(super) struct Block {
    records: Records,
    bytes: usize,
}

impl Block {
    /// Adds a record.
    pub(super) fn push(&mut self, record: Record<'_>) {
        let Record { key, value, offset, timestamp, headers } = record;
        self.bytes += key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + RECORD_BYTES;
        let at = self.records.len() as u32;
        self.records.keys.push(key);
        self.records.values.push(value);
        self.records.offsets.push(offset);
        self.records.timestamps.push(timestamp);
        self.bytes += headers.iter().map(|h| h.name.len() + h.value.len() + RECORD_BYTES).sum::<usize>();
        self.records.headers.extend(headers.into_iter().map(|header| Header { at, ..header }));
    }

    /// Whether it holds as much as it may.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BLOCK_BYTES || self.records.len() >= BLOCK_RECORDS
    }

    /// Bytes of it, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it holds.
    pub(super) fn records(self) -> Records {
        self.records
    }
}

impl Feed {
    pub(super) fn new(waker: Arc<dyn Fn() + Send + Sync>) -> Self {
        Feed { waiting: Mutex::default(), seen_end: AtomicBool::new(false), waker }
    }

    /// Whether it takes another block.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).blocks.len() < MOST_BLOCKS
    }

    /// Takes records that follow those before. Small ones join the last block, as long as nobody has it.
    pub(super) fn push(&self, records: Records) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if records.offsets.last().is_none_or(|last| *last < waiting.from) {
            return;
        }
        let blocks = &mut waiting.blocks;
        if let Some(last) =
            blocks.back_mut().filter(|last| last.bytes() < BLOCK_BYTES / 2 && last.len() < BLOCK_RECORDS / 2)
            && let Some(last) = Arc::get_mut(last)
        {
            last.append(&records);
            return;
        }
        blocks.push_back(Arc::new(records));
    }

    /// Says that the end of the partition was reached.
    pub(super) fn ended(&self) {
        self.seen_end.store(true, Ordering::SeqCst);
    }

    /// Whether everything that was there when the partition was assigned has come.
    pub(super) fn seen_end(&self) -> bool {
        self.seen_end.load(Ordering::SeqCst)
    }

    /// The block that holds the first record at `from` or later, if it has come.
    pub(super) fn read(&self, from: i64) -> Option<Arc<Records>> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.blocks.iter().find(|block| block.offsets.last().is_some_and(|last| *last >= from)).cloned()
    }

    /// Whether a record at `from` was let go, if there was one.
    pub(super) fn is_gone(&self, from: i64) -> bool {
        from < self.waiting.lock().unwrap_or_else(PoisonError::into_inner).from
    }

    /// Lets go of what was taken, and does not take it again: records before `next`.
    pub(super) fn release(&self, next: i64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.from = waiting.from.max(next);
        let blocks = &mut waiting.blocks;
        let before = blocks.len();
        while blocks.front().is_some_and(|block| block.offsets.last().is_none_or(|last| *last < next)) {
            blocks.pop_front();
        }
        let made_room = before >= MOST_BLOCKS && blocks.len() < MOST_BLOCKS;
        drop(waiting);
        if made_room {
            (self.waker)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many records of a KiB are a block of their own.
    const LARGE: i64 = BLOCK_BYTES as i64 / 1024;

    fn records(offsets: std::ops::Range<i64>) -> Records {
        let mut records = Records::default();
        for offset in offsets {
            records.keys.push(None);
            records.values.push(Some(&vec![0; 1024]));
            records.offsets.push(offset);
            records.timestamps.push(0);
        }
        records
    }

    #[test]
    fn records_stay_until_they_are_released() {
        let feed = Feed::new(Arc::new(|| {}));
        feed.push(records(0..10));
        let first = feed.read(0).unwrap();
        feed.push(records(12..20));
        assert_eq!(feed.read(10).unwrap().offsets[0], 12, "a block that somebody has is not changed");
        assert_eq!(feed.read(5).unwrap().offsets, first.offsets);
        feed.release(9);
        assert!(feed.read(9).is_some_and(|block| block.offsets[0] == 0));
        feed.release(10);
        assert_eq!(feed.read(0).unwrap().offsets[0], 12);
        assert_eq!(feed.read(20), None);
        assert!(feed.is_gone(9) && !feed.is_gone(10));
        feed.release(5);
        assert!(feed.is_gone(9), "what is gone does not come back");
    }

    #[test]
    fn what_was_handled_before_makes_no_one_wait() {
        let feed = Feed::new(Arc::new(|| {}));
        let large = |at: i64| records(at * LARGE..(at + 1) * LARGE);
        (0..MOST_BLOCKS as i64).for_each(|at| feed.push(large(at)));
        // As who takes over finds out where the group stood.
        feed.release(9 * LARGE + 10);
        (MOST_BLOCKS as i64..10).for_each(|at| {
            assert!(feed.has_room(), "{at}");
            feed.push(large(at));
        });
        assert_eq!(feed.read(9 * LARGE + 10).unwrap().offsets[0], 9 * LARGE);
    }

    #[test]
    fn small_runs_become_one_block() {
        let feed = Feed::new(Arc::new(|| {}));
        (0..100).for_each(|at| feed.push(records(at..at + 1)));
        assert_eq!(feed.read(0).unwrap().len(), 100);
    }

    #[test]
    fn who_waits_for_room_is_woken_once_there_is_some() {
        let woken = Arc::new(AtomicBool::new(false));
        let feed = Feed::new({
            let woken = Arc::clone(&woken);
            Arc::new(move || woken.store(true, Ordering::SeqCst))
        });
        for at in 0..MOST_BLOCKS as i64 {
            feed.push(records(at * LARGE..(at + 1) * LARGE));
        }
        assert!(!feed.has_room());
        feed.release(LARGE - 1);
        assert!(!woken.load(Ordering::SeqCst));
        feed.release(LARGE);
        assert!(feed.has_room() && woken.load(Ordering::SeqCst));
    }
}
