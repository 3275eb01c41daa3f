//! Why and when functions run: one worker per (function, partition), each taking batch after batch, each batch a
//! transaction.

mod fresh;
pub(crate) mod held;
mod log;
mod outbox;
mod partitions;
mod pauses;
mod pending;
pub mod progress;
pub mod rereads;
mod schedule;
mod topic;
mod voices;
mod worker;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedRwLockWriteGuard, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use pauses::Pauses;
pub use voices::{Spoken, VOICES, Voices};

pub use progress::{Progress, SourceStatus, Standing};

use crate::clock::Steady;
use crate::embedded::Store;
use crate::kafka::Cluster;
use crate::manifest::{Function, TriggerSource};
use crate::registry::{Registered, Registry};

/// Rollbacks that wait: each partition of a function may ask for the same one.
const MOST_ROLLBACKS: usize = 64;
/// How long the workers of a function may take to end that have nothing under way.
const LONGEST_END: Duration = Duration::from_secs(10);
/// How often topics are asked for what they need not keep.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) pauses: Arc<Pauses>,
    pub(crate) voices: voices::Voices,
    /// Changes when another version has taken over, or when functions are held.
    pub(crate) swaps: watch::Sender<()>,
    /// Takes who is to be put in charge again in the place of a version that does worse.
    rollbacks: mpsc::Sender<Rollback>,
    /// Scheduled functions that are to run now.
    called: Mutex<BTreeSet<Arc<str>>>,
    /// Functions whose workers are to let go of what they have.
    held: Mutex<BTreeSet<Arc<str>>>,
}

impl Shared {
    fn is_held(&self, function: &str) -> bool {
        self.held().contains(function)
    }

    /// Whether somebody has called for a run of a scheduled function, which is then begun.
    fn take_call(&self, function: &str) -> bool {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).remove(function)
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A version that does worse than the one before it.
#[derive(Debug)]
pub struct Rollback {
    /// The function.
    pub function: Arc<str>,
    /// The digest of the version.
    pub version: Arc<str>,
    /// The digest of the one before it.
    pub before: Arc<str>,
    /// What it did, in words that may be shown.
    pub reason: String,
    /// Told when that is done, or dropped when it cannot be.
    pub answer: oneshot::Sender<()>,
}

/// A function of which nothing is under way until this is dropped.
pub struct Held {
    shared: Arc<Shared>,
    function: Arc<str>,
    _gate: Option<OwnedRwLockWriteGuard<()>>,
}

impl Held {
    /// Its name.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.function
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.held().remove(&self.function);
    }
}

/// The running workers.
pub struct Dispatcher {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Where the log is, if not in the data folder.
    cluster: Option<Arc<Cluster>>,
    /// Functions that have workers, or, where the log is in Kafka, are members of their groups.
    at_work: Mutex<BTreeMap<Arc<str>, AtWork>>,
}

/// What works for a function.
struct AtWork {
    /// How many partitions have a worker; none where the log is in Kafka.
    workers: u32,
    tasks: TaskTracker,
    /// Ends it after what it has under way.
    stop: CancellationToken,
    /// Ends it at once.
    kill: CancellationToken,
}

impl AtWork {
    fn new(stop: &CancellationToken) -> Self {
        AtWork { workers: 0, tasks: TaskTracker::new(), stop: stop.child_token(), kill: CancellationToken::new() }
    }
}

