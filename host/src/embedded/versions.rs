//! What was deployed: the manifest that runs, the versions that functions have had with their components, and who changed what.
//! A deploy is one transaction with the tables and topics that it needs, so that a start finds either all of it or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};
use utoipa::ToSchema;

use super::migration::Migration;
use super::promotion::Promotion;
use super::writer::{Told, Work, WriteError};
use super::{FILE, Folder, Store, log, mark, migration, promotion, schema, shadows, trouble};
use crate::clock::now_ms;
use crate::engine::inspect::MAX_COMPONENT_BYTES;
use crate::manifest::Application;
use crate::manifest::declaration::hex;

/// Versions that are kept of a function; those that run or stand in spin.toml are kept in any case.
const MOST_VERSIONS: i64 = 20;
/// Bytes of all components that are kept, as they are stored: old ones go before.
const MOST_COMPONENT_BYTES: i64 = 256 * 1024 * 1024;
/// Entries of the audit log.
const MOST_ENTRIES: i64 = 100_000;
/// How hard components are compressed: a third of their size in some milliseconds.
const LEVEL: i32 = 3;

/// What runs, and where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployed {
    /// The manifest that runs.
    pub manifest: String,
    /// The manifest that an operator started last; access to sensitive data does not go beyond it.
    pub base: String,
    /// The versions that run, by function.
    pub running: BTreeMap<String, String>,
    /// The versions that spin.toml gave when an operator started it last, by function.
    pub filed: BTreeMap<String, String>,
}

/// A version that was in charge once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// SHA-256 of the component and of what the manifest says of the function, in hex.
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub component: String,
    /// What the manifest said of the function.
    pub part: String,
    /// When it was deployed last, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// A version that takes over.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The function.
    pub function: String,
    /// As [`Kept::version`].
    pub version: String,
    /// SHA-256 of its component, in hex.
    pub(super) component: String,
    /// The component as it is kept.
    packed: Vec<u8>,
    /// As [`Kept::part`].
    pub part: String,
}

impl Arrival {
    /// Packs a component, which takes a while for a large one: not the writer's business.
    ///
    /// # Errors
    /// [`WriteError::Deploy`] when it cannot be compressed.
    pub fn new(function: &str, version: &str, component: &[u8], part: String) -> Result<Self, WriteError> {
        let packed = packed(component)
            .map_err(|error| WriteError::Deploy(format!("the component of `{function}` cannot be kept: {error}")))?;
        let (function, version) = (function.to_owned(), version.to_owned());
        Ok(Arrival { function, version, component: digest_of(component), packed, part })
    }
}

/// A change of what runs.
#[derive(Debug)]
pub struct Deployment {
    /// The application as it is from then on.
    pub application: Arc<Application>,
    /// What runs from then on.
    pub deployed: Deployed,
    /// The versions that take over.
    pub arrivals: Vec<Arrival>,
    /// What the audit log says of it.
    pub entries: Vec<Entry>,
    /// The shadow that takes over, where one does: it brings state, rows and records.
    pub promotion: Option<Promotion>,
    /// State that gets another form, where it does.
    pub migration: Option<Migration>,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct Entry {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Who.
    pub who: String,
    /// What was done or tried: `up`, `deploy`, `rollback`.
    pub action: String,
    /// With which function.
    pub function: String,
    /// The version, where one was named.
    pub version: Option<String>,
    /// The version that was in charge before.
    pub before: Option<String>,
    /// Why it was refused; `None`: it was done.
    pub refused: Option<String>,
}

impl Entry {
    /// That `who` did something now.
    #[must_use]
    pub fn done(who: &str, action: &str, function: &str) -> Self {
        Entry {
            at_ms: now_ms(),
            who: who.to_owned(),
            action: action.to_owned(),
            function: function.to_owned(),
            version: None,
            before: None,
            refused: None,
        }
    }
}

/// A look into a folder's data before they are opened.
pub struct Look(SqliteConnection);

impl Look {
    /// Looks into `folder`, which this process has; `None` where nothing was deployed yet.
    ///
    /// # Errors
    /// When the file is not isobar's, or cannot be read.
    pub async fn into(folder: &Folder) -> anyhow::Result<Option<Self>> {
        let path = folder.path().join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        // Before SQLite has it: opening the file as ours changes it.
        mark::look(&path, folder.kind())?;
        let opened = async {
            let mut connection = SqliteConnectOptions::new().filename(&path).connect().await?;
            let format: i64 = sqlx::query("PRAGMA user_version").fetch_one(&mut connection).await?.try_get(0)?;
            anyhow::Ok((connection, format))
        };
        match opened.await {
            Ok((connection, schema::WITH_VERSIONS..=schema::FORMAT)) => Ok(Some(Look(connection))),
            // Who opens it has words for one of a newer format, and takes over one without versions.
            Ok(_) => Ok(None),
            Err(error) => Err(trouble::explained(error, &path)),
        }
    }

