//! The composition root: from a manifest and a data folder to running functions, and back down in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::config::kafka::KafkaConfig;
use crate::config::stores::place;
use crate::dispatch::Dispatcher;
use crate::embedded::{Folder, Kind, Store};
use crate::engine::{Engine, Ticker};
use crate::kafka::Cluster;
use crate::manifest::variables::Resolved;
use crate::manifest::{Application, DATA_FOLDER, TriggerSource};
use crate::registry::{Registry, Version};
use crate::stores::{StoreError, Stores};

/// How long running calls may take to end once the host is told to stop; what has not committed by then is done again
/// by the next start.
pub const DRAIN: Duration = Duration::from_secs(10);
/// Where compiled code is kept, below the data folder.
const CACHE: &str = "cache";

/// What a start needs to know.
pub struct Plan {
    /// The application.
    pub application: Application,
    /// Values of each function's variables and hosts.
    pub resolved: BTreeMap<String, Resolved>,
    /// The folder of spin.toml.
    pub root: PathBuf,
    /// The data folder.
    pub data_dir: PathBuf,
    /// What the data are.
    pub kind: Kind,
    /// What the operator said.
    pub config: Config,
}

/// A running application.
pub struct App {
    /// Its data.
    pub store: Arc<Store>,
    /// Where its log is, if not in the data folder.
    pub cluster: Option<Arc<Cluster>>,
    /// Its functions at work.
    pub dispatcher: Dispatcher,
    _ticker: Ticker,
}

/// What has been opened and checked, but does not run yet: tables can be loaded before the first batch.
pub struct Prepared {
    /// The data.
    pub store: Arc<Store>,
    registry: Registry,
    /// Where the log is, if not in the data folder.
    pub cluster: Option<Arc<Cluster>>,
    engine: Engine,
}

/// Opens the data folder, checks and compiles the functions.
///
/// # Errors
/// Whatever is wrong with the folder, the components or the cache.
pub async fn prepare(plan: Plan) -> anyhow::Result<Prepared> {
    let mut application = plan.application;
    let stores = stores(&mut application, &plan.config)?;
    let folder = Folder::take(&plan.data_dir, plan.kind)?;
    let cluster = match &plan.config.kafka {
        Some(kafka) => Some(cluster(kafka, &folder, &mut application).await?),
        None => {
            folder.belongs_to(None)?;
            None
        }
    };
    let application = Arc::new(application);
    let folder = folder.keep_free(plan.config.keep_free_mb.map(|mb| mb << 20));
    let engine = Engine::new(&absolute(&plan.data_dir)?.join(CACHE))?;
    let loading = {
        let (engine, application) = (engine.clone(), Arc::clone(&application));
        tokio::task::spawn_blocking(move || {
            Registry::load(&engine, &application, &plan.resolved, &plan.root, plan.config.https_proxy)
        })
    };
    let store = Arc::new(Store::open_with(folder, application, Arc::clone(&stores)).await?);
    for connection in stores.all() {
        match connection.prepare().await {
            Err(StoreError::Away { .. }) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let registry = loading.await.context("the functions could not be loaded")??;
    Ok(Prepared { store, registry, engine, cluster })
}

/// Says of each table where it is, and gives the stores of those that are not in the data folder; none is connected to yet.
///
/// # Errors
/// Where the operator's settings do not fit the application, or a password cannot be had.
pub fn stores(application: &mut Application, config: &Config) -> anyhow::Result<Arc<Stores>> {
    place(application, &config.stores).map_err(anyhow::Error::msg)?;
    if config.kafka.is_some() {
        let rest = application.tables.values_mut().filter(|table| table.connection.is_none());
        rest.for_each(|table| table.connection = Some(DATA_FOLDER.to_owned()));
    }
    Ok(Arc::new(Stores::new(application, &config.stores)?))
}

/// The cluster that holds the log, with the topics that the application needs.
///
/// # Errors
/// When it cannot be reached, or the folder, a topic or another host does not go with it.
async fn cluster(kafka: &KafkaConfig, folder: &Folder, application: &mut Application) -> anyhow::Result<Arc<Cluster>> {
    let cluster = Arc::new(Cluster::new(kafka, folder)?);
    cluster.warm(application)?;
    folder.belongs_to(Some(&cluster.id().await?))?;
    let found = cluster.topics().await?;
    Cluster::fit(application, &found)?;
    cluster.make(application, &found).await?;
    let here: Vec<&str> =
        application.tables.values().filter(|t| t.is_in_data_folder()).map(|t| t.name.as_str()).collect();
    let others = cluster.others(application).await?;
    anyhow::ensure!(
        here.is_empty() || others.is_empty(),
        "another host ({}) runs functions of `{}`, and `{}` would be kept in this host's data folder, where the other does not \
         see it; say in isobar.toml which store they are in, or run one host; one that was killed is missed after some seconds",
        others.into_iter().collect::<Vec<_>>().join(", "),
        application.name,
        here.join("`, `")
    );
    Ok(cluster)
}

/// The cluster for who only looks: nothing is made there.
///
/// # Errors
/// When it cannot be reached, or is not that of the folder.
pub async fn visit(
    kafka: &KafkaConfig,
    folder: &Folder,
    application: &mut Application,
) -> anyhow::Result<Arc<Cluster>> {
    let cluster = Arc::new(Cluster::visit(kafka)?);
    folder.belongs_to(Some(&cluster.id().await?))?;
    Cluster::fit(application, &cluster.topics().await?)?;
    Ok(cluster)
}

impl Prepared {
    /// Lets time pass for calls that are made by hand, as benches do.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn tick(&self) -> anyhow::Result<Ticker> {
        self.engine.tick()
    }

    /// The version of a function that would take the first batch.
    #[must_use]
    pub fn version(&self, function: &str) -> Option<Arc<Version>> {
        Some(self.registry.functions.get(function)?.version.load_full())
    }

    /// Starts the functions.
    ///
    /// # Errors
    /// When a position cannot be read.
    pub async fn start(self) -> anyhow::Result<App> {
        let ticker = self.engine.tick()?;
        let stop = CancellationToken::new();
        let dispatcher = Dispatcher::start(Arc::clone(&self.store), &self.registry, self.cluster.clone(), stop).await?;
        Ok(App { store: self.store, cluster: self.cluster, dispatcher, _ticker: ticker })
    }
}

impl App {
    /// Takes no more batches, lets running ones commit within [`DRAIN`], closes the data.
    pub async fn stop(self) {
        if tokio::time::timeout(DRAIN, self.dispatcher.stop()).await.is_err() {
            tracing::warn!(
                "some calls did not end within {} s; they are done again at the next start",
                DRAIN.as_secs()
            );
        }
        self.store.close().await;
    }
}

/// Puts cron expressions in the place of declared ones, by trigger id.
pub fn replace_cron(application: &mut Application, cron: &BTreeMap<String, String>) {
    for trigger in application.functions.values_mut().flat_map(|f| &mut f.triggers) {
        if let (TriggerSource::Cron(declared), Some(given)) = (&mut trigger.source, cron.get(&trigger.id)) {
            given.clone_into(declared);
        }
    }
}

/// wasmtime's cache takes absolute paths only.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("`{}` is not a path", path.display()))
}