impl Dispatcher {
    /// Starts a worker for each partition of each function; where the log is in Kafka, of those that become this host's. By what
    /// comes with it workers ask for versions to be put in charge again.
    ///
    /// # Errors
    /// When a position cannot be read or a cron expression cannot be parsed.
    pub async fn start(
        store: Arc<Store>,
        registry: &Registry,
        cluster: Option<Arc<Cluster>>,
        stop: CancellationToken,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Rollback>)> {
        let (rollbacks, asked) = mpsc::channel(MOST_ROLLBACKS);
        let progress = Arc::new(Progress::new(Arc::clone(store.ends())));
        let pauses = Arc::new(Pauses::load(Arc::clone(&store)).await?);
        let (voices, swaps) = (voices::Voices::default(), watch::Sender::new(()));
        let shared = Arc::new(Shared {
            store,
            progress,
            pauses,
            voices,
            swaps,
            rollbacks,
            called: Mutex::default(),
            held: Mutex::default(),
        });
        let dispatcher = Dispatcher { shared, tasks: TaskTracker::new(), stop, cluster, at_work: Mutex::default() };
        match &dispatcher.cluster {
            Some(cluster) => registry.functions.values().for_each(|registered| dispatcher.join(registered, cluster)),
            None => dispatcher.start_all(registry).await?,
        }
        let Dispatcher { shared, tasks, stop, .. } = &dispatcher;
        tasks.spawn(trim(Arc::clone(shared), stop.clone()));
        tasks.close();
        Ok((dispatcher, asked))
    }

    /// Joins the group of a function whose log is in Kafka, unless this host is a member of it.
    fn join(&self, registered: &Arc<Registered>, cluster: &Arc<Cluster>) {
        let mut at_work = self.at_work();
        let Entry::Vacant(place) = at_work.entry(Arc::clone(&registered.name)) else { return };
        let at_work = place.insert(AtWork::new(&self.stop));
        self.shared.progress.joining(&registered.name, true);
        let (shared, registered) = (Arc::clone(&self.shared), Arc::clone(registered));
        let ends = partitions::Ends { stop: at_work.stop.clone(), kill: at_work.kill.clone() };
        let work = partitions::run(shared, registered, Arc::clone(cluster), ends);
        self.tasks.spawn(at_work.tasks.track_future(work));
    }

    /// Starts the workers of all functions, and what applies their outboxes.
    async fn start_all(&self, registry: &Registry) -> anyhow::Result<()> {
        let mut workers = Vec::new();
        for registered in registry.functions.values() {
            workers.push((registered, self.workers(registered).await?));
        }
        let appliers = outbox::appliers(&self.shared).await?;
        for (registered, workers) in workers {
            self.spawn(registered, workers);
        }
        for applier in appliers {
            self.tasks.spawn(applier.run(self.stop.clone()));
        }
        Ok(())
    }

    /// Says that another version of a function has taken over, or a first one; with a wider topic come more workers.
    ///
    /// # Errors
    /// When a position cannot be read; then the partitions that are new have no worker until this is said again.
    pub async fn swapped(&self, registered: &Arc<Registered>) -> anyhow::Result<()> {
        self.shared.swaps.send_replace(());
        if let Some(cluster) = &self.cluster {
            self.join(registered, cluster);
            return Ok(());
        }
        let workers = self.workers(registered).await?;
        self.spawn(registered, workers);
        Ok(())
    }

    /// Lets a scheduled function run now, whatever its schedule says.
    pub fn call(&self, function: &str) {
        self.shared.called.lock().unwrap_or_else(PoisonError::into_inner).insert(function.into());
        self.shared.swaps.send_replace(());
    }

    /// Lets what is under way of a function come to its end and begins nothing of it until the answer is dropped; `None` where that
    /// takes longer than `most`.
    pub async fn hold(&self, registered: &Registered, most: Duration) -> Option<Held> {
        let (shared, function) = (Arc::clone(&self.shared), Arc::clone(&registered.name));
        shared.held().insert(Arc::clone(&function));
        let mut held = Held { shared, function, _gate: None };
        self.shared.swaps.send_replace(());
        let gate = tokio::time::timeout(most, Arc::clone(&registered.gate).write_owned()).await.ok()?;
        held._gate = Some(gate);
        Some(held)
    }