    /// What was deployed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn deployed(&mut self) -> anyhow::Result<Option<Deployed>> {
        Ok(deployed(&mut self.0).await?)
    }

    /// As [`Store::kept_component`].
    ///
    /// # Errors
    /// As [`Store::kept_component`].
    pub async fn component(&mut self, digest: &str) -> anyhow::Result<Option<Vec<u8>>> {
        component(&mut self.0, digest).await
    }

    /// As [`Store::versions`].
    ///
    /// # Errors
    /// As [`Store::versions`].
    pub async fn versions(&mut self, function: &str) -> anyhow::Result<Vec<Kept>> {
        Ok(versions(&mut self.0, function).await?)
    }

    /// Lets go of the file.
    pub async fn close(self) {
        // It was only looked at.
        let _ = self.0.close().await;
    }
}

async fn deployed(connection: &mut SqliteConnection) -> Result<Option<Deployed>, sqlx::Error> {
    let row = sqlx::query("SELECT running, base FROM manifest").fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(None) };
    let mut deployed = Deployed { manifest: row.try_get(0)?, base: row.try_get(1)?, ..Deployed::default() };
    for row in sqlx::query("SELECT function, running, filed FROM charge").fetch_all(connection).await? {
        let (function, running, filed): (String, Option<String>, Option<String>) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        deployed.running.extend(running.map(|version| (function.clone(), version)));
        deployed.filed.extend(filed.map(|version| (function, version)));
    }
    Ok(Some(deployed))
}

async fn component(connection: &mut SqliteConnection, digest: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let row =
        sqlx::query("SELECT bytes FROM component WHERE digest = ?").bind(digest).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let stored: &[u8] = row.try_get(0)?;
    unpacked(stored, digest)
        .map(Some)
        .with_context(|| format!("the component {digest} in the data file is damaged; deploy it anew"))
}

async fn versions(connection: &mut SqliteConnection, function: &str) -> Result<Vec<Kept>, sqlx::Error> {
    let kept = |row: SqliteRow| {
        Ok(Kept { version: row.try_get(0)?, component: row.try_get(1)?, part: row.try_get(2)?, at_ms: row.try_get(3)? })
    };
    sqlx::query("SELECT version, component, part, at_ms FROM version WHERE function = ? ORDER BY at_ms DESC, version")
        .bind(function)
        .try_map(kept)
        .fetch_all(connection)
        .await
}

/// A component as it is kept and sent.
///
/// # Errors
/// When it cannot be compressed.
pub fn packed(component: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(component, LEVEL)
}

/// What was [`packed`]; nothing where that is damaged or is not of this digest.
#[must_use]
pub fn unpacked(packed: &[u8], digest: &str) -> Option<Vec<u8>> {
    let component = zstd::bulk::decompress(packed, MAX_COMPONENT_BYTES).ok();
    component.filter(|component| digest_of(component) == digest)
}

