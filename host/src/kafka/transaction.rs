//! One thread per function that commits: what waits becomes one transaction of Kafka, with the positions of all its partitions. A
//! commit that does not follow the one before it, or is of an assignment that is over, is refused. What came through goes on to
//! [`super::follow`], in order.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::{mpsc, oneshot};

use super::Fault;
use super::client::{Context, TRANSACTION_MS, list};
use super::follow::{Follow, Local};
use super::offsets::noted;
use super::positions::Positions;
use crate::delivery::{Interval, Records};
use crate::embedded::{Note, WriteError};

/// Commits of one transaction.
const MOST_COMMITS: usize = 32;
/// Bytes of records after which a transaction takes no further commit.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// How long one step of a transaction may take before it is asked for again.
const STEP: Duration = Duration::from_millis(TRANSACTION_MS);
/// How long the outcome of a transaction is asked for; then the function begins anew from what the broker says.
const OUTCOME: Duration = Duration::from_secs(30);
/// How long what has been delivered may take to be let go, and how often it is looked.
const SETTLE: Duration = Duration::from_millis(100);
const SETTLE_LOOK: Duration = Duration::from_micros(100);
/// How long a full producer is waited for at one time.
const FULL: Duration = Duration::from_millis(1);

/// Records for one partition of a topic. Once delivered, their offsets are the broker's.
pub(super) struct Outgoing {
    pub(super) topic: Arc<str>,
    pub(super) partition: u32,
    pub(super) records: Records,
}

/// What is to be committed.
pub(super) struct Entry {
    pub(super) note: Note,
    /// The assignment under which it was read.
    pub(super) assignment: u64,
    /// Whether that assignment is over.
    pub(super) is_over: Arc<AtomicBool>,
    /// The positions before and after; `None` where they do not move.
    pub(super) interval: Option<Interval>,
    pub(super) outgoing: Vec<Outgoing>,
    /// What follows from it in the data folder.
    pub(super) local: Local,
    pub(super) answer: oneshot::Sender<Result<(), WriteError>>,
}

/// What the thread is told.
pub(super) enum Work {
    /// This host works on a partition from `position` on.
    Begin {
        partition: u32,
        assignment: u64,
        position: i64,
    },
    Commit(Box<Entry>),
    /// It does not any more: whatever comes for these partitions is refused. Answered when all that came through is noted.
    End {
        partitions: Vec<u32>,
        done: oneshot::Sender<()>,
    },
}

/// What the broker said of records, counted until all are in.
#[derive(Default)]
pub(super) struct Deliveries {
    state: Mutex<Delivered>,
    all_in: Condvar,
}

#[derive(Default)]
struct Delivered {
    /// Which transaction it is, so that an answer that comes late counts for no other.
    number: u32,
    left: usize,
    offsets: Vec<Vec<i64>>,
    failed: Option<String>,
}

impl Deliveries {
    fn begin(&self, groups: usize) -> u32 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = state.number.wrapping_add(1);
        *state = Delivered { number, left: 0, offsets: vec![Vec::new(); groups], failed: None };
        number
    }

    fn sent(&self, records: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).left += records;
    }

    fn answered(&self, number: u32, group: usize, answer: Result<i64, String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.number != number {
            return;
        }
        state.left = state.left.saturating_sub(1);
        match answer {
            // What was sent twice may have no known offset.
            Ok(offset) if offset < 0 => drop(state.failed.get_or_insert_with(|| "an offset is not known".to_owned())),
            Ok(offset) => state.offsets.get_mut(group).into_iter().for_each(|offsets| offsets.push(offset)),
            Err(error) => drop(state.failed.get_or_insert(error)),
        }
        if state.left == 0 {
            self.all_in.notify_all();
        }
    }

    /// Waits until all are in; gives the offsets of each group.
    fn wait(&self, longest: Duration) -> Result<Vec<Vec<i64>>, Fault> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut state, waited) = self
            .all_in
            .wait_timeout_while(state, longest, |state| state.left > 0)
            .unwrap_or_else(PoisonError::into_inner);
        match state.failed.take() {
            Some(error) => Err(Fault::Aborted(error)),
            None if waited.timed_out() => Err(Fault::Aborted("the brokers do not take records".to_owned())),
            None => Ok(std::mem::take(&mut state.offsets)),
        }
    }
}

impl ProducerContext for Context {
    /// The transaction's number, and which group of records it is.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let answer = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.to_string()),
        };
        self.deliveries.answered((opaque >> 32) as u32, opaque & 0xffff_ffff, answer);
    }
}

