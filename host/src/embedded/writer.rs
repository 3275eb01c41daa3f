//! The one writer of the file. Commits that arrive while another is being written share a transaction; each is a
//! savepoint of its own, so that one that fails takes none of the others with it.

use std::sync::Arc;

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::tail::Tail;
use super::{Attempt, Commit, LogEnds, Note, Store, commit, retention};
use crate::bindings::tables::TableError;
use crate::delivery::HeldTable;
use crate::delivery::frame::FrameError;
use crate::manifest::Application;

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
    /// A table's rows were refused.
    #[error(transparent)]
    Table(#[from] TableError),
    /// SQLite failed.
    #[error("the data file cannot be used: {0}")]
    File(#[from] sqlx::Error),
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopped,
}

enum Work {
    Commit(Box<Commit>),
    Attempt(Attempt),
    Begin(Note),
    Load { table: String, rows: HeldTable, rereads: Vec<Note> },
    RereadDone(Note),
    Trim { now_ms: i64 },
}

type Job = (Work, oneshot::Sender<Result<(), WriteError>>);

/// The task that writes.
pub(super) struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(
        connection: SqliteConnection,
        ends: Arc<LogEnds>,
        tail: Arc<Tail>,
        application: Arc<Application>,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let task = tokio::spawn(write(connection, queue, ends, tail, application));
        Writer { jobs: Mutex::new(Some(jobs)), task: Mutex::new(Some(task)) }
    }

    /// Puts work into the queue; gives what its result comes by.
    async fn queue(&self, work: Work) -> Result<impl Future<Output = Result<(), WriteError>> + use<>, WriteError> {
        let jobs = self.jobs.lock().await.clone().ok_or(WriteError::Stopped)?;
        let (done, result) = oneshot::channel();
        jobs.send((work, done)).await.map_err(|_| WriteError::Stopped)?;
        Ok(async { result.await.unwrap_or(Err(WriteError::Stopped)) })
    }

    async fn submit(&self, work: Work) -> Result<(), WriteError> {
        self.queue(work).await?.await
    }

    pub(super) async fn stop(&self) {
        self.jobs.lock().await.take();
        if let Some(task) = self.task.lock().await.take() {
            // A panic of the writer has been answered to everybody who waited; there is nothing left to finish.
            let _ = task.await;
        }
    }
}

async fn write(
    mut connection: SqliteConnection,
    mut queue: mpsc::Receiver<Job>,
    ends: Arc<LogEnds>,
    tail: Arc<Tail>,
    application: Arc<Application>,
) {
    let mut jobs = Vec::with_capacity(MAX_COMMITS_PER_TRANSACTION);
    while queue.recv_many(&mut jobs, MAX_COMMITS_PER_TRANSACTION).await > 0 {
        let (works, answers): (Vec<_>, Vec<_>) = jobs.drain(..).unzip();
        match transaction(&mut connection, &application, &works).await {
            Ok(results) => {
                for ((work, answer), result) in works.into_iter().zip(answers).zip(results) {
                    let told = result.map(|bases| announce(work, &bases, &ends, &tail));
                    // A caller that went away no longer waits for its answer.
                    drop(answer.send(told));
                }
            }
            Err(error) => {
                let text = error.to_string();
                let again = || WriteError::File(sqlx::Error::Protocol(text.clone()));
                answers.into_iter().for_each(|a| drop(a.send(Err(again()))));
            }
        }
    }
    // The file is consistent whether or not the connection closes in order.
    let _ = connection.close().await;
}

async fn transaction(
    connection: &mut SqliteConnection,
    application: &Application,
    works: &[Work],
) -> Result<Vec<Result<Vec<i64>, WriteError>>, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    if let [alone] = works {
        let result = perform(&mut transaction, application, alone).await;
        match result {
            Ok(_) => transaction.commit().await?,
            Err(_) => transaction.rollback().await?,
        }
        return Ok(vec![result]);
    }
    let mut results = Vec::with_capacity(works.len());
    for work in works {
        let mut savepoint = transaction.begin().await?;
        let result = perform(&mut savepoint, application, work).await;
        match result {
            Ok(_) => savepoint.commit().await?,
            Err(_) => savepoint.rollback().await?,
        }
        results.push(result);
    }
    transaction.commit().await?;
    Ok(results)
}

async fn perform(
    connection: &mut SqliteConnection,
    application: &Application,
    work: &Work,
) -> Result<Vec<i64>, WriteError> {
    match work {
        Work::Commit(commit) => return commit::apply(connection, application, commit).await,
        Work::Attempt(attempt) => commit::keep_attempt(connection, attempt).await,
        Work::Begin(note) => {
            mark(
                connection,
                note,
                "INSERT OR IGNORE INTO position (function, source, partition, next) VALUES (?, ?, ?, 0)",
            )
            .await
        }
        Work::Load { table, rows, rereads } => {
            let table = application.tables.get(table).ok_or_else(|| WriteError::UnknownTable(table.clone()))?;
            crate::bindings::tables::sqlite::apply(connection, table, rows).await?;
            for note in rereads {
                mark(connection, note, "INSERT OR IGNORE INTO reread (function, source, partition) VALUES (?, ?, ?)")
                    .await?;
            }
            Ok(())
        }
        Work::Trim { now_ms } => retention::trim(connection, application, *now_ms).await,
        Work::RereadDone(note) => {
            mark(connection, note, "DELETE FROM reread WHERE function = ? AND source = ? AND partition = ?").await
        }
    }?;
    Ok(Vec::new())
}

/// Tells readers what was committed; the frames begin at `bases`.
fn announce(work: Work, bases: &[i64], ends: &LogEnds, tail: &Tail) {
    let Work::Commit(commit) = work else { return };
    for (mut frame, base) in commit.frames.into_iter().zip(bases) {
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
        self.writer.submit(Work::Attempt(attempt)).await
    }

    /// Writes rows of a table and asks the functions that read it to read their input again.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is written then.
    pub async fn load(&self, table: &str, rows: HeldTable, rereads: Vec<Note>) -> Result<(), WriteError> {
        self.writer.submit(Work::Load { table: table.to_owned(), rows, rereads }).await
    }

    /// Removes what no topic has to keep at `now_ms`, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is removed then.
    pub async fn trim(&self, now_ms: i64) -> Result<(), WriteError> {
        self.writer.submit(Work::Trim { now_ms }).await
    }

    /// Forgets that a function was to read its input again.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn reread_done(&self, note: Note) -> Result<(), WriteError> {
        self.writer.submit(Work::RereadDone(note)).await
    }

    /// Whether a table that the function reads was loaded and its input not read again yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn wants_reread(&self, note: &Note) -> Result<bool, WriteError> {
        let row = sqlx::query("SELECT 1 FROM reread WHERE function = ? AND source = ? AND partition = ?")
            .bind(note.function.as_ref())
            .bind(note.source.as_ref())
            .bind(note.partition)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.is_some())
    }

    /// Makes a place for a position.
    pub(super) async fn begin(&self, note: Note) -> Result<(), WriteError> {
        self.writer.submit(Work::Begin(note)).await
    }
}
