//! One function in one partition: its topics and its schedule take turns, one call at a time.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{FutureExt as _, select_all};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Shared;
use super::log::Log;
use super::schedule::ScheduleSource;
use super::topic::TopicSource;
use crate::embedded::{Note, WriteError};
use crate::manifest::{Column, Function, Trigger, TriggerSource};
use crate::registry::{Registered, Version};

/// Even when nothing wakes it, a worker looks again after this long: a clock that jumped is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// The wait after trouble with the data file, which is never the function's fault.
const STORE_BACKOFF: Duration = Duration::from_millis(500);

/// What a source did when it was asked.
pub(super) enum Step {
    /// It handled something; it may have more.
    Worked,
    /// It has nothing to do for so long, or until it is woken.
    Idle(Duration),
}

/// What makes a function run.
enum Source {
    Topic(Box<TopicSource>),
    Schedule(Box<ScheduleSource>),
}

impl Source {
    async fn step(&mut self, stop: &CancellationToken) -> Result<Step, WriteError> {
        match self {
            Source::Topic(topic) => topic.step(stop).await,
            Source::Schedule(schedule) => schedule.step(stop).await,
        }
    }

    /// Waits for the commits under way.
    async fn settle(&mut self) -> Result<(), WriteError> {
        match self {
            Source::Topic(topic) => topic.settle().await,
            Source::Schedule(schedule) => schedule.settle().await,
        }
    }

    /// Notes trouble with the data file.
    fn trouble(&mut self, error: &WriteError) {
        match self {
            Source::Topic(topic) => topic.trouble(error),
            Source::Schedule(schedule) => schedule.trouble(error),
        }
    }

