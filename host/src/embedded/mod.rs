//! The embedded backend: log, state, tables, positions and ledger in one SQLite file, so that everything a batch did
//! is one transaction.
//!
//! Durability: write-ahead log with `synchronous = NORMAL`. A killed process loses nothing that was committed. A power
//! cut may lose the last transactions, but whole and in order: positions, state, records and rows go back together, and
//! what was lost is read and done again. Where rows go to a store of the operator's, which would not go back, it is `FULL`: then
//! nothing is lost. A file that is a copy of what Kafka holds goes back and has the rest from there again.

mod attempt;
pub mod backup;
mod commit;
pub mod ends;
mod folder;
mod forgotten;
mod ledger;
mod letters;
mod log;
mod mark;
pub mod migration;
pub mod mirrors;
mod outbox;
mod overview;
pub mod past;
mod pauses;
pub mod promotion;
mod replica;
mod reserve;
mod retention;
mod schema;
pub mod shadows;
mod shares;
mod state;
mod tail;
pub mod tokens;
mod trouble;
pub mod users;
pub mod versions;
mod writer;
mod written;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqliteConnection, SqlitePool};
use tokio::sync::watch;

pub use attempt::Attempt;
pub use commit::{Commit, Frame, Note};
pub use ends::LogEnds;
pub use folder::{Folder, InUse, Kind};
pub use ledger::{Finding, LedgerReport};
pub use letters::{Fate, Settlement};
pub use log::{TopicPartition, TopicStatus};
pub use pauses::Pause;
pub use replica::Changes;
pub use state::Wanted;
pub use writer::WriteError;
pub use written::{Written, WrittenRows};

use crate::manifest::Application;
use crate::stores::Stores;
use reserve::Reserve;
use shares::Shares;
use writer::Told;

/// The file's name in the data folder.
const FILE: &str = "isobar.sqlite";
/// Readers at one time; more than cores, so that a long export does not hold up the functions.
const READERS: u32 = 6;
/// Rows that SQLite reads ahead of who asked: so many that it seldom waits for them, and no more, as a row may have megabytes.
const ROWS_AHEAD: usize = 32;
/// Pages of the write-ahead log after which it is folded into the file: large enough that hot pages are folded once.
const CHECKPOINT_PAGES: &str = "8000";
/// What of the write-ahead log is kept for the next pages when all of it is folded in: some more than the usual, in
/// bytes, so that a long read, which lets it grow, costs room only for a while.
const LOG_KEPT_BYTES: &str = "67108864";
/// Page cache of one connection, in KiB (negative: SQLite's way to say so).
const CACHE_KIB: &str = "-8000";

/// How long reads that are under way may take once the file is to be closed.
const LAST_READS: Duration = Duration::from_secs(2);

/// The application as it is now; a deploy puts another one in its place.
pub(super) type Current = Arc<ArcSwap<Application>>;

/// The open file: reads go through a pool, writes through one writer.
pub struct Store {
    pub(crate) readers: SqlitePool,
    writer: writer::Writer,
    told: Told,
    application: Current,
    folder: Folder,
    stores: Arc<Stores>,
    lineage: Arc<str>,
    /// How far the stores have come in the outboxes.
    applied: LogEnds,
}

impl Store {
    /// Opens the file of `folder` for `application`, making or extending what it needs.
    ///
    /// # Errors
    /// When the file is of a newer format, is damaged, or holds tables or topics that the application declares
    /// otherwise.
    pub async fn open(folder: Folder, application: Arc<Application>) -> anyhow::Result<Self> {
        Self::open_with(folder, application, Arc::default()).await
    }

    /// As [`Store::open`], with stores for the tables that say so.
    ///
    /// # Errors
    /// As [`Store::open`]. That a store cannot be reached is none.
    pub async fn open_with(folder: Folder, application: Arc<Application>, stores: Arc<Stores>) -> anyhow::Result<Self> {
        let path = folder.path().join(FILE);
        let options = match application.outboxes().is_empty() || folder.is_copy() {
            true => options(&path),
            false => options(&path).synchronous(SqliteSynchronous::Full),
        };
        backup::sweep(folder.path());
        migration::sweep(folder.path());
        let connection = prepared(&path, &options, &folder, &application).await;
        let connection = connection.map_err(|error| trouble::explained(error, &path))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            // A file does not go away as a server does: no question before each read.
            .test_before_acquire(false)
            .connect_with(options.clone().read_only(true).row_buffer_size(ROWS_AHEAD))
            .await?;
        let told = Told {
            ends: Arc::new(log::ends(&readers).await?),
            tail: Arc::default(),
            loads: Arc::new(watch::Sender::new(())),
            load_count: Arc::default(),
            shadowed: Arc::new(ArcSwap::from_pointee(shadows::shadowed(&mut *readers.acquire().await?).await?)),
            shadow_news: Arc::new(watch::Sender::new(())),
            written: Arc::default(),
        };
        let shares = Shares::new(Reserve::new(folder.path(), folder.kept_free()));
        let current: Current = Arc::new(ArcSwap::new(Arc::clone(&application)));
        let writer = writer::Writer::start(connection, options, told.clone(), Arc::clone(&current), shares);
        outbox::check(&readers, &told.ends, &application).await?;
        let lineage = outbox::lineage(folder.path())?;
        let applied = outbox::positions(&readers, &application).await?;
        Ok(Store { readers, writer, told, application: current, folder, stores, lineage, applied })
    }

    /// What grows at the ends of the log.
    #[must_use]
    pub fn ends(&self) -> &Arc<LogEnds> {
        &self.told.ends
    }

    /// What is written to tables, for who shows them.
    #[must_use]
    pub fn written(&self) -> &Arc<Written> {
        &self.told.written
    }

    /// The application whose names this store holds, as it is now.
    #[must_use]
    pub fn application(&self) -> Arc<Application> {
        self.application.load_full()
    }

    /// The stores of tables that are not in the file.
    #[must_use]
    pub fn stores(&self) -> &Arc<Stores> {
        &self.stores
    }

    /// The folder that holds the file.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Finishes what is being written and closes the file. The writer is the last to go: SQLite folds the write-ahead
    /// log into the file and removes it then, which a reader may not.
    pub async fn close(&self) {
        let writer = self.writer.stop().await;
        if tokio::time::timeout(LAST_READS, self.readers.close()).await.is_err() {
            tracing::warn!("somebody still reads; the next start folds the write-ahead log into the data file");
        }
        if let Some(writer) = writer {
            // The file is consistent whether or not the connection closes in order.
            let _ = writer.close().await;
        }
    }
}

/// The writer's connection to a file that holds what the application needs.
async fn prepared(
    path: &Path,
    options: &SqliteConnectOptions,
    folder: &Folder,
    application: &Application,
) -> anyhow::Result<SqliteConnection> {
    folder::make_private(path).with_context(|| format!("cannot make `{}`", path.display()))?;
    // Before SQLite has it: opening the file as ours changes it.
    mark::look(path, folder.kind())?;
    let mut connection = sqlx::ConnectOptions::connect(options).await?;
    // The file as SQLite sees it, with what stands in the log alone.
    let is_marked = mark::check(&mut connection, path, folder.kind()).await?;
    schema::prepare(&mut connection, path).await?;
    if !is_marked {
        mark::set(&mut connection, folder.kind()).await?;
    }
    crate::bindings::tables::schema::prepare(&mut connection, &application.tables).await?;
    log::prepare(&mut connection, application).await?;
    Ok(connection)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", LOG_KEPT_BYTES)
        .pragma("cache_size", CACHE_KIB)
        .statement_cache_capacity(256)
}
