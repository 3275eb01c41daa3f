//! Calls take turns at computing: as many at one time as there are cores, each for a while. A call that sleeps or waits for
//! others gives its turn away, so that it keeps nobody from the cores; one that computes on and on gives it away after
//! [`SLICE`] to whoever waits. The next turn is that of the function that has had the least, as processes are scheduled by
//! Linux's CFS: a function with many calls gets no more than one with few. A call that reads from the store keeps its turn:
//! that is short, and the reader that it has is needed by others. What a call waits for its turn is not charged to it.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::bindings::{Requests, Waits};

/// What a call computes before it gives way: short, so that the batches of others, most of which take less, do not wait for
/// long; longer than handing over costs by far.
const SLICE: Duration = Duration::from_millis(10);

/// The cores, shared by all functions.
#[derive(Clone)]
pub(super) struct Cores(Arc<Mutex<Shared>>);

struct Shared {
    free: usize,
    /// What the last one whose turn it was had had: who comes back after a rest is taken for one that has had as much, so that
    /// turns cannot be saved up.
    level: Duration,
    functions: BTreeMap<usize, Demand>,
    /// How many have joined.
    joined: usize,
}

/// What a function has had of the cores, and what of it waits.
#[derive(Default)]
struct Demand {
    had: Duration,
    /// How many of its calls compute.
    computing: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// Leave to compute; given back when it is dropped.
struct Turn {
    cores: Cores,
    function: usize,
    began: Instant,
}

/// One function's turns at the cores, and leave to begin a call.
#[derive(Clone)]
pub(super) struct Turns {
    function: Arc<Joined>,
    begun: Arc<Semaphore>,
}

/// A function's place among those that share the cores; what is counted of it goes with its last version.
struct Joined {
    cores: Cores,
    number: usize,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.cores.lock().functions.remove(&self.number);
    }
}

/// What a call is up to while it is polled.
#[derive(Clone, Default)]
pub(super) struct Doing {
    /// What it waits for the host's own stores.
    pub(super) waits: Waits,
    /// What it waits for its turn.
    pub(super) queued: Waits,
    /// What it waits for servers.
    pub(super) network: Waits,
    /// Its HTTP requests.
    pub(super) requests: Option<Requests>,
    /// Whether it was interrupted.
    pub(super) interrupted: Interrupted,
}

/// Set when a guest was interrupted in the middle of computing, and not because it waits.
pub(super) type Interrupted = Arc<AtomicBool>;

impl Cores {
    /// `cores` of them, nobody computing.
    pub(super) fn new(cores: usize) -> Self {
        Cores(Arc::new(Mutex::new(Shared {
            free: cores,
            level: Duration::ZERO,
            functions: BTreeMap::new(),
            joined: 0,
        })))
    }

    /// A function that shares them, with at most `calls` begun at one time.
    pub(super) fn join(&self, calls: usize) -> Turns {
        self.joined(Arc::new(Semaphore::new(calls)))
    }

    fn joined(&self, begun: Arc<Semaphore>) -> Turns {
        let mut shared = self.lock();
        let number = shared.joined;
        shared.joined += 1;
        shared.functions.insert(number, Demand::default());
        Turns { function: Arc::new(Joined { cores: self.clone(), number }), begun }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives away the cores that are free.
    fn give(&self) {
        loop {
            let mut shared = self.lock();
            let Some((function, caller)) = shared.next() else { return };
            let turn = Turn { cores: self.clone(), function, began: Instant::now() };
            drop(shared);
            // A call that has ended meanwhile gives its turn back by dropping it.
            drop(caller.send(turn));
        }
    }
}

impl Shared {
    /// Who comes next, if a core is free: of the function that has had the least, the call that has waited longest.
    fn next(&mut self) -> Option<(usize, oneshot::Sender<Turn>)> {
        self.free.checked_sub(1)?;
        let waiting = self.functions.iter_mut().filter(|(_, demand)| !demand.waiting.is_empty());
        let (function, demand) = waiting.min_by_key(|(_, demand)| demand.had)?;
        let caller = demand.waiting.pop_front()?;
        demand.computing += 1;
        self.level = self.level.max(demand.had);
        self.free -= 1;
        Some((*function, caller))
    }

    /// `function` has computed for `time`.
    fn charge(&mut self, function: usize, time: Duration) {
        let is_wanted = self.is_wanted();
        // A turn may end after the last version of its function is gone.
        let Some(demand) = self.functions.get_mut(&function) else { return };
        demand.had += time;
        if !is_wanted {
            self.level = self.level.max(demand.had);
        }
    }