/// A partition that this host works on.
struct Place {
    assignment: u64,
    position: i64,
}

/// The thread's own things.
pub(super) struct Transactions {
    pub(super) producer: ThreadedProducer<Context>,
    /// Hands positions over for it.
    pub(super) sending: Positions,
    pub(super) consumer: Arc<BaseConsumer<Context>>,
    /// The topic whose partitions are assigned.
    pub(super) input: Arc<str>,
    pub(super) follower: mpsc::UnboundedSender<Follow>,
    /// The deploy that this host follows.
    pub(super) deploy: Arc<AtomicU64>,
    /// Told when nothing can be committed any more.
    pub(super) ended: mpsc::UnboundedSender<Fault>,
}

impl Transactions {
    /// Works until nobody has anything to commit any more.
    pub(super) fn run(self, mut works: mpsc::Receiver<Work>) {
        let mut places: HashMap<u32, Place> = HashMap::new();
        let mut ended = self.init().err();
        if let Some(fault) = &ended {
            // Nobody listens when the host stops.
            let _ = self.ended.send(fault.clone());
        }
        let mut next = works.blocking_recv();
        while let Some(work) = next.take() {
            match work {
                Work::Begin { partition, assignment, position } => {
                    places.insert(partition, Place { assignment, position });
                }
                Work::End { partitions, done } => {
                    for partition in &partitions {
                        places.remove(partition);
                    }
                    let _ = self.follower.send(Follow::End(done));
                }
                Work::Commit(first) => {
                    let (entries, after) = gathered(*first, &mut works);
                    next = after;
                    match &ended {
                        Some(fault) => refuse(entries, fault),
                        None => ended = self.commit(entries, &mut places),
                    }
                }
            }
            next = next.or_else(|| works.blocking_recv());
        }
    }

    fn init(&self) -> Result<(), Fault> {
        let give_up = Instant::now() + OUTCOME;
        loop {
            match self.producer.init_transactions(STEP) {
                Ok(()) => return Ok(()),
                Err(error) if is_retriable(&error) && Instant::now() < give_up => {}
                Err(error) => return Err(Fault::Ended(error.to_string())),
            }
        }
    }

    /// Commits what follows; gives why nothing can be committed any more, if that is so.
    fn commit(&self, entries: Vec<Entry>, places: &mut HashMap<u32, Place>) -> Option<Fault> {
        // First the group's generation, then whether it still is that of the assignments: one that ends meanwhile is refused by
        // the broker.
        let metadata = self.consumer.group_metadata();
        let mut entries = following(entries, places);
        if entries.is_empty() {
            return None;
        }
        let positions = positions(&entries, places);
        let done = match metadata {
            Some(metadata) => self.transaction(&entries, &positions, metadata).map_err(|fault| self.abort(fault)),
            None => Err(Fault::Aborted("the group is not known".to_owned())),
        };
        let fault = match done {
            Ok(offsets) => {
                let mut offsets = offsets.into_iter();
                for entry in &mut entries {
                    entry.outgoing.iter_mut().zip(&mut offsets).for_each(|(o, offsets)| o.records.offsets = offsets);
                }
                for (partition, position) in positions {
                    places.entry(partition).and_modify(|place| place.position = position);
                }
                for Entry { note, outgoing, local, answer, .. } in entries {
                    let _ = self.follower.send(Follow::Committed { note, outgoing, local, answer });
                }
                return None;
            }
            // Whichever it was, the others go on without it.
            Err(Fault::Aborted(_)) if entries.len() > 1 => return self.commit_each(entries, places),
            Err(fault) => fault,
        };
        refuse(entries, &fault);
        let is_over = matches!(fault, Fault::Ended(_));
        is_over.then(|| {
            let _ = self.ended.send(fault.clone());
            fault
        })
    }

    fn commit_each(&self, entries: Vec<Entry>, places: &mut HashMap<u32, Place>) -> Option<Fault> {
        let mut ended = None;
        for entry in entries {
            match &ended {
                Some(fault) => refuse(vec![entry], fault),
                None => ended = self.commit(vec![entry], places),
            }
        }
        ended
    }

