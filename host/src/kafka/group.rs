//! A function's membership in its group: one thread polls, feeds partitions and serves rebalances; another commits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc as threads};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::producer::ThreadedProducer;
use rdkafka::{Message as _, Offset};
use tokio::sync::{mpsc, oneshot};

use super::client::{Context, Rebalance, list};
use super::feed::{Block, Feed};
use super::follow::follow;
use super::owned::Owned;
use super::positions::Positions;
use super::reader::record;
use super::tail::Tail;
use super::topics::input;
use super::transaction::{Transactions, Work};
use super::{Cluster, Fault, Names};
use crate::embedded::Store;
use crate::manifest::Function;

/// How long the thread that polls sleeps when nothing wakes it; rebalances are served after so long.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);
/// How long a partition that is taken away waits for its work to end; a commit that takes longer is refused by the broker.
const REVOKE: Duration = Duration::from_secs(20);
/// How long leaving may take.
const LEAVE: Duration = Duration::from_secs(5);
/// Commits that may wait; whoever comes then waits to queue.
const QUEUE: usize = 64;

/// What all parts of a function's membership know.
pub(super) struct Member {
    pub(super) cluster: Arc<Cluster>,
    pub(super) store: Arc<Store>,
    pub(super) function: Arc<str>,
    pub(super) names: Names,
    /// The topic whose partitions are assigned.
    pub(super) input: Arc<str>,
    pub(super) is_scheduled: bool,
    /// The stores that the function writes to.
    pub(super) connections: Vec<Arc<str>>,
    tails: Mutex<BTreeMap<u32, Vec<Arc<Tail>>>>,
}

/// What happens to a member.
pub enum Event {
    /// These partitions are this host's now; maybe none.
    Assigned(Vec<Arc<Owned>>),
    /// These go to others: answered when nothing works on them any more.
    Revoked(Vec<u32>, threads::SyncSender<()>),
    /// Nothing can be committed any more: begin anew.
    Ended(Fault),
}

/// A running membership.
pub struct Group {
    /// What happens.
    pub events: mpsc::UnboundedReceiver<Event>,
    works: mpsc::Sender<Work>,
    control: Arc<Control>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// Wakes the thread that polls, and stops it.
#[derive(Default)]
struct Control {
    state: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    to_wake: bool,
    to_stop: bool,
}

impl Control {
    fn wake(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).to_wake = true;
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).to_stop = true;
        self.changed.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).to_stop
    }

    /// Sleeps until it is woken, for a while at most.
    fn sleep(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |told: &mut Told| !told.to_wake && !told.to_stop;
        let slept = self.changed.wait_timeout_while(state, LONGEST_SLEEP, waits);
        slept.unwrap_or_else(PoisonError::into_inner).0.to_wake = false;
    }
}

impl Member {
    /// The outbox's end in `partition`, once for each connection.
    pub(super) fn tails(&self, partition: u32) -> Vec<Arc<Tail>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner).get(&partition).cloned().unwrap_or_default()
    }

    pub(super) fn set_tails(&self, partition: u32, tails: Vec<Arc<Tail>>) {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, tails);
    }

    /// Does what blocks on a thread for such things.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        partition: u32,
        work: impl FnOnce(&Member, u32) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let member = Arc::clone(self);
        super::blocking(move || work(&member, partition)).await
    }
}

