//! The application as spin.toml declares it: functions, triggers, topics, tables, grants, limits, variables.
//!
//! Pure: reading the file is the caller's; nothing here touches wasm, a database or the network.

pub mod access;
mod bounds;
pub mod declaration;
pub mod differences;
mod document;
pub mod grants;
mod limits;
mod names;
pub mod outbound;
mod part;
mod problem;
mod read;
pub mod schema;
mod template;
pub mod variables;
pub mod wit;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

pub use grants::{Grants, Operation, TableGrant};
pub use limits::{HttpLimits, Limits};
pub use part::{merge, part, without, without_secrets};
pub use problem::{Problem, nearest};
pub use read::parse;
pub use schema::{Column, ColumnKind, DATA_FOLDER, Table};

/// A whole application, checked: every name that it uses is declared, every default filled in.
#[derive(Debug, Clone)]
pub struct Application {
    /// `[application] name`; also the namespace of its WIT packages and topics.
    pub name: String,
    /// Functions by component id.
    pub functions: BTreeMap<String, Function>,
    /// Declared topics by name.
    pub topics: BTreeMap<String, Topic>,
    /// Declared tables by name.
    pub tables: BTreeMap<String, Table>,
    /// `[variables]` of the application.
    pub variables: BTreeMap<String, Variable>,
    /// What `up --demo` starts, where the application has a demo.
    pub demo: Option<Demo>,
}

/// A variable of the application.
#[derive(Debug, Clone, Default)]
pub struct Variable {
    /// Its value where nothing else sets it; `None` for a required one.
    pub default: Option<String>,
    /// Whether its value must not be shown.
    pub secret: bool,
    /// The line of spin.toml that declares it.
    pub line: usize,
}

/// One component and everything that spin.toml says of it.
#[derive(Debug, Clone)]
pub struct Function {
    /// The component's id.
    pub name: String,
    /// The component's file, relative to the folder of spin.toml.
    pub source: PathBuf,
    /// The line of spin.toml that names the file.
    pub line: usize,
    /// The folder that holds its WIT, relative to the folder of spin.toml: `functions/<name>/wit`, or what
    /// `[component.<name>.tool.isobar] wit` says.
    pub wit: PathBuf,
    /// How to build it, if said.
    pub build: Option<Build>,
    /// Why it runs; one entry per `[[trigger.isobar]]` that names it.
    pub triggers: Vec<Trigger>,
    /// What it may import.
    pub grants: Grants,
    /// What it may use up.
    pub limits: Limits,
    /// Addresses it may send requests to; templates not yet filled in.
    pub allowed_outbound_hosts: Vec<String>,
    /// Its variables; templates not yet filled in.
    pub variables: BTreeMap<String, String>,
}

/// `[component.X.build]`.
#[derive(Debug, Clone)]
pub struct Build {
    /// Run by the shell.
    pub command: String,
    /// Where, relative to the folder of spin.toml.
    pub workdir: Option<PathBuf>,
    /// Patterns of its sources, relative to that folder.
    pub watch: Vec<String>,
}

/// One `[[trigger.isobar]]`.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// `id`, or the component's name where it is left out.
    pub id: String,
    /// What it waits for.
    pub source: TriggerSource,
    /// How batches are cut and tried.
    pub delivery: Delivery,
    /// Which of the times of a schedule become runs, and when.
    pub timing: Timing,
    /// Where dead letters go, if not to the function's own topic for them.
    pub dead_letters: Option<String>,
}

/// What a trigger waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerSource {
    /// Records of a topic.
    Topic(String),
    /// A cron expression, seconds first, UTC.
    Cron(String),
}

impl TriggerSource {
    /// The topic, where it is one.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        match self {
            TriggerSource::Topic(topic) => Some(topic),
            TriggerSource::Cron(_) => None,
        }
    }
}

/// Which of the times of a schedule become runs, and when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Timing {
    /// What becomes of times that pass while a run is under way: runs of one function follow each other.
    pub overlap: Overlap,
    /// What becomes of times that passed while the function did not run.
    pub catch_up: CatchUp,
    /// Up to so much later than its time a run begins, in milliseconds: how much is chance, and the same for one time on all hosts.
    pub jitter_ms: u32,
}

/// What becomes of times that pass while a run is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// They are left out.
    #[default]
    Skip,
    /// Each becomes a run, one after the other.
    Queue,
}

/// What becomes of times that passed while a function did not run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// The last of them becomes a run, which is told how many there were before it.
    #[default]
    Once,
    /// Each becomes a run, one after the other.
    All,
    /// None becomes a run, but one that is less than a minute late.
    None,
}