/// SHA-256 of a component, in hex.
#[must_use]
pub fn digest_of(component: &[u8]) -> String {
    hex(&Sha256::digest(component))
}

/// Does all of a deployment on the open transaction.
pub(super) async fn deploy(connection: &mut SqliteConnection, deployment: &Deployment) -> Result<Vec<i64>, WriteError> {
    let Deployment { application, deployed, arrivals, entries, promotion, migration } = deployment;
    crate::bindings::tables::schema::prepare(connection, &application.tables).await?;
    log::prepare(connection, application).await.map_err(|error| WriteError::Deploy(format!("{error:#}")))?;
    for function in application.functions.values().filter(|f| f.grants.state) {
        let is_replayed = promotion.as_ref().is_some_and(|p| p.replays && p.function == function.name);
        if is_replayed || migration.as_ref().is_some_and(|m| m.function == function.name) {
            migration::anew(connection, function).await?;
        }
        migration::hold(connection, function).await?;
    }
    if let Some(migration) = migration {
        migration::put(connection, migration).await?;
    }
    let at_ms = entries.first().map_or(0, |entry| entry.at_ms);
    for arrival in arrivals {
        keep(connection, arrival, at_ms).await?;
        // What it was compared with is not in charge any more.
        shadows::forget(connection, &arrival.function).await?;
    }
    sqlx::query("INSERT OR REPLACE INTO manifest (id, running, base) VALUES (0, ?, ?)")
        .bind(&deployed.manifest)
        .bind(&deployed.base)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM charge").execute(&mut *connection).await?;
    let all = deployed.running.iter().map(|(function, version)| ("running", function, version));
    let filed = deployed.filed.iter().map(|(function, version)| ("filed", function, version));
    for (what, function, version) in all.chain(filed) {
        let sql = match what {
            "running" => "INSERT INTO charge (function, running) VALUES (?1, ?2)",
            _ => {
                "INSERT INTO charge (function, filed) VALUES (?1, ?2)
                 ON CONFLICT (function) DO UPDATE SET filed = excluded.filed"
            }
        };
        sqlx::query(sql).bind(function).bind(version).execute(&mut *connection).await?;
    }
    forget(connection).await?;
    for entry in entries {
        note(connection, entry).await?;
    }
    match promotion {
        Some(promotion) => promotion::promote(connection, application, promotion).await,
        None => Ok(Vec::new()),
    }
}

async fn keep(connection: &mut SqliteConnection, arrival: &Arrival, at_ms: i64) -> Result<(), WriteError> {
    keep_component(connection, arrival).await?;
    sqlx::query("INSERT OR REPLACE INTO version (function, version, component, part, at_ms) VALUES (?, ?, ?, ?, ?)")
        .bind(&arrival.function)
        .bind(&arrival.version)
        .bind(&arrival.component)
        .bind(&arrival.part)
        .bind(at_ms)
        .execute(connection)
        .await?;
    Ok(())
}

/// Keeps a component.
pub(super) async fn keep_component(connection: &mut SqliteConnection, arrival: &Arrival) -> Result<(), WriteError> {
    // One that is damaged is replaced.
    let packed = sqlx::query(
        "INSERT INTO component (digest, bytes) VALUES (?, ?)
         ON CONFLICT (digest) DO UPDATE SET bytes = excluded.bytes WHERE bytes <> excluded.bytes",
    );
    packed.bind(&arrival.component).bind(&arrival.packed).execute(connection).await?;
    Ok(())
}

