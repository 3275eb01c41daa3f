//! Records of one partition on their way from the thread that polls to the function: blocks of bounded size, kept until what
//! they led to is committed, so that a batch can be cut from them again.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::Message as _;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _};

use crate::delivery::{Header, Records};

/// Bytes of one block; a function takes its batches from blocks.
const BLOCK_BYTES: usize = 2 * 1024 * 1024;
/// Records of one block.
const BLOCK_RECORDS: usize = 16_384;
/// Blocks that may wait or be under way.
const MOST_BLOCKS: usize = 4;
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

/// A block that is being filled.
#[derive(Default)]
pub(super) struct Block {
    records: Records,
    bytes: usize,
}

impl Block {
    /// Adds a record.
    pub(super) fn push(&mut self, message: &BorrowedMessage<'_>) {
        let (key, value) = (message.key(), message.payload());
        self.bytes += key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + RECORD_BYTES;
        let at = self.records.len() as u32;
        self.records.keys.push(key);
        self.records.values.push(value);
        self.records.offsets.push(message.offset());
        self.records.timestamps.push(message.timestamp().to_millis().unwrap_or_default());
        let headers = message.headers().map(|headers| headers_of(headers, at)).unwrap_or_default();
        self.bytes += headers.iter().map(|h| h.name.len() + h.value.len() + RECORD_BYTES).sum::<usize>();
        self.records.headers.extend(headers);
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

/// The headers of the record at index `at`; none where a name is not UTF-8, which the library does not bear.
fn headers_of(headers: &BorrowedHeaders, at: u32) -> Vec<Header> {
    let owned = |header: rdkafka::message::Header<'_, &[u8]>| {
        let (name, value) = (header.key.to_owned(), header.value.unwrap_or_default().to_vec());
        Header { at, name, value }
    };
    catch_unwind(AssertUnwindSafe(|| headers.iter().map(owned).collect())).unwrap_or_else(|_| {
        tracing::warn!("a record has a header whose name is not UTF-8: it is read without headers");
        Vec::new()
    })
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

    /// Lets go of what is committed, and does not take it again: records before `next`.
    pub(super) fn release(&self, next: i64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.from = next;
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
    }

    #[test]
    fn what_was_handled_before_makes_no_one_wait() {
        let feed = Feed::new(Arc::new(|| {}));
        let large = |at: i64| records(at * 2000..(at + 1) * 2000);
        (0..MOST_BLOCKS as i64).for_each(|at| feed.push(large(at)));
        // As who takes over finds out where the group stood.
        feed.release(19_000);
        (4..10).for_each(|at| {
            assert!(feed.has_room(), "{at}");
            feed.push(large(at));
        });
        assert_eq!(feed.read(19_000).unwrap().offsets[0], 18_000);
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
            feed.push(records(at * 2000..(at + 1) * 2000));
        }
        assert!(!feed.has_room());
        feed.release(1999);
        assert!(!woken.load(Ordering::SeqCst));
        feed.release(2000);
        assert!(feed.has_room() && woken.load(Ordering::SeqCst));
    }
}