/// How batches are cut and how often a failing one is tried.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// Most records of a batch.
    pub batch_max_records: u32,
    /// Most bytes (keys and values) of a batch; a larger record travels alone.
    pub batch_max_bytes: u32,
    /// How long a batch that is not full waits for more records, in milliseconds.
    pub batch_wait_ms: u32,
    /// Deliveries of a batch, the first included, before its records are dead letters.
    pub max_attempts: u32,
    /// Wait before the second delivery, in milliseconds; doubled for each one after, up to a minute.
    pub retry_backoff_ms: u32,
    /// Once so much was spent on deliveries of a batch that failed and on waits between them, in milliseconds, nothing is waited
    /// for any more: each part of it gets one delivery.
    pub retry_timeout_ms: u32,
    /// What becomes of a version that loses records in its first batches which the one before it handles.
    pub on_failure: OnFailure,
}

/// What becomes of a version that does worse than the one before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It stays; its records are tried again, and in the end put aside.
    #[default]
    Keep,
    /// The one before it is put in charge again.
    Rollback,
}

impl Default for Delivery {
    fn default() -> Self {
        Delivery {
            batch_max_records: 4096,
            batch_max_bytes: 4 * 1024 * 1024,
            batch_wait_ms: 0,
            max_attempts: 5,
            retry_backoff_ms: 200,
            retry_timeout_ms: 60_000,
            on_failure: OnFailure::Keep,
        }
    }
}

/// A declared topic.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions it is made with.
    pub partitions: u32,
    /// Whether its records are sensitive.
    pub sensitive: bool,
    /// What is kept of it.
    pub retention: Retention,
    /// Publishers are paced when a reader is further behind than this many records; `None`: never.
    pub max_lag_records: Option<u64>,
}

/// What is kept of a topic; records that a function has not read yet are always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Stored bytes per partition; `None`: unlimited.
    pub max_bytes: Option<u64>,
    /// Age in hours; `None`: unlimited.
    pub max_hours: Option<u32>,
}

/// What `up --demo` does besides `up`: starts a command, sets variables, loads files into tables.
/// `{port}` stands for a free port and `{demo_dir}` for a folder of the demo's own.
#[derive(Debug, Clone)]
pub struct Demo {
    /// Builds what `command` needs, by the shell.
    pub build: Option<String>,
    /// Started without a shell and ended with the host; it answers on `{port}` once it is ready.
    pub command: String,
    /// Values of the application's variables.
    pub variables: BTreeMap<String, String>,
    /// Cron expressions by trigger id, in place of those declared.
    pub cron: BTreeMap<String, String>,
    /// Files by table, loaded once the command is ready.
    pub load: BTreeMap<String, String>,
}

impl Application {
    /// Puts cron expressions in the place of declared ones, by trigger id.
    pub fn replace_cron(&mut self, cron: &BTreeMap<String, String>) {
        for trigger in self.functions.values_mut().flat_map(|f| &mut f.triggers) {
            if let (TriggerSource::Cron(declared), Some(given)) = (&mut trigger.source, cron.get(&trigger.id)) {
                given.clone_into(declared);
            }
        }
    }

    /// The function that may write `table`, by its grants.
    #[must_use]
    pub fn writer_of(&self, table: &str) -> Option<&str> {
        self.functions
            .values()
            .find(|f| f.grants.tables.get(table).is_some_and(|g| g.operations.iter().any(|o| o.writes())))
            .map(|f| f.name.as_str())
    }

    /// The topics that hold dead letters, with those of the functions that put them there, by name.
    #[must_use]
    pub fn letter_topics(&self) -> BTreeMap<String, BTreeSet<&str>> {
        let mut topics: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for function in self.functions.values() {
            let named = function.triggers.iter().filter_map(|t| t.dead_letters.clone());
            for topic in named.chain([function.dead_letter_topic(&self.name)]) {
                topics.entry(topic).or_default().insert(&function.name);
            }
        }
        topics
    }

    /// The outboxes of functions that write to tables of the operator's stores, by topic: each with its function and its number of
    /// partitions, which is that of the function.
    #[must_use]
    pub fn outboxes(&self) -> BTreeMap<String, (&str, u32)> {
        let is_stored = |table: &String| self.tables.get(table).is_some_and(|t| t.connection.is_some());
        let writes = |f: &&Function| {
            f.grants.tables.iter().any(|(table, grant)| is_stored(table) && grant.operations.iter().any(|o| o.writes()))
        };
        let outbox = |f: &Function| (f.outbox_topic(&self.name), self.partitions_of(f));
        let functions = self.functions.values().filter(writes);
        functions
            .map(|f| (outbox(f), f))
            .map(|((topic, partitions), f)| (topic, (f.name.as_str(), partitions)))
            .collect()
    }

