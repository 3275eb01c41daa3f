//! What each function has stored, held against its limits, so that one that stores without end does not fill the disk for
//! the others. Between two exact counts what is written is added and what is replaced is not taken away: the sum is never
//! too small, and it is counted anew only when it passes the limit, and not too often: meanwhile the others would wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use sqlx::{Row as _, SqliteConnection};

use super::Commit;
use super::reserve::Reserve;
use super::writer::WriteError;
use crate::bindings::tables::schema::physical_name;
use crate::manifest::{Application, Function, Limits};

/// What an entry of state takes beside its key, which stands in the table and in its index, and its value, about: many small
/// ones are not free.
pub(super) const ENTRY_BYTES: u64 = 64;

/// Counting takes no more than this part of the writer's time for one function.
const COUNTING_PART: u32 = 20;

/// At least what each function has stored, in bytes.
pub(super) struct Shares {
    state: HashMap<Arc<str>, u64>,
    stored: HashMap<Arc<str>, u64>,
    /// When those who were counted may be counted again.
    not_before: HashMap<Arc<str>, Instant>,
    reserve: Reserve,
}

/// One of the two things that are counted.
#[derive(Clone, Copy)]
struct Part {
    added: u64,
    limit: &'static str,
    most: u64,
    is_state: bool,
}

impl Shares {
    pub(super) fn new(reserve: Reserve) -> Self {
        Shares { state: HashMap::new(), stored: HashMap::new(), not_before: HashMap::new(), reserve }
    }

    /// Forgets what was counted of a function, because what it was counted for was taken back.
    pub(super) fn forget(&mut self, function: &str) {
        self.state.remove(function);
        self.stored.remove(function);
    }

    /// Counts a commit that was applied into what the function has grown by.
    pub(super) fn applied(&mut self, commit: &Commit, application: &Application) {
        let (state, stored) = added(commit, application);
        self.reserve.count(&commit.note.function, state + stored);
    }

    /// Says whether what was applied since the last time is committed. If not, everything that was counted is forgotten.
    pub(super) fn settle(&mut self, is_committed: bool) {
        self.reserve.settle(is_committed);
        if !is_committed {
            self.state.clear();
            self.stored.clear();
        }
    }

    /// Counts a commit that is about to be applied on the open transaction.
    ///
    /// # Errors
    /// [`WriteError::Share`] when the function would have stored more than it may, [`WriteError::DiskLow`] when the disk has
    /// not enough room for it, [`WriteError::Counting`] when that cannot be said yet: the commit is not to be applied.
    pub(super) async fn admit(
        &mut self,
        connection: &mut SqliteConnection,
        application: &Application,
        commit: &Commit,
    ) -> Result<(), WriteError> {
        let name = &commit.note.function;
        let Some(function) = application.functions.get(name.as_ref()) else { return Ok(()) };
        let (state, stored) = added(commit, application);
        let Limits { state_bytes, stored_bytes, .. } = function.limits;
        let parts = [
            Part { added: state, limit: "state_bytes", most: state_bytes, is_state: true },
            Part { added: stored, limit: "stored_bytes", most: stored_bytes, is_state: false },
        ];
        for part in parts.into_iter().filter(|part| part.added > 0) {
            let bytes = self.with(connection, function, name, part).await?;
            let known = if part.is_state { &mut self.state } else { &mut self.stored };
            known.insert(Arc::clone(name), bytes);
        }
        self.reserve.admit(name, state + stored, application.functions.len())
    }

    /// What the function will have stored with what `part` adds.
    async fn with(
        &mut self,
        connection: &mut SqliteConnection,
        function: &Function,
        name: &Arc<str>,
        part: Part,
    ) -> Result<u64, WriteError> {
        let known = if part.is_state { &self.state } else { &self.stored };
        let before = match known.get(name) {
            Some(before) => *before,
            // It cannot be more than everything.
            None => file_bytes(connection).await?,
        };
        if before + part.added <= part.most {
            return Ok(before + part.added);
        }
        let began = Instant::now();
        if self.not_before.get(name).is_some_and(|not_before| *not_before > began) {
            return Err(WriteError::Counting { function: Arc::clone(name), limit: part.limit });
        }
        let counted = match part.is_state {
            true => state_of(connection, name).await?,
            false => stored_by(connection, function).await?,
        };
        self.not_before.insert(Arc::clone(name), Instant::now() + began.elapsed() * COUNTING_PART);
        match counted + part.added {
            bytes if bytes > part.most => {
                Err(WriteError::Share { function: Arc::clone(name), limit: part.limit, most: part.most })
            }
            bytes => Ok(bytes),
        }
    }
}

/// Bytes of state, and of log and rows, that a commit adds.
fn added(commit: &Commit, application: &Application) -> (u64, u64) {
    let entry = |(key, value): (&String, &Option<Vec<u8>>)| value.as_ref().map(|value| 2 * key.len() + value.len());
    let state = commit.effects.state.iter().filter_map(entry).map(|bytes| bytes as u64 + ENTRY_BYTES).sum();
    let log: usize = commit.frames.iter().map(|f| f.bytes.len()).sum();
    // What goes to a store of the operator's is in a frame.
    let is_here = |name: &String| application.tables.get(name).is_some_and(|table| table.connection.is_none());
    let rows: usize =
        commit.effects.tables.iter().filter(|(name, _)| is_here(name)).map(|(_, held)| held.bytes()).sum();
    (state, (log + rows) as u64)
}

async fn file_bytes(connection: &mut SqliteConnection) -> Result<u64, WriteError> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    number(&sqlx::query(sql).fetch_one(connection).await?)
}

async fn state_of(connection: &mut SqliteConnection, function: &str) -> Result<u64, WriteError> {
    // Of text, `length` counts the characters before the first NUL.
    let sql = "SELECT coalesce(sum(2 * octet_length(key) + length(value) + ?), 0) FROM state
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