    /// Goes by what `version` says of its trigger.
    async fn renew(&mut self, version: &Arc<Version>) -> anyhow::Result<()> {
        for trigger in &version.function.triggers {
            match (&mut *self, &trigger.source) {
                (Source::Topic(source), TriggerSource::Topic(topic)) if source.note().source.as_ref() == topic => {
                    source.renew(version, trigger);
                }
                (Source::Schedule(source), TriggerSource::Cron(cron))
                    if source.note().source.as_ref() == trigger.id =>
                {
                    source.settle().await?;
                    source.renew(version, trigger, cron)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn note(&self) -> &Note {
        match self {
            Source::Topic(topic) => topic.note(),
            Source::Schedule(schedule) => schedule.note(),
        }
    }

    fn topic(&mut self) -> Option<&mut TopicSource> {
        match self {
            Source::Topic(topic) => Some(topic),
            Source::Schedule(_) => None,
        }
    }
}

/// What one function does in one partition.
pub(super) struct Worker {
    shared: Arc<Shared>,
    registered: Arc<Registered>,
    partition: u32,
    log: Log,
    /// The version that the sources go by.
    version: Arc<Version>,
    sources: Vec<Source>,
}

impl Worker {
    pub(super) async fn new(
        shared: Arc<Shared>,
        registered: Arc<Registered>,
        partition: u32,
        log: &Log,
    ) -> anyhow::Result<Self> {
        let version = registered.version.load_full();
        let sources = Vec::new();
        let mut worker = Worker { shared, registered, partition, log: log.clone(), version, sources };
        worker.sources = worker.sources_of(&worker.version).await?;
        Ok(worker)
    }

    /// The sources that `version` has in this partition.
    async fn sources_of(&self, version: &Arc<Version>) -> anyhow::Result<Vec<Source>> {
        let mut sources = Vec::new();
        for trigger in &version.function.triggers {
            let shared = Arc::clone(&self.shared);
            match &trigger.source {
                TriggerSource::Topic(topic) if self.partition < shared.store.ends().partitions(topic) => {
                    let place = (self.partition, self.log.clone());
                    let source = TopicSource::new(shared, version, trigger, topic, place).await?;
                    sources.push(Source::Topic(Box::new(source)));
                }
                TriggerSource::Cron(cron) if self.partition == 0 => {
                    let source = ScheduleSource::new(shared, version, trigger, cron, self.log.clone()).await?;
                    sources.push(Source::Schedule(Box::new(source)));
                }
                _ => {}
            }
        }
        Ok(sources)
    }

    /// Goes by the version in charge, where another one has taken over. What is under way stays so, unless the new one has other
    /// triggers.
    async fn renew(&mut self) -> anyhow::Result<()> {
        let version = self.registered.version.load_full();
        if Arc::ptr_eq(&version, &self.version) {
            return Ok(());
        }
        let ids = |function: &Function| -> Vec<String> { function.triggers.iter().map(|t| t.id.clone()).collect() };
        let follows = |t: &Trigger| t.source.topic().map(str::to_owned);
        let topics = |function: &Function| -> Vec<_> { function.triggers.iter().map(follows).collect() };
        let rows = |version: &Version| -> Vec<Option<Vec<Column>>> {
            let tables = &version.application.tables;
            version.function.grants.tables.keys().map(|name| Some(tables.get(name)?.columns.clone())).collect()
        };
        let (before, after) = (&self.version.function, &version.function);
        if ids(before) == ids(after) && topics(before) == topics(after) {
            if rows(&self.version) != rows(&version) {
                // What is held of rows has a cell for each column of the older version.
                for source in &mut self.sources {
                    source.settle().await?;
                }
            }
            for source in &mut self.sources {
                source.renew(&version).await?;
            }
        } else {
            for source in &mut self.sources {
                source.settle().await?;
                self.shared.progress.forget_source(source.note());
            }
            self.sources = self.sources_of(&version).await?;
        }
        self.version = version;
        Ok(())
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut loads = self.shared.store.loads();
        let mut pauses = self.shared.pauses.watch();
        let mut swaps = self.shared.swaps.subscribe();
        // What was loaded since it was last looked at: waiting for a change counts as having looked.
        let mut loaded = false;
        let gate = Arc::clone(&self.registered.gate);
        let mut leave = gate.clone().read_owned().await;
        while !stop.is_cancelled() {
            if self.shared.is_held(&self.registered.name) {
                self.settle().await;
                drop(leave);
                leave = gate.clone().read_owned().await;
                // It may have been removed meanwhile.
                continue;
            }
            if std::mem::take(&mut loaded) || loads.has_changed().unwrap_or_default() {
                loads.mark_unchanged();
                self.topics().for_each(TopicSource::table_loaded);
            }
            pauses.mark_unchanged();
            swaps.mark_unchanged();
            if let Err(error) = self.renew().await {
                warn!(function = %self.registered.name, partition = self.partition, %error,
                    "the version that took over cannot begin yet; it is tried again");
                let _ = tokio::time::timeout(STORE_BACKOFF, stop.cancelled()).await;
                continue;
            }
            self.topics().for_each(TopicSource::mark_seen);
            let Some(sleep) = self.turn(&stop).await else { continue };
            let grown = self.topics().map(|t| t.grown().boxed());
            let never = std::future::pending().boxed();
            tokio::select! {
                () = stop.cancelled() => {}
                _ = loads.changed() => loaded = true,
                _ = pauses.changed() => {}
                _ = swaps.changed() => {}
                _ = select_all(grown.chain([never])) => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
        self.settle().await;
        drop(leave);
    }

    /// Waits for what is under way.
    async fn settle(&mut self) {
        for source in &mut self.sources {
            if let Err(error) = source.settle().await {
                source.trouble(&error);
            }
        }
    }

    /// Lets each source do something; gives how long there is nothing more to do, if that is so.
    async fn turn(&mut self, stop: &CancellationToken) -> Option<Duration> {
        let mut sleep = LONGEST_SLEEP;
        let (mut worked, mut troubled) = (false, false);
        // Sources share the function's state, so that one begins where the other has ended.
        let alone = self.sources.len() == 1;
        for source in &mut self.sources {
            let mut stepped = source.step(stop).await;
            if !alone {
                stepped = source.settle().await.and(stepped);
            }
            match stepped {
                Ok(Step::Worked) => worked = true,
                Ok(Step::Idle(wait)) => sleep = sleep.min(wait),
                Err(error) => {
                    source.trouble(&error);
                    troubled = true;
                    sleep = sleep.min(STORE_BACKOFF);
                    if let WriteError::Share { function, .. } = &error {
                        // Should that fail too, the next turn comes here again.
                        let _ = self.shared.pauses.pause(function, error.to_string()).await;
                    }
                }
            }
        }
        (troubled || !worked).then_some(sleep)
    }

    fn topics(&mut self) -> impl Iterator<Item = &mut TopicSource> {
        self.sources.iter_mut().filter_map(Source::topic)
    }
}
