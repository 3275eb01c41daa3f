//! Calls take turns at computing: as many at one time as there are cores, each for a while. A call that waits gives its turn
//! away, so that functions that sleep or wait for others keep nobody from the cores; one that computes on and on gives it
//! away after [`SLICE`]. What a call waits for its turn is not charged to it.

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

/// Set when a guest was interrupted in the middle of computing, and not because it waits.
pub(super) type Interrupted = Arc<AtomicBool>;

impl Turns {
    /// For one function of those that share `computing`, with at most `calls` begun at one time.
    pub(super) fn new(computing: Arc<Semaphore>, calls: usize) -> Self {
        Turns { computing, begun: Arc::new(Semaphore::new(calls)) }
    }

    /// What `call` gives, computed in turns; what it waits for them is added to `queued`.
    ///
    /// # Errors
    /// Never: the semaphores are not closed.
    pub(super) async fn take<T>(
        &self,
        queued: &Waits,
        interrupted: &Interrupted,
        call: impl Future<Output = T>,
    ) -> Result<T, AcquireError> {
        let mut call = pin!(call);
        let _begun = waited(queued, &self.begun).await?;
        loop {
            let turn = waited(queued, &self.computing).await?;
            let began = Instant::now();
            let ended = poll_fn(|context| {
                interrupted.store(false, Ordering::Relaxed);
                match call.as_mut().poll(context) {
                    Poll::Ready(answer) => Poll::Ready(Some(answer)),
                    Poll::Pending if interrupted.load(Ordering::Relaxed) && began.elapsed() < SLICE => Poll::Pending,
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

async fn waited(queued: &Waits, semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, AcquireError> {
    let _waiting = queued.begin();
    Arc::clone(semaphore).acquire_owned().await
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
        let (queued, interrupted) = (Waits::default(), Interrupted::default());
        let sleep = || turns.take(&queued, &interrupted, tokio::time::sleep(Duration::from_millis(100)));
        let (a, b, c) = tokio::join!(sleep(), sleep(), sleep());
        assert!(a.and(b).and(c).is_ok());
        assert!(started.elapsed() < Duration::from_millis(250), "{:?}", started.elapsed());
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
        let (queued, interrupted) = (Waits::default(), Interrupted::default());
        let (long, short) = (Interrupted::default(), Interrupted::default());
        let hog = turns.take(&queued, &long, compute(Duration::from_millis(600), &long));
        let others = Waits::default();
        let started = Instant::now();
        let quick = async {
            turns.take(&others, &short, compute(Duration::from_millis(10), &short)).await.unwrap();
            started.elapsed()
        };
        let (hog, quick) = tokio::join!(hog, quick);
        assert!(hog.is_ok() && !interrupted.load(Ordering::Relaxed));
        assert!(quick < Duration::from_millis(300), "it waited {quick:?} for one that computes");
        assert!(others.so_far() >= SLICE / 2, "what it waited is known: {:?}", others.so_far());
    }
}
