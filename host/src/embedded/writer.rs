//! The one writer of the file. Commits that arrive while another is being written share a transaction; each is a
//! savepoint of its own, so that one that fails takes none of the others with it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::shares::Shares;
use super::tail::Tail;
use super::{Attempt, Commit, Current, LogEnds, Note, Pause, Settlement, Store, Written};
use super::{
    attempt, commit, forgotten, letters, mirrors, outbox, pauses, promotion, replica, retention, shadows, tokens,
    trouble, users, versions,
};
use crate::bindings::tables::TableError;
use crate::delivery::HeldTable;
use crate::delivery::frame::FrameError;
use crate::delivery::outbox::RowsError;
use crate::manifest::Application;
use crate::stores::StoreError;

/// Commits that may wait for the writer; whoever comes then waits to queue.
const QUEUE: usize = 64;
/// Commits of one transaction: bounds what is written again when the disk fills in the middle.
const MAX_COMMITS_PER_TRANSACTION: usize = 32;

/// Why the file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody else moved the position: this host no longer owns it.
    #[error("function `{}` no longer stands at position {first} of `{}`/{}", note.function, note.source, note.partition)]
    Position {
        /// Who wanted to commit.
        note: Note,
        /// Where it thought to stand.
        first: i64,
    },
    /// A table that the application does not declare.
    #[error("unknown table `{0}`")]
    UnknownTable(String),
    /// A topic that the application does not declare.
    #[error("unknown topic `{0}`")]
    UnknownTopic(String),
    /// A frame of the log that cannot be trusted.
    #[error("the record at offset {base} of `{topic}`/{partition} is damaged on disk: {error}; restore a backup")]
    Damaged {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The frame's first offset.
        base: i64,
        /// What is wrong with it.
        error: FrameError,
    },
    /// A record of an outbox that cannot be trusted.
    #[error("the record at offset {offset} of `{topic}`/{partition} is damaged: {error}; restore a backup")]
    Outbox {
        /// The outbox.
        topic: String,
        /// The partition.
        partition: u32,
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        error: RowsError,
    },
    /// A record of an outbox that the table as it is declared now does not take.
    #[error(
        "the record at offset {offset} of `{topic}`/{partition} waits for a table that spin.toml has changed: {difference}; \
         declare it as it was until nothing waits"
    )]
    Unfit {
        /// The outbox.
        topic: String,
        /// The partition.
        partition: u32,
        /// The record's offset.
        offset: i64,
        /// What does not fit.
        difference: String,
    },
    /// A dead letter whose fate was decided before.
    #[error("the dead letter at offset {offset} of `{topic}` was redriven or dropped meanwhile; look again")]
    Settled {
        /// The topic that holds it.
        topic: String,
        /// Its offset.
        offset: i64,
    },
    /// A function has stored more than it may.
    #[error(
        "`{function}` has stored more than its `{limit}` of {most} bytes; let it delete some, or raise it in \
             [application.trigger.isobar.limits.{function}], then `isobar resume {function}`"
    )]
    Share {
        /// Who.
        function: Arc<str>,
        /// The limit.
        limit: &'static str,
        /// What it is.
        most: u64,
    },
    /// The disk has less room than is kept, and the function has used up its part of it.
    #[error("the disk has {free_mib} MiB left, and `{function}` has stored more than the others: make room")]
    DiskLow {
        /// Who.
        function: Arc<str>,
        /// What is left.
        free_mib: u64,
    },
    /// A function is close to what it may store, and was counted a short while ago.
    #[error(
        "`{function}` is close to its `{limit}`, and waits until what it has stored may be counted again; raise it in \
         [application.trigger.isobar.limits.{function}]"
    )]
    Counting {
        /// Who.
        function: Arc<str>,
        /// The limit.
        limit: &'static str,
    },
    /// A table's rows were refused.
    #[error(transparent)]
    Table(#[from] TableError),
    /// What was to be deployed does not fit what is stored.
    #[error("{0}")]
    Deploy(String),
    /// A token could not be made or taken away.
    #[error("{0}")]
    Token(String),
    /// A user could not be made or taken away.
    #[error("{0}")]
    User(String),
    /// A store of the operator's did not do what was asked.
    #[error(transparent)]
    Store(StoreError),
    /// The transaction that this was a part of failed.
    #[error("{0}; it is tried again")]
    Transaction(String),
    /// SQLite failed.
    #[error("the data file cannot be used: {0}{remedy}", remedy = trouble::remedy(.0).map(|r| format!("; {r}")).unwrap_or_default())]
    File(#[from] sqlx::Error),
    /// The log is elsewhere and did not do what was asked.
    #[error("{0}")]
    Log(String),
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopped,
}

/// What is written.
pub(super) enum Work {
    Commit(Box<Commit>),
    /// Asks whether a commit may be made elsewhere.
    Admit(Box<Commit>),
    Replica(replica::Work),
    Attempt(Attempt),
    Begin(Note),
    Load {
        table: String,
        rows: HeldTable,
        rereads: Vec<Note>,
    },
    RereadDone {
        note: Note,
        loads: u64,
    },
    Applied {
        note: Note,
        first: i64,
        next: i64,
    },
    Trim {
        now_ms: Option<i64>,
    },
    Pause(Pause),
    Resume(String),
    Settle(Settlement),
    Deploy(Box<versions::Deployment>),
    Audit(versions::Entry),
    Shadow(shadows::Work),
    Token(tokens::Work),
    User(users::Work),
    Forget(forgotten::Work),
}

type Job = (Work, oneshot::Sender<Result<(), WriteError>>);

/// What the writer tells others.
#[derive(Clone)]
pub(super) struct Told {
    /// Where partitions end.
    pub(super) ends: Arc<LogEnds>,
    /// The newest records.
    pub(super) tail: Arc<Tail>,
    /// Changes when a table was loaded.
    pub(super) loads: Arc<watch::Sender<()>>,
    /// Rises before a load is written and when it is: who saw it stand still has seen one state of the tables.
    pub(super) load_count: Arc<AtomicU64>,
    /// The functions whose commits are kept for a shadow.
    pub(super) shadowed: Arc<ArcSwap<BTreeSet<Arc<str>>>>,
    /// Changes when there is more for a shadow to compare, or when one begins or ends.
    pub(super) shadow_news: Arc<watch::Sender<()>>,
    /// What is written to tables.
    pub(super) written: Arc<Written>,
}

/// The task that writes.
pub(super) struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    task: Mutex<Option<JoinHandle<SqliteConnection>>>,
}

