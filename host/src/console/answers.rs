//! What is asked of a running or resting application and what is answered, as the API and `--json` show it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::config::console::Role;
use crate::deploys::DeployError;
use crate::dispatch::SourceStatus;
use crate::dispatch::Spoken;
use crate::embedded::past::{Mark, Part};
use crate::embedded::tokens::Token;
use crate::embedded::{Kind, TopicStatus, WriteError};

/// Where everything stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The application's name.
    pub application: String,
    /// Whether the data are made up by a demo.
    pub made_up: bool,
    /// Whether a host runs.
    pub running: bool,
    /// Every partition of every source of every function.
    pub sources: Vec<SourceStatus>,
    /// Every partition of every topic.
    pub topics: Vec<TopicStatus>,
    /// Deliveries that failed and are tried again.
    pub failures: Vec<Failure>,
}

/// A delivery that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// The function.
    pub function: String,
    /// The topic, or the id of the schedule's trigger.
    pub source: String,
    /// The partition; 0 for a schedule.
    pub partition: u32,
    /// Deliveries so far.
    pub attempt: u32,
    /// Why the last one failed.
    pub reason: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicSummary {
    /// Its name.
    pub topic: String,
    /// Whether its records are shown only to those who ask for sensitive ones.
    pub sensitive: bool,
    /// Its partitions.
    pub partitions: Vec<TopicStatus>,
}

/// Which records are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RecordsAsk {
    /// Only those of this partition.
    pub partition: Option<u32>,
    /// Only those from this offset on.
    pub from: Option<i64>,
    /// Most records of each partition: 1000 come at the most.
    #[param(default = 20)]
    pub limit: Option<u32>,
    /// Whether those of a sensitive topic are asked for.
    #[serde(default)]
    pub sensitive: bool,
}

/// Some records of a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordsPage {
    /// By partition and offset.
    pub records: Vec<RecordView>,
    /// Whether there are more.
    pub more: bool,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordView {
    /// Its partition.
    pub partition: u32,
    /// Its offset there.
    pub offset: i64,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Its key, if it has one.
    pub key: Option<Payload>,
    /// Its value; none for a tombstone.
    pub value: Option<Payload>,
    /// Its headers in order.
    pub headers: Vec<(String, Payload)>,
}

/// Bytes: as text where they are UTF-8, else in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Base64(String),
}

impl Payload {
    /// Bytes as they are shown.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Payload::Text(text.to_owned()),
            Err(_) => Payload::Base64(BASE64_STANDARD.encode(bytes)),
        }
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableSummary {
    /// Its name.
    pub table: String,
    /// How many rows it has; `None` where its store cannot say so now.
    pub rows: Option<u64>,
    /// Why its store cannot.
    pub trouble: Option<String>,
    /// Its key columns.
    pub key: Vec<String>,
    /// The function that writes it; none where it is loaded.
    pub writer: Option<String>,
    /// Whether it is shown only to those who ask for sensitive ones.
    pub sensitive: bool,
    /// Where its data come from.
    pub notice: Option<String>,
}

/// Which rows are asked for, as a query string holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RowsAsk {
    /// A condition: `column op literal and …`.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// Names separated by commas.
    pub columns: Option<String>,
    /// Most rows: of an answer that is no export 10,000 come at the most, and 100 where no number is named.
    pub limit: Option<u64>,
    /// The column that they are ordered by, `-` before it turns that round; by the key where none is named.
    pub order: Option<String>,
    /// Rows of that order to leave out first.
    pub offset: Option<u64>,
    /// Whether the answer may be another's that holds all changes that were told.
    #[serde(default)]
    pub shared: bool,
    /// `csv`, `json` or `parquet`, for an export.
    #[param(default = "csv", pattern = "^(csv|json|parquet)$")]
    pub format: Option<String>,
    /// Whether sensitive tables and columns are asked for.
    #[serde(default)]
    pub sensitive: bool,
}

/// Rows of a table, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// A cell per column, null for none.
    pub rows: Vec<Vec<Option<String>>>,
    /// Where the data come from.
    pub notice: Option<String>,
    /// Whether there are more rows than these.
    pub more: bool,
}

/// How a backup is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BackupAsk {
    /// Whether sensitive data are asked for: without them there is no backup.
    #[serde(default)]
    pub sensitive: bool,
}

/// What a load did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Loaded {
    /// Rows written.
    pub rows: u64,
    /// Functions that read their input again.
    pub readers: Vec<String>,
}

