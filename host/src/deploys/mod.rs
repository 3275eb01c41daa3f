//! Functions as things with versions: which ones run, how another takes over while batches flow, what is refused.
//!
//! A deploy is decided before anything changes: the manifest that would run is checked whole, components are held against their
//! grants, compiled and instantiated once. Then one transaction makes it so, and each partition goes on with the new version
//! after the batch that it has. Nothing is undone, because nothing can fail any more.

mod shadow;
mod start;
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::bindings::tables::text::cut;
use crate::clock::now_ms;
use crate::config::Config;
use crate::config::stores::place;
use crate::dispatch::{Dispatcher, Rollback};
use crate::embedded::shadows::Promotion;
use crate::embedded::versions::{Arrival, Deployed, Deployment, Entry, digest_of};
use crate::embedded::{Store, WriteError};
use crate::manifest::access::unmarked;
use crate::manifest::variables::{Resolved, resolve};
use crate::manifest::{self, Application, Problem};
use crate::registry::{Loader, Place, Registered, Registry, Source, Version, short};
use crate::shadows::Shadows;

pub use start::Start;
pub use stored::{diff, has_read, versions};

/// Functions whose names the audit log has of a deploy that was refused; characters of them, and of why.
const MOST_NAMED: usize = 20;
const MOST_NAMES: usize = 200;
const MOST_SAID: usize = 2_000;

/// Who has the data folder, and may do everything.
pub const OWNER: &str = "owner of the data folder";
/// Who rolls back what does worse.
const ITSELF: &str = "isobar";

/// What an operator said when the host was started; it holds for versions that come later, too.
#[derive(Clone, Default)]
pub struct Settings {
    /// Values of the application's variables.
    pub values: BTreeMap<String, String>,
    /// Cron expressions in the place of declared ones, by trigger id.
    pub cron: BTreeMap<String, String>,
    /// Where the application runs.
    pub config: Config,
    /// Whether components are compiled anew at each start.
    pub is_uncached: bool,
}

/// Why a deploy did not happen; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// It may not be, or cannot work.
    #[error("{message}{}", hint.as_ref().map(|h| format!("\n  hint: {h}")).unwrap_or_default())]
    Refused {
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// There is no such function or version.
    #[error("{message}\n  hint: {hint}")]
    Unknown {
        /// Which.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The data could not be read or written.
    #[error("{0}")]
    Failed(String),
}

impl DeployError {
    fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        DeployError::Refused { message: message.into(), hint: Some(hint.into()) }
    }

    fn unknown(message: impl Into<String>, hint: impl Into<String>) -> Self {
        DeployError::Unknown { message: message.into(), hint: hint.into() }
    }

    fn problems(problems: &[Problem]) -> Self {
        let told: Vec<String> = problems.iter().map(|p| format!("{}\n  hint: {}", p.message, p.hint)).collect();
        DeployError::Refused { message: told.join("\n"), hint: None }
    }
}

impl From<WriteError> for DeployError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Deploy(_) | WriteError::Table(_) => {
                DeployError::Refused { message: error.to_string(), hint: None }
            }
            error => DeployError::Failed(error.to_string()),
        }
    }
}

/// What is to be deployed.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// What a manifest says of the functions: [`manifest::part`].
    pub part: String,
    /// Their components, by function.
    pub components: BTreeMap<String, Arc<[u8]>>,
}

/// What became of a function that was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The function.
    pub function: String,
    /// The version that is in charge now.
    pub version: String,
    /// The version that was in charge before, if there was one; the same where nothing has changed.
    pub before: Option<String>,
}

/// A version of a function as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSummary {
    /// SHA-256 of the component and of what the manifest says of the function, in hex.
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub component: String,
    /// When it was deployed last, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Whether it is in charge.
    pub running: bool,
    /// Whether it is what spin.toml said when the host was started last.
    pub filed: bool,
}

