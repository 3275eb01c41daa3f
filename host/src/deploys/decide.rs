//! What is decided of a deploy before anything changes: whether it may be, which versions it makes, that they can run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Ask, DeployError, Deploys, Taken, stored};
use crate::embedded::versions::{Arrival, Deployed, digest_of};
use crate::manifest::access::unmarked;
use crate::manifest::{self, Application, Problem};
use crate::registry::{Place, Source, Version, short};

/// How it is decided what is to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// Whether versions are to run in the shadow of those in charge.
    pub(super) in_shadow: bool,
    /// Whether the functions that are named are loaded although they are in charge already.
    pub(super) again: bool,
    /// Whether they are only to be compared, and never to take over.
    pub(super) compares: bool,
}

/// A deploy that was found to be right.
pub(super) struct Decided {
    pub(super) application: Arc<Application>,
    pub(super) deployed: Deployed,
    pub(super) arrivals: Vec<Arrival>,
    /// Versions that take over, by function: those that were deployed, and those that have to be linked anew beside them.
    pub(super) versions: BTreeMap<String, Arc<Version>>,
    pub(super) taken: Vec<Taken>,
    /// Functions that do not run any more, with the versions that did.
    pub(super) gone: BTreeMap<String, String>,
}

impl Decided {
    /// Whether anything would be otherwise than it is.
    pub(super) fn changes_something(&self) -> bool {
        !self.arrivals.is_empty() || !self.gone.is_empty()
    }
}

impl Deploys {
    /// Finds out whether what is asked can be, without changing anything.
    pub(super) async fn decide(&self, ask: Ask, way: Way) -> Result<Decided, DeployError> {
        if self.cluster.is_some() && self.hosts.is_none() {
            return Err(DeployError::refused(
                "the log is in Kafka, and [kafka] of isobar.toml names no key by which hosts would believe each other's deploys",
                "give all hosts the same `control_key_file` or `control_key_env`; or change spin.toml and start them anew",
            ));
        }
        if self.cluster.is_some() && way.in_shadow && !way.compares {
            return Err(DeployError::refused(
                "the log is in Kafka, where functions have no shadows that could take over",
                "`isobar replay` compares what a version makes of the past with what is there",
            ));
        }
        let mut deployed = self.store.deployed().await?.unwrap_or_default();
        if let Some((function, version)) = &ask.instead_of
            && self.version(function).is_none_or(|running| *running.digest != **version)
        {
            let message = format!("version {} of `{function}` is not in charge any more", short(version));
            return Err(DeployError::unknown(message, format!("`isobar versions {function}` shows those there are")));
        }
        self.may_go(&ask.gone).await?;
        let merged = merged(&deployed.manifest, &ask)?;
        let declared = parsed(&merged)?;
        let knowing = self.knowing(ask.components.keys()).await?;
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
        let (mut application, resolved) = self.settings.applied(&declared)?;
        stays_within(after)?;
        if way.again {
            changed.extend(ask.components.keys().cloned());
        }
        let running = self.store.application();
        if let Some(hosts) = &self.hosts {
            hosts.fit(&self.store, &running, &mut application, way.compares).await?;
        }
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
        let gone =
            ask.gone.into_iter().filter_map(|name| ran.get_key_value(&name)).map(|(n, v)| (n.clone(), v.clone()));
        let gone = gone.collect();
        let taken = ask.components.into_keys().filter_map(|function| {
            let version = deployed.running.get(&function)?.clone();
            Some(Taken { before: ran.get(&function).cloned(), function, version })
        });
        Ok(Decided { taken: taken.collect(), application, deployed, arrivals, versions, gone })
    }

    /// Those of `functions` of which a version that is kept could read what is sensitive: it may be in their state.
    async fn knowing(&self, functions: impl Iterator<Item = &String>) -> Result<BTreeSet<String>, DeployError> {
        let mut knowing = BTreeSet::new();
        for function in functions {
            if self.has_read(function).await? {
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

    pub(super) async fn kept_component(&self, digest: &str) -> Result<Arc<[u8]>, DeployError> {
        let kept = self.store.kept_component(digest).await.map_err(DeployError::failed)?;
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
}

fn parsed(text: &str) -> Result<Application, DeployError> {
    manifest::parse(text).map_err(|problems| DeployError::problems(&problems))
}

/// The manifest that runs with what is asked in it.
fn merged(running: &str, ask: &Ask) -> Result<String, DeployError> {
    let told = |problems: Vec<Problem>| DeployError::problems(&problems);
    let part = (!ask.part.is_empty()).then(|| manifest::without_secrets(&ask.part)).transpose().map_err(told)?;
    let named = part.as_deref().map(parsed).transpose()?.map(|part| part.functions).unwrap_or_default();
    if !named.keys().eq(ask.components.keys()) {
        return Err(DeployError::refused(
            "the functions and the components of the deploy are not the same",
            "`isobar deploy` sends both",
        ));
    }
    let merged = part.map_or_else(|| Ok(running.to_owned()), |part| manifest::merge(running, &part)).map_err(told)?;
    if ask.gone.is_empty() {
        return Ok(merged);
    }
    let left = manifest::without(&merged, &ask.gone).map_err(told)?;
    match parsed(&left)?.functions.is_empty() {
        true => Err(DeployError::refused("no function would be left", "stop the host instead")),
        false => Ok(left),
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
