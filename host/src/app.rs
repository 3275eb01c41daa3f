//! The composition root: from a manifest and a data folder to running functions, and back down in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::config::console::ConsoleConfig;
use crate::config::kafka::KafkaConfig;
use crate::console::view::Running;
use crate::deploys::{Deploys, Hosts, Joined, Listening, Settings, Start};
use crate::dispatch::Dispatcher;
use crate::embedded::{Folder, Kind, Store};
use crate::engine::{Engine, Ticker};
use crate::kafka::Cluster;
use crate::manifest::Application;
use crate::registry::{Loader, Registry, Version};
use crate::stores::{StoreError, Stores};

/// How long running calls may take to end once the host is told to stop; what has not committed by then is done again
/// by the next start.
pub const DRAIN: Duration = Duration::from_secs(10);
/// Where compiled code is kept, below the data folder.
const CACHE: &str = "cache";

/// What a start needs to know.
pub struct Plan {
    /// The text of spin.toml.
    pub manifest: String,
    /// The folder of spin.toml.
    pub root: PathBuf,
    /// The data folder.
    pub data_dir: PathBuf,
    /// What the data are.
    pub kind: Kind,
    /// What the operator said.
    pub settings: Settings,
}

/// A running application.
pub struct App {
    /// Its data.
    pub store: Arc<Store>,
    /// Where its log is, if not in the data folder.
    pub cluster: Option<Arc<Cluster>>,
    /// Its functions at work.
    pub dispatcher: Arc<Dispatcher>,
    /// Its versions.
    pub deploys: Arc<Deploys>,
    /// Puts versions in charge again, and goes along with what other hosts deploy.
    heeding: JoinHandle<((), ())>,
    _ticker: Ticker,
}

/// What has been opened and checked, but does not run yet: tables can be loaded before the first batch.
pub struct Prepared {
    /// The data.
    pub store: Arc<Store>,
    /// Where the log is, if not in the data folder.
    pub cluster: Option<Arc<Cluster>>,
    /// What the operator should know of the versions that run.
    pub news: Vec<String>,
    hosts: Option<(Hosts, Listening)>,
    registry: Registry,
    loader: Arc<Loader>,
    engine: Engine,
    settings: Settings,
    root: PathBuf,
}

