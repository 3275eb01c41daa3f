//! Where each partition of the log ends, and who waits for it to grow.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

/// Topic and partition.
type PartitionKey = (Arc<str>, u32);

/// The next offset of each partition, watched.
#[derive(Debug, Default)]
pub struct LogEnds {
    ends: RwLock<BTreeMap<PartitionKey, watch::Sender<i64>>>,
}

impl LogEnds {
    /// Adds a partition that ends at `next`.
    pub fn add(&self, topic: &str, partition: u32, next: i64) {
        let mut ends = self.ends.write().unwrap_or_else(PoisonError::into_inner);
        ends.entry((topic.into(), partition)).or_insert_with(|| watch::Sender::new(next)).send_replace(next);
    }

    /// The next offset of a partition; 0 for one that does not exist.
    #[must_use]
    pub fn of(&self, topic: &str, partition: u32) -> i64 {
        self.watch(topic, partition).map_or(0, |w| *w.borrow())
    }

    /// How many partitions a topic has.
    #[must_use]
    pub fn partitions(&self, topic: &str) -> u32 {
        let ends = self.ends.read().unwrap_or_else(PoisonError::into_inner);
        ends.keys().filter(|(t, _)| t.as_ref() == topic).count() as u32
    }

    /// Changes whenever the partition grows; `None` for one that does not exist.
    #[must_use]
    pub fn watch(&self, topic: &str, partition: u32) -> Option<watch::Receiver<i64>> {
        let ends = self.ends.read().unwrap_or_else(PoisonError::into_inner);
        ends.get(&(Arc::from(topic), partition)).map(watch::Sender::subscribe)
    }

    /// As [`LogEnds::grow`], from who may not be the only one to know: the end never goes back, and who waits is woken in any case.
    pub(crate) fn advance(&self, topic: &str, partition: u32, next: i64) {
        let ends = self.ends.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = ends.get(&(Arc::from(topic), partition)) {
            end.send_modify(|end| *end = next.max(*end));
        }
    }

    /// Whether anybody waits for a partition to grow.
    pub(super) fn is_watched(&self, topic: &str, partition: u32) -> bool {
        let ends = self.ends.read().unwrap_or_else(PoisonError::into_inner);
        ends.get(&(Arc::from(topic), partition)).is_some_and(|end| end.receiver_count() > 0)
    }

    /// Says that a partition grew.
    pub(super) fn grow(&self, topic: &str, partition: u32, next: i64) {
        let ends = self.ends.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = ends.get(&(Arc::from(topic), partition)) {
            end.send_replace(next);
        }
    }
}
