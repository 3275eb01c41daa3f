//! What can be seen of an application, running or not: standings, topics, records, the ledger. Tables are `tables`'s.
//! The API and the commands that find no host both ask here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answers::is_made_up;
use super::answers::{Failure, Fault, Payload, RecordView, RecordsAsk, RecordsPage, Refusal, Status, TopicSummary};
use super::dashboard::Dashboard;
use super::metrics::Surroundings;
use super::tokens::TurnedAway;
use crate::delivery::Records;
use crate::delivery::failure::hidden;
use crate::delivery::letters::is_sensitive;
use crate::deploys::Deploys;
use crate::dispatch::{Dispatcher, Pauses, Progress, SourceStatus, Standing};
use crate::embedded::{LedgerReport, Note, Store, TopicStatus, WriteError};
use crate::kafka::Cluster;
use crate::manifest::{Application, Trigger, TriggerSource, nearest};

/// Exports and walks over the ledger at one time: each holds up to two of the store's readers, which functions need
/// too.
const MOST_LONG_READS: usize = 2;
/// Records of each partition where no number is asked for.
const USUAL_RECORDS: u32 = 20;
/// Most records of each partition: they are held in memory.
const MOST_RECORDS: u32 = 1000;
/// Most bytes of keys and values of one answer, for the same reason; reached, it ends with the record that did.
const MOST_RECORD_BYTES: usize = 8 * 1024 * 1024;
/// How long a running host waits for what Kafka says, before it tells what it knows itself.
const LONGEST_ANSWER: Duration = Duration::from_secs(3);
/// Bytes asked of the log at one time.
const READ_BYTES: usize = 1024 * 1024;

/// What a running host tells and is told.
pub struct Running {
    /// Where functions stand.
    pub progress: Arc<Progress>,
    /// Which of them stand still.
    pub pauses: Arc<Pauses>,
    /// Which versions run.
    pub deploys: Arc<Deploys>,
    /// What calls them.
    pub dispatcher: Arc<Dispatcher>,
}

/// An application as it is seen from outside.
pub struct View {
    pub(super) store: Arc<Store>,
    pub(super) running: Option<Running>,
    /// Where the log is, if not in the data folder.
    pub(super) cluster: Option<Arc<Cluster>>,
    long_reads: Arc<Semaphore>,
    pub(super) backups: Arc<Semaphore>,
    pub(super) turned_away: TurnedAway,
    dashboard: Option<Box<Dashboard>>,
}

impl View {
    /// Of what `store` holds; `running` is the host that runs on it, if one does.
    #[must_use]
    pub fn new(store: Arc<Store>, running: Option<Running>) -> Self {
        let (long_reads, backups) = (Semaphore::new(MOST_LONG_READS), Semaphore::new(1));
        View {
            store,
            running,
            cluster: None,
            long_reads: Arc::new(long_reads),
            backups: Arc::new(backups),
            turned_away: TurnedAway::default(),
            dashboard: None,
        }
    }

    /// The same, of an application whose log is in `cluster`, if there is one.
    #[must_use]
    pub fn with_log(self, cluster: Option<Arc<Cluster>>) -> Self {
        View { cluster, ..self }
    }

    /// The same, with what the first page shows.
    #[must_use]
    pub fn with_dashboard(self, dashboard: Option<Dashboard>) -> Self {
        View { dashboard: dashboard.map(Box::new), ..self }
    }

    /// What the first page shows, where the application says it.
    ///
    /// # Errors
    /// What of it does not fit the application that runs now.
    pub fn dashboard(&self) -> anyhow::Result<Option<&Dashboard>> {
        let Some(dashboard) = self.dashboard.as_deref() else { return Ok(None) };
        dashboard.fits(&self.application()).map(|()| Some(dashboard))
    }

    /// Where the functions of the running host stand; none where no host runs.
    pub(super) fn standings(&self) -> Option<Vec<SourceStatus>> {
        self.running.as_ref().map(|running| running.progress.sources())
    }

    /// What operators ask beside that.
    pub(super) fn around(&self) -> Surroundings {
        let paused = self.running.as_ref().map(|running| running.pauses.by_operator()).unwrap_or_default();
        Surroundings { free_bytes: self.store.folder().free_bytes(), paused }
    }