/// Which dead letters are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LettersAsk {
    /// Only the one at this offset of its topic.
    pub offset: Option<i64>,
    /// Those that were redriven or dropped too.
    #[serde(default)]
    pub all: bool,
    /// Most letters: 1000 come at the most.
    #[param(default = 100)]
    pub limit: Option<u32>,
    /// Whether the words and records of a function that reads sensitive data are asked for.
    #[serde(default)]
    pub sensitive: bool,
}

/// Some dead letters of a function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LettersPage {
    /// The oldest first.
    pub letters: Vec<LetterView>,
    /// Whether there are more of those asked for.
    pub more: bool,
    /// How many of the function are neither redriven nor dropped.
    pub open: u64,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LetterView {
    /// The topic that holds it.
    pub topic: String,
    /// Its partition there.
    pub partition: u32,
    /// Its offset there, by which it is named.
    pub offset: i64,
    /// Where the record came from.
    pub from_topic: String,
    /// The partition there.
    pub from_partition: u32,
    /// The offset there.
    pub from_offset: i64,
    /// The digest of the version that failed.
    pub version: String,
    /// How often the record was delivered.
    pub attempts: u32,
    /// When it was put aside, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Why.
    pub reason: String,
    /// The function's frames, the innermost first.
    pub frames: Vec<String>,
    /// The record's key, if it has one and may be shown.
    pub key: Option<Payload>,
    /// The record's value, if it has one and may be shown.
    pub value: Option<Payload>,
    /// `redriven` or `dropped`, if it is one of both.
    pub fate: Option<String>,
}

/// Which dead letters are to be settled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleAsk {
    /// Their offsets; all open ones where none is named.
    pub offsets: Vec<i64>,
}

/// What became of dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settled {
    /// How many.
    pub letters: u64,
}

/// What is to be deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployAsk {
    /// What a manifest says of the functions.
    pub part: String,
    /// Their components in base64, by function.
    pub components: BTreeMap<String, String>,
    /// What the versions begin with.
    #[serde(default)]
    pub way: DeployWay,
}

/// What versions that are deployed begin with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeployWay {
    /// They take over.
    #[default]
    TakeOver,
    /// One follows the version in charge in its shadow, with a copy of its state.
    Shadow,
    /// One runs over the past again, with nothing, and then follows the version in charge in its shadow.
    Replay,
    /// One runs over the past again, or over a part of it, to be compared with what is there.
    Compare(Part),
}

impl DeployAsk {
    /// What a manifest says of functions (`part`), with their components.
    #[must_use]
    pub fn new(part: String, components: &BTreeMap<String, Vec<u8>>) -> Self {
        let components = components.iter().map(|(name, bytes)| (name.clone(), BASE64_STANDARD.encode(bytes)));
        DeployAsk { part, components: components.collect(), way: DeployWay::TakeOver }
    }
}

/// Which version is to be in charge again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackAsk {
    /// The beginning of its digest; the one before the running one where none is named.
    pub version: Option<String>,
}

/// What of a shadow is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ShadowAsk {
    /// Most differences of each table: 1000 come at the most.
    #[param(default = 10)]
    pub differences: Option<u32>,
    /// Whether sensitive values are asked for.
    #[serde(default)]
    pub sensitive: bool,
    /// Whether only how far it has come is asked for.
    #[serde(default)]
    pub brief: bool,
}

/// Which lines that functions wrote are asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogsAsk {
    /// Of which function; all where none is named.
    pub function: Option<String>,
    /// Only lines behind the one of this number.
    pub after: Option<u64>,
    /// Most lines, the last ones: 10,000 come at the most.
    #[param(default = 100)]
    pub limit: Option<u32>,
}

/// Lines that functions wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogsPage {
    /// The lines, the oldest first.
    pub lines: Vec<Spoken>,
    /// The number of the last line of all functions.
    pub last: u64,
}

/// What of a function's state is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StateAsk {
    /// Only that of this partition.
    pub partition: Option<u32>,
    /// Only what stands under keys that begin so.
    pub prefix: Option<String>,
    /// Only what stands under this key.
    pub key: Option<String>,
    /// Most entries: 1000 come at the most.
    #[param(default = 100)]
    pub limit: Option<u32>,
    /// Whether that of a function that reads sensitive data is asked for.
    #[serde(default)]
    pub sensitive: bool,
}