impl Writer {
    pub(super) fn start(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        told: Told,
        application: Current,
        shares: Shares,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let task = tokio::spawn(write(connection, options, queue, told, (application, shares)));
        Writer { jobs: Mutex::new(Some(jobs)), task: Mutex::new(Some(task)) }
    }

    /// Puts work into the queue; gives what its result comes by.
    pub(super) async fn queue(
        &self,
        work: Work,
    ) -> Result<impl Future<Output = Result<(), WriteError>> + use<>, WriteError> {
        let jobs = self.jobs.lock().await.clone().ok_or(WriteError::Stopped)?;
        let (done, result) = oneshot::channel();
        jobs.send((work, done)).await.map_err(|_| WriteError::Stopped)?;
        Ok(async { result.await.unwrap_or(Err(WriteError::Stopped)) })
    }

    /// Finishes what is queued; gives the connection back, for the first who asks.
    pub(super) async fn stop(&self) -> Option<SqliteConnection> {
        self.jobs.lock().await.take();
        let task = self.task.lock().await.take()?;
        // A panic of the writer has been answered to everybody who waited; there is nothing left to finish.
        task.await.ok()
    }
}

async fn write(
    mut connection: SqliteConnection,
    options: SqliteConnectOptions,
    mut queue: mpsc::Receiver<Job>,
    told: Told,
    (current, mut shares): (Current, Shares),
) -> SqliteConnection {
    let mut jobs = Vec::with_capacity(MAX_COMMITS_PER_TRANSACTION);
    while queue.recv_many(&mut jobs, MAX_COMMITS_PER_TRANSACTION).await > 0 {
        let (works, answers): (Vec<_>, Vec<_>) = jobs.drain(..).unzip();
        let application = current.load_full();
        match transaction(&mut connection, &application, &works, &mut shares, &told).await {
            Ok(results) => {
                shares.settle(true);
                for ((work, answer), result) in works.into_iter().zip(answers).zip(results) {
                    let result = result.map(|bases| announce(work, &bases, &told, &current));
                    // A caller that went away no longer waits for its answer.
                    drop(answer.send(result));
                }
            }
            Err(error) => {
                shares.settle(false);
                let text = error.to_string();
                answers.into_iter().for_each(|a| drop(a.send(Err(WriteError::Transaction(text.clone())))));
                connection = reopened(connection, &options).await;
            }
        }
    }
    connection
}

