//! A shadow that is put in charge: with its state, and with the rows and records in which it differs.

use std::sync::Arc;

use super::decide::Way;
use super::{DeployError, Deploys, Taken, short};
use crate::clock::now_ms;
use crate::dispatch::held;
use crate::embedded::mirrors::MOST_BYTES;
use crate::embedded::promotion::Promotion;
use crate::embedded::shadows::{Extent, Shadow};
use crate::shadows::{Amends, MOST_AMENDED, MOST_PUBLISHED, ShadowError};

impl Deploys {
    /// Puts the shadow of a function in charge, with its state, and writes the rows and records in which it differs, unless there
    /// are more than `allowed`; all of them where nothing is said.
    ///
    /// # Errors
    /// [`DeployError`]; the audit log has it.
    pub async fn promote(&self, function: &str, allowed: Option<u64>, who: &str) -> Result<Taken, DeployError> {
        let _turn = self.turn.lock().await;
        let promoted = self.put_shadow_in_charge(function, allowed, who);
        self.as_allowed(who, &[function.to_owned()], "promote", promoted).await
    }

    async fn put_shadow_in_charge(
        &self,
        function: &str,
        allowed: Option<u64>,
        who: &str,
    ) -> Result<Taken, DeployError> {
        let shadow = self.shadow_of(function).await?;
        if let Some(reason) = shadow.ended {
            let hint = format!("`isobar deploy {function} --shadow` begins anew");
            return Err(DeployError::refused(format!("the shadow of `{function}` has ended: {reason}"), hint));
        }
        if shadow.extent != Extent::Open {
            return Err(DeployError::refused(
                format!("the shadow of `{function}` is only for comparison: it does not follow the version in charge"),
                format!("`isobar replay {function} --apply` computes everything anew to take over"),
            ));
        }
        let decided = self.decide(self.ask_of(&shadow).await?, Way { again: shadow.replays, ..Way::default() }).await?;
        if decided.deployed.running.get(function) != Some(&shadow.version) {
            return Err(DeployError::refused(
                format!("version {} of `{function}` would be another one by what runs now", short(&shadow.version)),
                "drop the shadow and begin anew",
            ));
        }
        let gone = || ShadowError::None(format!("the shadow of `{function}` does not run"));
        let running = self.shadows.of(function).ok_or_else(gone)?;
        self.shadows.pursue(function).await?;
        let held = self.stand_still(function).await?;
        self.shadows.arrive(function).await?;
        let amends = running.amends().await?;
        may_take_over(&shadow, &amends, allowed)?;
        let file = running.file().await?;
        let topics = Arc::clone(&decided.application);
        let partitions = |topic: &str| topics.topics.get(topic).map_or(1, |topic| topic.partitions);
        let frames = held::frames(amends.published, partitions, now_ms(), true).map_err(held::unencodable)?;
        let replays = shadow.replays;
        let promotion = Promotion { function: function.to_owned(), file, replays, frames };
        let taken = self.swap(decided, who, "promote", Some(promotion)).await?;
        drop(held);
        self.shadows.end(function).await;
        taken.into_iter().next().ok_or_else(|| DeployError::Failed(format!("`{function}` does not run")))
    }
}

/// Refuses what would change too much at one time, or more than is allowed.
fn may_take_over(shadow: &Shadow, amends: &Amends, allowed: Option<u64>) -> Result<(), DeployError> {
    let Amends { differing, unpublished, is_too_much, .. } = amends;
    let function = &shadow.function;
    if let Some(allowed) = allowed.filter(|allowed| differing > allowed) {
        return Err(DeployError::refused(
            format!("the shadow differs in {differing} rows and records, and {allowed} are allowed"),
            format!("`isobar shadow show {function}` shows them; if they are meant, `--allow-differences {differing}`"),
        ));
    }
    if *differing > MOST_AMENDED && !shadow.replays {
        return Err(DeployError::refused(
            format!(
                "the shadow differs in {differing} rows and records, and {MOST_AMENDED} can be written when it takes over"
            ),
            format!(
                "`isobar shadow drop {function}`, then `isobar deploy {function} --rebuild`, which computes all of them anew"
            ),
        ));
    }
    if *is_too_much {
        return Err(DeployError::refused(
            format!(
                "{unpublished} records would be published when it takes over: at most {MOST_PUBLISHED} can be, and {} MiB of them",
                MOST_BYTES >> 20
            ),
            "drop it, and compute everything anew in an empty data folder",
        ));
    }
    Ok(())
}
