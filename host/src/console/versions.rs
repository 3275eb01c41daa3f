//! Versions of functions: what there is of them, deploys and the way back, the audit log.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::answers::{AuditAsk, DeployAsk, DeployWay, DiffAsk, Fault, ManifestView, Refusal, RollbackAsk};
use super::view::View;
use crate::deploys::{self, Ask, Course, Taken, VersionSummary};
use crate::embedded::versions::Entry;

/// Entries of the audit log where no number is asked for.
const USUAL_ENTRIES: u32 = 20;
/// Most entries.
const MOST_ENTRIES: u32 = 1000;

impl View {
    /// The versions of a function that are kept, the newest first.
    ///
    /// # Errors
    /// When there is none, or the data cannot be read.
    pub async fn versions(&self, function: &str) -> Result<Vec<VersionSummary>, Refusal> {
        Ok(deploys::versions(&self.store, function).await?)
    }

    /// In what two versions differ, in plain words.
    ///
    /// # Errors
    /// When there is no such version, or the data cannot be read.
    pub async fn diff(&self, function: &str, ask: &DiffAsk) -> Result<Vec<String>, Refusal> {
        Ok(deploys::diff(&self.store, function, &ask.from, ask.to.as_deref()).await?)
    }

    /// The manifest that runs.
    ///
    /// # Errors
    /// When none was deployed yet, or the data cannot be read.
    pub async fn manifest(&self) -> Result<ManifestView, Refusal> {
        let deployed = self.store.deployed().await?;
        let nothing = || Refusal::new(Fault::Unknown, "nothing was deployed to this data folder yet");
        let deployed = deployed.ok_or_else(nothing)?;
        Ok(ManifestView { manifest: deployed.manifest })
    }

    /// The newest entries of the audit log, the newest first.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub async fn audit(&self, ask: &AuditAsk) -> Result<Vec<Entry>, Refusal> {
        Ok(self.store.audit_log(ask.limit.unwrap_or(USUAL_ENTRIES).min(MOST_ENTRIES)).await?)
    }

    /// Lets versions take over in the running host, or one follow in the shadow of another.
    ///
    /// # Errors
    /// Why they may not or cannot; nothing has changed then.
    pub async fn deploy(&self, ask: DeployAsk, who: &str) -> Result<Vec<Taken>, Refusal> {
        let running = self.running.as_ref().ok_or_else(at_rest)?;
        let mut components = std::collections::BTreeMap::new();
        for (function, text) in ask.components {
            let bytes = BASE64_STANDARD.decode(text).map_err(|_| {
                Refusal::new(Fault::Invalid, format!("the component of `{function}` is not base64"))
                    .hint("`isobar deploy` sends it as it should be")
            })?;
            components.insert(function, bytes.into());
        }
        let (way, ask) = (ask.way, Ask { part: ask.part, components, ..Ask::default() });
        match way {
            DeployWay::Shadow => Ok(vec![running.deploys.begin_shadow(ask, Course::Beside, who).await?]),
            DeployWay::Replay => Ok(vec![running.deploys.begin_shadow(ask, Course::Past, who).await?]),
            DeployWay::Compare(part) => Ok(vec![running.deploys.begin_shadow(ask, Course::Compared(part), who).await?]),
            DeployWay::TakeOver => Ok(running.deploys.deploy(ask, who).await?),
        }
    }

    /// Lets a function not run any more; what it knows and wrote stays. Gives the version that was in charge.
    ///
    /// # Errors
    /// As [`View::deploy`].
    pub async fn remove(&self, function: &str, who: &str) -> Result<String, Refusal> {
        let running = self.running.as_ref().ok_or_else(at_rest)?;
        Ok(running.deploys.remove(function, who).await?)
    }

    /// Puts a version in charge that was so before.
    ///
    /// # Errors
    /// As [`View::deploy`].
    pub async fn roll_back(&self, function: &str, ask: &RollbackAsk, who: &str) -> Result<Taken, Refusal> {
        let running = self.running.as_ref().ok_or_else(at_rest)?;
        Ok(running.deploys.roll_back(function, ask.version.as_deref(), who).await?)
    }
}

pub(super) fn at_rest() -> Refusal {
    Refusal::new(Fault::Invalid, "no host runs that it could be deployed to")
        .hint("`isobar up` starts one, with what spin.toml says")
}
