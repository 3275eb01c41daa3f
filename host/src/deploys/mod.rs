//! Functions as things with versions: which ones run, how another takes over while batches flow, what is refused.
//!
//! A deploy is decided before anything changes: the manifest that would run is checked whole, components are held against their
//! grants, compiled and instantiated once. Then one transaction makes it so, and each partition goes on with the new version
//! after the batch that it has. Nothing is undone, because nothing can fail any more.

mod comparable;
mod decide;
mod hosts;
mod migrate;
mod promote;
mod remove;
mod shadow;
mod start;
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::bindings::tables::text::cut;
use crate::config::Config;
use crate::dispatch::{Dispatcher, Held, Rollback};
use crate::embedded::promotion::Promotion;
use crate::embedded::versions::{Deployment, Entry};
use crate::embedded::{Store, WriteError};
use crate::kafka::Cluster;
use crate::manifest::variables::{Resolved, resolve};
use crate::manifest::{Application, Problem};
use crate::registry::{Loader, Registered, Registry, Version, short};
use crate::shadows::Shadows;
use decide::{Decided, Way};
use utoipa::ToSchema;

pub use hosts::{Hosts, Joined, Listening};
pub use shadow::Course;
pub use start::Start;
pub use stored::{diff, has_read, versions};

/// Functions whose names the audit log has of a deploy that was refused; characters of them, and of why.
const MOST_NAMED: usize = 20;
const MOST_NAMES: usize = 200;
const MOST_SAID: usize = 2_000;

/// How long a version in charge may take to come to the end of its batches.
const LONGEST_HOLD: Duration = Duration::from_secs(40);
/// How often a rollback is tried that other hosts are in the way of, and how long between.
const MOST_TRIES: u32 = 5;
const TRY_EVERY: Duration = Duration::from_secs(3);

/// Who has the data folder, and may do everything.
pub const OWNER: &str = "owner of the data folder";
/// Who rolls back what does worse.
const ITSELF: &str = "isobar";

/// What an operator said when the host was started; it holds for versions that come later, too.
#[derive(Clone, Default)]
pub struct Settings {
    /// Values of the application's variables.
    pub values: BTreeMap<String, String>,
    /// Variables that have values and are not declared yet.
    pub spare: BTreeSet<String>,
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

    fn failed(error: anyhow::Error) -> Self {
        DeployError::Failed(format!("{error:#}"))
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
    /// What a manifest says of the functions: [`crate::manifest::part`].
    pub part: String,
    /// Their components, by function.
    pub components: BTreeMap<String, Arc<[u8]>>,
    /// Functions that are not to run any more.
    pub gone: BTreeSet<String>,
    /// A function and its version, where it counts only while that is in charge.
    pub instead_of: Option<(String, String)>,
}

/// What became of a function that was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Taken {
    /// The function.
    pub function: String,
    /// The version that is in charge now.
    pub version: String,
    /// The version that was in charge before, if there was one; the same where nothing has changed.
    pub before: Option<String>,
}

/// A version of a function as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// Where the log is, if not in the data folder.
    cluster: Option<Arc<Cluster>>,
    /// The hosts of a log in Kafka, where they deploy together.
    hosts: Option<Arc<Hosts>>,
}

