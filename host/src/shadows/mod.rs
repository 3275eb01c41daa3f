//! Versions that run in the shadow of those in charge: on the same batches, with a copy of the state, their effects held back and
//! compared. What the version in charge made of a batch is kept in the batch's own transaction (`embedded::shadows`); the shadow
//! follows behind it, and takes no more of the cores than [`SHARE`] while others have work.

mod compare;
mod follow;
mod log;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dispatch::Progress;
use crate::embedded::mirrors::{Mirrors, sweep};
use crate::embedded::shadows::Shadow;
use crate::embedded::{Store, WriteError};
use crate::kafka::Cluster;
use crate::registry::Version;

pub use compare::{Amends, CellDifference, Comparison, MOST_AMENDED, MOST_PUBLISHED, RowDifference, TableComparison};
pub use follow::SHARE;
use log::Log;

/// How long a shadow that is to take over may take for what it is behind, while the version in charge goes on.
const LONGEST_PURSUIT: Duration = Duration::from_secs(60);
/// The same while the version in charge stands still.
const LONGEST_END: Duration = Duration::from_secs(10);
/// Records that it may be behind when the version in charge is made to stand still.
const CLOSE: u64 = 10_000;
/// How often it is looked whether a shadow has come far enough.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why a shadow could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// There is none, or it has ended.
    #[error("{0}")]
    None(String),
    /// It is further behind than can be waited for.
    #[error("the shadow of `{function}` is {behind} records behind the version in charge")]
    Behind {
        /// The function.
        function: String,
        /// How far.
        behind: u64,
    },
    /// Data could not be read or written.
    #[error(transparent)]
    Store(#[from] WriteError),
}

impl From<sqlx::Error> for ShadowError {
    fn from(error: sqlx::Error) -> Self {
        ShadowError::Store(error.into())
    }
}

/// One shadow at work.
pub struct Running {
    /// What it is.
    pub shadow: Shadow,
    /// The version.
    pub version: Arc<Version>,
    /// Its data; none once it is gone.
    data: tokio::sync::Mutex<Option<Data>>,
    /// Why it refused records last.
    failure: Mutex<Option<String>>,
    /// Whether somebody waits for it.
    hurries: AtomicBool,
    /// Whether it, or the version in charge, reads what is sensitive or publishes it: then words and records may hold it.
    hides: bool,
    /// Whether the log is in Kafka, and other hosts went on while the tables were copied.
    is_shared: bool,
    beside_others: bool,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A shadow's data.
struct Data {
    /// Who compares holds the lock, so that both files are of one moment.
    mirrors: Arc<Mirrors>,
    /// How far both files have come, by source and partition, once that was read: that of the version in charge and the shadow's.
    positions: BTreeMap<(Arc<str>, u32), (i64, i64)>,
    /// While there is something to handle that was handled before it began: the ledger's last entry that it has handled, by
    /// partition.
    past: Option<BTreeMap<u32, i64>>,
    /// What the ledger said of batches of the past, where it is in Kafka: microseconds, and whether another version had some.
    told: (u64, bool),
}

impl Running {
    /// Why it refused records last, if it did.
    fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn gone(&self) -> ShadowError {
        ShadowError::None(format!("the shadow of `{}` has ended", self.shadow.function))
    }

    /// How many records it has not compared yet.
    ///
    /// # Errors
    /// When data cannot be read.
    pub async fn behind(&self, store: &Store) -> Result<u64, ShadowError> {
        let waiting = store.shadow_behind(&self.shadow.function).await?;
        let data = self.data.lock().await;
        let data = data.as_ref().ok_or_else(|| self.gone())?;
        let past = match data.past {
            Some(_) => data.mirrors.places(&self.shadow.function).await?,
            None => BTreeMap::new(),
        };
        Ok(waiting + past.values().map(|(charge, shadow)| charge.saturating_sub(*shadow).unsigned_abs()).sum::<u64>())
    }

    /// Where its data file is, which holds its state.
    ///
    /// # Errors
    /// [`ShadowError::None`].
    pub async fn file(&self) -> Result<PathBuf, ShadowError> {
        let data = self.data.lock().await;
        data.as_ref().map(|data| data.mirrors.shadow_file()).ok_or_else(|| self.gone())
    }
}

/// Whether a version reads what is sensitive, or publishes to a topic that is.
fn hides(version: &Version) -> bool {
    let topics = &version.application.topics;
    let mut published = version.function.grants.publish.iter();
    version.reads_sensitive() || published.any(|topic| topics.get(topic).is_some_and(|topic| topic.sensitive))
}

/// The shadows at work.
pub struct Shadows {
    store: Arc<Store>,
    /// Where the log is, if not in the data folder.
    cluster: Option<Arc<Cluster>>,
    progress: Arc<Progress>,
    running: Mutex<BTreeMap<String, Arc<Running>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Shadows {
    /// None at first.
    #[must_use]
    pub fn new(store: Arc<Store>, progress: Arc<Progress>, cluster: Option<Arc<Cluster>>) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        Shadows { store, cluster, progress, running: Mutex::default(), tasks, stop }
    }

