//! What each function has stored, held against its limits, so that one that stores without end does not fill the disk for
//! the others. Between two exact counts what is written is added and what is replaced is not taken away: the sum is never
//! too small, and it is counted anew only when it passes the limit.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{Row as _, SqliteConnection};

use super::Commit;
use super::reserve::Reserve;
use super::writer::WriteError;
use crate::bindings::tables::schema::physical_name;
use crate::manifest::{Application, Function, Limits};

/// What an entry of state takes beside its key and value, about: many small ones are not free.
const ENTRY_BYTES: u64 = 64;

/// At least what each function has stored, in bytes.
pub(super) struct Shares {
    state: HashMap<Arc<str>, u64>,
    stored: HashMap<Arc<str>, u64>,
    reserve: Reserve,
}

/// One of the two things that are counted.
struct Part<'p> {
    known: &'p mut HashMap<Arc<str>, u64>,
    added: u64,
    limit: &'static str,
    most: u64,
    is_state: bool,
}

impl Shares {
    pub(super) fn new(reserve: Reserve) -> Self {
        Shares { state: HashMap::new(), stored: HashMap::new(), reserve }
    }

    /// Counts a commit that was just applied on the open transaction.
    ///
    /// # Errors
    /// [`WriteError::Share`] when the function has stored more than it may, [`WriteError::DiskLow`] when the disk has not
    /// enough room for it: the commit is to be taken back.
    pub(super) async fn admit(
        &mut self,
        connection: &mut SqliteConnection,
        application: &Application,
        commit: &Commit,
    ) -> Result<(), WriteError> {
        let name = &commit.note.function;
        let Some(function) = application.functions.get(name.as_ref()) else { return Ok(()) };
        let (state, stored) = added(commit);
        self.reserve.admit(name, state + stored, application.functions.len())?;
        let Limits { state_bytes, stored_bytes, .. } = function.limits;
        let parts = [
            Part { known: &mut self.state, added: state, limit: "state_bytes", most: state_bytes, is_state: true },
            Part { known: &mut self.stored, added: stored, limit: "stored_bytes", most: stored_bytes, is_state: false },
        ];
        for Part { known, added, limit, most, is_state } in parts.into_iter().filter(|part| part.added > 0) {
            let before = match known.get(name) {
                Some(before) => *before,
                // It cannot be more than everything.
                None => file_bytes(connection).await?,
            };
            let mut bytes = before + added;
            if bytes > most {
                bytes =
                    if is_state { state_of(connection, name).await? } else { stored_by(connection, function).await? };
            }
            known.insert(Arc::clone(name), bytes);
            if bytes > most {
                return Err(WriteError::Share { function: Arc::clone(name), limit, most });
            }
        }
        Ok(())
    }
}

/// Bytes of state, and of log and rows, that a commit adds.
fn added(commit: &Commit) -> (u64, u64) {
    let entry = |(key, value): (&String, &Option<Vec<u8>>)| value.as_ref().map(|value| key.len() + value.len());
    let state = commit.effects.state.iter().filter_map(entry).map(|bytes| bytes as u64 + ENTRY_BYTES).sum();
    let log: usize = commit.frames.iter().map(|f| f.bytes.len()).sum();
    let rows: usize = commit.effects.tables.values().map(|held| held.bytes()).sum();
    (state, (log + rows) as u64)
}

async fn file_bytes(connection: &mut SqliteConnection) -> Result<u64, WriteError> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    number(&sqlx::query(sql).fetch_one(connection).await?)
}

async fn state_of(connection: &mut SqliteConnection, function: &str) -> Result<u64, WriteError> {
    let sql = "SELECT coalesce(sum(length(key) + length(value) + ?), 0) FROM state
               WHERE function = (SELECT id FROM name WHERE name = ?)";
    number(&sqlx::query(sql).bind(ENTRY_BYTES as i64).bind(function).fetch_one(connection).await?)
}

/// Frames that it published, and the pages of the tables that it writes.
async fn stored_by(connection: &mut SqliteConnection, function: &Function) -> Result<u64, WriteError> {
    let sql = "SELECT coalesce(sum(bytes), 0) FROM log WHERE publisher = (SELECT id FROM name WHERE name = ?)";
    let mut bytes = number(&sqlx::query(sql).bind(&function.name).fetch_one(&mut *connection).await?)?;
    let written = function.grants.tables.iter().filter(|(_, grant)| grant.operations.iter().any(|o| o.writes()));
    for (table, _) in written {
        let sql = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ? AND aggregate = TRUE";
        bytes += number(&sqlx::query(sql).bind(physical_name(table)).fetch_one(&mut *connection).await?)?;
    }
    Ok(bytes)
}

fn number(row: &sqlx::sqlite::SqliteRow) -> Result<u64, WriteError> {
    Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default())
}