    fn is_wanted(&self) -> bool {
        self.functions.values().any(|demand| !demand.waiting.is_empty())
    }

    /// A call of `function` wants to compute.
    fn ask(&mut self, function: usize) -> oneshot::Receiver<Turn> {
        let (caller, turn) = oneshot::channel();
        let demand = self.functions.entry(function).or_default();
        let is_busy = demand.computing > 0 || !demand.waiting.is_empty();
        if !is_busy {
            demand.had = demand.had.max(self.level);
        }
        demand.waiting.push_back(caller);
        turn
    }
}

impl Turn {
    /// Whether the call may compute on: within its slice, and after it for another one if nobody waits.
    fn goes_on(&mut self) -> bool {
        let computed = self.began.elapsed();
        if computed < SLICE {
            return true;
        }
        self.began += computed;
        let mut shared = self.cores.lock();
        shared.charge(self.function, computed);
        !shared.is_wanted()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            let mut shared = self.cores.lock();
            shared.charge(self.function, self.began.elapsed());
            if let Some(demand) = shared.functions.get_mut(&self.function) {
                demand.computing -= 1;
            }
            shared.free += 1;
        }
        self.cores.give();
    }
}

impl Turns {
    /// Turns of their own for calls that are counted among these as far as how many are begun.
    pub(super) fn beside(&self) -> Turns {
        self.function.cores.joined(Arc::clone(&self.begun))
    }

    /// Leave to begin a call, to be kept until everything of it is gone.
    pub(super) async fn begin(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.begun).acquire_owned().await.ok()
    }

    /// Asks for leave to compute.
    fn ask(&self) -> oneshot::Receiver<Turn> {
        let Joined { cores, number } = self.function.as_ref();
        let turn = cores.lock().ask(*number);
        cores.give();
        turn
    }

    /// What `call` gives, computed in turns.
    pub(super) async fn take<T>(&self, doing: &Doing, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        let mut asked = self.ask();
        loop {
            let mut turn = {
                let _waiting = doing.queued.begin();
                asked.await.ok()
            };
            let paused = poll_fn(|context| {
                doing.interrupted.store(false, Ordering::Relaxed);
                if let Poll::Ready(answer) = call.as_mut().poll(context) {
                    return Poll::Ready(Paused::Ended(answer));
                }
                let computes = doing.interrupted.load(Ordering::Relaxed);
                match computes {
                    true if turn.as_mut().is_some_and(Turn::goes_on) => Poll::Pending,
                    true => Poll::Ready(Paused::GivesWay),
                    false if doing.waits.now().is_some() => Poll::Pending,
                    false => Poll::Ready(Paused::Waits),
                }
            });
            match paused.await {
                Paused::Ended(answer) => return answer,
                Paused::GivesWay => {
                    // It asks before it gives way: what its function has had counts, as for one that never rested.
                    asked = self.function.cores.lock().ask(self.function.number);
                    drop(turn);
                }
                Paused::Waits => {
                    drop(turn);
                    let asks = doing.requests.as_ref().is_some_and(Requests::are_under_way);
                    let waiting = asks.then(|| doing.network.begin());
                    woken().await;
                    drop(waiting);
                    asked = self.ask();
                }
            }
        }
    }
}

/// Why a call does not compute on.
enum Paused<T> {
    Ended(T),
    /// Others want its core.
    GivesWay,
    /// It sleeps, or waits for others.
    Waits,
}

