//! What runs when a host starts: what was deployed last. Where spin.toml has changed since the last start, an operator means it to
//! run; where it has not, versions that were deployed meanwhile go on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::hosts::Joined;
use super::stored::reads_sensitive;
use super::{DeployError, Settings, entry, short};
use crate::config::Config;
use crate::embedded::Folder;
use crate::embedded::versions::{Arrival, Deployed, Deployment, Look, digest_of};
use crate::manifest::variables::Resolved;
use crate::manifest::{self, Application, Problem};
use crate::registry::{self, Source};

/// Who starts hosts.
pub(super) const OPERATOR: &str = "operator";

/// What is about to run.
pub struct Start {
    /// The manifest that runs, and which versions.
    deployed: Deployed,
    /// What was deployed before, if something was.
    before: Option<Deployed>,
    /// What the manifest declares.
    pub application: Application,
    /// Components by function.
    components: BTreeMap<String, Arc<[u8]>>,
    /// What spin.toml gives to secret variables: it is kept nowhere.
    secrets: BTreeMap<String, String>,
    /// Variables that spin.toml declares and what runs does not.
    spare: BTreeSet<String>,
    /// What to tell the operator.
    pub news: Vec<String>,
}

/// What ran before a start, wherever it is kept.
pub(super) struct Past {
    pub(super) deployed: Deployed,
    /// Components of versions that ran, by function: those that could be had.
    pub(super) components: BTreeMap<String, Arc<[u8]>>,
    /// Functions of which some version could read what is sensitive.
    pub(super) knowing: BTreeSet<String>,
}

impl Past {
    /// What the data folder has of the functions that `file` does not bring anew.
    async fn of_folder(look: &mut Look, file: &Start) -> anyhow::Result<Option<Self>> {
        let Some(deployed) = look.deployed().await? else { return Ok(None) };
        let others = file.going_on(&deployed);
        let mut components = BTreeMap::new();
        for name in &others {
            let digest = kept_digest(look, name, &deployed).await?;
            if let Ok(Some(component)) = look.component(&digest).await {
                components.insert(name.clone(), Arc::from(component));
            }
        }
        let knowing = knowing(look, &others).await?;
        Ok(Some(Past { deployed, components, knowing }))
    }
}

impl Start {
    /// What runs when only spin.toml counts, whose text is `manifest`; components stand below `root`.
    ///
    /// # Errors
    /// What is wrong with the manifest; that a component is missing.
    pub fn of_file(manifest: &str, root: &Path) -> anyhow::Result<Self> {
        let secrets = parsed(manifest)?.variables.into_iter().filter(|(_, variable)| variable.secret);
        let secrets = secrets.filter_map(|(name, variable)| Some((name, variable.default?))).collect();
        let manifest = &manifest::without_secrets(manifest).map_err(|problems| DeployError::problems(&problems))?;
        let application = parsed(manifest)?;
        let mut components = BTreeMap::new();
        let mut missing = Vec::new();
        for function in application.functions.values() {
            match registry::read(function, root) {
                Ok(component) => drop(components.insert(function.name.clone(), Arc::from(component))),
                Err(error) => missing.push(format!("{error:#}")),
            }
        }
        anyhow::ensure!(missing.is_empty(), "{}", missing.join("\n"));
        let filed = versions(&application, &components);
        let (manifest, base) = (manifest.to_owned(), manifest.to_owned());
        let deployed = Deployed { manifest, base, running: filed.clone(), filed };
        Ok(Start { deployed, before: None, application, components, secrets, spare: BTreeSet::new(), news: Vec::new() })
    }

    /// What runs in `folder`: as [`Start::of_file`], but for functions that were deployed since and have not changed in the file.
    ///
    /// # Errors
    /// As [`Start::of_file`]; when the data cannot be read.
    pub async fn of_folder(manifest: &str, root: &Path, folder: &Folder, config: &Config) -> anyhow::Result<Self> {
        let file = Self::of_file(manifest, root)?;
        let Some(mut look) = Look::into(folder).await? else { return Ok(file) };
        let past = Past::of_folder(&mut look, &file).await;
        look.close().await;
        match past? {
            Some(past) => file.beside(past, config),
            None => Ok(file),
        }
    }

    /// What runs where the log is in Kafka and hosts deploy together: what runs on other hosts, or, where none runs, what ran last, as
    /// with a folder.
    ///
    /// # Errors
    /// As [`Start::of_file`]; when the data cannot be read, or a component of what runs cannot be had.
    pub async fn of_hosts(self, joined: &Joined, folder: &Folder, config: &Config) -> anyhow::Result<Self> {
        let mut look = Look::into(folder).await?;
        let start = match joined.past(&mut look).await? {
            Some(past) if joined.is_among_others() => self.among(past)?,
            Some(past) => self.beside(past, config)?,
            None => self,
        };
        // The folder has what its host has followed.
        let before = match &mut look {
            Some(look) => look.deployed().await?,
            None => None,
        };
        if let Some(look) = look {
            look.close().await;
        }
        Ok(Start { before, ..start })
    }

