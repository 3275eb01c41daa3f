//! Where every function stands, for status, for pacing, and for "everything has caught up".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::embedded::{LogEnds, Note};

/// What a function does in one partition of one source.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Standing {
    /// There is nothing to do.
    Idle,
    /// A call runs.
    Running,
    /// A batch or tick failed and is tried again.
    Retrying {
        /// Deliveries so far.
        attempt: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// Something that is not the function's fault is waited for.
    Waiting {
        /// What.
        reason: String,
    },
    /// It stands still until it is resumed.
    Stopped {
        /// Why.
        reason: String,
    },
    /// Another host has the partition, or nobody for now.
    Elsewhere,
    /// It publishes faster than a reader reads.
    Paced {
        /// The reader that lags.
        reader: String,
    },
}

/// A function's standing and what it has done since the host started.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq, ToSchema)]
pub struct SourceStatus {
    /// The function.
    pub function: String,
    /// The topic, or the id of the schedule's trigger.
    pub source: String,
    /// The partition; 0 for a schedule.
    pub partition: u32,
    /// Whether the source is a schedule.
    pub scheduled: bool,
    /// The next offset to read; for a schedule how many runs there were.
    pub position: i64,
    /// Records not yet handled; 0 for a schedule.
    pub lag: i64,
    /// For a schedule: when it is due next, in milliseconds since the Unix epoch.
    pub due_ms: Option<i64>,
    /// What it does.
    pub standing: Standing,
    /// Records handled since the host started.
    pub records: u64,
    /// Calls that were committed since the host started.
    pub commits: u64,
    /// Records that became dead letters since the host started.
    pub dead_letters: u64,
    /// Microseconds spent in committed calls.
    pub call_micros: u64,
    /// The version in charge, short.
    pub version: String,
    /// Whether something is still to be done.
    #[serde(skip)]
    pub(super) busy: bool,
    /// Whether it has waited so long for what it imports that publishers do not wait for it any more.
    #[serde(skip)]
    pub(super) given_up: bool,
}

impl SourceStatus {
    /// A function that does nothing and has done nothing yet.
    #[must_use]
    pub fn resting(note: &Note) -> Self {
        SourceStatus {
            function: note.function.to_string(),
            source: note.source.to_string(),
            partition: note.partition,
            scheduled: false,
            position: 0,
            lag: 0,
            due_ms: None,
            standing: Standing::Idle,
            records: 0,
            commits: 0,
            dead_letters: 0,
            call_micros: 0,
            version: String::new(),
            busy: false,
            given_up: false,
        }
    }
}

/// Function, source and partition.
type SourceKey = (Arc<str>, Arc<str>, u32);

/// The standings of all workers.
#[derive(Debug)]
pub struct Progress {
    ends: Arc<LogEnds>,
    commits: AtomicU64,
    sources: Mutex<BTreeMap<SourceKey, SourceStatus>>,
    /// Functions of which it is not known yet which partitions are this host's.
    joining: Mutex<BTreeSet<Arc<str>>>,
}

impl Progress {
    pub(super) fn new(ends: Arc<LogEnds>) -> Self {
        Progress { ends, commits: AtomicU64::new(0), sources: Mutex::default(), joining: Mutex::default() }
    }

    /// Says that something was committed; called before the standing that follows from it is noted, so that
    /// [`Progress::idle`] cannot see the new standing without seeing this.
    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
    }

    /// Changes the standing of one source.
    pub(super) fn update(&self, note: &Note, change: impl FnOnce(&mut SourceStatus)) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::clone(&note.function), Arc::clone(&note.source), note.partition);
        change(sources.entry(key).or_insert_with(|| SourceStatus { busy: true, ..SourceStatus::resting(note) }));
    }

    /// Says whether it is not known yet which partitions of a function are this host's.
    pub(super) fn joining(&self, function: &Arc<str>, is_joining: bool) {
        let mut joining = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        match is_joining {
            true => joining.insert(Arc::clone(function)),
            false => joining.remove(function),
        };
    }

    /// Whether there are functions of which it is not known yet which partitions are this host's.
    #[must_use]
    pub fn is_joining(&self) -> bool {
        !self.joining.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Forgets what a function does not read any more.
    pub(super) fn forget_source(&self, note: &Note) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.remove(&(Arc::clone(&note.function), Arc::clone(&note.source), note.partition));
    }

    /// Forgets a function that does not run any more.
    pub(super) fn forget_function(&self, function: &Arc<str>) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).retain(|(f, _, _), _| f != function);
        self.joining(function, false);
    }

    /// Forgets a partition that is another host's now, with its outbox.
    pub(super) fn forget(&self, function: &str, outbox: &str, partition: u32) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|(f, source, p), _| *p != partition || f.as_ref() != function && source.as_ref() != outbox);
    }

    /// All standings, lags as of now.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceStatus> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let lag = |s: &SourceStatus| if s.scheduled { 0 } else { self.ends.of(&s.source, s.partition) - s.position };
        sources.values().map(|s| SourceStatus { lag: lag(s), ..s.clone() }).collect()
    }

    /// A reader of `topic` that is more than `most` records behind, with the partition, of those that `counts` is true of. One
    /// that stands still, or waits for long for what it imports, is waited for by nobody: it costs itself only.
    #[must_use]
    pub fn laggard(&self, topic: &str, most: u64, counts: impl Fn(&str) -> bool) -> Option<String> {
        let late = |s: &SourceStatus| {
            !s.scheduled
                && s.source == topic
                && s.lag > 0
                && s.lag as u64 > most
                && !s.given_up
                && !matches!(s.standing, Standing::Stopped { .. })
                && counts(&s.function)
        };
        self.sources().into_iter().find(late).map(|s| format!("{} on `{topic}`/{}", s.function, s.partition))
    }

    /// Whether nothing is left to do: no schedule's run is going on or asked for again, every function has read its
    /// topics to the end, and nothing was committed while this was looked at.
    #[must_use]
    pub fn idle(&self) -> bool {
        let before = self.commits.load(Ordering::SeqCst);
        let done = self.sources().iter().all(|s| !s.busy && s.lag == 0);
        done && !self.is_joining() && before == self.commits.load(Ordering::SeqCst)
    }

    /// Why the functions that are not done yet will not be: all of them stand still. `None` while one goes on.
    #[must_use]
    pub fn stuck(&self) -> Option<String> {
        if self.is_joining() {
            return None;
        }
        let left: Vec<_> = self.sources().into_iter().filter(|s| s.busy || s.lag > 0).collect();
        let reasons: Option<BTreeMap<String, String>> = left
            .into_iter()
            .map(|s| match s.standing {
                Standing::Stopped { reason } => Some((s.function, reason)),
                _ => None,
            })
            .collect();
        let told = reasons?.into_iter().map(|(function, reason)| format!("`{function}` stands still: {reason}"));
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join("\n"))
    }
}
