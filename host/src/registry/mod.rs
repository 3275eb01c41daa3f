//! Functions as they run: components checked against their grants, compiled, linked, and named by their digest.

pub mod call;
pub mod deliver;
pub mod gate;
mod secrets;
mod turns;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use http::Uri;
use tokio::sync::RwLock;
use wasmtime::component::{ComponentExportIndex, InstancePre};

use crate::bindings::{self, CallContext, CallState};
use crate::embedded::Store;
use crate::embedded::versions::digest_of;
use crate::engine::{Engine, MAX_CONCURRENT_CALLS, from_wasmtime, inspect};
use crate::manifest::outbound::OutboundHost;
use crate::manifest::variables::Resolved;
use crate::manifest::{Application, Function};
use secrets::Secrets;
use turns::{Cores, Turns};

/// Characters of a digest by which people name a version.
const SHORT_VERSION: usize = 12;

/// A version of a function, ready to be called.
pub struct Version {
    /// SHA-256 of the component and of what the manifest says of the function, in hex.
    pub digest: Arc<str>,
    /// SHA-256 of the component, in hex.
    pub component: Arc<str>,
    /// The application that it was linked for.
    pub application: Arc<Application>,
    /// What spin.toml said of it.
    pub function: Function,
    /// Values of its variables.
    pub variables: Arc<BTreeMap<String, String>>,
    /// Where it may send requests to.
    pub hosts: Arc<[OutboundHost]>,
    /// By way of which proxy its requests to `https` names go.
    pub https_proxy: Option<Uri>,
    pre: InstancePre<CallState>,
    handle: Option<ComponentExportIndex>,
    run: Option<ComponentExportIndex>,
    migrate: Option<ComponentExportIndex>,
    turns: Turns,
    /// What its words may not hold.
    secrets: Secrets,
}

/// What a version is made of.
#[derive(Debug, Clone)]
pub struct Source {
    /// As [`Version::digest`].
    pub digest: String,
    /// The component.
    pub component: Arc<[u8]>,
    /// Values of its variables and hosts.
    pub resolved: Resolved,
}

/// A function with the version in charge; a swap is a store into `version`.
pub struct Registered {
    /// The function's name.
    pub name: Arc<str>,
    /// The version that the next batch goes to.
    pub version: ArcSwap<Version>,
    /// Who works on its batches reads; who writes knows that nothing of it is under way.
    pub gate: Arc<RwLock<()>>,
}

impl Registered {
    /// A function with its first version.
    #[must_use]
    pub fn new(name: &str, version: Arc<Version>) -> Self {
        Registered { name: name.into(), version: ArcSwap::new(version), gate: Arc::default() }
    }
}

