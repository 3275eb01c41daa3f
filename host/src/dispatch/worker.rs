//! One function in one partition: its topics and its schedule take turns, one call at a time.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{FutureExt as _, select_all};
use tokio_util::sync::CancellationToken;

use super::schedule::ScheduleSource;
use super::topic::TopicSource;
use super::{Shared, context};
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

/// What one function does in one partition.
pub(super) struct Worker {
    shared: Arc<Shared>,
    topics: Vec<TopicSource>,
    schedules: Vec<ScheduleSource>,
}

impl Worker {
    pub(super) async fn new(shared: Arc<Shared>, registered: Arc<Registered>, partition: u32) -> anyhow::Result<Self> {
        let mut worker = Worker { shared: Arc::clone(&shared), topics: Vec::new(), schedules: Vec::new() };
        let version = registered.version.load_full();
        for trigger in &version.function.triggers {
            let context = context(&shared, &registered, partition);
            match &trigger.source {
                TriggerSource::Topic(topic) if partition < shared.store.ends().partitions(topic) => {
                    let source =
                        TopicSource::new(Arc::clone(&shared), Arc::clone(&registered), trigger, topic, context).await?;
                    worker.topics.push(source);
                }
                TriggerSource::Cron(cron) if partition == 0 => {
                    let source =
                        ScheduleSource::new(Arc::clone(&shared), Arc::clone(&registered), trigger, cron, context)
                            .await?;
                    worker.schedules.push(source);
                }
                _ => {}
            }
        }
        Ok(worker)
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut loaded = self.shared.loaded.subscribe();
        while !stop.is_cancelled() {
            if loaded.has_changed().unwrap_or_default() {
                loaded.mark_unchanged();
                self.topics.iter_mut().for_each(TopicSource::table_loaded);
            }
            self.topics.iter_mut().for_each(TopicSource::mark_seen);
            let mut sleep = LONGEST_SLEEP;
            let mut worked = false;
            // Sources share the function's state, so that one begins where the other has ended.
            let alone = self.topics.len() + self.schedules.len() == 1;
            for topic in &mut self.topics {
                let mut stepped = topic.step(&stop).await;
                if !alone {
                    stepped = topic.settle().await.and(stepped);
                }
                match stepped {
                    Ok(Step::Worked) => worked = true,
                    Ok(Step::Idle(wait)) => sleep = sleep.min(wait),
                    Err(error) => sleep = sleep.min(topic.trouble(&error, STORE_BACKOFF)),
                }
            }
            for schedule in &mut self.schedules {
                let mut stepped = schedule.step(&stop).await;
                if !alone {
                    stepped = schedule.settle().await.and(stepped);
                }
                match stepped {
                    Ok(Step::Worked) => worked = true,
                    Ok(Step::Idle(wait)) => sleep = sleep.min(wait),
                    Err(error) => sleep = sleep.min(schedule.trouble(&error, STORE_BACKOFF)),
                }
            }
            if worked {
                continue;
            }
            let grown = self.topics.iter_mut().map(|t| t.grown().boxed());
            let never = std::future::pending().boxed();
            tokio::select! {
                () = stop.cancelled() => {}
                _ = loaded.changed() => {}
                _ = select_all(grown.chain([never])) => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
        self.settle().await;
    }

    /// Waits for the commits under way, when no more calls follow.
    async fn settle(&mut self) {
        for topic in &mut self.topics {
            if let Err(error) = topic.settle().await {
                topic.trouble(&error, Duration::ZERO);
            }
        }
        for schedule in &mut self.schedules {
            if let Err(error) = schedule.settle().await {
                schedule.trouble(&error, Duration::ZERO);
            }
        }
    }
}