/// The connection anew: where the disk is full or fails, SQLite ends the transaction by itself, and the old connection
/// goes on believing in it. While it cannot be had, the next write fails and comes back here.
async fn reopened(old: SqliteConnection, options: &SqliteConnectOptions) -> SqliteConnection {
    match options.connect().await {
        Ok(anew) => {
            // What it leaves undone is undone.
            let _ = old.close().await;
            anew
        }
        Err(error) => {
            tracing::warn!(%error, "the data file cannot be opened anew");
            old
        }
    }
}

async fn transaction(
    connection: &mut SqliteConnection,
    application: &Application,
    works: &[Work],
    shares: &mut Shares,
    told: &Told,
) -> Result<Vec<Result<Vec<i64>, WriteError>>, WriteError> {
    if let Some(file) = works.iter().find_map(file_beside) {
        // No file can be added within a transaction.
        mirrors::attach(connection, file, promotion::PROMOTED).await?;
        let done = within(connection, application, works, shares, told).await;
        sqlx::raw_sql(promotion::DETACH).execute(connection).await?;
        return done;
    }
    within(connection, application, works, shares, told).await
}

/// The file from which something is taken over.
fn file_beside(work: &Work) -> Option<&Path> {
    let Work::Deploy(deployment) = work else { return None };
    let promoted = deployment.promotion.as_ref().map(|promotion| promotion.file.as_path());
    promoted.or(deployment.migration.as_ref().map(|migration| migration.file.as_path()))
}

async fn within(
    connection: &mut SqliteConnection,
    application: &Application,
    works: &[Work],
    shares: &mut Shares,
    told: &Told,
) -> Result<Vec<Result<Vec<i64>, WriteError>>, WriteError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    if let [alone] = works {
        return match perform(&mut transaction, application, alone, shares, told).await {
            Ok(bases) => Ok(transaction.commit().await.map(|()| vec![Ok(bases)])?),
            Err(error) => match transaction.rollback().await {
                Ok(()) => Ok(vec![Err(error)]),
                Err(_) => Err(error),
            },
        };
    }
    let mut results = Vec::with_capacity(works.len());
    for work in works {
        let mut savepoint = transaction.begin().await?;
        match perform(&mut savepoint, application, work, shares, told).await {
            Ok(bases) => results.push(savepoint.commit().await.map(|()| Ok(bases))?),
            Err(error) => match savepoint.rollback().await {
                Ok(()) => results.push(Err(error)),
                Err(_) => return Err(error),
            },
        }
    }
    transaction.commit().await?;
    Ok(results)
}