/// Where a version's calls take their place among others.
#[derive(Clone, Copy)]
pub enum Place<'v> {
    /// It is the first of its function.
    New,
    /// In the place of the version in charge.
    Of(&'v Version),
    /// Beside the version in charge: its calls count among those of the function, and its time on its own.
    ShadowOf(&'v Version),
}

/// What makes versions of components.
pub struct Loader {
    engine: Engine,
    cores: Cores,
    https_proxy: Option<Uri>,
}

/// The functions of an application.
#[derive(Default)]
pub struct Registry {
    /// By name.
    pub functions: BTreeMap<String, Arc<Registered>>,
}

impl Loader {
    /// Makes versions that share the cores of this machine.
    #[must_use]
    pub fn new(engine: Engine, https_proxy: Option<Uri>) -> Self {
        let cores = Cores::new(std::thread::available_parallelism().map_or(1, NonZero::get));
        Loader { engine, cores, https_proxy }
    }

    /// Loads every function that a trigger names. All refusals are told at once.
    ///
    /// # Errors
    /// When a component cannot run, or reaches beyond its grants.
    pub fn load(
        &self,
        application: &Arc<Application>,
        mut sources: BTreeMap<String, Source>,
    ) -> anyhow::Result<Registry> {
        let mut registry = Registry::default();
        let mut refusals = Vec::new();
        for function in application.functions.values() {
            let Some(source) = sources.remove(&function.name) else { continue };
            match self.version(application, function, source, Place::New) {
                Ok(version) => {
                    let registered = Registered::new(&function.name, Arc::new(version));
                    registry.functions.insert(function.name.clone(), Arc::new(registered));
                }
                Err(error) => refusals.push(format!("{error:#}")),
            }
        }
        anyhow::ensure!(refusals.is_empty(), "{}", refusals.join("\n"));
        Ok(registry)
    }

    /// A version of `function`, which takes its turns with the one in charge, or in its shadow turns of its own.
    ///
    /// # Errors
    /// When the component cannot be read, compiled or linked, or reaches beyond its grants.
    pub fn version(
        &self,
        application: &Arc<Application>,
        function: &Function,
        source: Source,
        place: Place<'_>,
    ) -> anyhow::Result<Version> {
        let Source { digest, component: bytes, resolved } = source;
        let name = &function.name;
        let found = inspect::inspect(&bytes).with_context(|| format!("the component of `{name}` cannot be read"))?;
        let refusals = gate::refusals(application, function, &found);
        anyhow::ensure!(refusals.is_empty(), "{}", gate::render(&refusals));
        let component =
            self.engine.compile(&bytes).with_context(|| format!("the component of `{name}` cannot be compiled"))?;
        let linker = bindings::linker(&self.engine, application, function, &component)
            .with_context(|| format!("`{name}` cannot be linked"))?;
        let export = |interface: &str, function: &str| {
            let (_, instance) = component.get_export(None, interface)?;
            component.get_export(Some(&instance), function).map(|(_, index)| index)
        };
        let handle = export(gate::HANDLER, "handle").or_else(|| export(gate::HANDLER_SYNC, "handle"));
        let run = export(gate::SCHEDULED, "run");
        let migrate = export(gate::MIGRATION, "migrate");
        let pre = linker
            .instantiate_pre(&component)
            .map_err(from_wasmtime)
            .with_context(|| format!("`{name}` cannot be linked"))?;
        // Each function has as many places as any other: one that takes all of its own keeps nobody from theirs.
        let places = || (MAX_CONCURRENT_CALLS as usize / application.functions.len().max(1)).max(1);
        Ok(Version {
            digest: digest.into(),
            component: digest_of(&bytes).into(),
            application: Arc::clone(application),
            function: function.clone(),
            variables: Arc::new(resolved.variables),
            hosts: resolved.allowed_outbound_hosts.into(),
            secrets: Secrets::new(resolved.secrets),
            https_proxy: self.https_proxy.clone(),
            pre,
            handle,
            run,
            migrate,
            turns: match place {
                Place::New => self.cores.join(places()),
                Place::Of(charge) => charge.turns.clone(),
                Place::ShadowOf(charge) => charge.turns.beside(),
            },
        })
    }
}

impl Version {
    /// The digest as people read it.
    #[must_use]
    pub fn short(&self) -> &str {
        short(&self.digest)
    }

    /// Whether it can read what is sensitive: then its words may hold what it read.
    #[must_use]
    pub fn reads_sensitive(&self) -> bool {
        self.function.reads_sensitive(&self.application)
    }

    /// Whether it knows what the state of an older version is to become.
    #[must_use]
    pub fn migrates(&self) -> bool {
        self.migrate.is_some()
    }

    /// What a call of it in `partition` has, where nothing is under way.
    #[must_use]
    pub fn context(&self, store: &Arc<Store>, partition: u32) -> CallContext {
        CallContext {
            store: Arc::clone(store),
            aside: None,
            application: Arc::clone(&self.application),
            function: self.function.name.as_str().into(),
            partition,
            variables: Arc::clone(&self.variables),
            hosts: Arc::clone(&self.hosts),
            https_proxy: self.https_proxy.clone(),
            limits: self.function.limits.clone(),
            before: Vec::new(),
            round: 0,
        }
    }
}

/// A version's digest as people read it.
#[must_use]
pub fn short(digest: &str) -> &str {
    digest.get(..SHORT_VERSION).unwrap_or(digest)
}

/// The bytes of a function's component.
///
/// # Errors
/// When the file is missing: the message says how to build it.
pub fn read(function: &Function, root: &Path) -> anyhow::Result<Vec<u8>> {
    let path: PathBuf = root.join(&function.source);
    inspect::read(&path).with_context(|| {
        let remedy = if function.build.is_some() { "run `isobar build`, or `isobar up --build`" } else { "build it" };
        format!(
            "spin.toml:{}: the component of `{}` is missing: `{}`\n  hint: {remedy}",
            function.line,
            function.name,
            function.source.display()
        )
    })
}