    /// Whether it is not known yet which partitions are this host's.
    pub(super) fn is_joining(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.progress.is_joining())
    }

    /// How much each partition of each topic holds.
    pub(super) async fn partitions(&self) -> Result<Vec<TopicStatus>, WriteError> {
        match &self.cluster {
            Some(cluster) => Ok(cluster.extents(&self.application()).await?),
            None => self.store.topics().await,
        }
    }

    /// Records of a partition, from `from` on; some before may be among them.
    pub(super) async fn log(&self, topic: &str, partition: u32, from: i64) -> Result<Arc<Records>, WriteError> {
        match &self.cluster {
            Some(cluster) => Ok(cluster.read(topic, partition, from, READ_BYTES).await?),
            None => self.store.read(topic, partition, from, READ_BYTES).await,
        }
    }

    /// Finishes what is being written and closes the data.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// The application that is looked at.
    #[must_use]
    pub fn application(&self) -> Arc<Application> {
        self.store.application()
    }

    /// Where everything stands.
    ///
    /// # Errors
    /// When the data file cannot be read.
    pub async fn status(&self) -> Result<Status, Refusal> {
        let failures = self.failures().await?;
        let sources = async {
            match &self.running {
                // What is sensitive of them is hidden where it arises.
                Some(running) => Ok(self.all_hosts(running.progress.sources()).await),
                None => self.resting(&failures).await,
            }
        };
        let topics = async {
            match self.running {
                Some(_) if self.cluster.is_some() => Ok(in_time(self.partitions()).await),
                _ => self.partitions().await.map_err(Refusal::from),
            }
        };
        let (sources, topics) = futures::try_join!(sources, topics)?;
        Ok(Status {
            application: self.application().name.clone(),
            made_up: is_made_up(self.store.folder().kind()),
            running: self.running.is_some(),
            sources,
            topics,
            failures,
        })
    }

    /// Walks the ledger.
    ///
    /// # Errors
    /// When the data file cannot be read, or too much else is being read.
    pub async fn verify(&self) -> Result<LedgerReport, Refusal> {
        let _permit = self.long_read()?;
        Ok(match &self.cluster {
            Some(cluster) => cluster.verify(&self.application()).await.map_err(WriteError::from)?,
            None => self.store.verify().await?,
        })
    }

    /// Leave to read for long; given back when it is dropped.
    pub(super) fn long_read(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.long_reads).try_acquire_owned().map_err(|_| {
            Refusal::new(Fault::Busy, "too many exports and walks over the ledger are going on")
                .hint("try again when one of them is done")
        })
    }

    /// Every topic, those of dead letters too.
    ///
    /// # Errors
    /// When the data file cannot be read.
    pub async fn topics(&self) -> Result<Vec<TopicSummary>, Refusal> {
        let mut topics: BTreeMap<String, TopicSummary> = BTreeMap::new();
        for partition in self.partitions().await? {
            let new = || TopicSummary {
                topic: partition.topic.clone(),
                sensitive: self.is_sensitive(&partition.topic),
                partitions: Vec::new(),
            };
            topics.entry(partition.topic.clone()).or_insert_with(new).partitions.push(partition);
        }
        Ok(topics.into_values().collect())
    }

    /// Some records of a topic.
    ///
    /// # Errors
    /// When there is no such topic or partition, it is sensitive, or the data file cannot be read.
    pub async fn records(&self, topic: &str, ask: &RecordsAsk) -> Result<RecordsPage, Refusal> {
        let topics = self.topics().await?;
        let Some(found) = topics.iter().find(|t| t.topic == topic) else {
            let refusal = Refusal::new(Fault::Unknown, format!("there is no topic `{topic}`"));
            return Err(match nearest(topic, topics.iter().map(|t| t.topic.as_str())) {
                Some(near) => refusal.hint(format!("did you mean `{near}`?")),
                None => refusal.hint("`isobar topic list` shows those there are"),
            });
        };
        if found.sensitive && !ask.sensitive {
            return Err(Refusal::new(
                Fault::Sensitive,
                format!("topic `{topic}` is sensitive: it is shown only with `--sensitive`"),
            ));
        }
        let asked = |p: u32| ask.partition.is_none_or(|asked| asked == p);
        let mut page = RecordsPage::default();
        let mut bytes = 0;
        let partitions: Vec<_> = found.partitions.iter().filter(|p| asked(p.partition)).collect();
        if partitions.is_empty() {
            let last = found.partitions.len().saturating_sub(1);
            let message = format!("topic `{topic}` has no partition {}", ask.partition.unwrap_or_default());
            return Err(Refusal::new(Fault::Unknown, message).hint(format!("its partitions are 0 to {last}")));
        }
        for partition in partitions {
            let from = ask.from.unwrap_or(0).max(partition.first);
            let limit = ask.limit.unwrap_or(USUAL_RECORDS).min(MOST_RECORDS);
            self.read(topic, partition.partition, (from, limit), ask.sensitive, &mut page, &mut bytes).await?;
        }
        Ok(page)
    }

    async fn read(
        &self,
        topic: &str,
        partition: u32,
        (mut from, limit): (i64, u32),
        ask_sensitive: bool,
        page: &mut RecordsPage,
        bytes: &mut usize,
    ) -> Result<(), Refusal> {
        let mut left = limit as usize;
        loop {
            let records = self.log(topic, partition, from).await?;
            let first = records.index_of(from);
            for at in first..records.len() {
                if left == 0 || *bytes >= MOST_RECORD_BYTES {
                    page.more = true;
                    return Ok(());
                }
                let hides = !ask_sensitive && is_sensitive(&records, at);
                let Some(record) = record(&records, at, partition).map(|r| if hides { r.hidden() } else { r }) else {
                    continue;
                };
                *bytes += records.keys.get(at).map_or(0, <[u8]>::len) + records.values.get(at).map_or(0, <[u8]>::len);
                from = record.offset + 1;
                left -= 1;
                page.records.push(record);
            }
            if first >= records.len() {
                return Ok(());
            }
        }
    }

    /// Whether a topic's records may only be shown when asked for: it is declared so, holds the dead letters of a function
    /// that reads sensitive data, or those of one that is not known any more: nobody can say what that read. An outbox holds rows
    /// of tables, whatever is in them.
    fn is_sensitive(&self, topic: &str) -> bool {
        let application = self.application();
        let letters = application.letter_topics().remove(topic);
        let reads_sensitive =
            |name: &&str| application.functions.get(*name).is_none_or(|f| f.reads_sensitive(&application));
        match (application.topics.get(topic), letters) {
            (None, None) => true,
            (declared, letters) => {
                declared.is_some_and(|t| t.sensitive) || letters.iter().flatten().any(reads_sensitive)
            }
        }
    }

    fn is_told(&self, function: &str) -> bool {
        let application = self.application();
        application.functions.get(function).is_some_and(|f| !f.reads_sensitive(&application))
    }

    async fn failures(&self) -> Result<Vec<Failure>, Refusal> {
        let mut failures = Vec::new();
        for attempt in self.store.attempts().await? {
            let is_told = self.is_told(&attempt.note.function);
            let reason = if is_told { attempt.reason } else { hidden(&attempt.code) };
            failures.push(Failure {
                function: attempt.note.function.to_string(),
                source: attempt.note.source.to_string(),
                partition: attempt.note.partition,
                attempt: attempt.trial.attempts,
                reason,
                at_ms: attempt.at_ms,
            });
        }
        Ok(failures)
    }

    /// Where functions stand in Kafka, and behind the last record there.
    async fn committed(&self) -> Result<HashMap<(String, u32), (i64, i64)>, WriteError> {
        let Some(cluster) = &self.cluster else { return Ok(HashMap::new()) };
        let application = self.application();
        let extents = cluster.extents(&application).await?;
        let mut committed = HashMap::new();
        for function in application.functions.values() {
            let topic = function.topics().next();
            for (partition, stands) in (0..).zip(cluster.stands(&application, function).await?) {
                let of = |e: &&TopicStatus| Some(e.topic.as_str()) == topic && e.partition == partition;
                let next = extents.iter().find(of).map_or(stands, |extent| extent.next);
                committed.insert((function.name.clone(), partition), (stands, next));
            }
        }
        Ok(committed)
    }

    /// The standings of this host, and of the partitions that it has not what Kafka says of them.
    async fn all_hosts(&self, mut sources: Vec<SourceStatus>) -> Vec<SourceStatus> {
        // While Kafka is away, what this host knows is all that there is; why it waits stands there.
        let committed = in_time(self.committed()).await;
        let application = self.application();
        for function in application.functions.values().filter(|_| !committed.is_empty()) {
            let notes = |trigger| self.notes(&function.name, trigger).into_iter().map(move |note| (trigger, note));
            for (trigger, note) in function.triggers.iter().flat_map(notes) {
                let known = committed.get(&(function.name.clone(), note.partition)).copied();
                let (position, end) = known.unwrap_or_default();
                let ours = |s: &&mut SourceStatus| {
                    s.function == *note.function && s.source == *note.source && s.partition == note.partition
                };
                match sources.iter_mut().find(ours) {
                    // What has not come yet is behind, too; at the end stands what ended the last transaction.
                    Some(source) if source.lag > 0 => source.lag = source.lag.max(end - source.position),
                    Some(_) => {}
                    None => {
                        let mut source = SourceStatus::resting(&note);
                        source.standing = Standing::Elsewhere;
                        source.position = position;
                        source.lag = end - position;
                        source.scheduled = matches!(trigger.source, TriggerSource::Cron(_));
                        sources.push(source);
                    }
                }
            }
        }
        sources
    }

    /// The standings where no host runs.
    async fn resting(&self, failures: &[Failure]) -> Result<Vec<SourceStatus>, Refusal> {
        let committed = self.committed().await?;
        let stored: HashMap<(Arc<str>, Arc<str>, u32), i64> = self
            .store
            .positions()
            .await?
            .into_iter()
            .map(|(n, at)| ((n.function, n.source, n.partition), at))
            .collect();
        let pauses = self.store.pauses().await?;
        let mut sources = Vec::new();
        for function in self.application().functions.values() {
            for trigger in &function.triggers {
                for note in self.notes(&function.name, trigger) {
                    let key = (Arc::clone(&note.function), Arc::clone(&note.source), note.partition);
                    let mut source = SourceStatus::resting(&note);
                    source.position = stored.get(&key).copied().unwrap_or_default();
                    let end = self.store.ends().of(&note.source, note.partition);
                    let known = committed.get(&(function.name.clone(), note.partition)).copied();
                    let (position, end) = known.unwrap_or((source.position, end));
                    source.position = position;
                    source.scheduled = matches!(trigger.source, TriggerSource::Cron(_));
                    if source.scheduled {
                        let is_hidden = |again: bool| again && function.reads_sensitive(&self.application());
                        let stored = self.store.schedule(&note).await?;
                        source.due_ms = stored.filter(|(_, again)| !is_hidden(*again)).map(|(due_ms, _)| due_ms);
                    } else {
                        source.lag = end - position;
                    }
                    let of = |f: &&Failure| {
                        f.function == source.function && f.source == source.source && f.partition == source.partition
                    };
                    if let Some(pause) = pauses.iter().find(|p| p.function.as_ref() == function.name) {
                        source.standing = Standing::Stopped { reason: pause.reason.clone() };
                    } else if let Some(failure) = failures.iter().find(of) {
                        source.standing =
                            Standing::Retrying { attempt: failure.attempt, reason: failure.reason.clone() };
                    }
                    sources.push(source);
                }
            }
        }
        Ok(sources)
    }

    fn notes(&self, function: &str, trigger: &Trigger) -> Vec<Note> {
        let (source, partitions) = match &trigger.source {
            TriggerSource::Topic(topic) => (topic, self.store.ends().partitions(topic)),
            TriggerSource::Cron(_) => (&trigger.id, 1),
        };
        let note = |partition| Note { function: function.into(), source: source.as_str().into(), partition };
        (0..partitions).map(note).collect()
    }
}

