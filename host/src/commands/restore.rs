//! `isobar restore`: from a backup to a data folder that `up` goes on with.

use std::path::Path;

use super::Outcome;
use crate::cli::RestoreArgs;
use crate::console::answers::is_made_up;
use crate::embedded::backup;
use crate::ui;

/// What was restored, for programs.
#[derive(serde::Serialize)]
struct Restored<'r> {
    data_dir: &'r Path,
    bytes: u64,
    made_up: bool,
}

/// Checks the backup and writes the folder.
///
/// # Errors
/// When the backup is not whole, or the folder holds data, is in use, or cannot be written.
pub async fn run(args: &RestoreArgs) -> anyhow::Result<Outcome> {
    let working = ui::spinner(format!("restoring {}", args.backup.display()));
    let sealed = backup::restore(&args.backup, &args.data_dir).await?;
    working.finish_and_clear();
    let (data_dir, made_up) = (args.data_dir.as_path(), is_made_up(sealed.kind));
    if args.json {
        ui::line(serde_json::to_string_pretty(&Restored { data_dir, bytes: sealed.bytes, made_up })?)?;
    } else {
        let demo = if made_up { " --demo" } else { "" };
        ui::doing("Restored", format_args!("{} ({})", data_dir.display(), sealed.kind.words()));
        ui::hint(format_args!("go on with `isobar up{demo} --data-dir {}`", data_dir.display()));
    }
    Ok(Outcome::Done)
}
