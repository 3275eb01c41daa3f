//! A folder of real archives, laid out as on DWD's server. What the folder lacks is not found, as it would be there.

use super::{Content, Entry, File, Found};
use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Files are sent from memory; DWD's largest archive has 5 MB.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Entries of one folder that are listed; DWD's largest has 1,631.
const MAX_ENTRIES: usize = 20_000;

#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    modified: Option<i64>,
}

impl Tree {
    pub(super) fn open(root: &Path, modified: Option<Timestamp>) -> Result<Self> {
        ensure!(
            root.join("10_minutes").is_dir(),
            "`{}` has no folder `10_minutes`: give the folder that holds `10_minutes/air_temperature/`",
            root.display()
        );
        Ok(Self { root: root.to_owned(), modified: modified.map(Timestamp::as_second) })
    }

    pub(super) async fn find(&self, parts: &[&str]) -> Result<Found> {
        let path = parts.iter().fold(self.root.clone(), |path, part| path.join(part));
        match tokio::fs::metadata(&path).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
            Ok(about) if about.is_dir() => self.list(&path).await,
            Ok(about) => Ok(Found::File(File {
                size: about.len(),
                modified: self.modified_of(&about)?,
                content: Content::Disk(path),
            })),
        }
    }

    async fn list(&self, folder: &Path) -> Result<Found> {
        let mut entries = Vec::new();
        let mut reader = tokio::fs::read_dir(folder).await?;
        while let Some(entry) = reader.next_entry().await? {
            ensure!(entries.len() < MAX_ENTRIES, "`{}` holds over {MAX_ENTRIES} files", folder.display());
            let about = tokio::fs::metadata(entry.path()).await?;
            let mut name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            if about.is_dir() {
                name.push('/');
            }
            let size = about.is_file().then_some(about.len());
            entries.push(Entry { name, size, modified: self.modified_of(&about)? });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Found::Folder(entries))
    }

    fn modified_of(&self, about: &std::fs::Metadata) -> Result<i64> {
        if let Some(modified) = self.modified {
            return Ok(modified);
        }
        let since = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since.as_secs())?)
    }
}

pub(super) async fn load(path: &Path, size: u64) -> Result<Bytes> {
    ensure!(size <= MAX_FILE_BYTES, "`{}` has {size} bytes, over {MAX_FILE_BYTES}", path.display());
    let bytes = tokio::fs::read(path).await.with_context(|| format!("cannot read `{}`", path.display()))?;
    ensure!(bytes.len() as u64 == size, "`{}` changed while it was read", path.display());
    Ok(bytes.into())
}