impl Group {
    /// Joins the group of `function`.
    ///
    /// # Errors
    /// When the function has triggers that do not go together, or a client cannot be made.
    pub fn join(cluster: &Arc<Cluster>, store: &Arc<Store>, function: &Function) -> anyhow::Result<Self> {
        let application = &store.application();
        let names = Cluster::names(application, &function.name);
        let input: Arc<str> = input(application, function)?.into();
        let member = Arc::new(Member {
            cluster: Arc::clone(cluster),
            store: Arc::clone(store),
            function: function.name.as_str().into(),
            is_scheduled: input == names.state,
            connections: application.connections_of(&function.name).into_iter().map(Arc::from).collect(),
            names,
            input,
            tails: Mutex::default(),
        });
        let (events, told) = mpsc::unbounded_channel();
        let (works, queue) = mpsc::channel(QUEUE);
        let consumer: BaseConsumer<Context> =
            cluster.clients.member(&member.names.group).create_with_context(Context::default())?;
        consumer.context().polled(true);
        consumer.subscribe(&[&member.input])?;
        let consumer = Arc::new(consumer);
        let id = format!("{}.{}", member.names.group, cluster.host);
        let producer: ThreadedProducer<Context> =
            cluster.clients.producer(&id).create_with_context(Context::default())?;
        let (follower, following) = mpsc::unbounded_channel();
        let (ended, mut faults) = mpsc::unbounded_channel();
        tokio::spawn(follow(Arc::clone(&member), following));
        let failing = events.clone();
        tokio::spawn(async move {
            if let Some(fault) = faults.recv().await {
                // Nobody listens when the host stops.
                let _ = failing.send(Event::Ended(fault));
            }
        });
        let transactions = Transactions {
            sending: Positions::of(&producer)?,
            producer,
            consumer: Arc::clone(&consumer),
            input: Arc::clone(&member.input),
            follower,
            deploy: Arc::clone(&member.cluster.noted),
            ended,
        };
        let committing =
            thread::Builder::new().name("kafka-commit".to_owned()).spawn(move || transactions.run(queue))?;
        let control = Arc::new(Control::default());
        let poll =
            Poll { member, consumer, control: Arc::clone(&control), events, works: works.clone(), assignments: 0 };
        let polling = thread::Builder::new().name("kafka-poll".to_owned()).spawn(move || poll.run())?;
        Ok(Group { events: told, works, control, threads: vec![polling, committing] })
    }

    /// Refuses whatever comes for `partitions` from now on; returns when all that was committed is noted.
    pub async fn end(&self, partitions: Vec<u32>) {
        let (done, ended) = oneshot::channel();
        if self.works.send(Work::End { partitions, done }).await.is_ok() {
            // Dropped where nothing can be committed any more.
            let _ = ended.await;
        }
    }

    /// Leaves the group, so that others take over at once.
    pub async fn leave(self) {
        let Group { works, control, threads, mut events } = self;
        control.stop();
        drop(works);
        events.close();
        // What waits for an answer does not get one any more.
        while events.try_recv().is_ok() {}
        let joined = tokio::task::spawn_blocking(|| threads.into_iter().for_each(|thread| drop(thread.join())));
        if tokio::time::timeout(LEAVE, joined).await.is_err() {
            tracing::warn!("the group could not be left in time; others take over once this host is missed");
        }
    }
}

/// Says that the thread that polls has ended.
struct Ending(mpsc::UnboundedSender<Event>);

impl Drop for Ending {
    fn drop(&mut self) {
        // Nobody listens when the host stops.
        let _ = self.0.send(Event::Ended(Fault::Ended("nobody polls any more".to_owned())));
    }
}

/// The thread that polls.
struct Poll {
    member: Arc<Member>,
    consumer: Arc<BaseConsumer<Context>>,
    control: Arc<Control>,
    events: mpsc::UnboundedSender<Event>,
    works: mpsc::Sender<Work>,
    assignments: u64,
}

type Queues = BTreeMap<u32, Queue>;

/// A partition's records as they come.
struct Queue {
    records: PartitionQueue<Context>,
    feed: Arc<Feed>,
    is_over: Arc<AtomicBool>,
}

impl Poll {
    fn run(mut self) {
        // However it ends, somebody has to know.
        let _ending = Ending(self.events.clone());
        let mut queues = Queues::new();
        while !self.control.is_stopped() {
            if let Err(fault) = self.serve(&mut queues) {
                let _ = self.events.send(Event::Ended(fault));
                break;
            }
            let mut has_moved = false;
            for (partition, Queue { records, feed, .. }) in &queues {
                has_moved |= self.fill(*partition, records, feed);
            }
            if !has_moved {
                self.control.sleep();
            }
        }
        queues.clear();
        self.consumer.context().polled(false);
        // Leaves the group when the last who has it lets go.
        drop(self.consumer);
    }