async fn perform(
    connection: &mut SqliteConnection,
    application: &Application,
    work: &Work,
    shares: &mut Shares,
    told: &Told,
) -> Result<Vec<i64>, WriteError> {
    match work {
        Work::Commit(commit) => {
            let admitted = match commit.is_decided {
                true => Ok(()),
                false => shares.admit(connection, application, commit).await,
            };
            let mut applied = match admitted {
                Ok(()) => commit::apply(connection, application, commit).await,
                Err(refused) => Err(refused),
            };
            if applied.is_ok() && told.shadowed.load().contains(&commit.note.function) {
                let recorded = shadows::record(connection, application, commit).await;
                applied = recorded.and(applied);
            }
            match applied {
                Ok(_) => shares.applied(commit, application),
                Err(_) => shares.forget(&commit.note.function),
            }
            return applied;
        }
        Work::Admit(commit) => shares.admit(connection, application, commit).await,
        Work::Replica(work) => replica::perform(connection, application, work).await,
        Work::Attempt(attempt) => attempt::keep(connection, attempt).await,
        Work::Begin(note) => {
            mark(
                connection,
                note,
                "INSERT OR IGNORE INTO position (function, source, partition, next) VALUES (?, ?, ?, 0)",
            )
            .await
        }
        Work::Load { table, rows, rereads } => {
            told.load_count.fetch_add(1, Ordering::SeqCst);
            let table = application.tables.get(table).ok_or_else(|| WriteError::UnknownTable(table.clone()))?;
            if table.is_in_data_folder() {
                crate::bindings::tables::sqlite::apply(connection, table, rows).await?;
            }
            for note in rereads {
                mark(connection, note, "INSERT OR IGNORE INTO reread (function, source, partition) VALUES (?, ?, ?)")
                    .await?;
            }
            Ok(())
        }
        Work::Applied { note, first, next } => outbox::applied(connection, note, *first, *next).await,
        Work::Settle(settlement) => return letters::settle(connection, settlement).await,
        Work::Deploy(deployment) => {
            let deployed = versions::deploy(connection, deployment).await;
            deployment.arrivals.iter().for_each(|arrival| shares.forget(&arrival.function));
            return deployed;
        }
        Work::Audit(entry) => versions::note(connection, entry).await,
        Work::Shadow(work) => shadows::perform(connection, work).await,
        Work::Token(work) => tokens::perform(connection, work).await,
        Work::User(work) => users::perform(connection, work).await,
        Work::Forget(work) => forgotten::perform(connection, work).await,
        Work::Pause(pause) => pauses::keep(connection, pause).await,
        Work::Resume(function) => pauses::pardon(connection, function).await,
        Work::Trim { now_ms } => retention::trim(connection, application, *now_ms).await,
        Work::RereadDone { loads, .. } if *loads != told.load_count.load(Ordering::SeqCst) => Ok(()),
        Work::RereadDone { note, .. } => {
            mark(connection, note, "DELETE FROM reread WHERE function = ? AND source = ? AND partition = ?").await
        }
    }?;
    Ok(Vec::new())
}

/// Tells readers what was committed; the frames begin at `bases`.
fn announce(work: Work, bases: &[i64], told: &Told, current: &Current) {
    let Told { ends, tail, loads, load_count, written, .. } = told;
    if let Work::Load { table, rows, .. } = &work {
        written.note(table, rows);
        load_count.fetch_add(1, Ordering::SeqCst);
        loads.send_replace(());
    }
    let frames = match work {
        Work::Commit(commit) => {
            if told.shadowed.load().contains(&commit.note.function) {
                told.shadow_news.send_replace(());
            }
            let application = current.load();
            let here = |name: &str| application.tables.get(name).is_some_and(|table| table.connection.is_none());
            let tables = commit.effects.tables.iter().filter(|(table, _)| here(table));
            tables.for_each(|(table, held)| written.note(table, held));
            commit.frames
        }
        Work::Shadow(work) => return shadows::announce(&work, told),
        Work::Replica(replica::Work::Rows { tables, .. }) => {
            return tables.iter().for_each(|(table, held)| written.note(table, held));
        }
        Work::Settle(settlement) => settlement.frames,
        Work::Deploy(deployment) => {
            versions::announce(&deployment, told);
            current.store(deployment.application);
            deployment.promotion.map(|promotion| promotion.frames).unwrap_or_default()
        }
        _ => return,
    };
    for (mut frame, base) in frames.into_iter().zip(bases) {
        let next = base + frame.records.len() as i64;
        if ends.is_watched(&frame.topic, frame.partition) {
            frame.records.offsets.iter_mut().for_each(|offset| *offset += base);
            tail.push(&frame.topic, frame.partition, frame.records);
        }
        ends.grow(&frame.topic, frame.partition, next);
    }
}

