//! Batches from files through one component, in a folder that is gone afterwards: what it would do, and nothing of it done. Tables and
//! state hold what the files say and what the batches before made of it; no store of the operator's is asked, no request is sent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::bindings::CallContext;
use crate::bindings::tables::{load, text};
use crate::console::answers::Payload;
use crate::delivery::failure::rejected_by;
use crate::delivery::{Effects, HeldTable, Records, Value};
use crate::embedded::versions::digest_of;
use crate::embedded::{Commit, Folder, Kind, Note, Store};
use crate::engine::Engine;
use crate::manifest::variables::resolve;
use crate::manifest::{Application, Table, nearest};
use crate::registry::call::Outcome;
use crate::registry::{self, Loader, Place, Source, Version};

/// Bytes of one file of records or state: it is held in memory.
const MOST_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// What is rehearsed, and with what.
pub struct Rehearsal<'r> {
    /// The application.
    pub application: Application,
    /// The folder of its manifest.
    pub root: &'r Path,
    /// The function.
    pub function: &'r str,
    /// The topic that records come from; the only one that the function reads where none is named.
    pub topic: Option<&'r str>,
    /// Values of variables.
    pub values: BTreeMap<String, String>,
    /// CSV files by table.
    pub tables: &'r [(String, std::path::PathBuf)],
    /// A file of state: a line of JSON per key.
    pub state: Option<&'r Path>,
}

/// What a batch did, in the order in which it is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// A row was written; cells that the write says nothing of are left out.
    Row {
        /// The table.
        table: String,
        /// Cells by column, null among them.
        cells: BTreeMap<String, Option<String>>,
    },
    /// A row was deleted.
    Deleted {
        /// The table.
        table: String,
        /// The key's cells by column.
        key: BTreeMap<String, Option<String>>,
    },
    /// A record was published.
    Record {
        /// The topic.
        topic: String,
        /// Its key.
        key: Option<Payload>,
        /// Its value.
        value: Option<Payload>,
    },
    /// A record of the batch was refused.
    Rejected {
        /// Its place in the file, from 0.
        at: usize,
        /// Why.
        reason: String,
    },
    /// State was written; a value of null was deleted.
    State {
        /// The key.
        key: String,
        /// The value.
        value: Option<Payload>,
    },
    /// The call failed, and nothing of it is kept.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What a batch did, and what it wrote to stdout and stderr.
pub struct Done {
    /// What it did.
    pub effects: Vec<Effect>,
    /// What it wrote.
    pub output: String,
}

/// A line of a file of records, as `topic read --json` writes it; of what is left out there is none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: Option<Json>,
    value: Option<Json>,
    timestamp_ms: Option<i64>,
    offset: Option<i64>,
    #[serde(default, rename = "partition")]
    _partition: Option<u32>,
    #[serde(default)]
    headers: Vec<(String, Json)>,
}

/// A line of a file of state.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateLine {
    key: String,
    value: Json,
}

/// A function that is ready for batches.
pub struct Stage {
    store: Arc<Store>,
    version: Version,
    note: Note,
    next: i64,
    _ticker: crate::engine::Ticker,
    _folder: tempfile::TempDir,
}

impl Rehearsal<'_> {
    /// Makes everything ready.
    ///
    /// # Errors
    /// What is wrong with the function, its component, or a file.
    pub async fn begin(mut self) -> anyhow::Result<Stage> {
        let name = self.function.to_owned();
        self.application.tables.values_mut().for_each(|table| table.connection = None);
        let function = self
            .application
            .functions
            .get(&name)
            .cloned()
            .with_context(|| missing("function", &name, self.application.functions.keys()))?;
        let topic = topic_of(&name, &function.topics().collect::<Vec<_>>(), self.topic)?;
        let resolved = resolve(&self.application, &self.values).map_err(|problems| {
            anyhow::anyhow!(
                problems.iter().map(|p| format!("{}\n  hint: {}", p.message, p.hint)).collect::<Vec<_>>().join("\n")
            )
        })?;
        let component: Arc<[u8]> = registry::read(&function, self.root)?.into();
        let application = Arc::new(self.application);
        let folder = tempfile::tempdir()?;
        let engine = Engine::new(None)?;
        let ticker = engine.tick()?;
        let digest = application.version(&function, &digest_of(&component));
        let resolved = resolved.get(&name).cloned().unwrap_or_default();
        let source = Source { digest, component, resolved };
        let version = Loader::new(engine, None).version(&application, &function, source, Place::New)?;
        let data = Folder::take(&folder.path().join("data"), Kind::MadeUp)?;
        let store = Arc::new(Store::open(data, application).await?);
        let note = Note { function: name.as_str().into(), source: topic.into(), partition: 0 };
        let stage = Stage { store, version, note, next: 0, _ticker: ticker, _folder: folder };
        stage.fill(self.tables, self.state).await?;
        Ok(stage)
    }
}