    /// What runs on other hosts, whatever the file says.
    fn among(mut self, past: Past) -> anyhow::Result<Self> {
        for (name, filed) in &self.deployed.filed {
            match past.deployed.running.get(name) {
                Some(runs) if runs == filed => {}
                Some(runs) => self.news.push(format!(
                    "`{name}` runs version {} on the other hosts; spin.toml says {}, and `isobar deploy {name}` deploys that on all",
                    short(runs),
                    short(filed)
                )),
                None => self.news.push(format!(
                    "`{name}` does not run on the other hosts, and `isobar deploy {name}` deploys it on all"
                )),
            }
        }
        let running = parsed(&past.deployed.manifest)?;
        // They have values for when they are deployed.
        let spare = self.application.variables.keys().filter(|name| !running.variables.contains_key(*name));
        self.spare = spare.cloned().collect();
        self.application = running;
        (self.deployed, self.components) = (past.deployed, past.components);
        Ok(self)
    }

    /// Functions that go on with versions that were deployed since spin.toml was read last.
    fn going_on(&self, before: &Deployed) -> BTreeSet<String> {
        let filed = &self.deployed.filed;
        let goes_on = |(name, version): &(&String, &String)| {
            filed.get(*name) == before.filed.get(*name) && filed.get(*name) != Some(version)
        };
        before.running.iter().filter(goes_on).map(|(name, _)| name.clone()).collect()
    }

    /// The same with what was deployed before and is to go on.
    fn beside(mut self, past: Past, config: &Config) -> anyhow::Result<Self> {
        let before = &past.deployed;
        anyhow::ensure!(
            parsed(&before.manifest)?.name == self.application.name,
            "the data folder is that of application `{}`, and this one is `{}`; name another folder with `--data-dir`",
            parsed(&before.manifest)?.name,
            self.application.name
        );
        let filed = &self.deployed.filed;
        let changed = |name: &String| filed.get(name) != before.filed.get(name);
        let deployed_anew: Vec<String> = filed.keys().filter(|name| changed(name)).cloned().collect();
        let removed = filed.keys().filter(|name| !changed(name) && !before.running.contains_key(*name));
        let removed: BTreeSet<String> = removed.cloned().collect();
        let others = self.going_on(before);
        // Before it is seen what fits: what is gone is in nobody's way.
        self.leave_out(&removed)?;
        if !others.is_empty() {
            self.take_over(&past, &others, config)?;
        }
        for name in deployed_anew.iter().filter(|_| !before.filed.is_empty()) {
            let (now, then) = (self.deployed.running.get(name), before.running.get(name));
            match then {
                Some(then) if Some(then) != now => self.news.push(format!(
                    "`{name}` has changed in spin.toml: version {} is deployed in the place of {}",
                    short(now.map_or("", String::as_str)),
                    short(then)
                )),
                None if before.filed.contains_key(name) => self
                    .news
                    .push(format!("`{name}` was removed, and has changed in spin.toml since: it is deployed again")),
                None => self.news.push(format!("`{name}` is new in spin.toml and is deployed")),
                _ => {}
            }
        }
        for name in before.running.keys().filter(|name| !self.deployed.running.contains_key(*name)) {
            self.news
                .push(format!("`{name}` is gone from spin.toml and does not run any more; its state and rows stay"));
        }
        self.before = Some(past.deployed);
        Ok(self)
    }

    /// Leaves out functions of the file that were removed since.
    fn leave_out(&mut self, removed: &BTreeSet<String>) -> anyhow::Result<()> {
        if removed.is_empty() {
            return Ok(());
        }
        let left = manifest::without(&self.deployed.manifest, removed);
        self.deployed.manifest = left.map_err(|problems| DeployError::problems(&problems))?;
        self.application = parsed(&self.deployed.manifest)?;
        self.components.retain(|name, _| !removed.contains(name));
        self.deployed.running.retain(|name, _| !removed.contains(name));
        let told = |name: &String| {
            format!(
                "`{name}` was removed and does not run; spin.toml still has it, and `isobar deploy {name}` deploys that"
            )
        };
        self.news.extend(removed.iter().map(told));
        Ok(())
    }

    /// Puts versions that were deployed in the place of those of the file, unless the file has changed what they share with others.
    fn take_over(&mut self, past: &Past, others: &BTreeSet<String>, config: &Config) -> anyhow::Result<()> {
        let before = &past.deployed;
        let fits = manifest::part(&before.manifest, others)
            .and_then(|part| manifest::merge(&self.deployed.manifest, &part))
            .and_then(|merged| Ok((manifest::parse(&merged)?, merged)));
        let mut components = self.components.clone();
        for name in others {
            // The file has one that can run.
            let Some(component) = past.components.get(name) else {
                self.news.push(format!(
                    "the component of `{name}` that was deployed is damaged where it is kept; what spin.toml says is deployed"
                ));
                return Ok(());
            };
            components.insert(name.clone(), Arc::clone(component));
        }
        let file = &self.application;
        let merged = fits.ok().filter(|(application, _)| {
            // What an operator says of what is sensitive counts for what was deployed, too.
            if !config.widened(file, application, &past.knowing).is_empty() {
                return false;
            }
            let versions = versions(application, &components);
            versions.iter().all(|(name, version)| {
                let wanted = if others.contains(name) { &before.running } else { &self.deployed.filed };
                wanted.get(name) == Some(version)
            })
        });
        let Some((application, merged)) = merged else {
            let names: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
            self.news.push(format!(
                "{} had another version than spin.toml's, which does not fit what has changed there; that of spin.toml is deployed",
                names.join(", ")
            ));
            return Ok(());
        };
        for name in others {
            let (runs, file) = (before.running.get(name), self.deployed.filed.get(name));
            self.news.push(match file {
                Some(file) => format!(
                    "`{name}` runs version {}, which was deployed; spin.toml says {}, and `isobar deploy {name}` deploys that",
                    short(runs.map_or("", String::as_str)),
                    short(file)
                ),
                None => format!("`{name}` was deployed and is not in spin.toml; `isobar pull` writes what runs"),
            });
        }
        self.deployed.running = versions(&application, &components);
        self.deployed.manifest = merged;
        (self.application, self.components) = (application, components);
        Ok(())
    }

