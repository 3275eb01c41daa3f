//! What happens, as a stream for pages: once a second where functions stand, and what was written to tables. It is put together once,
//! however many look, and not at all while nobody does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::unfold;
use futures::{Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::answers::{Fault, Refusal};
use super::connections;
use super::view::View;
use crate::bindings::tables::text;
use crate::clock::now_ms;
use crate::delivery::Row;
use crate::dispatch::{SourceStatus, Standing};
use crate::embedded::{Written, WrittenRows};
use crate::manifest::{Application, Table};

/// How often it is told: seldom enough that all pages ask once for all that was written meanwhile.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How many times of these make one at which tables that other hosts may have written to are asked for anew.
const TICKS_PER_REST: u32 = 10;
/// Streams at one time, where there may be twice as many connections.
const MOST_STREAMS: usize = 256;
/// How long a stream lasts at the most: then whoever listens has to show again that it may.
const LONGEST_STREAM: Duration = Duration::from_secs(15 * 60);
/// What is told where something could not be.
const GAP: &str = "gap";
/// What a stream may be behind; then it is told so, and goes on with what is new.
const MOST_BEHIND: usize = 64;

/// Where functions stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pulse {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// By function.
    pub functions: BTreeMap<String, Beat>,
    /// When something was committed last, as far as somebody looked.
    pub last_commit_ms: Option<i64>,
}

/// Where a function stands; the numbers count since the host was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Beat {
    /// The version in charge, short.
    pub version: String,
    /// Records handled.
    pub records: u64,
    /// Calls that were committed.
    pub commits: u64,
    /// Records that became dead letters.
    pub dead_letters: u64,
    /// Microseconds spent in committed calls.
    pub call_micros: u64,
    /// Records not yet handled.
    pub lag: i64,
    /// Why it does not go on, by source and partition.
    pub troubles: Vec<String>,
    /// For a schedule: when it is due next, in milliseconds since the Unix epoch.
    pub due_ms: Option<i64>,
}

/// What was written since it was told last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// When it was put together, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// By table.
    pub tables: BTreeMap<String, ChangedRows>,
}

/// Rows of a table that were written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedRows {
    /// How many, the same row counted as often as it was written.
    pub rows: u64,
    /// The first key, as text; none where it may not be told, or any row may be another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Vec<String>>,
    /// The last key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Vec<String>>,
}

/// One thing that is told: of which kind, and as JSON.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// `pulse`, `change`, or `gap` where some of them could not be told.
    pub(super) event: &'static str,
    /// JSON.
    pub(super) data: Arc<str>,
}

/// What pages are told.
#[derive(Clone)]
pub(super) struct Events {
    told: broadcast::Sender<Told>,
    room: Arc<Semaphore>,
    /// How often it was told, or somebody began to listen.
    number: Arc<AtomicU64>,
    written: Arc<Written>,
    shutdown: CancellationToken,
}

impl Events {
    /// Tells until `shutdown` is cancelled; the task that does so ends then.
    pub(super) fn begin(view: Arc<View>, shutdown: CancellationToken) -> (Self, impl Future<Output = ()>) {
        let (told, _) = broadcast::channel(MOST_BEHIND);
        let room = MOST_STREAMS.min(connections::room() / 2).max(1);
        let (room, number) = (Arc::new(Semaphore::new(room)), Arc::default());
        let written = Arc::clone(view.store.written());
        let events = Events { told: told.clone(), room, number, written, shutdown };
        let (stop, number) = (events.shutdown.clone(), Arc::clone(&events.number));
        let telling = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tell(&view, &told, &number) => {}
            }
        };
        (events, telling)
    }

    /// Another number whenever something was told, or somebody began to listen: who reads after it has changed reads all that was
    /// told, and is told all that comes later.
    pub(super) fn number(&self) -> u64 {
        self.number.load(Ordering::SeqCst)
    }

    /// All that is told from now on, until the host stops.
    ///
    /// # Errors
    /// When too many listen.
    pub(super) fn listen(&self) -> Result<impl Stream<Item = Told> + Send + use<>, Refusal> {
        let permit = Arc::clone(&self.room).try_acquire_owned().map_err(|_| {
            let busy = Refusal::new(Fault::Busy, "too many pages are told what happens already");
            busy.hint("close some")
        })?;
        let (told, shutdown) = (self.told.subscribe(), self.shutdown.clone());
        self.written.watch(true);
        self.number.fetch_add(1, Ordering::SeqCst);
        Ok(unfold((told, shutdown, permit), next).take_until(tokio::time::sleep(LONGEST_STREAM)))
    }
}

type Listening = (broadcast::Receiver<Told>, CancellationToken, OwnedSemaphorePermit);

async fn next((mut told, shutdown, permit): Listening) -> Option<(Told, Listening)> {
    let received = tokio::select! {
        () = shutdown.cancelled() => return None,
        received = told.recv() => received,
    };
    let next = match received {
        Ok(next) => next,
        Err(broadcast::error::RecvError::Lagged(_)) => Told { event: GAP, data: "null".into() },
        Err(broadcast::error::RecvError::Closed) => return None,
    };
    Some((next, (told, shutdown, permit)))
}