    fn transaction(
        &self,
        entries: &[Entry],
        positions: &BTreeMap<u32, i64>,
        metadata: ConsumerGroupMetadata,
    ) -> Result<Vec<Vec<i64>>, Fault> {
        self.producer.begin_transaction()?;
        let deliveries = &self.producer.context().deliveries;
        let outgoing = || entries.iter().flat_map(|entry| &entry.outgoing);
        let number = deliveries.begin(outgoing().count());
        for (group, outgoing) in outgoing().enumerate() {
            deliveries.sent(outgoing.records.len());
            produce(&self.producer, outgoing, (number as usize) << 32 | group)?;
        }
        let offsets: Vec<_> =
            positions.iter().map(|(p, next)| (self.input.as_ref(), *p, Offset::Offset(*next))).collect();
        let offsets = list(&offsets)?;
        let deploy = noted(self.deploy.load(Ordering::SeqCst));
        offsets.elements().iter_mut().for_each(|position| position.set_metadata(&deploy));
        self.sending.send(offsets, metadata)?;
        let delivered = deliveries.wait(STEP)?;
        settled(&self.producer);
        let give_up = Instant::now() + OUTCOME;
        loop {
            match self.producer.commit_transaction(STEP) {
                Ok(()) => return Ok(delivered),
                Err(error) if is_retriable(&error) && Instant::now() < give_up => {}
                // It was not given up: only the broker knows whether it is committed.
                Err(error) if !requires_abort(&error) => return Err(Fault::Ended(error.to_string())),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gives the transaction up, after `fault`; gives what is said of it.
    fn abort(&self, fault: Fault) -> Fault {
        if matches!(fault, Fault::Ended(_)) {
            return fault;
        }
        let give_up = Instant::now() + OUTCOME;
        loop {
            match self.producer.abort_transaction(STEP) {
                Ok(()) => return Fault::Aborted(said(&fault)),
                Err(error) if is_retriable(&error) && Instant::now() < give_up => {}
                Err(error) => return Fault::Ended(format!("{}; {error}", said(&fault))),
            }
        }
    }
}

/// Hands records over, with their keys, headers and times as they are.
pub(super) fn produce(producer: &ThreadedProducer<Context>, outgoing: &Outgoing, opaque: usize) -> Result<(), Fault> {
    let Outgoing { topic, partition, records } = outgoing;
    let give_up = Instant::now() + STEP;
    for (at, (key, value)) in records.keys.iter().zip(records.values.iter()).enumerate() {
        let mut record: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(topic, opaque)
            .partition(*partition as i32)
            .timestamp(records.timestamps.get(at).copied().unwrap_or_default());
        record.key = key;
        record.payload = value;
        let headers = records.headers_of(at);
        if !headers.is_empty() {
            let all = headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |all, header| {
                all.insert(Header { key: &header.name, value: Some(&header.value) })
            });
            record = record.headers(all);
        }
        while let Err((error, again)) = producer.send(record) {
            let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            if !is_full || Instant::now() > give_up {
                return Err(Fault::Aborted(format!("a record for `{topic}`: {error}")));
            }
            record = again;
            thread::sleep(FULL);
        }
    }
    Ok(())
}

/// Waits a moment until the last answer is let go, which was told of just before: a commit that finds it looks again only after a
/// tenth of a second.
pub(super) fn settled(producer: &ThreadedProducer<Context>) {
    let give_up = Instant::now() + SETTLE;
    while producer.in_flight_count() > 0 && Instant::now() < give_up {
        thread::sleep(SETTLE_LOOK);
    }
}

fn said(fault: &Fault) -> String {
    match fault {
        Fault::Away(text) | Fault::Aborted(text) | Fault::Ended(text) | Fault::Wrong(text) => text.clone(),
        Fault::NotOwner => fault.to_string(),
    }
}

/// The first commit and those that wait behind it, as many as one transaction takes; and what came then.
fn gathered(first: Entry, works: &mut mpsc::Receiver<Work>) -> (Vec<Entry>, Option<Work>) {
    let bytes = |entry: &Entry| entry.outgoing.iter().map(|o| o.records.bytes()).sum::<usize>();
    let mut sum = bytes(&first);
    let mut entries = vec![first];
    while entries.len() < MOST_COMMITS && sum < MOST_BYTES {
        match works.try_recv() {
            Ok(Work::Commit(entry)) => {
                sum += bytes(&entry);
                entries.push(*entry);
            }
            Ok(other) => return (entries, Some(other)),
            Err(_) => break,
        }
    }
    (entries, None)
}

/// Those that go on where their partition stands; the others are refused.
fn following(entries: Vec<Entry>, places: &HashMap<u32, Place>) -> Vec<Entry> {
    let mut at: HashMap<u32, i64> = HashMap::new();
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        let is_ours = |place: &&Place| place.assignment == entry.assignment && !entry.is_over.load(Ordering::SeqCst);
        let place = places.get(&entry.note.partition).filter(is_ours);
        let Some(place) = place else {
            let _ = entry.answer.send(Err(Fault::NotOwner.into()));
            continue;
        };
        let stands = at.entry(entry.note.partition).or_insert(place.position);
        match entry.interval {
            Some(interval) if interval.first != *stands => {
                let _ = entry.answer.send(Err(WriteError::Position { note: entry.note, first: interval.first }));
                continue;
            }
            Some(interval) => *stands = interval.next,
            None => {}
        }
        kept.push(entry);
    }
    kept
}

/// Where each partition of `entries` stands after them.
fn positions(entries: &[Entry], places: &HashMap<u32, Place>) -> BTreeMap<u32, i64> {
    let mut positions = BTreeMap::new();
    for entry in entries {
        let stands = places.get(&entry.note.partition).map_or(0, |place| place.position);
        let position = positions.entry(entry.note.partition).or_insert(stands);
        if let Some(interval) = entry.interval {
            *position = interval.next;
        }
    }
    positions
}

fn refuse(entries: Vec<Entry>, fault: &Fault) {
    for entry in entries {
        // Who went away no longer waits for an answer.
        let _ = entry.answer.send(Err(fault.clone().into()));
    }
}

pub(super) fn is_retriable(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(inner) if inner.is_retriable())
}

