//! What one host at a time may do: under a transactional id that all hosts share, who takes it ends the transaction of who had it
//! before. So who looks after it has taken it, and commits by it, has seen everything that others committed.

use rdkafka::producer::{Producer as _, ThreadedProducer};

use super::client::{ANSWER, Context};
use super::transaction::{Outgoing, produce, settled};
use super::{Cluster, Fault};

/// The right to commit next.
pub(super) struct Alone {
    producer: ThreadedProducer<Context>,
}

impl Alone {
    /// Takes `id`. Blocks.
    pub(super) fn take(cluster: &Cluster, id: &str) -> Result<Self, Fault> {
        let producer: ThreadedProducer<Context> =
            cluster.clients.producer(id).create_with_context(Context::default())?;
        producer.init_transactions(ANSWER)?;
        Ok(Alone { producer })
    }

    /// Commits all of it, or nothing when another host has taken the id. Blocks.
    pub(super) fn commit(&self, outgoing: &[Outgoing]) -> Result<(), Fault> {
        self.producer.begin_transaction()?;
        let done = outgoing
            .iter()
            // Nobody asks what offsets they get.
            .try_for_each(|outgoing| produce(&self.producer, outgoing, 0))
            .and_then(|()| {
                settled(&self.producer);
                Ok(self.producer.commit_transaction(ANSWER)?)
            });
        if done.is_err() {
            // It may be said again; where another host has taken the id, this fails, too.
            let _ = self.producer.abort_transaction(ANSWER);
        }
        done
    }
}
