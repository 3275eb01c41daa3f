//! What the application consists of, as pages draw it: functions with what they may touch, topics, tables.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::View;
use crate::manifest::{Application, Function, Table, TriggerSource};

/// An application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApplicationView {
    /// Its name.
    pub name: String,
    /// Its functions, by name.
    pub functions: Vec<FunctionView>,
    /// Its topics, by name.
    pub topics: Vec<TopicView>,
    /// Its tables, by name.
    pub tables: Vec<TableView>,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FunctionView {
    /// Its name.
    pub name: String,
    /// The digest of the version in charge; empty where none runs.
    pub version: String,
    /// Why it runs.
    pub triggers: Vec<TriggerView>,
    /// The topics that it may publish to.
    pub publishes: Vec<String>,
    /// The tables that it may touch.
    pub tables: Vec<TouchedTable>,
    /// Whether it has state.
    pub state: bool,
    /// Where it may send requests, as spin.toml says.
    pub hosts: Vec<String>,
    /// Memory of a call, in MiB.
    pub memory_mb: u32,
    /// Time of a call, in milliseconds.
    pub timeout_ms: u32,
    /// What it may, in words that follow "it".
    pub words: Vec<String>,
}

/// Why a function runs: a topic, or a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TriggerView {
    /// Its id.
    pub id: String,
    /// The topic whose records it runs for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The cron expression of the schedule, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
}

/// A table that a function may touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TouchedTable {
    /// Its name.
    pub table: String,
    /// `get`, `scan`, `upsert`, `delete`.
    pub operations: Vec<String>,
    /// The columns.
    pub columns: Vec<String>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicView {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// Whether its records are sensitive.
    pub sensitive: bool,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableView {
    /// Its name.
    pub name: String,
    /// Its key columns.
    pub key: Vec<String>,
    /// All columns.
    pub columns: Vec<ColumnView>,
    /// Whether all of it is sensitive.
    pub sensitive: bool,
    /// The connection of isobar.toml that it is kept by; none where it is in the data folder.
    pub store: Option<String>,
    /// Where its data come from.
    pub notice: Option<String>,
    /// The function that writes it; none where it is loaded.
    pub writer: Option<String>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ColumnView {
    /// Its name.
    pub name: String,
    /// What it holds, as spin.toml names it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether a row may leave it empty.
    pub optional: bool,
    /// Whether it is sensitive.
    pub sensitive: bool,
}

impl View {
    /// What the application consists of.
    #[must_use]
    pub fn consists_of(&self) -> ApplicationView {
        let application = self.application();
        let version = |name: &str| {
            let running = self.running.as_ref().and_then(|running| running.deploys.digest(name));
            running.unwrap_or_default()
        };
        let functions = application.functions.values();
        let functions = functions.map(|f| function(&application, f, version(&f.name)));
        let topics = application.topics.values().map(|topic| TopicView {
            name: topic.name.clone(),
            partitions: topic.partitions,
            sensitive: topic.sensitive,
        });
        ApplicationView {
            name: application.name.clone(),
            functions: functions.collect(),
            topics: topics.collect(),
            tables: application.tables.values().map(|t| table(&application, t)).collect(),
        }
    }
}

fn function(application: &Application, function: &Function, version: String) -> FunctionView {
    let triggers = function.triggers.iter().map(|trigger| {
        let (topic, cron) = match &trigger.source {
            TriggerSource::Topic(topic) => (Some(topic.clone()), None),
            TriggerSource::Cron(cron) => (None, Some(cron.clone())),
        };
        TriggerView { id: trigger.id.clone(), topic, cron }
    });
    let tables = function.grants.tables.iter().map(|(table, grant)| TouchedTable {
        table: table.clone(),
        operations: grant.operations.iter().map(|operation| operation.name().to_owned()).collect(),
        columns: grant.columns.clone(),
    });
    FunctionView {
        name: function.name.clone(),
        version,
        triggers: triggers.collect(),
        publishes: function.grants.publish.iter().cloned().collect(),
        tables: tables.collect(),
        state: function.grants.state,
        hosts: function.allowed_outbound_hosts.clone(),
        memory_mb: function.limits.memory_mb,
        timeout_ms: function.limits.timeout_ms,
        words: words(application, function),
    }
}

/// What a function may, in words that follow "it".
fn words(application: &Application, function: &Function) -> Vec<String> {
    let sensitive = |is: bool| if is { "sensitive " } else { "" };
    let of_topic = |name: &String| sensitive(application.topics.get(name).is_some_and(|topic| topic.sensitive));
    let mut words = Vec::new();
    for trigger in &function.triggers {
        words.push(match &trigger.source {
            TriggerSource::Topic(topic) => format!("runs for records of {}topic `{topic}`", of_topic(topic)),
            TriggerSource::Cron(cron) => format!("runs by the schedule `{cron}` (UTC)"),
        });
    }
    let publishes = function.grants.publish.iter();
    words.extend(publishes.map(|topic| format!("may publish to {}topic `{topic}`", of_topic(topic))));
    for (table, grant) in &function.grants.tables {
        let operations: Vec<&str> = grant.operations.iter().map(|operation| operation.name()).collect();
        let declared = application.tables.get(table);
        let column = |name: &String| {
            let is_sensitive = declared.and_then(|table| table.column(name)).is_some_and(|column| column.sensitive);
            format!("{}{name}", sensitive(is_sensitive))
        };
        let columns: Vec<String> = grant.columns.iter().map(column).collect();
        let (operations, columns) = (operations.join(", "), columns.join(", "));
        let kind = sensitive(declared.is_some_and(|table| table.sensitive));
        words.push(format!("may {operations} rows of {kind}table `{table}`: {columns}"));
    }
    let releases = function.grants.releases.iter();
    words.extend(releases.map(|target| format!("may release to `{target}` what it makes of sensitive data")));
    let keeps = if function.grants.state { "keeps state of its own" } else { "keeps no state" };
    words.push(keeps.to_owned());
    words.push(match function.allowed_outbound_hosts.as_slice() {
        [] => "may send no requests".to_owned(),
        hosts => format!("may send requests to `{}`", hosts.join("`, `")),
    });
    let Function { limits, .. } = function;
    words.push(format!("has {} MiB of memory and {} ms for a call", limits.memory_mb, limits.timeout_ms));
    words
}

fn table(application: &Application, table: &Table) -> TableView {
    let columns = table.columns.iter().map(|column| ColumnView {
        name: column.name.clone(),
        kind: column.kind.name().to_owned(),
        optional: column.nullable,
        sensitive: column.sensitive,
    });
    TableView {
        name: table.name.clone(),
        key: table.key.clone(),
        columns: columns.collect(),
        sensitive: table.sensitive,
        store: table.connection.clone(),
        notice: table.notice.clone(),
        writer: application.writer_of(&table.name).map(str::to_owned),
    }
}