/// Ends when the task is polled again: what was polled before has told the task's waker what it waits for.
async fn woken() {
    let mut is_first = true;
    poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_core() -> Turns {
        Cores::new(1).join(8)
    }

    #[tokio::test]
    async fn who_sleeps_keeps_nobody_waiting() {
        let turns = one_core();
        let started = Instant::now();
        let doing = Doing::default();
        let sleep = || turns.take(&doing, tokio::time::sleep(Duration::from_millis(100)));
        let (a, b, c) = tokio::join!(sleep(), sleep(), sleep());
        assert_eq!((a, b, c), ((), (), ()));
        assert!(started.elapsed() < Duration::from_millis(250), "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn who_reads_from_the_store_keeps_its_turn() {
        let turns = one_core();
        let (reader, other) = (Doing::default(), Doing::default());
        let reads = turns.take(&reader, async {
            let _waiting = reader.waits.begin();
            tokio::time::sleep(Duration::from_millis(100)).await;
        });
        let ((), waited) = tokio::join!(reads, turns.take(&other, async { other.queued.so_far() }));
        assert!(waited >= Duration::from_millis(80), "it came to its turn after the reader");
    }

    /// Computes for `busy` in steps, interrupted after each; what it waits between them is not in it.
    async fn compute(busy: Duration, interrupted: &Interrupted) {
        const STEP: Duration = Duration::from_millis(5);
        for _ in 0..busy.as_millis() / STEP.as_millis() {
            std::thread::sleep(STEP);
            interrupted.store(true, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_computes_on_and_on_gives_way_and_is_not_charged_for_it() {
        let turns = one_core();
        let (long, short) = (Doing::default(), Doing::default());
        let hog = turns.take(&long, compute(Duration::from_millis(600), &long.interrupted));
        let started = Instant::now();
        let quick = async {
            turns.take(&short, compute(Duration::from_millis(10), &short.interrupted)).await;
            started.elapsed()
        };
        let ((), quick) = tokio::join!(hog, quick);
        assert!(quick < Duration::from_millis(300), "it waited {quick:?} for one that computes");
        assert!(short.queued.so_far() >= SLICE / 2, "what it waited is known: {:?}", short.queued.so_far());
    }

    #[tokio::test]
    async fn a_function_with_many_calls_gets_no_more_than_one_with_few() {
        let cores = Cores::new(1);
        let (many, few) = (cores.join(8), cores.join(8));
        let hogs = futures::future::join_all((0..6).map(|_| async {
            let doing = Doing::default();
            many.take(&doing, compute(Duration::from_millis(200), &doing.interrupted)).await;
        }));
        let started = Instant::now();
        let fair = async {
            let doing = Doing::default();
            few.take(&doing, compute(Duration::from_millis(100), &doing.interrupted)).await;
            started.elapsed()
        };
        let (_, fair) = tokio::join!(hogs, fair);
        assert!(
            fair < Duration::from_millis(400),
            "100 ms of computing took {fair:?} beside six calls of one function"
        );
    }

    #[tokio::test]
    async fn one_call_that_gives_way_comes_again_before_a_function_that_had_more() {
        let cores = Cores::new(1);
        let (long, short) = (cores.join(8), cores.join(8));
        // A read of the store keeps its turn, however long it takes.
        let reads = async || {
            for _ in 0..4 {
                let doing = Doing::default();
                let read = async {
                    let _waiting = doing.waits.begin();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                };
                long.take(&doing, read).await;
            }
        };
        let readers = futures::future::join_all((0..4).map(|_| reads()));
        let started = Instant::now();
        let computes = async {
            let doing = Doing::default();
            short.take(&doing, compute(Duration::from_millis(100), &doing.interrupted)).await;
            started.elapsed()
        };
        let (_, took) = tokio::join!(readers, computes);
        assert!(took < Duration::from_millis(400), "100 ms of computing took {took:?} beside long reads");
    }

    #[tokio::test]
    async fn turns_cannot_be_saved_up() {
        let cores = Cores::new(1);
        let (steady, rested) = (cores.join(8), cores.join(8));
        let doing = Doing::default();
        steady.take(&doing, compute(Duration::from_millis(300), &doing.interrupted)).await;
        let back = async {
            let doing = Doing::default();
            rested.take(&doing, compute(Duration::from_millis(300), &doing.interrupted)).await;
        };
        let started = Instant::now();
        let goes_on = async {
            steady.take(&doing, compute(Duration::from_millis(50), &doing.interrupted)).await;
            started.elapsed()
        };
        let ((), went_on) = tokio::join!(back, goes_on);
        assert!(went_on < Duration::from_millis(250), "50 ms of computing took {went_on:?}");
    }

    #[tokio::test]
    async fn who_leaves_the_queue_leaves_its_turn_to_the_next() {
        let turns = one_core();
        let turn = turns.ask().await;
        let gone: Vec<_> = (0..3).map(|_| turns.ask()).collect();
        let waits = turns.ask();
        drop(gone);
        let waits = tokio::join!(waits, async { drop(turn) }).0;
        assert!(waits.is_ok());
        drop(waits);
        assert!(tokio::time::timeout(Duration::from_secs(5), turns.ask()).await.is_ok());
    }
}
