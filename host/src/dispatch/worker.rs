//! One function in one partition: its topics and its schedule take turns, one call at a time.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{FutureExt as _, select_all};
use tokio_util::sync::CancellationToken;

use super::log::Log;
use super::schedule::ScheduleSource;
use super::topic::TopicSource;
use super::{Shared, context};
use crate::embedded::WriteError;
use crate::manifest::TriggerSource;
use crate::registry::Registered;

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
    sources: Vec<Source>,
}

impl Worker {
    pub(super) async fn new(
        shared: Arc<Shared>,
        registered: Arc<Registered>,
        partition: u32,
        log: &Log,
    ) -> anyhow::Result<Self> {
        let mut sources = Vec::new();
        let version = registered.version.load_full();
        for trigger in &version.function.triggers {
            let context = (context(&shared, &registered, partition), log.clone());
            let (shared, registered) = (Arc::clone(&shared), Arc::clone(&registered));
            match &trigger.source {
                TriggerSource::Topic(topic) if partition < shared.store.ends().partitions(topic) => {
                    let source = TopicSource::new(shared, registered, trigger, topic, context).await?;
                    sources.push(Source::Topic(Box::new(source)));
                }
                TriggerSource::Cron(cron) if partition == 0 => {
                    let source = ScheduleSource::new(shared, registered, trigger, cron, context).await?;
                    sources.push(Source::Schedule(Box::new(source)));
                }
                _ => {}
            }
        }
        Ok(Worker { shared, sources })
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut loads = self.shared.store.loads();
        let mut pauses = self.shared.pauses.watch();
        // What was loaded since it was last looked at: waiting for a change counts as having looked.
        let mut loaded = false;
        while !stop.is_cancelled() {
            if std::mem::take(&mut loaded) || loads.has_changed().unwrap_or_default() {
                loads.mark_unchanged();
                self.topics().for_each(TopicSource::table_loaded);
            }
            pauses.mark_unchanged();
            self.topics().for_each(TopicSource::mark_seen);
            let Some(sleep) = self.turn(&stop).await else { continue };
            let grown = self.topics().map(|t| t.grown().boxed());
            let never = std::future::pending().boxed();
            tokio::select! {
                () = stop.cancelled() => {}
                _ = loads.changed() => loaded = true,
                _ = pauses.changed() => {}
                _ = select_all(grown.chain([never])) => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
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
