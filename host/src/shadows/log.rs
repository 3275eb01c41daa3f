//! Where batches of the past and their records are read: in the data folder, or in Kafka, where what was read last is held.

use std::sync::{Arc, Mutex, PoisonError};

use crate::delivery::Records;
use crate::embedded::shadows::Recorded;
use crate::embedded::{Store, WriteError};
use crate::kafka::Cluster;

/// Bytes that are read at one time from Kafka.
const READ_BYTES: usize = 4 * 1024 * 1024;
/// Batches that are given at one time.
const MOST_BATCHES: usize = 32;
/// Blocks that are held: one of the ledger, one of the input.
const MOST_BLOCKS: usize = 2;

/// Where the log is.
pub(super) struct Log {
    store: Arc<Store>,
    cluster: Option<Arc<Cluster>>,
    blocks: Mutex<Vec<Block>>,
}

struct Block {
    topic: String,
    partition: u32,
    /// It holds what there is from here on.
    from: i64,
    records: Arc<Records>,
}

impl Log {
    pub(super) fn new(store: Arc<Store>, cluster: Option<Arc<Cluster>>) -> Self {
        Log { store, cluster, blocks: Mutex::default() }
    }

    /// Whether it is in Kafka.
    pub(super) fn is_shared(&self) -> bool {
        self.cluster.is_some()
    }

    /// As [`Store::past`], and how far the ledger was read for it; no further where nothing is left.
    pub(super) async fn past(
        &self,
        function: &Arc<str>,
        partition: u32,
        after: i64,
    ) -> Result<(Vec<Recorded>, i64), WriteError> {
        let Some(cluster) = &self.cluster else {
            let batches = self.store.past(function, partition, after).await?;
            let through = batches.last().map_or(after, |batch| batch.id);
            return Ok((batches, through));
        };
        let ledger = Cluster::ledger(&self.store.application(), function);
        let lines = self.block(cluster, &ledger, partition, after).await?;
        Ok(Cluster::handled(function, partition, &lines, after, MOST_BATCHES))
    }

    /// After which entry of the ledger that is found which comes from a position on.
    pub(super) async fn before(
        &self,
        function: &str,
        source: &str,
        partition: u32,
        position: i64,
    ) -> Result<i64, WriteError> {
        match &self.cluster {
            Some(_) => Ok(0),
            None => self.store.handled_before(function, source, partition, position).await,
        }
    }

    /// Records of a partition at `from` and later, if there are any; some before may be among them.
    pub(super) async fn read(&self, topic: &str, partition: u32, from: i64) -> Result<Arc<Records>, WriteError> {
        match &self.cluster {
            Some(cluster) => self.block(cluster, topic, partition, from).await,
            None => self.store.read(topic, partition, from, READ_BYTES).await,
        }
    }

    async fn block(
        &self,
        cluster: &Arc<Cluster>,
        topic: &str,
        partition: u32,
        from: i64,
    ) -> Result<Arc<Records>, WriteError> {
        if let Some(records) = self.held(topic, partition, from) {
            return Ok(records);
        }
        let records = cluster.read(topic, partition, from, READ_BYTES).await?;
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.retain(|block| block.topic != topic);
        blocks.truncate(MOST_BLOCKS - 1);
        blocks.push(Block { topic: topic.to_owned(), partition, from, records: Arc::clone(&records) });
        Ok(records)
    }

    fn held(&self, topic: &str, partition: u32, from: i64) -> Option<Arc<Records>> {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let block = blocks.iter().find(|block| block.topic == topic && block.partition == partition)?;
        let covers = block.from <= from && block.records.offsets.last().is_some_and(|last| from <= *last);
        covers.then(|| Arc::clone(&block.records))
    }
}