    /// What runs, and where it comes from.
    pub(super) fn deployed(&self) -> &Deployed {
        &self.deployed
    }

    /// The components of what runs, by function.
    pub(super) fn components(&self) -> &BTreeMap<String, Arc<[u8]>> {
        &self.components
    }

    /// What versions are made of, by function.
    #[must_use]
    pub fn sources(&self, resolved: &BTreeMap<String, Resolved>) -> BTreeMap<String, Source> {
        let source = |(name, component): (&String, &Arc<[u8]>)| {
            let digest = self.deployed.running.get(name).cloned().unwrap_or_default();
            let resolved = resolved.get(name).cloned().unwrap_or_default();
            (name.clone(), Source { digest, component: Arc::clone(component), resolved })
        };
        self.components.iter().map(source).collect()
    }

    /// As [`Settings::applied`]; the settings get what spin.toml gives to secret variables.
    ///
    /// # Errors
    /// As [`Settings::applied`].
    pub fn applied(&self, settings: &mut Settings) -> Result<(Application, BTreeMap<String, Resolved>), DeployError> {
        settings.spare.clone_from(&self.spare);
        for (name, value) in &self.secrets {
            settings.values.entry(name.clone()).or_insert_with(|| value.clone());
        }
        settings.applied(&self.application)
    }

    /// What has to be written, if something is otherwise than it was.
    ///
    /// # Errors
    /// When a part of the manifest cannot be taken, which is a fault of isobar's.
    pub fn deployment(&self, application: Arc<Application>) -> Result<Option<Deployment>, DeployError> {
        if self.before.as_ref() == Some(&self.deployed) {
            return Ok(None);
        }
        let running = |name: &String| self.before.as_ref().and_then(|before| before.running.get(name));
        let (mut arrivals, mut entries) = (Vec::new(), Vec::new());
        for (name, version) in self.deployed.running.iter().filter(|(name, version)| running(name) != Some(version)) {
            let part = manifest::part(&self.deployed.manifest, &BTreeSet::from([name.clone()]));
            let part = part.map_err(|problems| DeployError::problems(&problems))?;
            let Some(component) = self.components.get(name).cloned() else { continue };
            arrivals.push(Arrival::new(name, version, &component, part)?);
            let mut entry = entry(name, OPERATOR, "up", Some(version));
            entry.before = running(name).cloned();
            entries.push(entry);
        }
        Ok(Some(Deployment {
            application,
            deployed: self.deployed.clone(),
            arrivals,
            entries,
            promotion: None,
            migration: None,
        }))
    }
}

/// Those of `functions` of which a version that is kept could read what is sensitive.
async fn knowing(look: &mut Look, functions: &BTreeSet<String>) -> anyhow::Result<BTreeSet<String>> {
    let mut knowing = BTreeSet::new();
    for function in functions {
        let kept = look.versions(function).await?;
        if kept.iter().any(|kept| reads_sensitive(&kept.part, function)) {
            knowing.insert(function.clone());
        }
    }
    Ok(knowing)
}

/// The digest of the component that `function` ran with.
async fn kept_digest(look: &mut Look, function: &str, before: &Deployed) -> anyhow::Result<String> {
    let kept = look.versions(function).await?;
    let ran = before.running.get(function);
    let kept = kept.into_iter().find(|kept| Some(&kept.version) == ran);
    Ok(kept.with_context(|| format!("the version of `{function}` that ran is not kept"))?.component)
}

fn versions(application: &Application, components: &BTreeMap<String, Arc<[u8]>>) -> BTreeMap<String, String> {
    let version = |name: &String| {
        let digest = components.get(name).map(|component| digest_of(component))?;
        Some((name.clone(), application.version(application.functions.get(name)?, &digest)))
    };
    application.functions.keys().filter_map(version).collect()
}

fn parsed(text: &str) -> anyhow::Result<Application> {
    manifest::parse(text).map_err(|problems| {
        let told: Vec<String> = problems.iter().map(|p: &Problem| p.render("spin.toml")).collect();
        anyhow::anyhow!("{}", told.join("\n"))
    })
}
