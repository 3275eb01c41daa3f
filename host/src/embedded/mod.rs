//! The embedded backend: log, state, tables, positions and ledger in one SQLite file, so that everything a batch did
//! is one transaction.
//!
//! Durability: write-ahead log with `synchronous = NORMAL`. A killed process loses nothing that was committed. A power
//! cut may lose the last transactions, but whole and in order: positions, state, records and rows go back together, and
//! what was lost is read and done again.

mod attempt;
mod commit;
pub mod ends;
mod folder;
mod ledger;
mod letters;
mod log;
mod overview;
mod pauses;
mod retention;
mod schema;
mod shares;
mod state;
mod tail;
mod writer;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::watch;

pub use attempt::Attempt;
pub use commit::{Commit, Frame, Note};
pub use ends::LogEnds;
pub use folder::{Folder, Kind};
pub use ledger::{Finding, LedgerReport};
pub use letters::{Fate, Settlement};
pub use log::{TopicPartition, TopicStatus};
pub use pauses::Pause;
pub use writer::WriteError;

use crate::manifest::Application;
use writer::Told;

/// The file's name in the data folder.
const FILE: &str = "isobar.sqlite";
/// Readers at one time; more than cores, so that a long export does not hold up the functions.
const READERS: u32 = 6;
/// Pages of the write-ahead log after which it is folded into the file: large enough that hot pages are folded once.
const CHECKPOINT_PAGES: &str = "8000";
/// Page cache of one connection, in KiB (negative: SQLite's way to say so).
const CACHE_KIB: &str = "-8000";

/// The open file: reads go through a pool, writes through one writer.
pub struct Store {
    pub(crate) readers: SqlitePool,
    writer: writer::Writer,
    told: Told,
    application: Arc<Application>,
    folder: Folder,
}

impl Store {
    /// Opens the file of `folder` for `application`, making or extending what it needs.
    ///
    /// # Errors
    /// When the file is of a newer format, is damaged, or holds tables or topics that the application declares
    /// otherwise.
    pub async fn open(folder: Folder, application: Arc<Application>) -> anyhow::Result<Self> {
        let path = folder.path().join(FILE);
        let options = options(&path);
        let mut connection = sqlx::ConnectOptions::connect(&options.clone().create_if_missing(true))
            .await
            .with_context(|| format!("cannot open `{}`", path.display()))?;
        schema::prepare(&mut connection, &path).await?;
        crate::bindings::tables::schema::prepare(&mut connection, &application.tables).await?;
        log::prepare(&mut connection, &application).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            // A file does not go away as a server does: no question before each read.
            .test_before_acquire(false)
            .connect_with(options.clone().read_only(true))
            .await?;
        let told = Told {
            ends: Arc::new(log::ends(&readers).await?),
            tail: Arc::default(),
            loads: Arc::new(watch::Sender::new(())),
            load_count: Arc::default(),
        };
        let writer = writer::Writer::start(connection, options, told.clone(), Arc::clone(&application));
        Ok(Store { readers, writer, told, application, folder })
    }

    /// What grows at the ends of the log.
    #[must_use]
    pub fn ends(&self) -> &Arc<LogEnds> {
        &self.told.ends
    }

    /// The application whose names this store holds.
    #[must_use]
    pub fn application(&self) -> &Arc<Application> {
        &self.application
    }

    /// The folder that holds the file.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Finishes what is being written and closes the file.
    pub async fn close(&self) {
        self.writer.stop().await;
        self.readers.close().await;
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("cache_size", CACHE_KIB)
        .statement_cache_capacity(256)
}
