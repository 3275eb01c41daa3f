//! What an operator may tell a function: to stand still, and to go on.

use super::answers::{Fault, Refusal};
use super::view::View;
use crate::clock::now_ms;
use crate::embedded::Pause;
use crate::manifest::nearest;

impl View {
    /// Lets a function stand still.
    ///
    /// # Errors
    /// When there is no such function, or that cannot be written.
    pub async fn pause(&self, function: &str) -> Result<(), Refusal> {
        self.function(function)?;
        let reason = format!("an operator paused it; `isobar resume {function}` lets it go on");
        match &self.running {
            Some(running) => running.pauses.pause(function, reason).await?,
            None => {
                self.store.pause(Pause { function: function.into(), reason, at_ms: now_ms(), by_toll: false }).await?
            }
        }
        Ok(())
    }

    /// Lets a function go on.
    ///
    /// # Errors
    /// As [`View::pause`].
    pub async fn resume(&self, function: &str) -> Result<(), Refusal> {
        self.function(function)?;
        match &self.running {
            Some(running) => running.pauses.resume(function).await?,
            None => self.store.resume(function).await?,
        }
        Ok(())
    }

    /// Refuses a name that is no function's.
    pub(super) fn function(&self, name: &str) -> Result<(), Refusal> {
        let application = self.application();
        let functions = &application.functions;
        if functions.contains_key(name) {
            return Ok(());
        }
        let refusal = Refusal::new(Fault::Unknown, format!("there is no function `{name}`"));
        Err(match nearest(name, functions.keys().map(String::as_str)) {
            Some(near) => refusal.hint(format!("did you mean `{near}`?")),
            None => refusal.hint("`isobar status` shows those there are"),
        })
    }
}