    /// Workers for the partitions of a function that have none.
    async fn workers(&self, registered: &Arc<Registered>) -> anyhow::Result<Vec<worker::Worker>> {
        let log = log::Log::Embedded(Arc::clone(&self.shared.store));
        let at_work = self.at_work().get(&registered.name).map_or(0, |at_work| at_work.workers);
        let wanted = partitions_of(&self.shared.store, &registered.version.load().function);
        let mut workers = Vec::new();
        for partition in at_work..wanted {
            let (shared, registered) = (Arc::clone(&self.shared), Arc::clone(registered));
            workers.push(worker::Worker::new(shared, registered, partition, &log).await?);
        }
        Ok(workers)
    }

    fn spawn(&self, registered: &Registered, workers: Vec<worker::Worker>) {
        let mut at_work = self.at_work();
        let at_work = at_work.entry(Arc::clone(&registered.name)).or_insert_with(|| AtWork::new(&self.stop));
        at_work.workers += workers.len() as u32;
        for worker in workers {
            let (kill, work) = (at_work.kill.clone(), worker.run(at_work.stop.clone()));
            self.tasks.spawn(at_work.tasks.track_future(async move {
                tokio::select! {
                    () = kill.cancelled() => {}
                    () = work => {}
                }
            }));
        }
    }

    /// Forgets what worked for a function whose calls were given up, so that it can begin anew.
    pub fn forget_given_up(&self, registered: &Registered) {
        let mut at_work = self.at_work();
        if at_work.get(&registered.name).is_some_and(|at_work| at_work.kill.is_cancelled()) {
            at_work.remove(&registered.name);
        }
    }

    /// Gives up the calls of a function that is held. Should it not be removed then, it has to be begun anew.
    pub fn give_up(&self, registered: &Registered) {
        if let Some(at_work) = self.at_work().get(&registered.name) {
            at_work.stop.cancel();
            at_work.kill.cancel();
        }
    }

    /// Ends what works for a function of which nothing is under way; it is known to nobody any more. What does not end in time is told,
    /// and begins nothing.
    pub async fn remove(&self, held: Held) {
        let function = Arc::clone(&held.function);
        let Some(AtWork { tasks, stop, .. }) = self.at_work().remove(&function) else { return };
        stop.cancel();
        drop(held);
        tasks.close();
        if tokio::time::timeout(LONGEST_END, tasks.wait()).await.is_err() {
            tracing::warn!(%function, "what worked for it takes longer to end");
        }
        self.shared.progress.forget_function(&function);
    }

    fn at_work(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, AtWork>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where every function stands.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.shared.progress
    }

    /// Which functions stand still.
    #[must_use]
    pub fn pauses(&self) -> &Arc<Pauses> {
        &self.shared.pauses
    }

    /// What functions wrote.
    #[must_use]
    pub fn voices(&self) -> &Voices {
        &self.shared.voices
    }

    /// Stops taking batches and waits for the running ones; how long is the caller's business.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// Lets go now and then of what topics need not keep. Ages are not believed at first, and then go on steadily: a clock that is
/// ahead for a while must not cost what is still to be read again.
async fn trim(shared: Arc<Shared>, stop: CancellationToken) {
    let mut clock: Option<Steady> = None;
    while !stop.is_cancelled() {
        let now_ms = clock.as_mut().map(Steady::now_ms);
        if let Err(error) = shared.store.trim(now_ms).await {
            tracing::warn!(%error, "old records could not be removed; it is tried again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(TRIM_EVERY) => {}
        }
        clock.get_or_insert_with(Steady::begin);
    }
}

/// As many workers as its widest topic has partitions; a schedule runs on the first.
fn partitions_of(store: &Store, function: &Function) -> u32 {
    let of = |source: &TriggerSource| match source {
        TriggerSource::Topic(topic) => store.ends().partitions(topic),
        TriggerSource::Cron(_) => 1,
    };
    function.triggers.iter().map(|t| of(&t.source)).max().unwrap_or(0)
}