/// Runs a statement that takes a note's three parts.
async fn mark(connection: &mut SqliteConnection, note: &Note, sql: &'static str) -> Result<(), WriteError> {
    sqlx::query(sql)
        .bind(note.function.as_ref())
        .bind(note.source.as_ref())
        .bind(note.partition)
        .execute(connection)
        .await?;
    Ok(())
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Table(error) => WriteError::Table(error),
            error => WriteError::Store(error),
        }
    }
}

impl Store {
    /// Commits one call.
    ///
    /// # Errors
    /// [`WriteError`]; nothing of the commit is left then.
    pub async fn commit(&self, commit: Commit) -> Result<(), WriteError> {
        self.queue_commit(commit).await?.await
    }

    /// Puts a commit into the writer's queue, which keeps its order; gives what its result comes by.
    ///
    /// # Errors
    /// [`WriteError::Stopped`].
    pub async fn queue_commit(
        &self,
        commit: Commit,
    ) -> Result<impl Future<Output = Result<(), WriteError>> + use<>, WriteError> {
        self.writer.queue(Work::Commit(Box::new(commit))).await
    }

    /// Keeps a failed delivery, in a transaction of its own; positions stay.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn keep_attempt(&self, attempt: Attempt) -> Result<(), WriteError> {
        self.submit(Work::Attempt(attempt)).await
    }

    /// Writes rows of a table and asks the functions that read it to read their input again.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is written then.
    pub async fn load(&self, table: &str, rows: HeldTable, rereads: Vec<Note>) -> Result<(), WriteError> {
        let application = self.application();
        let declared = application.tables.get(table).ok_or_else(|| WriteError::UnknownTable(table.to_owned()))?;
        if let Some(connection) = self.stores.of(declared) {
            // Should this host end before the next line, the operator has no answer, and loads again. Some rows may be there however it ends.
            let loaded = connection.load(declared, &rows).await;
            self.told.written.note_all(table);
            loaded?;
        }
        self.submit(Work::Load { table: table.to_owned(), rows, rereads }).await
    }

    /// Removes what no topic has to keep: what is beyond its size, and beyond its age at `now_ms`, in milliseconds since the
    /// Unix epoch, where that is said.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is removed then.
    pub async fn trim(&self, now_ms: Option<i64>) -> Result<(), WriteError> {
        self.submit(Work::Trim { now_ms }).await
    }

    /// Forgets that a function was to read its input again, unless a table was loaded since `loads`.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn reread_done(&self, note: Note, loads: u64) -> Result<(), WriteError> {
        self.submit(Work::RereadDone { note, loads }).await
    }

    /// As [`Store::keep_attempt`]; gives what its result comes by.
    ///
    /// # Errors
    /// [`WriteError::Stopped`].
    pub(crate) async fn queue_attempt(
        &self,
        attempt: Attempt,
    ) -> Result<impl Future<Output = Result<(), WriteError>> + use<>, WriteError> {
        self.writer.queue(Work::Attempt(attempt)).await
    }

    pub(super) async fn submit(&self, work: Work) -> Result<(), WriteError> {
        self.writer.queue(work).await?.await
    }

    /// Wakes functions to look whether a table was loaded.
    pub fn tell_of_load(&self) {
        self.told.loads.send_replace(());
    }

    /// Changes when a table was loaded.
    #[must_use]
    pub fn loads(&self) -> watch::Receiver<()> {
        self.told.loads.subscribe()
    }

    /// Whether a table that the function reads was loaded and its input not read again yet; if so, what to hand to
    /// [`Store::reread_done`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn wants_reread(&self, note: &Note) -> Result<Option<u64>, WriteError> {
        let loads = self.told.load_count.load(Ordering::SeqCst);
        let row = sqlx::query("SELECT 1 FROM reread WHERE function = ? AND source = ? AND partition = ?")
            .bind(note.function.as_ref())
            .bind(note.source.as_ref())
            .bind(note.partition)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(|_| loads))
    }

    /// Makes a place for a position.
    pub(super) async fn begin(&self, note: Note) -> Result<(), WriteError> {
        self.submit(Work::Begin(note)).await
    }
}