/// Lets go of old versions beyond those that are kept, but for the last two of each function, and of components that no version
/// has any more.
async fn forget(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM version WHERE (function, version) IN (
           SELECT function, version FROM (
             SELECT function, version,
               row_number() OVER (PARTITION BY function ORDER BY at_ms DESC) AS place,
               sum(length(bytes)) OVER (ORDER BY at_ms DESC, function, version) AS bytes
             FROM version JOIN component ON component = digest)
           WHERE place > ?1 OR bytes > ?2 AND place > 2)
         AND version NOT IN (SELECT running FROM charge WHERE running IS NOT NULL
           UNION SELECT filed FROM charge WHERE filed IS NOT NULL)",
    )
    .bind(MOST_VERSIONS)
    .bind(MOST_COMPONENT_BYTES)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM component WHERE digest NOT IN (SELECT component FROM version UNION SELECT component FROM shadow)",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes an entry of the audit log.
pub(super) async fn note(connection: &mut SqliteConnection, entry: &Entry) -> Result<(), WriteError> {
    sqlx::query(
        "INSERT INTO audit (at_ms, who, action, function, version, before, refused) VALUES (?, ?, ?, ?, ?, ?, ?);
         DELETE FROM audit WHERE id <= last_insert_rowid() - ?",
    )
    .bind(entry.at_ms)
    .bind(&entry.who)
    .bind(&entry.action)
    .bind(&entry.function)
    .bind(&entry.version)
    .bind(&entry.before)
    .bind(&entry.refused)
    .bind(MOST_ENTRIES)
    .execute(connection)
    .await?;
    Ok(())
}

/// Tells readers of the topics that a deployment made.
pub(super) fn announce(deployment: &Deployment, told: &Told) {
    for (topic, partitions) in log::wanted(&deployment.application) {
        for partition in told.ends.partitions(&topic)..partitions {
            told.ends.add(&topic, partition, 0);
        }
    }
    deployment.arrivals.iter().for_each(|arrival| shadows::set(told, &arrival.function, false));
    let application = &deployment.application;
    if let Some(promotion) = &deployment.promotion {
        let differing = |table: &&String| application.writer_of(table) == Some(promotion.function.as_str());
        application.tables.keys().filter(differing).for_each(|table| told.written.note_all(table));
    }
}

impl Store {
    /// Makes a change of what runs take effect for who asks from now on, with the tables and topics that it needs.
    ///
    /// # Errors
    /// [`WriteError`]: a table or topic is stored otherwise, or the file cannot be written; nothing is changed then.
    pub async fn deploy(&self, deployment: Deployment) -> Result<(), WriteError> {
        self.submit(Work::Deploy(Box::new(deployment))).await
    }

    /// Writes an entry of the audit log.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn audit(&self, entry: Entry) -> Result<(), WriteError> {
        self.submit(Work::Audit(entry)).await
    }

    /// The newest entries of the audit log, the newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn audit_log(&self, most: u32) -> Result<Vec<Entry>, WriteError> {
        let entry = |row: SqliteRow| {
            Ok(Entry {
                at_ms: row.try_get(0)?,
                who: row.try_get(1)?,
                action: row.try_get(2)?,
                function: row.try_get(3)?,
                version: row.try_get(4)?,
                before: row.try_get(5)?,
                refused: row.try_get(6)?,
            })
        };
        let rows = sqlx::query(
            "SELECT at_ms, who, action, function, version, before, refused FROM audit ORDER BY id DESC LIMIT ?",
        );
        Ok(rows.bind(most).try_map(entry).fetch_all(&self.readers).await?)
    }

    /// What was deployed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn deployed(&self) -> Result<Option<Deployed>, WriteError> {
        Ok(deployed(&mut *self.readers.acquire().await?).await?)
    }

    /// The versions of a function that are kept, the newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn versions(&self, function: &str) -> Result<Vec<Kept>, WriteError> {
        Ok(versions(&mut *self.readers.acquire().await?, function).await?)
    }

    /// The component with this digest; `None` where it is not kept.
    ///
    /// # Errors
    /// When the file cannot be read, or the component is damaged.
    pub async fn kept_component(&self, digest: &str) -> anyhow::Result<Option<Vec<u8>>> {
        component(&mut *self.readers.acquire().await?, digest).await
    }
}