    /// Lets a shadow follow the version in charge.
    pub fn begin(
        &self,
        shadow: Shadow,
        charge: &Version,
        version: Arc<Version>,
        mirrors: Mirrors,
        beside_others: bool,
    ) {
        let mirrors = Arc::new(mirrors);
        let running = Arc::new(Running {
            data: tokio::sync::Mutex::new(Some(Data {
                mirrors,
                positions: BTreeMap::new(),
                past: shadow.past.then(BTreeMap::new),
                told: (0, false),
            })),
            failure: Mutex::default(),
            hurries: AtomicBool::new(false),
            hides: hides(charge) || hides(&version),
            is_shared: self.cluster.is_some(),
            beside_others,
            task: Mutex::default(),
            version,
            stop: self.stop.child_token(),
            shadow,
        });
        self.running().insert(running.shadow.function.clone(), Arc::clone(&running));
        let log = Log::new(Arc::clone(&self.store), self.cluster.clone());
        let task = Arc::clone(&running).run(Arc::clone(&self.store), log, Arc::clone(&self.progress));
        *running.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.tasks.spawn(task));
    }

    /// The shadow of a function, if it has one at work.
    #[must_use]
    pub fn of(&self, function: &str) -> Option<Arc<Running>> {
        self.running().get(function).cloned()
    }

    /// Ends a function's shadow and removes its data; what the data file knows of it is the caller's business.
    pub async fn end(&self, function: &str) {
        let Some(running) = self.running().remove(function) else { return };
        running.stop.cancel();
        let task = running.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It gives up the call that it has; a panic of it has ended it, too.
            let _ = task.await;
        }
        let data = running.data.lock().await.take();
        if let Some(data) = data {
            data.mirrors.remove().await;
        }
    }

    /// Removes data that no shadow has.
    ///
    /// # Errors
    /// When the data file cannot be read.
    pub async fn sweep(&self) -> Result<(), WriteError> {
        let shadows = self.store.shadows().await?;
        sweep(&self.store, &shadows.iter().map(|shadow| shadow.place.as_str()).collect::<Vec<_>>());
        Ok(())
    }

    /// Waits until a shadow is close behind the version in charge, which goes on meanwhile.
    ///
    /// # Errors
    /// [`ShadowError`].
    pub async fn pursue(&self, function: &str) -> Result<(), ShadowError> {
        self.wait(function, CLOSE, LONGEST_PURSUIT).await
    }

    /// Waits until a shadow has compared everything; the version in charge has to stand still.
    ///
    /// # Errors
    /// [`ShadowError`].
    pub async fn arrive(&self, function: &str) -> Result<(), ShadowError> {
        self.wait(function, 0, LONGEST_END).await
    }

    async fn wait(&self, function: &str, most: u64, longest: Duration) -> Result<(), ShadowError> {
        let gone = || ShadowError::None(format!("`{function}` has no shadow at work"));
        let running = self.of(function).ok_or_else(gone)?;
        running.hurries.store(true, Ordering::Relaxed);
        let close = async {
            loop {
                let behind = running.behind(&self.store).await?;
                // Where it was ended, nothing is kept for it, and nothing waits.
                if !self.store.is_shadowed(function) {
                    return Err(gone());
                }
                if behind <= most {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let ended = tokio::time::timeout(longest, close).await;
        running.hurries.store(false, Ordering::Relaxed);
        match ended {
            Ok(ended) => ended,
            Err(_) => {
                // Only what waits in the data file: whoever compares holds up the rest.
                let behind = self.store.shadow_behind(function).await?;
                Err(ShadowError::Behind { function: function.to_owned(), behind })
            }
        }
    }

    /// Lets all shadows come to the end of their batches and closes their data; the next start goes on with them.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let running: Vec<Arc<Running>> = std::mem::take(&mut *self.running()).into_values().collect();
        for running in running {
            if let Some(data) = running.data.lock().await.take() {
                data.mirrors.close().await;
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
