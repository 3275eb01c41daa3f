//! The positions of a transaction, handed over on a thread of their own. The library (librdkafka 2.12.1) does not keep to the time that it
//! is given for that: it waits for the group's coordinator, which it asks for again only when a connection comes or goes; after
//! a broker was lost for good, one call was seen to wait for ever.

use std::sync::mpsc as threads;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer as _, ThreadedProducer};

use super::Fault;
use super::client::{Context, TRANSACTION_MS};
use super::transaction::is_retriable;

/// How long the library is told to take, and after how long a refusal that may pass is not tried again.
const STEP: Duration = Duration::from_millis(TRANSACTION_MS);
/// How long a call that came through has ever taken, twice: it is not waited for any longer.
const LONGEST: Duration = Duration::from_millis(TRANSACTION_MS * 3);

type Asked = (TopicPartitionList, ConsumerGroupMetadata);

/// The thread's two ends.
pub(super) struct Positions {
    asked: threads::SyncSender<Asked>,
    answers: threads::Receiver<Result<(), KafkaError>>,
}

impl Positions {
    /// Begins a thread for the transactions of `producer`.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub(super) fn of(producer: &ThreadedProducer<Context>) -> std::io::Result<Self> {
        let (asked, asks) = threads::sync_channel::<Asked>(1);
        let (answered, answers) = threads::sync_channel(1);
        let producer = producer.clone();
        thread::Builder::new().name("kafka-positions".to_owned()).spawn(move || {
            while let Ok((positions, metadata)) = asks.recv() {
                if answered.send(send(&producer, &positions, &metadata)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Positions { asked, answers })
    }

    /// Makes positions part of the open transaction. Blocks.
    ///
    /// # Errors
    /// [`Fault::Ended`] where the library does not answer: then its client is left alone, with its thread.
    pub(super) fn send(&self, positions: TopicPartitionList, metadata: ConsumerGroupMetadata) -> Result<(), Fault> {
        let silent = || Fault::Ended("the group's coordinator was not found again".to_owned());
        self.asked.try_send((positions, metadata)).map_err(|_| silent())?;
        Ok(self.answers.recv_timeout(LONGEST).map_err(|_| silent())??)
    }
}

fn send(
    producer: &ThreadedProducer<Context>,
    positions: &TopicPartitionList,
    metadata: &ConsumerGroupMetadata,
) -> Result<(), KafkaError> {
    let give_up = Instant::now() + STEP;
    loop {
        match producer.send_offsets_to_transaction(positions, metadata, STEP) {
            Err(error) if is_retriable(&error) && Instant::now() < give_up => {}
            answer => return answer,
        }
    }
}
