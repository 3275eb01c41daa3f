//! Calls take turns at computing: as many at one time as there are cores, each for a while. A call that sleeps or waits for
//! others gives its turn away, so that it keeps nobody from the cores; one that computes on and on gives it away after
//! [`SLICE`]. A call that reads from the store keeps it: that is short, and the reader that it has is needed by others. What a
//! call waits for its turn is not charged to it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::bindings::Waits;

/// Longer than most batches take: those run to their end, with their memory warm.
const SLICE: Duration = Duration::from_millis(50);

/// Leave to compute, shared by all functions, and leave to begin a call, of one function.
#[derive(Clone)]
pub(super) struct Turns {
    computing: Arc<Semaphore>,
    begun: Arc<Semaphore>,
}

/// What a call is up to while it is polled.
#[derive(Clone, Default)]
pub(super) struct Doing {
    /// What it waits for the host's own stores.
    pub(super) waits: Waits,
    /// What it waits for its turn.
    pub(super) queued: Waits,
    /// Whether it was interrupted.
    pub(super) interrupted: Interrupted,
}

/// Set when a guest was interrupted in the middle of computing, and not because it waits.
pub(super) type Interrupted = Arc<AtomicBool>;

impl Turns {
    /// For one function of those that share `computing`, with at most `calls` begun at one time.
    pub(super) fn new(computing: Arc<Semaphore>, calls: usize) -> Self {
        Turns { computing, begun: Arc::new(Semaphore::new(calls)) }
    }

    /// Leave to begin a call, to be kept until everything of it is gone.
    ///
    /// # Errors
    /// Never: the semaphores are not closed.
    pub(super) async fn begin(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.begun).acquire_owned().await
    }

    /// What `call` gives, computed in turns.
    ///
    /// # Errors
    /// Never: the semaphores are not closed.
    pub(super) async fn take<T>(&self, doing: &Doing, call: impl Future<Output = T>) -> Result<T, AcquireError> {
        let mut call = pin!(call);
        loop {
            let turn = {
                let _waiting = doing.queued.begin();
                Arc::clone(&self.computing).acquire_owned().await?
            };
            let began = Instant::now();
            let ended = poll_fn(|context| {
                doing.interrupted.store(false, Ordering::Relaxed);
                let polled = call.as_mut().poll(context);
                let computes = doing.interrupted.load(Ordering::Relaxed) && began.elapsed() < SLICE;
                match polled {
                    Poll::Ready(answer) => Poll::Ready(Some(answer)),
                    Poll::Pending if computes || doing.waits.now().is_some() => Poll::Pending,
                    Poll::Pending => Poll::Ready(None),
                }
            });
            if let Some(answer) = ended.await {
                return Ok(answer);
            }
            drop(turn);
            woken().await;
        }
    }
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
        Turns::new(Arc::new(Semaphore::new(1)), 8)
    }

    #[tokio::test]
    async fn who_sleeps_keeps_nobody_waiting() {
        let turns = one_core();
        let started = Instant::now();
        let doing = Doing::default();
        let sleep = || turns.take(&doing, tokio::time::sleep(Duration::from_millis(100)));
        let (a, b, c) = tokio::join!(sleep(), sleep(), sleep());
        assert!(a.and(b).and(c).is_ok());
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
        let (read, waited) = tokio::join!(reads, turns.take(&other, async { other.queued.so_far() }));
        assert!(read.is_ok());
        assert!(waited.unwrap() >= Duration::from_millis(80), "it came to its turn after the reader");
    }

    /// Computes for `busy` in steps, interrupted after each.
    async fn compute(busy: Duration, interrupted: &Interrupted) {
        let until = Instant::now() + busy;
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
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
            turns.take(&short, compute(Duration::from_millis(10), &short.interrupted)).await.unwrap();
            started.elapsed()
        };
        let (hog, quick) = tokio::join!(hog, quick);
        assert!(hog.is_ok());
        assert!(quick < Duration::from_millis(300), "it waited {quick:?} for one that computes");
        assert!(short.queued.so_far() >= SLICE / 2, "what it waited is known: {:?}", short.queued.so_far());
    }
}