/// Opens the data folder, checks and compiles the functions.
///
/// # Errors
/// Whatever is wrong with the folder, the components or the cache.
pub async fn prepare(plan: Plan) -> anyhow::Result<Prepared> {
    let Plan { manifest, root, data_dir, kind, mut settings } = plan;
    let folder = Folder::take(&data_dir, kind)?;
    let (cluster, joined, start) = match &settings.config.kafka {
        Some(kafka) => {
            let file = Start::of_file(&manifest, &root)?;
            let cluster = cluster(kafka, &folder, &file.application).await?;
            let joined = Joined::open(&cluster, kafka, &file.application).await?;
            let start = match &joined {
                Some(joined) => file.of_hosts(joined, &folder, &settings.config).await?,
                None => file,
            };
            (Some(cluster), joined, start)
        }
        None => {
            let start = Start::of_folder(&manifest, &root, &folder, &settings.config).await?;
            (None, None, start)
        }
    };
    let (mut application, resolved) = start.applied(&mut settings)?;
    let config = &settings.config;
    let stores = Arc::new(Stores::new(&application, &config.stores)?);
    match &cluster {
        Some(cluster) => make_topics(cluster, &mut application).await?,
        None => folder.belongs_to(None)?,
    }
    let application = Arc::new(application);
    let folder = folder.keep_free(config.keep_free_mb.map(|mb| mb << 20));
    let cache = absolute(&data_dir)?.join(CACHE);
    let engine = Engine::new((!settings.is_uncached).then_some(&*cache))?;
    let loader = Arc::new(Loader::new(engine.clone(), config.https_proxy.clone()));
    let loading = {
        let (loader, application, sources) = (Arc::clone(&loader), Arc::clone(&application), start.sources(&resolved));
        tokio::task::spawn_blocking(move || loader.load(&application, sources))
    };
    let store = Arc::new(Store::open_with(folder, Arc::clone(&application), Arc::clone(&stores)).await?);
    for connection in stores.all() {
        match connection.prepare().await {
            Err(StoreError::Away { .. }) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let registry = loading.await.context("the functions could not be loaded")??;
    // Where the log is in Kafka and hosts do not deploy, each starts with what its spin.toml says.
    let keeps_versions = cluster.is_none() || joined.is_some();
    let hosts = match joined {
        Some(joined) => {
            // What is said is followed: it has to be right before.
            store.hold_states(&application).await?;
            Some(joined.settle(&start).await?)
        }
        None => None,
    };
    if let Some(deployment) = start.deployment(application)?.filter(|_| keeps_versions) {
        store.deploy(deployment).await?;
    }
    Ok(Prepared { store, cluster, hosts, news: start.news, registry, loader, engine, settings, root })
}

/// Says of each table where it is, and gives the stores of those that are not in the data folder; none is connected to yet.
///
/// # Errors
/// Where the operator's settings do not fit the application, or a password cannot be had.
pub fn stores(application: &mut Application, config: &Config) -> anyhow::Result<Arc<Stores>> {
    config.place(application).map_err(anyhow::Error::msg)?;
    Ok(Arc::new(Stores::new(application, &config.stores)?))
}

/// The cluster that holds the log.
///
/// # Errors
/// When it cannot be reached, or is not that of the folder.
async fn cluster(kafka: &KafkaConfig, folder: &Folder, application: &Application) -> anyhow::Result<Arc<Cluster>> {
    let cluster = Arc::new(Cluster::new(kafka, folder)?);
    cluster.warm(application)?;
    folder.belongs_to(Some(&cluster.id().await?))?;
    Ok(cluster)
}

/// Makes the topics that the application needs.
///
/// # Errors
/// When a topic or another host does not go with it.
async fn make_topics(cluster: &Arc<Cluster>, application: &mut Application) -> anyhow::Result<()> {
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
    Ok(())
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
    /// The folder of spin.toml.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How people reach the host.
    #[must_use]
    pub fn console(&self) -> &ConsoleConfig {
        &self.settings.config.console
    }

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
        let Prepared { store, cluster, hosts, registry, loader, settings, .. } = self;
        let (hosts, listening) = hosts.map(|(hosts, listening)| (Arc::new(hosts), listening)).unzip();
        let (dispatcher, asked) = Dispatcher::start(Arc::clone(&store), &registry, cluster.clone(), stop).await?;
        let dispatcher = Arc::new(dispatcher);
        let (at_work, place) = (Arc::clone(&dispatcher), (cluster.clone(), hosts));
        let deploys = Deploys::new(Arc::clone(&store), loader, settings, at_work, registry, place);
        deploys.resume_shadows().await?;
        let deploys = Arc::new(deploys);
        let heeding = Arc::clone(&deploys);
        let heeding = tokio::spawn(async move {
            let along = async {
                match listening {
                    Some(listening) => heeding.go_along(listening).await,
                    None => std::future::pending().await,
                }
            };
            tokio::join!(heeding.heed(asked), along)
        });
        Ok(App { store, cluster, dispatcher, deploys, heeding, _ticker: ticker })
    }
}

impl App {
    /// What the console tells of it, and tells it.
    #[must_use]
    pub fn running(&self) -> Running {
        Running {
            progress: Arc::clone(self.dispatcher.progress()),
            pauses: Arc::clone(self.dispatcher.pauses()),
            deploys: Arc::clone(&self.deploys),
            dispatcher: Arc::clone(&self.dispatcher),
        }
    }

    /// Takes no more batches, lets running ones commit within [`DRAIN`], closes the data.
    pub async fn stop(self) {
        self.heeding.abort();
        let drained = async { tokio::join!(self.dispatcher.stop(), self.deploys.stop()) };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(
                "some calls did not end within {} s; they are done again at the next start",
                DRAIN.as_secs()
            );
        }
        self.store.close().await;
    }
}

/// wasmtime's cache takes absolute paths only.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("`{}` is not a path", path.display()))
}