    /// Serves rebalances.
    fn serve(&mut self, queues: &mut Queues) -> Result<(), Fault> {
        match self.consumer.poll(Duration::ZERO) {
            // It would be lost: records come by the partitions' own queues.
            Some(Ok(message)) => {
                return Err(Fault::Ended(format!("a record of partition {} came astray", message.partition())));
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => return Err(Fault::Ended(code.to_string())),
            Some(Err(error)) => tracing::debug!(%error, function = %self.member.function, "polling"),
            None => {}
        }
        if let Some(reason) = self.consumer.client().context().fatal() {
            return Err(Fault::Ended(reason));
        }
        for rebalance in self.consumer.context().rebalances() {
            match rebalance {
                Rebalance::Assigned(partitions) => self.assigned(&partitions, queues)?,
                Rebalance::Revoked(partitions) => self.revoked(&partitions, queues)?,
            }
        }
        Ok(())
    }

    fn assigned(&mut self, partitions: &[(String, u32)], queues: &mut Queues) -> Result<(), Fault> {
        self.assignments += 1;
        let mut owned = Vec::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            let queue = self.consumer.split_partition_queue(topic, *partition as i32);
            let mut queue = queue.ok_or_else(|| Fault::Ended(format!("`{topic}`/{partition} has no queue")))?;
            let waker: Arc<dyn Fn() + Send + Sync> = {
                let control = Arc::clone(&self.control);
                Arc::new(move || control.wake())
            };
            let feed = Arc::new(Feed::new(Arc::clone(&waker)));
            queue.set_nonempty_callback(move || waker());
            let is_over = Arc::new(AtomicBool::new(false));
            let (fed, over) = (Arc::clone(&feed), Arc::clone(&is_over));
            queues.insert(*partition, Queue { records: queue, feed: fed, is_over: over });
            owned.push(Arc::new(Owned {
                member: Arc::clone(&self.member),
                partition: *partition,
                assignment: self.assignments,
                is_over,
                feed,
                works: self.works.clone(),
                kept: Mutex::default(),
                loads: Mutex::default(),
                trimmed: AtomicI64::new(0),
            }));
        }
        let all: Vec<_> = partitions.iter().map(|(topic, p)| (topic.as_str(), *p, Offset::Invalid)).collect();
        let all = list(&all)?;
        self.consumer.incremental_assign(&all)?;
        if self.member.is_scheduled {
            // Its positions count runs.
            self.consumer.pause(&all)?;
        }
        // Nobody listens when the host stops.
        let _ = self.events.send(Event::Assigned(owned));
        Ok(())
    }

    fn revoked(&mut self, partitions: &[(String, u32)], queues: &mut Queues) -> Result<(), Fault> {
        let (done, ended) = threads::sync_channel(1);
        let numbers: Vec<u32> = partitions.iter().map(|(_, partition)| *partition).collect();
        if self.events.send(Event::Revoked(numbers.clone(), done)).is_ok() {
            // An end without a word is one, too; what goes on for longer is refused by the broker.
            let _ = ended.recv_timeout(REVOKE);
        }
        for queue in numbers.iter().filter_map(|partition| queues.remove(partition)) {
            // Before the group's next generation: what is committed by that would be taken.
            queue.is_over.store(true, Ordering::SeqCst);
        }
        let all: Vec<_> = partitions.iter().map(|(topic, p)| (topic.as_str(), *p, Offset::Invalid)).collect();
        self.consumer.incremental_unassign(&list(&all)?)?;
        Ok(())
    }

    /// Moves what has come into the partition's feed; whether there was anything.
    fn fill(&self, partition: u32, queue: &PartitionQueue<Context>, feed: &Feed) -> bool {
        if !feed.has_room() {
            return false;
        }
        let mut block = Block::default();
        let mut is_at_end = false;
        while !block.is_full() {
            match queue.poll(Duration::ZERO) {
                Some(Ok(message)) => block.push(record(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    is_at_end = true;
                    break;
                }
                Some(Err(error)) => tracing::warn!(%error, partition, function = %self.member.function, "reading"),
                None => break,
            }
        }
        let records = block.records();
        let next = records.offsets.last().map(|last| last + 1);
        if next.is_none() && !is_at_end {
            return false;
        }
        feed.push(records);
        if is_at_end {
            feed.ended();
        }
        self.member.store.ends().advance(&self.member.input, partition, next.unwrap_or_default());
        true
    }
}
