//! Topics: those of the application and the functions' own, made where they are missing and held against what is declared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::Offset;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;

use super::client::{ANSWER, Context, RECORD_BYTES, list};
use super::offsets::{Extent, extent, extents, stands};
use super::reader::{READER, Reader};
use super::{Cluster, Fault, blocking};
use crate::delivery::Records;
use crate::embedded::TopicStatus;
use crate::manifest::{Application, Function};

/// Partitions of a dead-letter topic: few records, one order.
const DEAD_LETTER_PARTITIONS: u32 = 1;
/// How long deleted entries can be seen, in milliseconds: a copy of the state that is older is of no use.
pub(super) const DELETE_RETENTION_MS: i64 = 24 * 60 * 60 * 1000;
/// Bytes after which the control topic begins another file, of which the ones before are compacted.
const CONTROL_SEGMENT_BYTES: &str = "33554432";
const HOUR_MS: i64 = 60 * 60 * 1000;
/// How long brokers may take to make topics: on a busy machine, three brokers have needed more than ten seconds.
const MAKE: Duration = Duration::from_secs(60);
/// How long a topic that was just made is looked for, and how long between.
const LOOK: Duration = Duration::from_secs(60);
/// How often it is asked which hosts there are, while coordinators are still found.
const TRIES: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Topics of the cluster with their partitions.
pub type Found = BTreeMap<String, u32>;

/// What a topic is to be.
struct Wanted {
    name: String,
    partitions: u32,
    settings: Vec<(&'static str, String)>,
}

impl Cluster {
    /// The cluster's own name.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn id(self: &Arc<Self>) -> anyhow::Result<String> {
        let cluster = Arc::clone(self);
        let asked = blocking(move || {
            let client = cluster.client(READER, false)?;
            // Asked for nothing but the name, a client waits a second before it connects.
            client.fetch_metadata(None, ANSWER)?;
            Ok(client.client().fetch_cluster_id(ANSWER))
        });
        asked.await.ok().flatten().with_context(|| self.unreachable())
    }