fn missing<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n String>) -> String {
    let near = nearest(name, known.map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
    format!("there is no {what} `{name}`{}", near.unwrap_or_default())
}

fn topic_of(function: &str, topics: &[&str], named: Option<&str>) -> anyhow::Result<String> {
    let known = || topics.iter().map(|topic| format!("`{topic}`")).collect::<Vec<_>>().join(", ");
    match (named, topics) {
        (_, []) => anyhow::bail!("`{function}` reads no topic; only what is made of records can be tried with a file"),
        (Some(named), _) if topics.contains(&named) => Ok(named.to_owned()),
        (Some(named), _) => anyhow::bail!("`{function}` does not read topic `{named}`; it reads {}", known()),
        (None, [one]) => Ok((*one).to_owned()),
        (None, _) => anyhow::bail!("`{function}` reads {}; say by `--topic` which of them the records are of", known()),
    }
}

impl Stage {
    async fn fill(&self, tables: &[(String, std::path::PathBuf)], state: Option<&Path>) -> anyhow::Result<()> {
        let mut effects = Effects::default();
        let application = self.store.application();
        for (name, path) in tables {
            let table =
                application.tables.get(name).with_context(|| missing("table", name, application.tables.keys()))?;
            let rows = load::read(table, &bytes(path)?).with_context(|| format!("`{}`", path.display()))?;
            effects.tables.entry(name.clone()).or_default().follow(rows);
        }
        if let Some(path) = state {
            for (at, line) in lines(path)?.into_iter().enumerate() {
                let read = serde_json::from_str::<StateLine>(&line).map_err(anyhow::Error::from);
                let read = read.and_then(|line| Ok((line.key, payload(&line.value)?)));
                let (key, value) = read.with_context(|| format!("line {} of `{}`", at + 1, path.display()))?;
                effects.state.insert(key, Some(value));
            }
        }
        self.commit(effects).await
    }

    async fn commit(&self, mut effects: Effects) -> anyhow::Result<()> {
        effects.published.clear();
        let commit = Commit { note: self.note.clone(), effects: Arc::new(effects), attempt: 1, ..Commit::default() };
        Ok(self.store.commit(commit).await?)
    }

    /// Calls the function with the records of a file as one batch, and keeps what it did for the next one.
    ///
    /// # Errors
    /// What is wrong with the file. That the call fails is none.
    pub async fn call(&mut self, path: &Path) -> anyhow::Result<Done> {
        let mut batch = Records::default();
        for (at, line) in lines(path)?.into_iter().enumerate() {
            let line = serde_json::from_str::<Line>(&line).map_err(anyhow::Error::from);
            let pushed = line.and_then(|line| push(&mut batch, &line, self.next));
            pushed.with_context(|| format!("line {} of `{}`", at + 1, path.display()))?;
            self.next = batch.offsets.last().map_or(self.next, |last| last + 1);
        }
        anyhow::ensure!(!batch.is_empty(), "`{}` holds no record", path.display());
        let context = CallContext { hosts: Arc::from([]), ..self.version.context(&self.store, self.note.partition) };
        let called = self.version.deliver(context, &self.note, &batch, 1).await;
        let output = called.output;
        let (effects, rejected) = match called.outcome {
            Outcome::Failed { failure, unavailable } => {
                let reason = unavailable.unwrap_or(failure.reason);
                return Ok(Done { effects: vec![Effect::Failed { reason }], output });
            }
            Outcome::Done { effects, rejected, .. } => match rejected_by(batch.len(), rejected) {
                Ok(rejected) => (effects, rejected),
                Err(failure) => {
                    return Ok(Done { effects: vec![Effect::Failed { reason: failure.reason }], output });
                }
            },
        };
        let mut told = told(&self.store.application(), &effects);
        told.extend(rejected.into_iter().map(|(at, failure)| Effect::Rejected { at, reason: failure.reason }));
        self.commit(effects).await?;
        Ok(Done { effects: told, output })
    }

    /// Lets go of everything.
    pub async fn end(self) {
        self.store.close().await;
    }
}

fn told(application: &Application, effects: &Effects) -> Vec<Effect> {
    let mut told = Vec::new();
    for (name, held) in &effects.tables {
        told.extend(application.tables.get(name).into_iter().flat_map(|table| rows(table, held)));
    }
    for (topic, published) in &effects.published {
        let records = published.iter().flat_map(|p| p.keys.iter().zip(p.values.iter()));
        told.extend(records.map(|(key, value)| Effect::Record {
            topic: topic.clone(),
            key: key.map(Payload::of),
            value: value.map(Payload::of),
        }));
    }
    let state = effects.state.iter();
    told.extend(state.map(|(key, value)| Effect::State { key: key.clone(), value: value.as_deref().map(Payload::of) }));
    told
}

fn rows(table: &Table, held: &HeldTable) -> Vec<Effect> {
    let cell = |column: &str, value: &Value| {
        let kind = table.column(column)?.kind;
        Some((column.to_owned(), (*value != Value::Null).then(|| text::cell(kind, value))))
    };
    let told = held.rows.values().map(|row| match &row.cells {
        None => {
            let key = table.key.iter().zip(&row.key).filter_map(|(column, value)| cell(column, value));
            Effect::Deleted { table: table.name.clone(), key: key.collect() }
        }
        Some(cells) => {
            let said =
                table.columns.iter().zip(cells).filter_map(|(column, value)| cell(&column.name, value.as_ref()?));
            Effect::Row { table: table.name.clone(), cells: said.collect() }
        }
    });
    told.collect()
}

fn push(batch: &mut Records, line: &Line, next: i64) -> anyhow::Result<()> {
    let read = |value: &Option<Json>| value.as_ref().filter(|value| !value.is_null()).map(payload).transpose();
    let (key, value) = (read(&line.key)?, read(&line.value)?);
    let offset = line.offset.unwrap_or(next);
    anyhow::ensure!(offset >= next, "offset {offset} comes after {}: they have to ascend", next - 1);
    let at = batch.len() as u32;
    for (name, value) in &line.headers {
        batch.headers.push(crate::delivery::Header { at, name: name.clone(), value: payload(value)? });
    }
    batch.keys.push(key.as_deref());
    batch.values.push(value.as_deref());
    batch.offsets.push(offset);
    batch.timestamps.push(line.timestamp_ms.unwrap_or_default());
    Ok(())
}

/// Text as it is, `{"text": …}` and `{"base64": …}` as what they hold, any other JSON as its text.
fn payload(value: &Json) -> anyhow::Result<Vec<u8>> {
    match value {
        Json::String(text) => Ok(text.as_bytes().to_vec()),
        Json::Object(fields) if fields.len() == 1 => match (fields.get("text"), fields.get("base64")) {
            (Some(Json::String(text)), _) => Ok(text.as_bytes().to_vec()),
            (_, Some(Json::String(text))) => BASE64_STANDARD.decode(text).context("it is not base64"),
            _ => Ok(serde_json::to_vec(value)?),
        },
        value => Ok(serde_json::to_vec(value)?),
    }
}

fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let unreadable = || format!("cannot read `{}`", path.display());
    let size = std::fs::metadata(path).with_context(unreadable)?.len();
    let most = MOST_FILE_BYTES >> 20;
    anyhow::ensure!(size <= MOST_FILE_BYTES, "`{}` is larger than {most} MiB: take a part of it", path.display());
    std::fs::read(path).with_context(unreadable)
}

/// The lines of a file that are not empty.
fn lines(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = String::from_utf8(bytes(path)?).ok().with_context(|| format!("`{}` is not UTF-8", path.display()))?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}
