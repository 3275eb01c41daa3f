//! Functions that are not to run any more: what they know, wrote and published stays, and the log that was kept for them goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Ask, DeployError, Deploys};
use crate::dispatch::Held;
use crate::manifest;
use crate::registry::Registered;

/// How long the last batches of a function may take that is removed.
const LONGEST_LAST: Duration = Duration::from_secs(10);
/// What the audit log calls it.
const REMOVE: &str = "remove";

impl Deploys {
    /// Lets a function not run any more, on any host; gives the version that was in charge.
    ///
    /// # Errors
    /// [`DeployError`]; the audit log has it.
    pub async fn remove(&self, function: &str, who: &str) -> Result<String, DeployError> {
        let running = self.running();
        let Some(version) = running.get(function).cloned() else {
            let near = manifest::nearest(function, running.keys().map(String::as_str));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let hint = hint.unwrap_or_else(|| "`isobar status` shows the functions".to_owned());
            return Err(DeployError::unknown(format!("no function `{function}` runs"), hint));
        };
        let gone = BTreeSet::from([function.to_owned()]);
        self.put_in_charge(Ask { gone, ..Ask::default() }, who, REMOVE).await?;
        Ok(version)
    }

    /// Refuses to let go of functions on which others rely.
    pub(super) async fn may_go(&self, gone: &BTreeSet<String>) -> Result<(), DeployError> {
        if gone.is_empty() {
            return Ok(());
        }
        let shadows = self.store.shadows().await?;
        match shadows.iter().find(|shadow| gone.contains(&shadow.function) && shadow.ended.is_none()) {
            Some(shadow) => Err(DeployError::refused(
                format!("`{}` has a shadow", shadow.function),
                format!("`isobar shadow drop {}` ends it", shadow.function),
            )),
            None => Ok(()),
        }
    }

    /// Lets functions come to the end of what they have, or to none of it where that takes long, and begin nothing.
    pub(super) async fn hold_all(&self, gone: &BTreeMap<String, String>) -> Result<Vec<Held>, DeployError> {
        let held = self.try_to_hold(gone).await;
        if held.is_err() {
            self.let_go_on(gone).await;
        }
        held
    }

    /// Lets functions go on that were to be removed, those whose calls were given up anew.
    pub(super) async fn let_go_on(&self, gone: &BTreeMap<String, String>) {
        let registered: Vec<Arc<Registered>> = gone.keys().filter_map(|name| self.registered(name)).collect();
        registered.iter().for_each(|registered| self.dispatcher.forget_given_up(registered));
        if let Err(error) = self.begin(registered).await {
            tracing::error!(%error, "functions that were not removed do not go on");
        }
    }

    async fn try_to_hold(&self, gone: &BTreeMap<String, String>) -> Result<Vec<Held>, DeployError> {
        let mut all = Vec::new();
        for registered in gone.keys().filter_map(|name| self.registered(name)) {
            let held = match self.dispatcher.hold(&registered, LONGEST_LAST).await {
                Some(held) => Some(held),
                None => {
                    // Nothing of a call that is given up is committed, and it is done again should the function come back.
                    self.dispatcher.give_up(&registered);
                    self.dispatcher.hold(&registered, LONGEST_LAST).await
                }
            };
            all.push(held.ok_or_else(|| DeployError::Failed(format!("`{}` does not end", registered.name)))?);
        }
        Ok(all)
    }
}
