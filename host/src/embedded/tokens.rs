//! Tokens of programs: who they are, what they may do, and the hash by which one is known. The token itself is kept nowhere.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use utoipa::ToSchema;

use super::Store;
use super::versions::{self, Entry};
use super::writer::{Work as Task, WriteError};

/// Most tokens at one time.
const MOST_TOKENS: i64 = 1000;

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Whose it is.
    pub name: String,
    /// What it may do, in the words of `console::scopes`.
    pub scopes: Vec<String>,
    /// Since when there is one, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// From when on it is not taken any more.
    pub expires_ms: i64,
}

/// What the writer does of it.
#[derive(Debug)]
pub(super) enum Work {
    Create { token: Token, hash: Vec<u8>, entry: Entry },
    Revoke { name: String, entry: Entry },
}

/// The hash by which a token is known: what is random to 256 bits needs no salt.
fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

pub(super) async fn perform(connection: &mut SqliteConnection, work: &Work) -> Result<(), WriteError> {
    match work {
        Work::Create { token, hash, entry } => {
            let scopes = token.scopes.join(" ");
            let made = sqlx::query(
                "INSERT INTO token (name, hash, scopes, created_ms, expires_ms)
                 SELECT ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM token) < ? AND NOT EXISTS (SELECT 1 FROM user WHERE name = ?)
                 ON CONFLICT (name) DO NOTHING",
            );
            let made = made.bind(&token.name).bind(hash).bind(scopes).bind(token.created_ms).bind(token.expires_ms);
            if made.bind(MOST_TOKENS).bind(&token.name).execute(&mut *connection).await?.rows_affected() == 0 {
                return Err(WriteError::Token(format!(
                    "there is a token or a user `{}` already, or there are {MOST_TOKENS}; revoke it first",
                    token.name
                )));
            }
            versions::note(connection, entry).await
        }
        Work::Revoke { name, entry } => {
            let gone = sqlx::query("DELETE FROM token WHERE name = ?").bind(name).execute(&mut *connection).await?;
            if gone.rows_affected() == 0 {
                return Err(WriteError::Token(format!(
                    "there is no token `{name}`; `isobar token list` shows those there are"
                )));
            }
            versions::note(connection, entry).await
        }
    }
}

fn token(row: &SqliteRow) -> Result<Token, sqlx::Error> {
    Ok(Token {
        name: row.try_get(0)?,
        scopes: row.try_get::<&str, _>(1)?.split_whitespace().map(str::to_owned).collect(),
        created_ms: row.try_get(2)?,
        expires_ms: row.try_get(3)?,
    })
}

impl Store {
    /// All tokens, those that have expired among them, by name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn tokens(&self) -> Result<Vec<Token>, WriteError> {
        let rows = sqlx::query("SELECT name, scopes, created_ms, expires_ms FROM token ORDER BY name");
        Ok(rows.try_map(|row| token(&row)).fetch_all(&self.readers).await?)
    }

    /// The token that `secret` is, whether or not it has expired.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn token(&self, secret: &str) -> Result<Option<Token>, WriteError> {
        let row = sqlx::query("SELECT name, scopes, created_ms, expires_ms FROM token WHERE hash = ?");
        let row = row.bind(hash(secret)).fetch_optional(&self.readers).await?;
        Ok(row.map(|row| token(&row)).transpose()?)
    }

    /// Keeps a token that is `secret`.
    ///
    /// # Errors
    /// [`WriteError`]: there is one of that name, or the file cannot be written.
    pub async fn create_token(&self, token: Token, secret: &str, entry: Entry) -> Result<(), WriteError> {
        self.submit(Task::Token(Work::Create { token, hash: hash(secret), entry })).await
    }

    /// Takes a token away.
    ///
    /// # Errors
    /// [`WriteError`]: there is none of that name, or the file cannot be written.
    pub async fn revoke_token(&self, name: &str, entry: Entry) -> Result<(), WriteError> {
        self.submit(Task::Token(Work::Revoke { name: name.to_owned(), entry })).await
    }
}
