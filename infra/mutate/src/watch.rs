//! What ends the process when an input does not end: a test harness waits for ever, and a thread cannot be stopped.
//! Whether an input that ends took too long is not judged here.

use std::io::Write as _;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::failure;

/// How often it looks.
const TICK: Duration = Duration::from_millis(200);

/// Ends the process when an input takes too long, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    current: Arc<Mutex<Current>>,
    /// Dropping it tells the thread to end.
    _alive: Sender<()>,
}

/// What is being tried.
#[derive(Debug, Default)]
struct Current {
    input: Vec<u8>,
    /// Since when and for how long at most; none between two inputs.
    time: Option<(Instant, Duration)>,
}

impl Watch {
    pub(crate) fn new(name: &'static str, seed: u64) -> Self {
        let current = Arc::new(Mutex::new(Current::default()));
        let (alive, ended) = channel::<()>();
        let watched = current.clone();
        std::thread::spawn(move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let current = held(&watched);
                let Some((_, most)) = current.time.filter(|(begun, most)| begun.elapsed() > *most) else { continue };
                let said = failure(name, seed, &current.input, &format!("it does not end within {most:?}"));
                // Past the harness, which would keep it for itself.
                let _ = writeln!(std::io::stderr(), "{said}");
                std::process::abort();
            }
        });
        Watch { current, _alive: alive }
    }

    pub(crate) fn begins(&self, input: &[u8], most: Duration) {
        let mut current = held(&self.current);
        current.input.clear();
        current.input.extend_from_slice(input);
        current.time = Some((Instant::now(), most));
    }

    pub(crate) fn ends(&self) {
        held(&self.current).time = None;
    }
}

fn held(current: &Mutex<Current>) -> MutexGuard<'_, Current> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}
