//! Why and when functions run: one worker per (function, partition), each taking batch after batch, each batch a
//! transaction.

mod held;
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

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use pauses::Pauses;
pub use progress::{Progress, SourceStatus, Standing};

use crate::bindings::CallContext;
use crate::clock::Steady;
use crate::embedded::Store;
use crate::kafka::Cluster;
use crate::manifest::TriggerSource;
use crate::registry::{Registered, Registry};

/// How often topics are asked for what they need not keep.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) pauses: Arc<Pauses>,
    pub(crate) voices: voices::Voices,
}

/// The running workers.
pub struct Dispatcher {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Dispatcher {
    /// Starts a worker for each partition of each function; where the log is in Kafka, of those that become this host's.
    ///
    /// # Errors
    /// When a position cannot be read or a cron expression cannot be parsed.
    pub async fn start(
        store: Arc<Store>,
        registry: &Registry,
        cluster: Option<Arc<Cluster>>,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let progress = Arc::new(Progress::new(Arc::clone(store.ends())));
        let pauses = Arc::new(Pauses::load(Arc::clone(&store)).await?);
        let shared = Arc::new(Shared { store, progress, pauses, voices: voices::Voices::default() });
        let tasks = TaskTracker::new();
        match cluster {
            Some(cluster) => {
                for registered in registry.functions.values() {
                    shared.progress.joining(&registered.name, true);
                    let (shared, registered) = (Arc::clone(&shared), Arc::clone(registered));
                    tasks.spawn(partitions::run(shared, registered, Arc::clone(&cluster), stop.clone()));
                }
            }
            None => start_all(&shared, registry, &tasks, &stop).await?,
        }
        tasks.spawn(trim(Arc::clone(&shared), stop.clone()));
        tasks.close();
        Ok(Dispatcher { shared, tasks, stop })
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

    /// Stops taking batches and waits for the running ones; how long is the caller's business.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// Starts a worker for each partition of each function, and what applies their outboxes.
async fn start_all(
    shared: &Arc<Shared>,
    registry: &Registry,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let log = log::Log::Embedded(Arc::clone(&shared.store));
    let mut workers = Vec::new();
    for registered in registry.functions.values() {
        for partition in 0..partitions_of(&shared.store, registered) {
            workers.push(worker::Worker::new(Arc::clone(shared), Arc::clone(registered), partition, &log).await?);
        }
    }
    let appliers = outbox::appliers(shared).await?;
    for worker in workers {
        tasks.spawn(worker.run(stop.clone()));
    }
    for applier in appliers {
        tasks.spawn(applier.run(stop.clone()));
    }
    Ok(())
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
fn partitions_of(store: &Store, registered: &Registered) -> u32 {
    let version = registered.version.load();
    let of = |source: &TriggerSource| match source {
        TriggerSource::Topic(topic) => store.ends().partitions(topic),
        TriggerSource::Cron(_) => 1,
    };
    version.function.triggers.iter().map(|t| of(&t.source)).max().unwrap_or(0)
}

/// What a call of `registered` on `partition` reads from.
fn context(shared: &Shared, registered: &Registered, partition: u32) -> CallContext {
    let version = registered.version.load();
    CallContext {
        store: Arc::clone(&shared.store),
        application: Arc::clone(shared.store.application()),
        function: Arc::clone(&registered.name),
        partition,
        variables: Arc::clone(&version.variables),
        hosts: Arc::clone(&version.hosts),
        https_proxy: version.https_proxy.clone(),
        limits: version.function.limits.clone(),
        before: Vec::new(),
        round: 0,
    }
}
