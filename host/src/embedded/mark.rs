//! The data file's own mark: that it is isobar's, and whether its data are made up. The folder says so too; a copy of
//! the file alone says it by this.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::Kind;

/// SQLite's application ids of isobar's files: `ISOR` and `ISOM`.
const REAL: i32 = i32::from_be_bytes(*b"ISOR");
const MADE_UP: i32 = i32::from_be_bytes(*b"ISOM");

/// The header of a SQLite file: what it begins with, where its user version and its application id stand.
pub(super) const HEADER_BYTES: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
const USER_VERSION: usize = 60;
const APPLICATION_ID: usize = 68;

/// What the header of a SQLite file says.
pub(super) struct Header {
    pub user_version: i32,
    pub application_id: i32,
}

impl Header {
    /// Reads it from the file's beginning; `None` where that is no header of SQLite.
    pub(super) fn read(file: &mut File) -> io::Result<Option<Self>> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        file.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
        let number = |at| header.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| i32::from_be_bytes(*bytes));
        let is_whole = header.len() == HEADER_BYTES && header.starts_with(MAGIC);
        let header = Header { user_version: number(USER_VERSION), application_id: number(APPLICATION_ID) };
        Ok(is_whole.then_some(header))
    }
}

/// What a file's application id says of its data; `None` for a file that is not isobar's.
pub(super) fn kind_of(application_id: i32) -> Option<Kind> {
    match application_id {
        REAL => Some(Kind::Real),
        MADE_UP => Some(Kind::MadeUp),
        _ => None,
    }
}

/// Refuses a file that is not isobar's or of other data than `kind`, by its header; nothing of it is touched. What no
/// header says yet, [`check`] sees.
pub(super) fn look(path: &Path, kind: Kind) -> anyhow::Result<()> {
    // SQLite has its own words for a file that cannot be read.
    let Ok(mut file) = File::open(path) else { return Ok(()) };
    match Header::read(&mut file) {
        Ok(Some(header)) => judge(header.application_id, path, kind).map(drop),
        _ => Ok(()),
    }
}

/// Whether the file has a mark; one that says otherwise than `kind` is refused.
pub(super) async fn check(connection: &mut SqliteConnection, path: &Path, kind: Kind) -> anyhow::Result<bool> {
    let row = sqlx::query("PRAGMA application_id")
        .fetch_one(connection)
        .await
        .with_context(|| format!("`{}` is not a data file of isobar, or is damaged", path.display()))?;
    judge(row.try_get(0)?, path, kind)
}

/// Marks a file that has no mark yet.
pub(super) async fn set(connection: &mut SqliteConnection, kind: Kind) -> anyhow::Result<()> {
    let id = if kind == Kind::MadeUp { MADE_UP } else { REAL };
    let sql = format!("PRAGMA application_id = {id}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.context("the data file cannot be marked")?;
    Ok(())
}

fn judge(id: i32, path: &Path, kind: Kind) -> anyhow::Result<bool> {
    match kind_of(id) {
        Some(found) if found == kind => Ok(true),
        Some(found) => anyhow::bail!(
            "`{}` holds {}, and the mark of the folder around it says otherwise; put the file back where it was, or name \
             another folder with `--data-dir`",
            path.display(),
            found.words()
        ),
        None if id != 0 => {
            anyhow::bail!("`{}` is another program's file; name another folder with `--data-dir`", path.display())
        }
        None => Ok(false),
    }
}
