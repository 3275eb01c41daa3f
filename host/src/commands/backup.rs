//! `isobar backup`: all data of one moment in one file, while the host runs or rests.

use std::path::{Path, PathBuf};

use super::Outcome;
use super::beside::Beside;
use super::reach::Reach;
use crate::cli::BackupArgs;
use crate::clock::now_ms;
use crate::console::answers::Refusal;
use crate::embedded::backup::{self, Sealed};
use crate::ui;

/// What was written, for programs.
#[derive(serde::Serialize)]
struct Written<'w> {
    file: &'w Path,
    bytes: u64,
    made_up: bool,
}

/// Writes a backup, and looks whether it is whole.
///
/// # Errors
/// When there are no data, the file exists, or it cannot be written; nothing of it is left then.
pub async fn run(args: &BackupArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let written = write(&reach, &args.target).await;
    reach.close().await;
    let (file, sealed) = written?;
    let made_up = crate::console::answers::is_made_up(sealed.kind);
    if args.json {
        ui::line(serde_json::to_string_pretty(&Written { file: &file, bytes: sealed.bytes, made_up })?)?;
    } else {
        ui::doing("Wrote", format_args!("{} ({}, {})", file.display(), ui::size(sealed.bytes), sealed.kind.words()));
    }
    ui::warn("the backup holds all data, those of sensitive tables and topics too; keep it as safe as the data folder");
    Ok(Outcome::Done)
}

async fn write(reach: &Reach, target: &Path) -> anyhow::Result<(PathBuf, Sealed)> {
    let path = if target.is_dir() { target.join(name(&reach.application().await?)) } else { target.to_owned() };
    refuse_existing(&path)?;
    let mut file = Beside::begin(&path, true)?;
    let copying = ui::spinner("copying the data".to_owned());
    let (bytes, pieces) = reach.backup().await?;
    copying.finish_and_clear();
    backup::ensure_room(file.part().parent().unwrap_or(Path::new(".")), bytes).map_err(Refusal::from)?;
    file.pour(pieces, Some(bytes)).await?;
    let sealed = backup::check(file.part())?;
    // It may have come meanwhile; other backups to the same file wait for this one's lock.
    refuse_existing(&path)?;
    file.finish()?;
    Ok((path, sealed))
}

fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    let is_free = path.symlink_metadata().is_err();
    anyhow::ensure!(is_free, "`{}` exists, and a backup overwrites nothing; name another file", path.display());
    Ok(())
}

/// The file's name in a folder: whose data it holds, and of when, in UTC.
fn name(application: &str) -> String {
    let now = jiff::Timestamp::from_millisecond(now_ms()).unwrap_or_default();
    format!("{application}-{}.isobar", now.strftime("%Y%m%dT%H%M%SZ"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_in_a_folder_is_named_by_application_and_time() {
        let name = name("shop");
        assert!(name.starts_with("shop-20") && name.ends_with("Z.isobar") && name.len() == 28, "{name}");
    }
}
