//! How a shadow takes the place of the version in charge: with its data file beside the main one, all of it in one transaction.

use std::path::PathBuf;

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::writer::WriteError;
use super::{Frame, log};
use crate::bindings::tables::schema::{each, physical_name, quoted};
use crate::manifest::{Application, Table};

/// What a shadow's data file is called while it is promoted, and how it is let go of then.
pub(super) const PROMOTED: &str = "promoted";
pub(super) const DETACH: &str = "DETACH promoted";

/// A shadow that takes the place of the version in charge.
#[derive(Debug)]
pub struct Promotion {
    /// The function.
    pub function: String,
    /// The shadow's data file, which holds its state.
    pub file: PathBuf,
    /// Whether it was computed from nothing, so that its state is what its version takes it for.
    pub replays: bool,
    /// The last records of keys in which it differs from the version in charge.
    pub frames: Vec<Frame>,
}

/// Puts the state, rows and records of a shadow in the place of those of the version in charge, on the open transaction; gives
/// the offset that each frame begins at.
pub(super) async fn promote(
    connection: &mut SqliteConnection,
    application: &Application,
    promotion: &Promotion,
) -> Result<Vec<i64>, WriteError> {
    let function = promotion.function.as_str();
    let behind = sqlx::query(
        "SELECT count(*) FROM main.position p WHERE function = ?1 AND next IS NOT
           (SELECT next FROM promoted.position s WHERE s.function = ?1 AND s.source = p.source AND s.partition = p.partition)",
    );
    let behind: i64 = behind.bind(function).fetch_one(&mut *connection).await?.try_get(0)?;
    if behind > 0 {
        return Err(WriteError::Deploy(format!(
            "the shadow of `{function}` has not come as far as the version in charge"
        )));
    }
    let state = sqlx::query(
        "DELETE FROM main.state WHERE function = (SELECT id FROM main.name WHERE name = ?1) AND NOT EXISTS
           (SELECT 1 FROM promoted.state s WHERE s.function = (SELECT id FROM promoted.name WHERE name = ?1)
              AND s.partition = state.partition AND s.key = state.key);
         INSERT INTO main.state (function, partition, key, value)
           SELECT (SELECT id FROM main.name WHERE name = ?1), partition, key, value FROM promoted.state
           WHERE function = (SELECT id FROM promoted.name WHERE name = ?1)
           ON CONFLICT (function, partition, key) DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
    );
    state.bind(function).execute(&mut *connection).await?;
    for table in application.tables.values().filter(|table| application.writer_of(&table.name) == Some(function)) {
        sqlx::raw_sql(AssertSqlSafe(differing(table))).execute(&mut *connection).await?;
    }
    let mut bases = Vec::with_capacity(promotion.frames.len());
    for frame in &promotion.frames {
        bases.push(log::append(connection, frame, function).await?);
    }
    Ok(bases)
}

/// Statements that make a table what the shadow has of it, and touch no row that is the same.
fn differing(table: &Table) -> String {
    let physical = quoted(&physical_name(&table.name));
    let key = || table.key.iter().map(String::as_str);
    let all = || table.columns.iter().map(|column| column.name.as_str());
    let rest = || all().filter(|column| !table.is_key(column));
    let same_key = each(key(), "m.? = s.?", " AND ");
    let same = each(all(), "m.? IS s.?", " AND ");
    let columns = each(all(), "?", ",");
    let set = match rest().next() {
        Some(_) => format!("UPDATE SET {}", each(rest(), "? = excluded.?", ",")),
        None => "NOTHING".to_owned(),
    };
    format!(
        "DELETE FROM main.{physical} AS m WHERE NOT EXISTS (SELECT 1 FROM promoted.{physical} s WHERE {same_key});
         INSERT INTO main.{physical} ({columns}) SELECT {columns} FROM promoted.{physical} s
           WHERE NOT EXISTS (SELECT 1 FROM main.{physical} m WHERE {same}) ON CONFLICT ({}) DO {set};",
        each(key(), "?", ",")
    )
}