    /// Other hosts that run functions of `application` now, by what they call themselves.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn others(self: &Arc<Self>, application: &Application) -> anyhow::Result<BTreeSet<String>> {
        let groups: Vec<_> = application.functions.keys().map(|f| Self::names(application, f).group).collect();
        let (cluster, own) = (Arc::clone(self), self.host());
        let asked = blocking(move || {
            let client = cluster.client(READER, false)?;
            let mut others = BTreeSet::new();
            for group in groups {
                let mut tries = 1;
                let list = loop {
                    match client.fetch_group_list(Some(&group), ANSWER) {
                        Err(_) if tries < TRIES => std::thread::sleep(LOOK_EVERY * 5),
                        asked => break asked?,
                    }
                    tries += 1;
                };
                let members = list.groups().iter().flat_map(|group| group.members());
                others.extend(members.map(|m| m.client_id().to_owned()).filter(|id| *id != own));
            }
            Ok(others)
        });
        asked.await.with_context(|| self.unreachable())
    }

    fn unreachable(&self) -> String {
        format!("Kafka cannot be reached at {}; is it running, and is [kafka] of isobar.toml right?", self.brokers)
    }

    /// How much each partition of the application's topics holds; bytes are not known.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn extents(self: &Arc<Self>, application: &Application) -> Result<Vec<TopicStatus>, Fault> {
        let wanted = wanted(application);
        let cluster = Arc::clone(self);
        let asked = blocking(move || {
            let mut partitions: Vec<(&str, u32)> = Vec::new();
            for topic in &wanted {
                partitions.extend((0..topic.partitions).map(|partition| (topic.name.as_str(), partition)));
            }
            partitions.sort_unstable();
            let extents = extents(&cluster, &partitions, false)?.into_iter();
            let status = |((topic, partition), extent): (&(&str, u32), Extent)| {
                let Extent { first, next } = extent;
                TopicStatus { topic: (*topic).to_owned(), partition: *partition, first, next, bytes: 0 }
            };
            Ok(partitions.iter().zip(extents).map(status).collect())
        });
        asked.await
    }

    /// Records of a partition from `from` on, up to about `max_bytes`.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn read(
        self: &Arc<Self>,
        topic: &str,
        partition: u32,
        from: i64,
        max_bytes: usize,
    ) -> Result<Arc<Records>, Fault> {
        let (cluster, topic) = (Arc::clone(self), topic.to_owned());
        let read = blocking(move || {
            let Extent { first, next } = extent(&cluster, &topic, partition, false)?;
            match from < next {
                true => Reader::start(&cluster, &topic, partition, from.max(first))?.next(max_bytes),
                false => Ok(None),
            }
        });
        Ok(Arc::new(read.await?.unwrap_or_default()))
    }

    /// Where the group of a function stands, by partition.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn stands(self: &Arc<Self>, application: &Application, function: &Function) -> Result<Vec<i64>, Fault> {
        let (cluster, names) = (Arc::clone(self), Self::names(application, &function.name));
        let input = input(application, function).map_err(|error| Fault::Wrong(error.to_string()))?;
        let partitions = application.partitions_of(function);
        let asked = blocking(move || {
            let of = |partition| {
                stands(&cluster, &names.group, &input, partition).map(|stands| stands.map_or(0, |s| s.next))
            };
            (0..partitions).map(of).collect()
        });
        asked.await
    }

    /// The topics that there are.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn topics(self: &Arc<Self>) -> anyhow::Result<Found> {
        let cluster = Arc::clone(self);
        let asked = blocking(move || {
            let metadata = cluster.client(READER, false)?.fetch_metadata(None, ANSWER)?;
            Ok(metadata.topics().iter().map(|t| (t.name().to_owned(), t.partitions().len() as u32)).collect())
        });
        asked.await.with_context(|| self.unreachable())
    }

    /// Takes topics that no function publishes as they are, and holds all others against what is declared.
    ///
    /// # Errors
    /// A topic whose number of partitions is not that of spin.toml, or of what a function has kept.
    pub fn fit(application: &mut Application, found: &Found) -> anyhow::Result<()> {
        let published: Vec<String> =
            application.functions.values().flat_map(|f| f.grants.publish.iter().cloned()).collect();
        for topic in application.topics.values_mut() {
            match found.get(&topic.name) {
                Some(there) if *there == topic.partitions => {}
                Some(there) if !published.contains(&topic.name) => {
                    tracing::info!(
                        topic = topic.name,
                        partitions = there,
                        declared = topic.partitions,
                        "the topic is others': it is read with the partitions that it has"
                    );
                    topic.partitions = *there;
                }
                Some(there) => anyhow::bail!(
                    "topic `{}` has {there} partitions in Kafka and spin.toml declares {}; keys would move between partitions \
                     and away from their state, so declare {there}",
                    topic.name,
                    topic.partitions
                ),
                None => {}
            }
        }
        for function in application.functions.values() {
            let names = Self::names(application, &function.name);
            let partitions = application.partitions_of(function);
            for own in [&names.state, &names.outbox, &names.attempts, &names.ledger] {
                let there = found.get(own.as_ref()).copied().unwrap_or(partitions);
                anyhow::ensure!(
                    there == partitions,
                    "`{own}` has {there} partitions, and function `{}` works in {partitions} now: what it has kept was kept with \
                     {there}. Give its topic {there} partitions again, or delete the topics `{}.*` and their groups to \
                     compute everything anew",
                    function.name,
                    names.group
                );
            }
        }
        Ok(())
    }

    /// The topics that [`Cluster::make`] would make.
    ///
    /// # Errors
    /// A function that cannot run on Kafka.
    pub fn missing(application: &Application, found: &Found) -> anyhow::Result<Vec<String>> {
        for function in application.functions.values() {
            input(application, function)?;
        }
        Ok(wanted(application).into_iter().map(|topic| topic.name).filter(|name| !found.contains_key(name)).collect())
    }

    /// Lets go of what a partition holds before `next`.
    ///
    /// # Errors
    /// When the broker does not do it.
    pub(super) async fn delete_before(&self, topic: &str, partition: u32, next: i64) -> Result<(), Fault> {
        let client: AdminClient<Context> = self.clients.admin().create_with_context(Context::default())?;
        let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
        let offsets = list(&[(topic, partition, Offset::Offset(next))])?;
        let done = client.delete_records(&offsets, &options).await?;
        Ok(done.elements().iter().try_for_each(|element| element.error())?)
    }

    /// Makes the control topic.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn make_control(self: &Arc<Self>, name: &str) -> anyhow::Result<()> {
        let settings = vec![
            compacted(),
            ("max.message.bytes", RECORD_BYTES.to_owned()),
            // Who starts reads all of it: what was taken away goes soon.
            ("segment.bytes", CONTROL_SEGMENT_BYTES.to_owned()),
            ("segment.ms", HOUR_MS.to_string()),
            ("min.cleanable.dirty.ratio", "0.1".to_owned()),
        ];
        self.make_all(vec![Wanted { name: name.to_owned(), partitions: 1, settings }]).await
    }

    /// Makes the topics that are missing.
    ///
    /// # Errors
    /// When one cannot be made.
    pub async fn make(self: &Arc<Self>, application: &Application, found: &Found) -> anyhow::Result<()> {
        Self::missing(application, found)?;
        self.make_all(wanted(application).into_iter().filter(|w| !found.contains_key(&w.name)).collect()).await
    }

    async fn make_all(self: &Arc<Self>, wanted: Vec<Wanted>) -> anyhow::Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        let client: AdminClient<Context> = self.clients.admin().create_with_context(Context::default())?;
        // Less than one: as many as the brokers have it.
        let replication = self.replication.unwrap_or(-1);
        let new: Vec<NewTopic<'_>> = wanted
            .iter()
            .map(|topic| {
                let new = NewTopic::new(&topic.name, topic.partitions as i32, TopicReplication::Fixed(replication));
                topic.settings.iter().fold(new, |new, (name, value)| new.set(name, value))
            })
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(MAKE)).request_timeout(Some(MAKE));
        for made in client.create_topics(&new, &options).await.context("topics cannot be made in Kafka")? {
            match made {
                // Another host was faster.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, error)) => anyhow::bail!("topic `{topic}` cannot be made in Kafka: {error}"),
            }
        }
        let give_up = Instant::now() + LOOK;
        while Instant::now() < give_up {
            let there = self.topics().await?;
            if wanted.iter().all(|topic| there.get(&topic.name) == Some(&topic.partitions)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        anyhow::bail!("topics were made in Kafka and are not there; look at the brokers")
    }
}

