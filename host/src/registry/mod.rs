//! Functions as they run: components checked against their grants, compiled, linked, and named by their digest.

pub mod call;
pub mod gate;
mod turns;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use http::Uri;
use sha2::{Digest as _, Sha256};
use turns::{Cores, Turns};
use wasmtime::component::{ComponentExportIndex, InstancePre};

use crate::bindings::{self, CallState};
use crate::engine::{Engine, MAX_CONCURRENT_CALLS, from_wasmtime, inspect};
use crate::manifest::outbound::OutboundHost;
use crate::manifest::variables::Resolved;
use crate::manifest::{Application, Function};

/// Characters of a digest by which people name a version.
const SHORT_VERSION: usize = 12;

/// A version of a function, ready to be called.
pub struct Version {
    /// SHA-256 of the component, in hex.
    pub digest: Arc<str>,
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
    turns: Turns,
}

/// A function with the version in charge; a swap is a store into `version`.
pub struct Registered {
    /// The function's name.
    pub name: Arc<str>,
    /// The version that the next batch goes to.
    pub version: ArcSwap<Version>,
}

/// The functions of an application.
pub struct Registry {
    /// By name.
    pub functions: BTreeMap<String, Arc<Registered>>,
}

impl Registry {
    /// Loads every function that a trigger names. All refusals are told at once.
    ///
    /// # Errors
    /// When a component is missing, cannot run, or reaches beyond its grants.
    pub fn load(
        engine: &Engine,
        application: &Arc<Application>,
        resolved: &BTreeMap<String, Resolved>,
        root: &Path,
        https_proxy: Option<Uri>,
    ) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let cores = Cores::new(cores);
        // Each function has as many places as any other: one that takes all of its own keeps nobody from theirs.
        let calls = (MAX_CONCURRENT_CALLS as usize / application.functions.len().max(1)).max(1);
        let mut functions = BTreeMap::new();
        let mut refusals = Vec::new();
        for function in application.functions.values().filter(|f| !f.triggers.is_empty()) {
            let resolved = resolved.get(&function.name).cloned().unwrap_or_default();
            let turns = cores.join(calls);
            match Version::load(engine, application, function, resolved, root, turns) {
                Ok(mut version) => {
                    version.https_proxy = https_proxy.clone();
                    let name: Arc<str> = function.name.as_str().into();
                    let registered = Registered { name, version: ArcSwap::from_pointee(version) };
                    functions.insert(function.name.clone(), Arc::new(registered));
                }
                Err(error) => refusals.push(format!("{error:#}")),
            }
        }
        anyhow::ensure!(refusals.is_empty(), "{}", refusals.join("\n"));
        Ok(Registry { functions })
    }
}

impl Version {
    fn load(
        engine: &Engine,
        application: &Arc<Application>,
        function: &Function,
        resolved: Resolved,
        root: &Path,
        turns: Turns,
    ) -> anyhow::Result<Self> {
        let bytes = read(function, root)?;
        let name = &function.name;
        let found = inspect::inspect(&bytes).with_context(|| format!("the component of `{name}` cannot be read"))?;
        let refusals = gate::refusals(application, function, &found);
        anyhow::ensure!(refusals.is_empty(), "{}", gate::render(&refusals));
        let component =
            engine.compile(&bytes).with_context(|| format!("the component of `{name}` cannot be compiled"))?;
        let linker = bindings::linker(engine, application, function, &component)
            .with_context(|| format!("`{name}` cannot be linked"))?;
        let export = |interface: &str, function: &str| {
            let (_, instance) = component.get_export(None, interface)?;
            component.get_export(Some(&instance), function).map(|(_, index)| index)
        };
        let handle = export(gate::HANDLER, "handle").or_else(|| export(gate::HANDLER_SYNC, "handle"));
        let run = export(gate::SCHEDULED, "run");
        let pre = linker
            .instantiate_pre(&component)
            .map_err(from_wasmtime)
            .with_context(|| format!("`{name}` cannot be linked"))?;
        Ok(Version {
            digest: hex(&Sha256::digest(&bytes)).into(),
            function: function.clone(),
            variables: Arc::new(resolved.variables),
            hosts: resolved.allowed_outbound_hosts.into(),
            https_proxy: None,
            pre,
            handle,
            run,
            turns,
        })
    }

    /// The digest as people read it.
    #[must_use]
    pub fn short(&self) -> &str {
        self.digest.get(..SHORT_VERSION).unwrap_or(&self.digest)
    }
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
