//! People who sign in with a password: who they are, what they may do, and the hash that a password is held against. The password
//! itself is kept nowhere.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use utoipa::ToSchema;

use super::Store;
use super::versions::{self, Entry};
use super::writer::{Work as Task, WriteError};

/// Most users at one time.
const MOST_USERS: i64 = 1000;

/// A user as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Who.
    pub name: String,
    /// What the user may do, in the words of `config::console`.
    pub roles: Vec<String>,
    /// Since when there is one, in milliseconds since the Unix epoch.
    pub created_ms: i64,
}

/// What the writer does of it.
pub(super) enum Work {
    Add { user: User, hash: String, entry: Entry },
    Remove { name: String, entry: Entry },
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the hash: who reads it could try passwords for as long as it pleases.
        match self {
            Work::Add { user, .. } => f.debug_tuple("Add").field(user).finish(),
            Work::Remove { name, .. } => f.debug_tuple("Remove").field(name).finish(),
        }
    }
}

pub(super) async fn perform(connection: &mut SqliteConnection, work: &Work) -> Result<(), WriteError> {
    match work {
        Work::Add { user, hash, entry } => {
            let made = sqlx::query(
                "INSERT INTO user (name, hash, roles, created_ms)
                 SELECT ?, ?, ?, ? WHERE (SELECT count(*) FROM user) < ? AND NOT EXISTS (SELECT 1 FROM token WHERE name = ?)
                 ON CONFLICT (name) DO NOTHING",
            );
            let made =
                made.bind(&user.name).bind(hash).bind(user.roles.join(" ")).bind(user.created_ms).bind(MOST_USERS);
            if made.bind(&user.name).execute(&mut *connection).await?.rows_affected() == 0 {
                return Err(WriteError::User(format!(
                    "there is a user or a token `{}` already, or there are {MOST_USERS} users; remove it first",
                    user.name
                )));
            }
            versions::note(connection, entry).await
        }
        Work::Remove { name, entry } => {
            let gone = sqlx::query("DELETE FROM user WHERE name = ?").bind(name).execute(&mut *connection).await?;
            if gone.rows_affected() == 0 {
                return Err(WriteError::User(format!(
                    "there is no user `{name}` in the data folder; `isobar user list` shows those there are"
                )));
            }
            versions::note(connection, entry).await
        }
    }
}

fn user(row: &SqliteRow) -> Result<User, sqlx::Error> {
    Ok(User {
        name: row.try_get(0)?,
        roles: row.try_get::<&str, _>(1)?.split_whitespace().map(str::to_owned).collect(),
        created_ms: row.try_get(2)?,
    })
}

impl Store {
    /// All users of the data folder, by name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn users(&self) -> Result<Vec<User>, WriteError> {
        let rows = sqlx::query("SELECT name, roles, created_ms FROM user ORDER BY name");
        Ok(rows.try_map(|row| user(&row)).fetch_all(&self.readers).await?)
    }

    /// Whether there is any.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn has_users(&self) -> Result<bool, WriteError> {
        let row = sqlx::query("SELECT EXISTS (SELECT 1 FROM user)").fetch_one(&self.readers).await?;
        Ok(row.try_get(0)?)
    }

    /// The user of this name, and the hash of the password.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn user(&self, name: &str) -> Result<Option<(User, String)>, WriteError> {
        let row = sqlx::query("SELECT name, roles, created_ms, hash FROM user WHERE name = ?").bind(name);
        let row = row.fetch_optional(&self.readers).await?;
        Ok(row.map(|row| Ok::<_, sqlx::Error>((user(&row)?, row.try_get(3)?))).transpose()?)
    }

    /// Keeps a user whose password has this hash.
    ///
    /// # Errors
    /// [`WriteError`]: there is one of that name, or the file cannot be written.
    pub async fn add_user(&self, user: User, hash: String, entry: Entry) -> Result<(), WriteError> {
        self.submit(Task::User(Work::Add { user, hash, entry })).await
    }

    /// Takes a user away.
    ///
    /// # Errors
    /// [`WriteError`]: there is none of that name, or the file cannot be written.
    pub async fn remove_user(&self, name: &str, entry: Entry) -> Result<(), WriteError> {
        self.submit(Task::User(Work::Remove { name: name.to_owned(), entry })).await
    }
}