/// Everything that the application reads or writes.
fn wanted(application: &Application) -> Vec<Wanted> {
    let largest = || ("max.message.bytes", RECORD_BYTES.to_owned());
    let mut wanted: Vec<Wanted> = Vec::new();
    for topic in application.topics.values() {
        let hours = topic.retention.max_hours.map_or(-1, |hours| i64::from(hours) * HOUR_MS);
        let mut settings = vec![largest(), ("retention.ms", hours.to_string())];
        settings.extend(topic.retention.max_bytes.map(|bytes| ("retention.bytes", bytes.to_string())));
        wanted.push(Wanted { name: topic.name.clone(), partitions: topic.partitions, settings });
    }
    let undeclared = |topic: &String| !application.topics.contains_key(topic);
    for name in application.letter_topics().into_keys().filter(undeclared) {
        let settings = vec![largest(), ("retention.ms", "-1".to_owned())];
        wanted.push(Wanted { name, partitions: DEAD_LETTER_PARTITIONS, settings });
    }
    for function in application.functions.values() {
        own(application, function, &mut wanted);
    }
    wanted
}

/// Of each key the last record is kept.
fn compacted() -> (&'static str, String) {
    ("cleanup.policy", "compact".to_owned())
}

/// The function's own topics.
fn own(application: &Application, function: &Function, wanted: &mut Vec<Wanted>) {
    let names = Cluster::names(application, &function.name);
    let partitions = application.partitions_of(function);
    let mut topic = |name: &str, settings: &[(&'static str, String)]| {
        let mut settings = settings.to_vec();
        settings.push(("max.message.bytes", RECORD_BYTES.to_owned()));
        wanted.push(Wanted { name: name.to_owned(), partitions, settings });
    };
    let compacted = [compacted(), ("delete.retention.ms", DELETE_RETENTION_MS.to_string())];
    topic(&names.state, &compacted);
    topic(&names.attempts, &compacted);
    let kept = [("retention.ms", "-1".to_owned())];
    topic(&names.ledger, &kept);
    topic(&names.outbox, &kept);
}

/// The topic that `function` is assigned partitions of: the one that it reads, or its own state's when it runs by schedule.
///
/// # Errors
/// A function that reads more than one topic, or a topic and a schedule: which host does what would not be one question.
pub(super) fn input(application: &Application, function: &Function) -> anyhow::Result<String> {
    let topics: Vec<&str> = function.topics().collect();
    match (topics.as_slice(), function.triggers.len()) {
        ([], 0 | 1) => Ok(Cluster::names(application, &function.name).state.to_string()),
        ([topic], 1) => Ok((*topic).to_owned()),
        _ => anyhow::bail!(
            "function `{}` has {} triggers; on Kafka a function reads one topic, or runs by one schedule: make several functions of it",
            function.name,
            function.triggers.len()
        ),
    }
}
