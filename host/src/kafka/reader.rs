//! Reading a partition on its own, apart from the group: for restoring, for going back, and for the outbox of who was there before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _};
use rdkafka::{Message as _, Offset};

use super::client::{Context, list, reading};
use super::feed::{Block, Record};
use super::offsets::decided;
use super::{Cluster, Fault};
use crate::delivery::{Header, Records};

/// How long a reader waits for records before it gives up; the next one has a new client.
const PATIENCE: Duration = Duration::from_secs(10);
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Bytes that are held of a partition that is walked through.
pub(super) const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// Consumers that are kept while nobody reads.
pub(super) const MOST_IDLE: usize = 4;
/// The group that readers name, which has neither members nor positions.
pub(super) const READER: &str = "isobar-reader";

/// Reads one partition from an offset to its end, once.
pub(super) struct Reader {
    consumer: Arc<BaseConsumer<Context>>,
    /// Where the consumer goes afterwards.
    cluster: Arc<Cluster>,
    topic: String,
    partition: u32,
    is_at_end: bool,
    has_failed: bool,
}

impl Reader {
    /// Begins to read at `from`. Blocks only for a moment.
    pub(super) fn start(cluster: &Arc<Cluster>, topic: &str, partition: u32, from: i64) -> Result<Self, Fault> {
        let consumer = match cluster.readers.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            Some(consumer) => consumer,
            None => reading(&cluster.clients, READER, "read_committed")?,
        };
        let at = if from == 0 { Offset::Beginning } else { Offset::Offset(from) };
        consumer.assign(&list(&[(topic, partition, at)])?)?;
        let cluster = Arc::clone(cluster);
        Ok(Reader { consumer, cluster, topic: topic.to_owned(), partition, is_at_end: false, has_failed: false })
    }

    /// The next records, up to about `max_bytes`; `None` at the end. Blocks.
    pub(super) fn next(&mut self, max_bytes: usize) -> Result<Option<Records>, Fault> {
        let read = self.read(max_bytes);
        self.has_failed |= read.is_err();
        read
    }

    fn read(&mut self, max_bytes: usize) -> Result<Option<Records>, Fault> {
        let mut block = Block::default();
        let give_up = Instant::now() + PATIENCE;
        while !self.is_at_end && block.bytes() < max_bytes && !block.is_full() {
            match self.consumer.poll(LOOK_EVERY) {
                // What another reader left behind is dropped.
                Some(Ok(message)) if message.topic() != self.topic || message.partition() != self.partition as i32 => {}
                Some(Ok(message)) => block.push(record(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => self.is_at_end = true,
                Some(Err(error)) if !is_passing(&error) => return Err(error.into()),
                Some(Err(_)) | None => {
                    if let Some(reason) = self.consumer.client().context().fatal() {
                        return Err(Fault::Away(reason));
                    }
                    if block.bytes() > 0 {
                        break;
                    }
                    if Instant::now() > give_up {
                        return Err(Fault::Away("no broker answers".to_owned()));
                    }
                }
            }
        }
        let records = block.records();
        Ok((!records.is_empty()).then_some(records))
    }
}

/// Whether a client says that a broker, or its name, is away: it goes on with others by itself.
pub(super) fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::Resolve)
    )
}

/// What the library read, as the feed takes it.
pub(super) fn record<'m>(message: &'m BorrowedMessage<'_>) -> Record<'m> {
    Record {
        key: message.key(),
        value: message.payload(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or_default(),
        headers: message.headers().map(headers_of).unwrap_or_default(),
    }
}

/// The headers of a record; none where a name is not UTF-8, which the library does not bear.
fn headers_of(headers: &BorrowedHeaders) -> Vec<Header> {
    let owned = |header: rdkafka::message::Header<'_, &[u8]>| {
        let (name, value) = (header.key.to_owned(), header.value.unwrap_or_default().to_vec());
        Header { at: 0, name, value }
    };
    catch_unwind(AssertUnwindSafe(|| headers.iter().map(owned).collect())).unwrap_or_else(|_| {
        tracing::warn!("a record has a header whose name is not UTF-8: it is read without headers");
        Vec::new()
    })
}

impl Drop for Reader {
    /// A consumer that has found its brokers is worth keeping: finding them takes half a second. One that failed may hold on to a
    /// broker that is gone.
    fn drop(&mut self) {
        if self.has_failed {
            return;
        }
        let mut idle = self.cluster.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE && self.consumer.unassign().is_ok() {
            idle.push(Arc::clone(&self.consumer));
        }
    }
}

/// Calls `each` with key, value and offset of all that a partition holds now at `from` or later; gives where that ends. Blocks.
pub(super) fn walk(
    cluster: &Arc<Cluster>,
    topic: &str,
    partition: u32,
    from: i64,
    mut each: impl FnMut(Option<&[u8]>, Option<&[u8]>, i64) -> Result<(), Fault>,
) -> Result<i64, Fault> {
    let end = decided(cluster, topic, partition)?.next;
    if end <= from {
        return Ok(from);
    }
    let mut reader = Reader::start(cluster, topic, partition, from)?;
    let mut next = end;
    while let Some(records) = reader.next(CHUNK_BYTES)? {
        for ((key, value), offset) in records.keys.iter().zip(records.values.iter()).zip(&records.offsets) {
            each(key, value, *offset)?;
        }
        next = records.offsets.last().map_or(next, |last| next.max(last + 1));
    }
    Ok(next)
}