/// The versions of a running application.
pub struct Deploys {
    store: Arc<Store>,
    loader: Arc<Loader>,
    settings: Settings,
    dispatcher: Arc<Dispatcher>,
    shadows: Shadows,
    registry: Mutex<Registry>,
    /// One deploy at a time.
    turn: tokio::sync::Mutex<()>,
    /// Whether the log is in Kafka, where other hosts would not know of a deploy.
    is_shared: bool,
}

impl Settings {
    /// The application as it runs here, and the values of each function's variables.
    pub(crate) fn applied(
        &self,
        declared: &Application,
    ) -> Result<(Application, BTreeMap<String, Resolved>), DeployError> {
        let mut application = declared.clone();
        application.replace_cron(&self.cron);
        place(&mut application, &self.config.stores).map_err(|message| DeployError::Refused { message, hint: None })?;
        let resolved = resolve(&application, &self.values).map_err(|problems| DeployError::problems(&problems))?;
        let beyond = self.config.policy.iter().flat_map(|policy| policy.beyond(&application, &resolved));
        let beyond: Vec<String> = beyond.collect();
        if !beyond.is_empty() {
            let hint = "leave it out of spin.toml, or let an operator name it under [policy] of isobar.toml";
            return Err(DeployError::refused(beyond.join("\n"), hint));
        }
        Ok((application, resolved))
    }
}

/// How it is decided what is to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Way {
    /// Whether versions are to run in the shadow of those in charge.
    in_shadow: bool,
    /// Whether the functions that are named are loaded although they are in charge already.
    again: bool,
}

/// A deploy that was found to be right.
struct Decided {
    application: Arc<Application>,
    deployed: Deployed,
    arrivals: Vec<Arrival>,
    /// Versions that take over, by function: those that were deployed, and those that have to be linked anew beside them.
    versions: BTreeMap<String, Arc<Version>>,
    taken: Vec<Taken>,
}

