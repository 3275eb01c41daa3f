//! Functions that do not run any more, and what is left of them until somebody lets go of it.

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::versions::{self, Entry};
use super::writer::{Work as Task, WriteError};
use super::{Store, shadows};

/// The tables that hold what a function has done and remembers, by its name. What it published and wrote stays.
const BY_NAME: [&str; 8] = ["position", "attempt", "schedule", "state_version", "pause", "pardon", "reread", "ledger"];

/// What the writer does of it.
#[derive(Debug)]
pub(super) struct Work {
    function: String,
    entry: Entry,
}

pub(super) async fn perform(connection: &mut SqliteConnection, work: &Work) -> Result<(), WriteError> {
    let Work { function, entry } = work;
    sqlx::query("DELETE FROM state WHERE function = (SELECT id FROM name WHERE name = ?)")
        .bind(function)
        .execute(&mut *connection)
        .await?;
    for table in BY_NAME {
        let sql = format!("DELETE FROM {table} WHERE function = ?");
        sqlx::query(AssertSqlSafe(sql)).bind(function).execute(&mut *connection).await?;
    }
    shadows::forget(connection, function).await?;
    versions::note(connection, entry).await
}

impl Store {
    /// How many keys of state a function has, if anything is known of it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn remembered(&self, function: &str) -> Result<Option<u64>, WriteError> {
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM state WHERE function = (SELECT id FROM name WHERE name = ?1)),
               EXISTS (SELECT 1 FROM position WHERE function = ?1)",
        );
        let row = row.bind(function).fetch_one(&self.readers).await?;
        let (keys, stands) = (row.try_get::<i64, _>(0)?.unsigned_abs(), row.try_get(1)?);
        Ok((keys > 0 || stands).then_some(keys))
    }

    /// Lets go of what a function that does not run remembers, and of how far it has come: should it come again, it begins with the
    /// log's beginning.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn forget(&self, function: &str, entry: Entry) -> Result<(), WriteError> {
        self.submit(Task::Forget(Work { function: function.to_owned(), entry })).await
    }
}
