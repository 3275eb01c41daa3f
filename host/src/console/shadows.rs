//! Shadows of functions as they are seen from outside: compared, put in charge, dropped.

use super::answers::{Fault, PromoteAsk, Refusal, ReplayAsk, ShadowAsk};
use super::versions::at_rest;
use super::view::View;
use crate::deploys::{Course, Taken};
use crate::embedded::past::Part;
use crate::shadows::Comparison;

/// Differences of each table where no number is asked for.
const USUAL_DIFFERENCES: u32 = 10;
/// Most differences of each table.
const MOST_DIFFERENCES: u32 = 1000;

/// That there is nothing to compare.
pub(crate) fn no_shadow(function: &str) -> Refusal {
    let none = Refusal::new(Fault::Unknown, format!("`{function}` has no shadow"));
    none.hint("`isobar deploy FUNCTION --shadow` begins one")
}

impl View {
    /// What the shadow of a function made beside what the version in charge made, where it has one.
    ///
    /// # Errors
    /// When no host runs, or the data cannot be read.
    pub async fn shadow(&self, function: &str, ask: &ShadowAsk) -> Result<Option<Comparison>, Refusal> {
        let running = self.running.as_ref().ok_or_else(at_rest)?;
        if !running.deploys.has_shadow(function).await? {
            return Ok(None);
        }
        if ask.brief {
            return Ok(Some(running.deploys.look_at_shadow(function).await?));
        }
        let most = ask.differences.unwrap_or(USUAL_DIFFERENCES).min(MOST_DIFFERENCES);
        let _permit = self.long_read()?;
        Ok(Some(running.deploys.compare_shadow(function, most, ask.sensitive).await?))
    }

    /// Lets a version run over the past again, and then follow the one in charge in its shadow.
    ///
    /// # Errors
    /// Why it may not or cannot.
    pub async fn replay(&self, function: &str, ask: &ReplayAsk, who: &str) -> Result<Taken, Refusal> {
        let running = self.running.as_ref().ok_or_else(at_rest)?;
        let ReplayAsk { version, from, to, apply } = ask;
        let part = Part { from: *from, to: *to };
        if *apply && part != Part::default() {
            return Err(Refusal::new(Fault::Invalid, "what a part of the past comes to cannot take over")
                .hint("leave `from` and `to` out, or `apply`"));
        }
        let course = if *apply { Course::Past } else { Course::Compared(part) };
        Ok(running.deploys.replay(function, version.as_deref(), course, who).await?)
    }

    /// Puts the shadow of a function in charge.
    ///
    /// # Errors
    /// Why it may not or cannot; nothing has changed then.
    pub async fn promote(&self, function: &str, ask: &PromoteAsk, who: &str) -> Result<Taken, Refusal> {
        let running = self.running.as_ref().ok_or_else(at_rest)?;
        Ok(running.deploys.promote(function, ask.allow_differences, who).await?)
    }

    /// Ends the shadow of a function.
    ///
    /// # Errors
    /// When no host runs or the function has no shadow.
    pub async fn drop_shadow(&self, function: &str, who: &str) -> Result<(), Refusal> {
        let running = self.running.as_ref().ok_or_else(at_rest)?;
        Ok(running.deploys.drop_shadow(function, who).await?)
    }
}