impl Deploys {
    /// The versions of the functions in `registry`, which run already.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        loader: Arc<Loader>,
        settings: Settings,
        dispatcher: Arc<Dispatcher>,
        registry: Registry,
        is_shared: bool,
    ) -> Self {
        let (registry, turn) = (Mutex::new(registry), tokio::sync::Mutex::default());
        let shadows = Shadows::new(Arc::clone(&store), Arc::clone(dispatcher.progress()));
        Deploys { store, loader, settings, dispatcher, shadows, registry, turn, is_shared }
    }

    /// Lets versions take over, all of them or none. Doing so again changes nothing.
    ///
    /// # Errors
    /// [`DeployError`]; the audit log has it.
    pub async fn deploy(&self, ask: Ask, who: &str) -> Result<Vec<Taken>, DeployError> {
        self.put_in_charge(ask, who, "deploy").await
    }

    /// Puts a version in charge that was in charge before: the one named by the beginning of its digest, else the one before the
    /// running one.
    ///
    /// # Errors
    /// [`DeployError`].
    pub async fn roll_back(&self, function: &str, version: Option<&str>, who: &str) -> Result<Taken, DeployError> {
        let ask = self.kept_ask(function, version).await?;
        let taken = self.put_in_charge(ask, who, "rollback").await?;
        taken.into_iter().next().ok_or_else(|| DeployError::Failed(format!("`{function}` does not run")))
    }

    /// Puts versions in charge again where workers found that the ones that took over do worse, for as long as they may ask.
    pub async fn heed(&self, mut asked: mpsc::Receiver<Rollback>) {
        while let Some(Rollback { function, version, before, reason, answer }) = asked.recv().await {
            let done = self.roll_back_if(&function, (&version, &before), &reason).await;
            if let Err(error) = done {
                tracing::error!(%function, %error, "a version could not be rolled back");
            }
            // Who asked may have gone away.
            let _ = answer.send(());
        }
    }

    /// Puts the version `before` in charge again, if the other one still is.
    async fn roll_back_if(
        &self,
        function: &str,
        (version, before): (&str, &str),
        reason: &str,
    ) -> Result<(), DeployError> {
        let _turn = self.turn.lock().await;
        // Other partitions may have asked for the same, or an operator may have been faster.
        if self.version(function).is_none_or(|running| *running.digest != *version) {
            return Ok(());
        }
        tracing::warn!(%function, version = short(version), reason, "a version is rolled back");
        let ask = self.kept_ask(function, Some(before)).await?;
        let done = self.take_over(ask, ITSELF, "rollback").await;
        self.audited(done, function, ITSELF, "rollback").await.map(drop)
    }

    /// What a version that is kept was deployed with; the one before the running one where none is named.
    async fn kept_ask(&self, function: &str, version: Option<&str>) -> Result<Ask, DeployError> {
        let kept = self.store.versions(function).await?;
        let running = self.running().remove(function);
        let wanted = match version {
            Some(version) => stored::named(&kept, function, version)?,
            None => kept.iter().find(|k| Some(&k.version) != running.as_ref()).ok_or_else(|| {
                let message = format!("`{function}` has no version but the one in charge");
                DeployError::unknown(message, format!("`isobar versions {function}` shows those there are"))
            })?,
        };
        let component = self.kept_component(&wanted.component).await?;
        let components = BTreeMap::from([(function.to_owned(), component)]);
        Ok(Ask { part: wanted.part.clone(), components })
    }

    /// Lets shadows come to the end of their batches; the next start goes on with them.
    pub async fn stop(&self) {
        self.shadows.stop().await;
    }

    async fn put_in_charge(&self, ask: Ask, who: &str, action: &str) -> Result<Vec<Taken>, DeployError> {
        let _turn = self.turn.lock().await;
        let functions = ask.components.keys().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
        let done = match self.check_who(who, ask.components.keys()) {
            Ok(()) => self.take_over(ask, who, action).await,
            Err(refused) => Err(refused),
        };
        self.audited(done, &functions, who, action).await
    }

    /// Refuses who is not named for a function for which somebody is.
    fn check_who<'f>(&self, who: &str, functions: impl IntoIterator<Item = &'f String>) -> Result<(), DeployError> {
        let Some(policy) = self.settings.config.policy.as_ref().filter(|_| ![OWNER, ITSELF].contains(&who)) else {
            return Ok(());
        };
        match functions.into_iter().find(|function| !policy.lets_deploy(who, function)) {
            Some(function) => Err(DeployError::refused(
                format!("`{who}` may not deploy `{function}`"),
                "[policy.deploy] of isobar.toml names who may",
            )),
            None => Ok(()),
        }
    }

    /// Notes in the audit log what was refused.
    async fn audited<T>(
        &self,
        done: Result<T, DeployError>,
        functions: &str,
        who: &str,
        action: &str,
    ) -> Result<T, DeployError> {
        if let Err(error @ DeployError::Refused { .. }) = &done {
            let refused = Some(error.to_string().chars().take(MOST_SAID).collect());
            let function = cut(functions, MOST_NAMES);
            self.store.audit(Entry { refused, ..entry(&function, who, action, None) }).await?;
        }
        done
    }

    async fn take_over(&self, ask: Ask, who: &str, action: &str) -> Result<Vec<Taken>, DeployError> {
        let decided = self.decide(ask, Way::default()).await?;
        if !decided.arrivals.is_empty() {
            return self.swap(decided, who, action, None).await;
        }
        // Should one not have begun when it was deployed, it does now.
        let registered = decided.taken.iter().filter_map(|taken| self.registered(&taken.function)).collect();
        self.begin(registered).await?;
        Ok(decided.taken)
    }

    /// Lets what was decided take over.
    async fn swap(
        &self,
        decided: Decided,
        who: &str,
        action: &str,
        promotion: Option<Promotion>,
    ) -> Result<Vec<Taken>, DeployError> {
        let Decided { application, deployed, arrivals, versions, taken } = decided;
        let arrived: Vec<String> = arrivals.iter().map(|arrival| arrival.function.clone()).collect();
        let entry = |t: &Taken| Entry { before: t.before.clone(), ..entry(&t.function, who, action, Some(&t.version)) };
        let is_told = |t: &&Taken| promotion.is_some() || t.before.as_ref() != Some(&t.version);
        let entries = taken.iter().filter(is_told).map(entry).collect();
        self.store.deploy(Deployment { application, deployed, arrivals, entries, promotion }).await?;
        let swapped: Vec<Arc<Registered>> = {
            let mut registry = self.registry();
            versions.into_iter().map(|(name, version)| registry.put(&name, version)).collect()
        };
        for registered in &swapped {
            let version = registered.version.load_full();
            tracing::info!(function = %registered.name, version = version.short(), who, action, "took over");
        }
        for function in arrived {
            // What it was compared with is not in charge any more.
            self.shadows.end(&function).await;
        }
        self.begin(swapped).await?;
        Ok(taken)
    }

    /// Lets workers go by the versions in charge, all that can.
    async fn begin(&self, functions: Vec<Arc<Registered>>) -> Result<(), DeployError> {
        let mut troubles = Vec::new();
        for registered in functions {
            if let Err(error) = self.dispatcher.swapped(&registered).await {
                troubles.push(format!("`{}` was deployed and cannot begin yet: {error:#}", registered.name));
            }
        }
        match troubles.is_empty() {
            true => Ok(()),
            false => Err(DeployError::Failed(format!("{}\n  hint: deploy it again", troubles.join("\n")))),
        }
    }

    /// Finds out whether what is asked can be, without changing anything.
    async fn decide(&self, ask: Ask, way: Way) -> Result<Decided, DeployError> {
        if self.is_shared {
            return Err(DeployError::refused(
                "the log is in Kafka, where a deploy would have to reach all hosts at one time",
                "change spin.toml and start the hosts anew, one after the other",
            ));
        }
        let mut deployed = self.store.deployed().await?.unwrap_or_default();
        let part = manifest::without_secrets(&ask.part).map_err(|problems| DeployError::problems(&problems))?;
        let merged = manifest::merge(&deployed.manifest, &part).map_err(|problems| DeployError::problems(&problems))?;
        let parsed = |text: &str| manifest::parse(text).map_err(|problems| DeployError::problems(&problems));
        let declared = parsed(&merged)?;
        let named: BTreeSet<String> = parsed(&part)?.functions.into_keys().collect();
        if !named.iter().eq(ask.components.keys()) {
            return Err(DeployError::refused(
                "the functions and the components of the deploy are not the same",
                "`isobar deploy` sends both",
            ));
        }
        let knowing = self.knowing(&named).await?;
        let widened = self.settings.config.widened(&parsed(&deployed.base)?, &declared, &knowing);
        let (before, after) = match self.settings.config.policy {
            // It says by itself what it has against it.
            Some(_) => (Vec::new(), widened),
            None => (widened, Vec::new()),
        };
        stays_within([unmarked(&parsed(&deployed.manifest)?, &declared), before].concat())?;
        let ran = std::mem::take(&mut deployed.running);
        deployed.running = self.versions_of(&declared, &ask)?;
        let mut changed: BTreeSet<String> =
            deployed.running.iter().filter(|(name, v)| ran.get(*name) != Some(v)).map(|(n, _)| n.clone()).collect();
        self.check_beside(&changed, &ask)?;
        let (application, resolved) = self.settings.applied(&declared)?;
        stays_within(after)?;
        if way.again {
            changed.extend(ask.components.keys().cloned());
        }
        let running = self.store.application();
        stored::check(&running, &application)?;
        let application = Arc::new(application);
        let anew = relinked(&running, &application).into_iter().filter(|name| !changed.contains(name));
        let mut sources = BTreeMap::new();
        for name in changed.iter().cloned().chain(anew) {
            let component = self.component_of(&name, &ask).await?;
            let digest = deployed.running.get(&name).cloned().unwrap_or_default();
            let resolved = resolved.get(&name).cloned().unwrap_or_default();
            sources.insert(name, Source { digest, component, resolved });
        }
        deployed.manifest = merged;
        let arrivals = {
            let (deployed, changed, sources) = (deployed.clone(), changed.clone(), sources.clone());
            let packing = tokio::task::spawn_blocking(move || arrivals(&deployed, &changed, &sources));
            packing.await.map_err(|error| DeployError::Failed(error.to_string()))??
        };
        let versions = self.load(&application, sources, way.in_shadow).await?;
        let taken = ask.components.into_keys().filter_map(|function| {
            let version = deployed.running.get(&function)?.clone();
            Some(Taken { before: ran.get(&function).cloned(), function, version })
        });
        Ok(Decided { taken: taken.collect(), application, deployed, arrivals, versions })
    }

    /// Those of `functions` of which a version that is kept could read what is sensitive: it may be in their state.
    async fn knowing(&self, functions: &BTreeSet<String>) -> Result<BTreeSet<String>, DeployError> {
        let mut knowing = BTreeSet::new();
        for function in functions {
            if has_read(&self.store, function).await? {
                knowing.insert(function.clone());
            }
        }
        Ok(knowing)
    }

    /// The version that each function of `declared` would have.
    fn versions_of(&self, declared: &Application, ask: &Ask) -> Result<BTreeMap<String, String>, DeployError> {
        let mut versions = BTreeMap::new();
        for function in declared.functions.values() {
            let component = match ask.components.get(&function.name) {
                Some(component) => digest_of(component),
                None => self.version(&function.name).map(|v| v.component.to_string()).ok_or_else(|| {
                    DeployError::refused(
                        format!("`{}` does not run, and its component did not come with the deploy", function.name),
                        "deploy it by its name, or all functions with `isobar deploy --all`",
                    )
                })?,
            };
            versions.insert(function.name.clone(), declared.version(function, &component));
        }
        Ok(versions)
    }

    /// Refuses to change functions that were not named.
    fn check_beside(&self, changed: &BTreeSet<String>, ask: &Ask) -> Result<(), DeployError> {
        let beside: Vec<String> =
            changed.iter().filter(|name| !ask.components.contains_key(*name)).map(|name| format!("`{name}`")).collect();
        if beside.is_empty() {
            return Ok(());
        }
        Err(DeployError::refused(
            format!("it would change {} too, by a topic, table or variable that they share", beside.join(", ")),
            "deploy them together: `isobar deploy --all`",
        ))
    }

    async fn component_of(&self, function: &str, ask: &Ask) -> Result<Arc<[u8]>, DeployError> {
        if let Some(component) = ask.components.get(function) {
            return Ok(Arc::clone(component));
        }
        let digest = self.version(function).map(|v| v.component.to_string()).unwrap_or_default();
        self.kept_component(&digest).await
    }

    async fn kept_component(&self, digest: &str) -> Result<Arc<[u8]>, DeployError> {
        let kept =
            self.store.kept_component(digest).await.map_err(|error| DeployError::Failed(format!("{error:#}")))?;
        kept.map(Arc::from).ok_or_else(|| DeployError::Failed(format!("the component {digest} is not kept any more")))
    }

    /// Compiles, links and instantiates, beside the work of the functions that run.
    async fn load(
        &self,
        application: &Arc<Application>,
        sources: BTreeMap<String, Source>,
        in_shadow: bool,
    ) -> Result<BTreeMap<String, Arc<Version>>, DeployError> {
        let mut versions = BTreeMap::new();
        for (name, source) in sources {
            let Some(function) = application.functions.get(&name).cloned() else { continue };
            let (loader, application, charge) =
                (Arc::clone(&self.loader), Arc::clone(application), self.version(&name));
            let loading = tokio::task::spawn_blocking(move || {
                let place = match &charge {
                    Some(charge) if in_shadow => Place::ShadowOf(charge),
                    Some(charge) => Place::Of(charge),
                    None => Place::New,
                };
                loader.version(&application, &function, source, place)
            });
            let loaded = loading.await.map_err(|error| DeployError::Failed(error.to_string()))?;
            let version = loaded.map_err(|error| DeployError::Refused { message: format!("{error:#}"), hint: None })?;
            version.try_out(&self.store).await.map_err(|reason| {
                let message = format!("the component of `{name}` cannot be instantiated: {reason}");
                DeployError::refused(message, "the version in charge goes on; build one that starts")
            })?;
            versions.insert(name, Arc::new(version));
        }
        Ok(versions)
    }

    /// The versions that run, by function.
    fn running(&self) -> BTreeMap<String, String> {
        let registry = self.registry();
        let running = registry.functions.iter().map(|(name, r)| (name.clone(), r.version.load().digest.to_string()));
        running.collect()
    }

    fn registered(&self, function: &str) -> Option<Arc<Registered>> {
        self.registry().functions.get(function).cloned()
    }

    fn version(&self, function: &str) -> Option<Arc<Version>> {
        Some(self.registered(function)?.version.load_full())
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// Puts a version in charge.
    fn put(&mut self, name: &str, version: Arc<Version>) -> Arc<Registered> {
        if let Some(registered) = self.functions.get(name) {
            registered.version.store(version);
            return Arc::clone(registered);
        }
        let registered = Arc::new(Registered::new(name, version));
        self.functions.insert(name.to_owned(), Arc::clone(&registered));
        registered
    }
}