/// Some of a function's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatePage {
    /// By partition and key.
    pub entries: Vec<StateEntry>,
    /// Whether there are more.
    pub more: bool,
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateEntry {
    /// The partition.
    pub partition: u32,
    /// The key.
    pub key: String,
    /// Bytes of the value.
    pub bytes: u64,
    /// The value, unless the answer would be too large with it.
    pub value: Option<Payload>,
}

/// Which token is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenAsk {
    /// Its name: letters, digits, `-`, `_` and `.`.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    pub name: String,
    /// What it may do: `read`, `read-sensitive`, `operate`, `deploy`, `deploy:FUNCTION`.
    #[schema(min_items = 1)]
    pub scopes: Vec<String>,
    /// For how many days it is good.
    #[schema(minimum = 1, maximum = 3650)]
    pub days: u32,
}

/// A user who is to be added.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserAsk {
    /// The name: letters, digits, `-`, `_` and `.`.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    pub name: String,
    /// What the user may do: `viewer`, `operator`, `sensitive`.
    #[schema(value_type = Vec<Role>, min_items = 1)]
    pub roles: Vec<String>,
    /// The hash of the password, by argon2id, as a PHC string.
    pub hash: String,
}

/// A token that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// What is kept of it.
    #[serde(flatten)]
    pub token: Token,
    /// What is shown to the API; it is told this once and kept nowhere.
    pub secret: String,
}

/// Which version is to run over the past again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayAsk {
    /// The beginning of its digest; the running one where none is named.
    pub version: Option<String>,
    /// Where a part begins that is replayed.
    #[serde(default)]
    pub from: Option<Mark>,
    /// Where it ends.
    #[serde(default)]
    pub to: Option<Mark>,
    /// Whether it is to take over, and not only to be compared.
    #[serde(default)]
    pub apply: bool,
}

fn none() -> Option<u64> {
    Some(0)
}

/// How a shadow is put in charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteAsk {
    /// Rows and records in which it may differ, none unless it is said; null: any number.
    #[serde(default = "none")]
    pub allow_differences: Option<u64>,
}

/// Which versions are compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DiffAsk {
    /// The beginning of a digest.
    pub from: String,
    /// The same; the running version where none is named.
    pub to: Option<String>,
}

/// How much of the audit log is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditAsk {
    /// Most entries: 1000 come at the most.
    #[param(default = 20)]
    pub limit: Option<u32>,
}

/// A manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManifestView {
    /// Its text.
    pub manifest: String,
}

/// Why something is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", hint.as_ref().map(|h| format!("\n  hint: {h}")).unwrap_or_default())]
pub struct Refusal {
    /// Whose fault it is.
    pub fault: Fault,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Whose fault it is that something is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no such thing.
    Unknown,
    /// It cannot be asked so.
    Invalid,
    /// It is shown only when sensitive data are asked for.
    Sensitive,
    /// Who asks has to sign in anew.
    SignedOut,
    /// Too many ask at one time.
    Busy,
    /// Somebody asks too often.
    Often,
    /// The data file failed.
    Store,
}

impl Refusal {
    pub(crate) fn new(fault: Fault, message: impl Into<String>) -> Self {
        Refusal { fault, message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Refusal { hint: Some(hint.into()), ..self }
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        let fault =
            if matches!(error, WriteError::Token(_) | WriteError::User(_)) { Fault::Invalid } else { Fault::Store };
        Refusal::new(fault, error.to_string())
    }
}

impl From<crate::bindings::tables::TableError> for Refusal {
    fn from(error: crate::bindings::tables::TableError) -> Self {
        Refusal::new(Fault::Store, error.to_string())
    }
}

impl From<crate::stores::StoreError> for Refusal {
    fn from(error: crate::stores::StoreError) -> Self {
        Refusal::new(Fault::Store, error.to_string())
    }
}

impl From<crate::embedded::backup::BackupError> for Refusal {
    fn from(error: crate::embedded::backup::BackupError) -> Self {
        Refusal { hint: error.remedy().map(str::to_owned), ..Refusal::new(Fault::Store, error.to_string()) }
    }
}

impl From<DeployError> for Refusal {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Refused { message, hint } => Refusal { fault: Fault::Invalid, message, hint },
            DeployError::Unknown { message, hint } => Refusal { fault: Fault::Unknown, message, hint: Some(hint) },
            DeployError::Failed(message) => Refusal::new(Fault::Store, message),
        }
    }
}

/// Whether a folder's data are made up.
#[must_use]
pub(crate) fn is_made_up(kind: Kind) -> bool {
    kind == Kind::MadeUp
}