impl Settings {
    /// The application as it runs here, and the values of each function's variables.
    pub(crate) fn applied(
        &self,
        declared: &Application,
    ) -> Result<(Application, BTreeMap<String, Resolved>), DeployError> {
        let mut application = declared.clone();
        application.replace_cron(&self.cron);
        self.config.place(&mut application).map_err(|message| DeployError::Refused { message, hint: None })?;
        let mut values = self.values.clone();
        values.retain(|name, _| application.variables.contains_key(name) || !self.spare.contains(name));
        let resolved = resolve(&application, &values).map_err(|problems| DeployError::problems(&problems))?;
        let beyond = self.config.policy.iter().flat_map(|policy| policy.beyond(&application, &resolved));
        let beyond: Vec<String> = beyond.collect();
        if !beyond.is_empty() {
            let hint = "leave it out of spin.toml, or let an operator name it under [policy] of isobar.toml";
            return Err(DeployError::refused(beyond.join("\n"), hint));
        }
        Ok((application, resolved))
    }
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
        (cluster, hosts): (Option<Arc<Cluster>>, Option<Arc<Hosts>>),
    ) -> Self {
        let (registry, turn) = (Mutex::new(registry), tokio::sync::Mutex::default());
        let shadows = Shadows::new(Arc::clone(&store), Arc::clone(dispatcher.progress()), cluster.clone());
        Deploys { store, loader, settings, dispatcher, shadows, registry, turn, cluster, hosts }
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
        for tries in 1.. {
            // Other partitions may have asked for the same, or an operator may have been faster.
            if self.version(function).is_none_or(|running| *running.digest != *version) {
                return Ok(());
            }
            tracing::warn!(%function, version = short(version), reason, "a version is rolled back");
            let instead_of = Some((function.to_owned(), version.to_owned()));
            let ask = Ask { instead_of, ..self.kept_ask(function, Some(before)).await? };
            match self.put_in_charge(ask, ITSELF, "rollback").await {
                // Somebody was faster.
                Err(DeployError::Unknown { .. }) => {}
                // Another host may be about to do the same.
                Err(error) if self.hosts.is_some() && tries < MOST_TRIES => {
                    tracing::info!(%function, %error, "the rollback is tried again");
                    tokio::time::sleep(TRY_EVERY).await;
                }
                done => return done.map(drop),
            }
        }
        Ok(())
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
        Ok(Ask { part: wanted.part.clone(), components, ..Ask::default() })
    }

    /// Whether a version of a function could read what is sensitive, on whatever host: it may be in its state.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub async fn has_read(&self, function: &str) -> Result<bool, DeployError> {
        let is_known = self.hosts.as_ref().is_some_and(|hosts| hosts.knowing().contains(function));
        Ok(is_known || has_read(&self.store, function).await?)
    }

    /// Lets shadows come to the end of their batches; the next start goes on with them.
    pub async fn stop(&self) {
        self.shadows.stop().await;
    }

    async fn put_in_charge(&self, ask: Ask, who: &str, action: &str) -> Result<Vec<Taken>, DeployError> {
        let functions: Vec<String> = ask.components.keys().chain(&ask.gone).cloned().collect();
        match &self.hosts {
            Some(hosts) => {
                self.as_allowed(who, &functions, action, self.deploy_everywhere(hosts, ask, who, action)).await
            }
            None => {
                let _turn = self.turn.lock().await;
                self.as_allowed(who, &functions, action, self.take_over(ask, who, action)).await
            }
        }
    }

    /// Does what `who` wants with functions, unless others are named for one of them; the audit log has what was refused.
    async fn as_allowed<T>(
        &self,
        who: &str,
        functions: &[String],
        action: &str,
        done: impl Future<Output = Result<T, DeployError>>,
    ) -> Result<T, DeployError> {
        let done = match self.check_who(who, functions) {
            Ok(()) => done.await,
            Err(refused) => Err(refused),
        };
        if let Err(error @ DeployError::Refused { .. }) = &done {
            let refused = Some(error.to_string().chars().take(MOST_SAID).collect());
            let named: Vec<&str> = functions.iter().take(MOST_NAMED).map(String::as_str).collect();
            let function = cut(&named.join(", "), MOST_NAMES);
            self.store.audit(Entry { refused, ..entry(&function, who, action, None) }).await?;
        }
        done
    }

    /// Refuses who is not named for a function for which somebody is.
    fn check_who(&self, who: &str, functions: &[String]) -> Result<(), DeployError> {
        let Some(policy) = self.settings.config.policy.as_ref().filter(|_| ![OWNER, ITSELF].contains(&who)) else {
            return Ok(());
        };
        match functions.iter().find(|function| !policy.lets_deploy(who, function)) {
            Some(function) => Err(DeployError::refused(
                format!("`{who}` may not deploy `{function}`"),
                "[policy.deploy] of isobar.toml names who may",
            )),
            None => Ok(()),
        }
    }

    async fn take_over(&self, ask: Ask, who: &str, action: &str) -> Result<Vec<Taken>, DeployError> {
        let decided = self.decide(ask, Way::default()).await?;
        if decided.changes_something() {
            return self.swap(decided, who, action, None).await;
        }
        self.goes_on(decided).await
    }

    /// Nothing takes over.
    async fn goes_on(&self, decided: Decided) -> Result<Vec<Taken>, DeployError> {
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
        let migrated = match promotion {
            Some(_) => None,
            None => self.migrated(&decided).await?,
        };
        let Decided { application, deployed, arrivals, versions, taken, gone } = decided;
        let held = self.hold_all(&gone).await?;
        let arrived: Vec<String> = arrivals.iter().map(|arrival| arrival.function.clone()).collect();
        let entry = |t: &Taken| Entry { before: t.before.clone(), ..entry(&t.function, who, action, Some(&t.version)) };
        let is_told = |t: &&Taken| promotion.is_some() || t.before.as_ref() != Some(&t.version);
        let removed = gone
            .iter()
            .map(|(name, before)| Entry { before: Some(before.clone()), ..self::entry(name, who, action, None) });
        let entries = taken.iter().filter(is_told).map(entry).chain(removed).collect();
        let migration = migrated.as_ref().map(|migrated| migrated.state.migration(&migrated.function));
        let deployment = Deployment { application, deployed, arrivals, entries, promotion, migration };
        if let Err(error) = self.store.deploy(deployment).await {
            drop(held);
            self.let_go_on(&gone).await;
            return Err(error.into());
        }
        let swapped: Vec<Arc<Registered>> = {
            let mut registry = self.registry();
            versions.into_iter().map(|(name, version)| registry.put(&name, version)).collect()
        };
        for registered in &swapped {
            let version = registered.version.load_full();
            tracing::info!(function = %registered.name, version = version.short(), who, action, "took over");
        }
        // Its state has the form that the version takes it for.
        drop(migrated);
        for function in arrived {
            // What it was compared with is not in charge any more.
            self.shadows.end(&function).await;
        }
        for held in held {
            self.registry().functions.remove(held.function());
            self.dispatcher.remove(held).await;
        }
        self.begin(swapped).await?;
        Ok(taken)
    }

    /// Lets a function come to the end of what it has, and begin nothing.
    async fn stand_still(&self, function: &str) -> Result<Held, DeployError> {
        let missing = || DeployError::Failed(format!("`{function}` does not run"));
        let registered = self.registered(function).ok_or_else(missing)?;
        self.dispatcher.hold(&registered, LONGEST_HOLD).await.ok_or_else(|| {
            let waited = LONGEST_HOLD.as_secs();
            let message = format!(
                "the version in charge of `{function}` did not come to the end of its batches within {waited} s"
            );
            DeployError::refused(message, "it goes on; try again")
        })
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

    /// The versions that run, by function.
    fn running(&self) -> BTreeMap<String, String> {
        let registry = self.registry();
        let running = registry.functions.iter().map(|(name, r)| (name.clone(), r.version.load().digest.to_string()));
        running.collect()
    }

    /// The digest of the version of a function that is in charge.
    #[must_use]
    pub fn digest(&self, function: &str) -> Option<String> {
        self.version(function).map(|version| version.digest.to_string())
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

fn entry(function: &str, who: &str, action: &str, version: Option<&str>) -> Entry {
    Entry { version: version.map(str::to_owned), ..Entry::done(who, action, function) }
}