fn requires_abort(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(inner) if inner.txn_requires_abort())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<(), WriteError>>;

    fn entry(partition: u32, assignment: u64, interval: Option<(i64, i64)>) -> (Entry, Answer) {
        let (answer, answered) = oneshot::channel();
        let entry = Entry {
            note: Note { function: "f".into(), source: "t".into(), partition },
            assignment,
            is_over: Arc::default(),
            interval: interval.map(|(first, next)| Interval { first, next }),
            outgoing: Vec::new(),
            local: Local::Nothing,
            answer,
        };
        (entry, answered)
    }

    fn places() -> HashMap<u32, Place> {
        [(0, 10), (1, 20)].map(|(partition, position)| (partition, Place { assignment: 7, position })).into()
    }

    #[test]
    fn commits_that_follow_each_other_go_together() {
        let several = [(0, Some((10, 12))), (1, Some((20, 25))), (0, None), (0, Some((12, 13)))];
        let (entries, _answers): (Vec<_>, Vec<_>) = several.into_iter().map(|(p, i)| entry(p, 7, i)).unzip();
        let kept = following(entries, &places());
        assert_eq!(kept.len(), 4);
        assert_eq!(positions(&kept, &places()), BTreeMap::from([(0, 13), (1, 25)]));
    }

    #[test]
    fn what_does_not_follow_or_is_of_another_assignment_is_refused_alone() {
        let several = [
            (0, 7, Some((11, 12))),
            (0, 6, Some((10, 12))),
            (2, 7, Some((0, 1))),
            (1, 7, Some((20, 21))),
            (1, 7, Some((22, 23))),
        ];
        let (entries, answers): (Vec<_>, Vec<_>) = several.into_iter().map(|(p, a, i)| entry(p, a, i)).unzip();
        let kept = following(entries, &places());
        assert_eq!(positions(&kept, &places()), BTreeMap::from([(1, 21)]));
        let refused: Vec<bool> =
            answers.into_iter().map(|mut answer| matches!(answer.try_recv(), Ok(Err(_)))).collect();
        assert_eq!(refused, [true, true, true, false, true]);
    }

    #[test]
    fn a_commit_of_an_assignment_that_is_over_is_refused() {
        let (late, mut answer) = entry(0, 7, Some((10, 12)));
        late.is_over.store(true, Ordering::SeqCst);
        assert!(following(vec![late], &places()).is_empty());
        assert!(matches!(answer.try_recv(), Ok(Err(_))));
    }

    #[test]
    fn deliveries_are_of_their_transaction_and_none_is_missing() {
        let deliveries = Deliveries::default();
        let before = deliveries.begin(1);
        let number = deliveries.begin(2);
        deliveries.sent(3);
        deliveries.answered(before, 0, Ok(5));
        assert!(deliveries.wait(Duration::from_millis(1)).is_err(), "what is of another transaction does not count");
        deliveries.begin(2);
        let number = number + 1;
        deliveries.sent(3);
        [(0, 7), (1, 1), (0, 8)].into_iter().for_each(|(group, at)| deliveries.answered(number, group, Ok(at)));
        assert_eq!(deliveries.wait(Duration::from_secs(1)).unwrap(), [vec![7, 8], vec![1]]);
        let number = deliveries.begin(1);
        deliveries.sent(1);
        deliveries.answered(number, 0, Ok(-1001));
        assert!(deliveries.wait(Duration::from_secs(1)).is_err(), "an offset that is not known is none");
    }
}