/// What a question is answered in time; nothing when it is not.
async fn in_time<T: Default>(question: impl Future<Output = Result<T, WriteError>>) -> T {
    match tokio::time::timeout(LONGEST_ANSWER, question).await {
        Ok(Ok(answer)) => answer,
        _ => T::default(),
    }
}

/// The record at index `at` of those of a partition.
pub(super) fn record(records: &Records, at: usize, partition: u32) -> Option<RecordView> {
    let headers = records.headers_of(at).iter();
    Some(RecordView {
        partition,
        offset: *records.offsets.get(at)?,
        timestamp_ms: *records.timestamps.get(at)?,
        key: records.keys.get(at).map(Payload::of),
        value: records.values.get(at).map(Payload::of),
        headers: headers.map(|h| (h.name.clone(), Payload::of(&h.value))).collect(),
    })
}

impl RecordView {
    /// Where it stands, and nothing of what it holds.
    fn hidden(self) -> Self {
        let told = Payload::Text(hidden(""));
        RecordView { key: None, value: Some(told), headers: Vec::new(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_told_in_base64() {
        assert_eq!(Payload::of("é".as_bytes()), Payload::Text("é".into()));
        assert_eq!(Payload::of(&[0xff, 0]), Payload::Base64("/wA=".into()));
    }
}