/// Refuses what goes beyond what the operator said of sensitive things.
fn stays_within(beyond: Vec<String>) -> Result<(), DeployError> {
    if beyond.is_empty() {
        return Ok(());
    }
    Err(DeployError::refused(
        beyond.join("\n"),
        "a deploy may not widen access to what is sensitive; if that is meant, an operator starts the host with the new spin.toml, \
         or names it under [policy] of isobar.toml",
    ))
}

/// Functions of both whose records come back to them by other topics than before: the header that counts rounds is linked with
/// those.
fn relinked(before: &Application, after: &Application) -> Vec<String> {
    let rounds = |application: &Application, name: &str| -> Option<Vec<bool>> {
        let publish = &application.functions.get(name)?.grants.publish;
        Some(publish.iter().map(|topic| application.comes_back(name, topic)).collect())
    };
    let differs = |name: &&String| before.functions.contains_key(*name) && rounds(before, name) != rounds(after, name);
    after.functions.keys().filter(differs).cloned().collect()
}

/// What is to be kept of the versions that take over.
fn arrivals(
    deployed: &Deployed,
    changed: &BTreeSet<String>,
    sources: &BTreeMap<String, Source>,
) -> Result<Vec<Arrival>, DeployError> {
    let arrival = |(name, source): (&String, &Source)| {
        let part = manifest::part(&deployed.manifest, &BTreeSet::from([name.clone()]));
        let part = part.map_err(|problems| DeployError::problems(&problems))?;
        Ok(Arrival::new(name, &source.digest, &source.component, part)?)
    };
    sources.iter().filter(|(name, _)| changed.contains(*name)).map(arrival).collect()
}

fn entry(function: &str, who: &str, action: &str, version: Option<&str>) -> Entry {
    Entry {
        at_ms: now_ms(),
        who: who.to_owned(),
        action: action.to_owned(),
        function: function.to_owned(),
        version: version.map(str::to_owned),
        before: None,
        refused: None,
    }
}