async fn tell(view: &View, told: &broadcast::Sender<Told>, number: &AtomicU64) {
    let mut ticks = tokio::time::interval(TELL_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let (mut commits, mut last_commit_ms) = (None, None);
    for tick in (0..TICKS_PER_REST).cycle() {
        ticks.tick().await;
        if told.receiver_count() == 0 {
            view.store.written().watch(false);
            number.fetch_add(1, Ordering::SeqCst);
            commits = None;
            if told.receiver_count() == 0 {
                continue;
            }
            // Somebody came just now, and what was written since was not kept.
            view.store.written().watch(true);
            send(told, GAP, &());
        }
        if tick == 0 {
            note_rest(view);
        }
        let written = view.store.written().take();
        // Only now: whoever reads while it is taken may not see the last of it.
        number.fetch_add(1, Ordering::SeqCst);
        if !written.is_empty() {
            send(told, "change", &changed(&view.application(), written, now_ms()));
        }
        if let Some(sources) = view.standings() {
            let mut pulse = pulse(&view.application(), sources, now_ms());
            let now: u64 = pulse.functions.values().map(|beat| beat.commits).sum();
            // What was committed while nobody looked was so at a time that is not known.
            if commits.replace(now).is_some_and(|before| now > before) {
                last_commit_ms = Some(pulse.at_ms);
            }
            pulse.last_commit_ms = last_commit_ms;
            send(told, "pulse", &pulse);
        }
    }
}

/// Other hosts write to the tables of an application whose log is in Kafka, and say nothing of it here.
fn note_rest(view: &View) {
    let application = view.application();
    let elsewhere = application.tables.values().filter(|table| !table.is_in_data_folder());
    let elsewhere = elsewhere.filter(|_| view.cluster.is_some());
    elsewhere.for_each(|table| view.store.written().note_all(&table.name));
}

fn send(told: &broadcast::Sender<Told>, event: &'static str, data: &impl Serialize) {
    if let Ok(data) = serde_json::to_string(data) {
        // Whoever listened may have gone.
        let _ = told.send(Told { event, data: data.into() });
    }
}

fn pulse(application: &Application, sources: Vec<SourceStatus>, at_ms: i64) -> Pulse {
    let mut functions: BTreeMap<String, Beat> =
        application.functions.keys().map(|name| (name.clone(), Beat::default())).collect();
    for source in sources {
        // Outboxes are the stores' sources, not functions'.
        let Some(beat) = functions.get_mut(&source.function) else { continue };
        beat.records += source.records;
        beat.commits += source.commits;
        beat.dead_letters += source.dead_letters;
        beat.call_micros += source.call_micros;
        beat.lag += source.lag.max(0);
        beat.due_ms = match (beat.due_ms, source.due_ms) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if !source.version.is_empty() {
            beat.version.clone_from(&source.version);
        }
        let place = format!("`{}`/{}", source.source, source.partition);
        match source.standing {
            Standing::Retrying { attempt, reason } => beat.troubles.push(format!("{place}: try {attempt}: {reason}")),
            Standing::Waiting { reason } => beat.troubles.push(format!("{place} waits: {reason}")),
            Standing::Stopped { reason } => beat.troubles.push(format!("{place} stands still: {reason}")),
            Standing::Idle | Standing::Running | Standing::Elsewhere | Standing::Paced { .. } => {}
        }
    }
    Pulse { at_ms, functions, last_commit_ms: None }
}

fn changed(application: &Application, written: BTreeMap<String, WrittenRows>, at_ms: i64) -> Change {
    let tables = written.into_iter().filter_map(|(name, WrittenRows { rows, keys })| {
        let table = application.tables.get(&name)?;
        let (first, last) = keys.and_then(|(first, last)| Some((key(table, &first)?, key(table, &last)?))).unzip();
        Some((name, ChangedRows { rows, first, last }))
    });
    Change { at_ms, tables: tables.collect() }
}

/// A key as text, unless who may not see all of the table would see it, too.
fn key(table: &Table, key: &Row) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    for (name, value) in table.key.iter().zip(key) {
        let column = table.columns.iter().find(|column| column.name == *name)?;
        if table.sensitive || column.sensitive {
            return None;
        }
        cells.push(text::cell(column.kind, value));
    }
    Some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::samples::{self, source};
    use crate::delivery::Value;

    #[test]
    fn keys_are_told_as_text_and_those_of_sensitive_tables_are_not() {
        let application = samples::application();
        let day = |at| vec![Value::Text("tea".into()), Value::Int(at)];
        let person = vec![Value::Text("Ada".into())];
        let written = BTreeMap::from([
            ("totals".to_owned(), WrittenRows { rows: 3, keys: Some((day(0), day(365))) }),
            ("people".to_owned(), WrittenRows { rows: 1, keys: Some((person.clone(), person)) }),
            ("gone".to_owned(), WrittenRows { rows: 1, keys: None }),
        ]);
        let told = serde_json::to_string(&changed(&application, written, 7)).unwrap();
        assert_eq!(
            told,
            r#"{"at_ms":7,"tables":{"people":{"rows":1},"totals":{"rows":3,"first":["tea","1970-01-01"],"last":["tea","1971-01-01"]}}}"#
        );
    }

    #[test]
    fn a_pulse_adds_up_partitions_and_says_why_some_do_not_go_on() {
        let application = samples::application();
        let sources = vec![
            source("count", "orders", 0, |s| (s.records, s.lag, s.version) = (4, 2, "abc".into())),
            source("count", "orders", 1, |s| {
                s.records = 5;
                s.standing = Standing::Retrying { attempt: 2, reason: "it panicked".into() };
            }),
            source("postgres", "orders", 0, |_| {}),
        ];
        let told = pulse(&application, sources, 9);
        assert_eq!(told.functions.keys().collect::<Vec<_>>(), ["count"], "a store is no function");
        let beat = &told.functions["count"];
        assert_eq!((beat.records, beat.lag, beat.version.as_str()), (9, 2, "abc"));
        assert_eq!(beat.troubles, ["`orders`/1: try 2: it panicked"]);
    }
}
