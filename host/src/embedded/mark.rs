//! The data file's own mark: that it is isobar's, and whether its data are made up. The folder says so too; a copy of
//! the file alone says it by this.

use std::path::Path;

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::Kind;

/// SQLite's application ids of isobar's files: `ISOR` and `ISOM`.
const REAL: i32 = i32::from_be_bytes(*b"ISOR");
const MADE_UP: i32 = i32::from_be_bytes(*b"ISOM");

/// What a file's application id says of its data; `None` for a file that is not isobar's.
pub(super) fn kind_of(application_id: i32) -> Option<Kind> {
    match application_id {
        REAL => Some(Kind::Real),
        MADE_UP => Some(Kind::MadeUp),
        _ => None,
    }
}

/// Marks a file that has no mark yet, or refuses one whose mark says otherwise.
pub(super) async fn prepare(connection: &mut SqliteConnection, path: &Path, kind: Kind) -> anyhow::Result<()> {
    let row = sqlx::query("PRAGMA application_id").fetch_one(&mut *connection).await?;
    let id: i32 = row.try_get(0)?;
    match kind_of(id) {
        Some(found) if found == kind => Ok(()),
        Some(found) => anyhow::bail!(
            "`{}` holds {}, and the mark of the folder around it says otherwise; put the file back where it was, or name \
             another folder with `--data-dir`",
            path.display(),
            found.words()
        ),
        None if id != 0 => {
            anyhow::bail!("`{}` is another program's file; name another folder with `--data-dir`", path.display())
        }
        None => {
            let id = if kind == Kind::MadeUp { MADE_UP } else { REAL };
            let sql = format!("PRAGMA application_id = {id}");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.context("the data file cannot be marked")?;
            Ok(())
        }
    }
}
