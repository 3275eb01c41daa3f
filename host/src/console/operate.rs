//! What an operator may tell a function: to stand still, and to go on.

use std::collections::BTreeSet;

use super::answers::{Fault, LogsAsk, LogsPage, Payload, Refusal, StateAsk, StateEntry, StatePage};
use super::view::View;
use crate::clock::now_ms;
use crate::deploys::has_read;
use crate::dispatch::SourceStatus;
use crate::embedded::versions::Entry;
use crate::embedded::{Pause, Wanted};
use crate::manifest::{TriggerSource, nearest};

/// Lines that functions wrote, where no number is asked for, and most of an answer.
const USUAL_LINES: u32 = 100;
const MOST_LINES: u32 = 10_000;
/// Entries of state where no number is asked for.
const USUAL_ENTRIES: u32 = 100;
/// Most entries of state in an answer.
const MOST_ENTRIES: u32 = 1000;
/// Bytes of values in an answer; of what is beyond only the size is told.
const MOST_ENTRY_BYTES: usize = 8 * 1024 * 1024;

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

    /// The last lines that functions wrote since the host was started. What functions write that read what is sensitive is kept nowhere.
    ///
    /// # Errors
    /// When no host runs them here, or there is no such function.
    pub async fn logs(&self, ask: &LogsAsk) -> Result<LogsPage, Refusal> {
        if let Some(function) = &ask.function {
            self.function(function)?;
        }
        let running = self.running.as_ref().ok_or_else(|| {
            Refusal::new(Fault::Invalid, "no host runs, and what functions write is held by the one that runs them")
                .hint("`isobar up` starts one, and has it in its own log")
        })?;
        let most = ask.limit.unwrap_or(USUAL_LINES).min(MOST_LINES) as usize;
        let held = running.dispatcher.voices().held(ask.function.as_deref(), ask.after.unwrap_or_default(), most);
        let (mut lines, last) = held;
        let said: BTreeSet<String> = lines.iter().map(|line| line.function.clone()).collect();
        for function in said {
            // A version before it may have left in its state what it read.
            if self.has_read(&function).await? {
                lines.retain(|line| line.function != function);
            }
        }
        Ok(LogsPage { lines, last })
    }

    /// Whether a version of a function could read what is sensitive.
    async fn has_read(&self, function: &str) -> Result<bool, Refusal> {
        Ok(match &self.running {
            Some(running) => running.deploys.has_read(function).await?,
            None => has_read(&self.store, function).await?,
        })
    }

    /// Lets a scheduled function run now.
    ///
    /// # Errors
    /// When no host runs it here, it has no schedule, or it stands still.
    pub async fn run(&self, function: &str) -> Result<(), Refusal> {
        self.function(function)?;
        let running = self.running.as_ref().ok_or_else(|| {
            Refusal::new(Fault::Invalid, "no host runs that could call it").hint("`isobar up` starts one")
        })?;
        let application = self.application();
        let triggers = application.functions.get(function).into_iter().flat_map(|f| &f.triggers);
        let schedules: Vec<&str> =
            triggers.filter(|t| matches!(t.source, TriggerSource::Cron(_))).map(|t| t.id.as_str()).collect();
        if schedules.is_empty() {
            return Err(Refusal::new(Fault::Invalid, format!("`{function}` has no schedule; records make it run"))
                .hint(format!("`isobar test {function} FILE` tries it with records from a file")));
        }
        if let Some(reason) = running.pauses.reason(function) {
            return Err(Refusal::new(Fault::Invalid, format!("`{function}` stands still: {reason}"))
                .hint(format!("`isobar resume {function}` lets it go on")));
        }
        let is_here = |s: &SourceStatus| s.function == function && schedules.contains(&s.source.as_str());
        if !running.progress.sources().iter().any(is_here) {
            return Err(Refusal::new(Fault::Invalid, format!("the schedule of `{function}` is another host's")));
        }
        running.dispatcher.call(function);
        Ok(())
    }

    /// Lets go of what a function that does not run any more remembers; gives how many keys that were.
    ///
    /// # Errors
    /// When it runs, nothing is known of it, or the data cannot be written.
    pub async fn forget(&self, function: &str, who: &str) -> Result<u64, Refusal> {
        if self.cluster.is_some() {
            return Err(Refusal::new(
                Fault::Invalid,
                "the log is in Kafka, which holds the state, and it would come back from there",
            )
            .hint("delete the function's topics and its consumer group"));
        }
        if self.application().functions.contains_key(function) {
            return Err(Refusal::new(Fault::Invalid, format!("`{function}` runs, and needs what it remembers"))
                .hint(format!("`isobar remove {function}` stops it; its state stays until it is deleted")));
        }
        let keys = self
            .store
            .remembered(function)
            .await?
            .ok_or_else(|| Refusal::new(Fault::Unknown, format!("nothing is known of a function `{function}`")))?;
        self.store.forget(function, Entry::done(who, "delete state", function)).await?;
        Ok(keys)
    }

    /// The state of a function, by partition and key.
    ///
    /// # Errors
    /// When there is no such function, its state is sensitive and that was not asked for, or the data cannot be read.
    pub async fn state(&self, function: &str, ask: &StateAsk) -> Result<StatePage, Refusal> {
        self.function(function)?;
        let application = self.application();
        let reads = application.functions.get(function).is_some_and(|f| f.reads_sensitive(&application));
        if (reads || self.has_read(function).await?) && !ask.sensitive {
            return Err(Refusal::new(
                Fault::Sensitive,
                format!("`{function}` reads sensitive data, which its state may hold"),
            )
            .hint("ask for sensitive data: `--sensitive`"));
        }
        let _permit = self.long_read()?;
        let limit = ask.limit.unwrap_or(USUAL_ENTRIES).clamp(1, MOST_ENTRIES);
        let wanted = Wanted { partition: ask.partition, prefix: ask.prefix.as_deref(), key: ask.key.as_deref() };
        let mut found = self.store.state_entries(function, &wanted, limit + 1, MOST_ENTRY_BYTES).await?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let entry = |(partition, key, bytes, value): (u32, String, u64, Option<Vec<u8>>)| StateEntry {
            partition,
            key,
            bytes,
            value: value.as_deref().map(Payload::of),
        };
        Ok(StatePage { entries: found.into_iter().map(entry).collect(), more })
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
