//! What a person can do about trouble with the data file. What a program does about it is to try again.

use std::path::Path;

use sqlx::Error;

use crate::bindings::tables::TableError;

/// SQLite's primary result codes.
const READ_ONLY: u32 = 8;
const IO: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANNOT_OPEN: u32 = 14;
const NOT_A_DATABASE: u32 = 26;
/// The primary code stands in the lowest byte.
const PRIMARY: u32 = 0xff;

/// The remedy for an error of SQLite, where there is one.
pub(super) fn remedy(error: &Error) -> Option<&'static str> {
    if matches!(error, Error::ColumnDecode { .. } | Error::Decode(_)) {
        return Some("it is damaged: stop isobar and restore a backup");
    }
    match error.as_database_error()?.code()?.parse::<u32>().ok()? & PRIMARY {
        CORRUPT | NOT_A_DATABASE => Some("it is damaged: stop isobar and restore a backup"),
        FULL | IO => Some("make room on the disk, or look whether it fails"),
        READ_ONLY | CANNOT_OPEN => {
            Some("it must be readable and writable, with the folder around it: run isobar as its owner")
        }
        _ => None,
    }
}

/// Trouble of SQLite with the file at `path`, with the remedy as a hint; other errors as they are.
pub(super) fn explained(error: anyhow::Error, path: &Path) -> anyhow::Error {
    let Some(remedy) = error.chain().find_map(of_sqlite) else { return error };
    let mut words = format!("cannot use `{}`", path.display());
    for cause in error.chain().map(ToString::to_string) {
        // What wraps an error of SQLite often repeats it.
        if !words.ends_with(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    anyhow::anyhow!("{words}\n  hint: {remedy}")
}

fn of_sqlite(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    match cause.downcast_ref::<TableError>() {
        Some(TableError::Store(error)) => remedy(error),
        Some(_) => None,
        None => cause.downcast_ref::<Error>().and_then(remedy),
    }
}