    /// The connections to the operator's stores that `function` writes by way of.
    #[must_use]
    pub fn connections_of(&self, function: &str) -> BTreeSet<&str> {
        let grants = self.functions.get(function).into_iter().flat_map(|f| &f.grants.tables);
        let written = grants.filter(|(_, grant)| grant.operations.iter().any(|o| o.writes()));
        written.filter_map(|(table, _)| self.tables.get(table)?.connection.as_deref()).collect()
    }

    /// As many as its widest topic has; a schedule runs on the first.
    #[must_use]
    pub fn partitions_of(&self, function: &Function) -> u32 {
        let of = |source: &TriggerSource| match source {
            TriggerSource::Topic(topic) => self.topics.get(topic).map_or(1, |t| t.partitions),
            TriggerSource::Cron(_) => 1,
        };
        function.triggers.iter().map(|t| of(&t.source)).max().unwrap_or(1)
    }

    /// Whether what `function` publishes to `topic` can come back to it, by itself or by way of others.
    #[must_use]
    pub fn comes_back(&self, function: &str, topic: &str) -> bool {
        let (mut seen, mut open) = (BTreeSet::new(), vec![topic]);
        while let Some(topic) = open.pop() {
            if !seen.insert(topic) {
                continue;
            }
            for reader in self.readers_of(topic) {
                if reader == function {
                    return true;
                }
                open.extend(self.functions.get(reader).iter().flat_map(|f| f.may_send_to()));
            }
        }
        false
    }

    /// Whether `function` is `other`, or what it publishes can come to `other`.
    #[must_use]
    pub fn leads_to(&self, function: &str, other: &str) -> bool {
        let sends = || self.functions.get(function).into_iter().flat_map(Function::may_send_to);
        function == other || sends().any(|topic| self.comes_back(other, topic))
    }

    /// The functions that a topic triggers, by name.
    #[must_use]
    pub fn readers_of(&self, topic: &str) -> BTreeSet<&str> {
        let reads = |f: &&Function| f.triggers.iter().any(|t| t.source == TriggerSource::Topic(topic.to_owned()));
        self.functions.values().filter(reads).map(|f| f.name.as_str()).collect()
    }
}

impl Function {
    /// The topics that it reads.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.triggers.iter().filter_map(|trigger| trigger.source.topic())
    }

    /// The declared topics that it publishes to, and those for its dead letters.
    fn may_send_to(&self) -> impl Iterator<Item = &str> {
        let letters = self.triggers.iter().filter_map(|t| t.dead_letters.as_deref());
        self.grants.publish.iter().map(String::as_str).chain(letters)
    }

    /// What to say when the component's file is not there.
    #[must_use]
    pub fn missing_source(&self) -> Problem {
        let message = format!("the file `{}` of component `{}` does not exist", self.source.display(), self.name);
        let hint = match &self.build {
            Some(_) => "run `isobar build`, or `isobar up --build`",
            None => "correct `source`, or add a `build` with the command that makes it",
        };
        Problem { line: Some(self.line), message, hint: hint.to_owned() }
    }

    /// Whether it can read a sensitive table, column or topic: then its words may hold what it read.
    #[must_use]
    pub fn reads_sensitive(&self, application: &Application) -> bool {
        let table = |name: &str, grant: &TableGrant| {
            let reads = grant.operations.iter().any(|o| !o.writes());
            let column = |t: &Table| grant.columns.iter().any(|c| t.column(c).is_some_and(|c| c.sensitive));
            reads && application.tables.get(name).is_some_and(|t| t.sensitive || column(t))
        };
        let topic = |source: &TriggerSource| match source {
            TriggerSource::Topic(name) => application.topics.get(name).is_some_and(|t| t.sensitive),
            TriggerSource::Cron(_) => false,
        };
        self.grants.tables.iter().any(|(n, g)| table(n, g)) || self.triggers.iter().any(|t| topic(&t.source))
    }

    /// The topic of its writes to tables of the operator's stores.
    #[must_use]
    pub fn outbox_topic(&self, application: &str) -> String {
        format!("{application}.{}.tables", self.name)
    }

    /// The topic of its dead letters, where its trigger names no other.
    #[must_use]
    pub fn dead_letter_topic(&self, application: &str) -> String {
        format!("{application}.{}.dead-letters", self.name)
    }
}
