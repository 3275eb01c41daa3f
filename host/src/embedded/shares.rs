//! What each function has stored, held against its limits, so that one that stores without end does not fill the disk for
//! the others. Between two exact counts what is written is added and what is replaced is not taken away: the sum is never
//! too small, and it is counted anew only when it passes the limit.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{Row as _, SqliteConnection};

use super::Commit;
use super::writer::WriteError;
use crate::manifest::Application;

const STATE: &str = "SELECT coalesce(sum(length(key) + length(value)), 0) FROM state
                     WHERE function = (SELECT id FROM name WHERE name = ?)";
const LOG: &str = "SELECT coalesce(sum(bytes), 0) FROM log WHERE publisher = (SELECT id FROM name WHERE name = ?)";

/// At least what each function has stored, in bytes.
#[derive(Default)]
pub(super) struct Shares {
    state: HashMap<Arc<str>, u64>,
    log: HashMap<Arc<str>, u64>,
}

impl Shares {
    /// Counts a commit that was just applied on the open transaction.
    ///
    /// # Errors
    /// [`WriteError::Share`] when the function has stored more than it may: the commit is to be taken back.
    pub(super) async fn admit(
        &mut self,
        connection: &mut SqliteConnection,
        application: &Application,
        commit: &Commit,
    ) -> Result<(), WriteError> {
        let function = &commit.note.function;
        let Some(limits) = application.functions.get(function.as_ref()).map(|f| &f.limits) else { return Ok(()) };
        let of_state = |(key, value): (&String, &Option<Vec<u8>>)| key.len() + value.as_ref().map_or(0, Vec::len);
        let state: usize = commit.effects.state.iter().map(of_state).sum();
        let log: usize = commit.frames.iter().map(|f| f.bytes.len()).sum();
        let parts = [
            (&mut self.state, state, STATE, "state_bytes", limits.state_bytes),
            (&mut self.log, log, LOG, "stored_bytes", limits.stored_bytes),
        ];
        for (known, added, count, limit, most) in parts.into_iter().filter(|part| part.1 > 0) {
            let at_least = known.get(function).map(|before| before + added as u64);
            let stored = match at_least {
                Some(stored) if stored <= most => stored,
                _ => exact(connection, count, function).await?,
            };
            known.insert(Arc::clone(function), stored);
            if stored > most {
                return Err(WriteError::Share { function: Arc::clone(function), limit, most });
            }
        }
        Ok(())
    }
}

async fn exact(connection: &mut SqliteConnection, count: &'static str, function: &str) -> Result<u64, WriteError> {
    let row = sqlx::query(count).bind(function).fetch_one(connection).await?;
    Ok(u64::try_from(row.get::<i64, _>(0)).unwrap_or_default())
}
