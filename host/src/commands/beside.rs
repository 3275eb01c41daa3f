//! A file that is written beside its place and put there at the end, so that half of it never looks like the whole.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::stream::BoxStream;

use crate::ui;

/// Rights of a file that its owner alone reads; what others may do with the usual one is the user's mask.
const PRIVATE: u32 = 0o600;
const USUAL: u32 = 0o666;

/// A file on its way.
pub(super) struct Beside {
    file: File,
    part: PathBuf,
    path: PathBuf,
    is_finished: bool,
}

impl Beside {
    /// Begins to write what will be `path`; what a try that was killed left is written over. `private` is for its
    /// owner alone.
    ///
    /// # Errors
    /// When it cannot be written, or another process writes it.
    pub(super) fn begin(path: &Path, private: bool) -> anyhow::Result<Self> {
        let name = path.file_name().with_context(|| format!("`{}` names no file", path.display()))?.to_string_lossy();
        let part = folder(path).join(format!(".{name}.part"));
        let cannot = || format!("cannot write `{}`", path.display());
        let mode = if private { PRIVATE } else { USUAL };
        let file = File::options().create(true).truncate(false).write(true).mode(mode).open(&part);
        let file = file.with_context(cannot)?;
        let locked = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
        };
        // Whoever had it may have finished since it was opened: then it is theirs, and in its place.
        let is_ours =
            locked && fs::metadata(&part).is_ok_and(|m| file.metadata().is_ok_and(|own| own.ino() == m.ino()));
        anyhow::ensure!(is_ours, "another process is writing `{}`", path.display());
        file.set_len(0).with_context(cannot)?;
        Ok(Beside { file, part, path: path.to_owned(), is_finished: false })
    }

    /// Writes all pieces, and shows how far it is on a terminal; gives their bytes.
    ///
    /// # Errors
    /// When a piece does not come or cannot be written.
    pub(super) async fn pour(
        &mut self,
        mut pieces: BoxStream<'static, anyhow::Result<Vec<u8>>>,
        all: Option<u64>,
    ) -> anyhow::Result<u64> {
        let progress = ui::counter(format!("writing {}", self.path.display()), all);
        let mut bytes = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            self.file.write_all(&piece).with_context(|| format!("cannot write `{}`", self.path.display()))?;
            bytes += piece.len() as u64;
            progress.inc(piece.len() as u64);
        }
        progress.finish_and_clear();
        Ok(bytes)
    }

    /// Where it is until it is finished.
    pub(super) fn part(&self) -> &Path {
        &self.part
    }

    /// Puts it in its place, over what is there, once the disk has it.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let cannot = || format!("cannot write `{}`", self.path.display());
        self.file.sync_all().and_then(|()| fs::rename(&self.part, &self.path)).with_context(cannot)?;
        self.is_finished = true;
        File::open(folder(&self.path)).and_then(|folder| folder.sync_all()).with_context(cannot)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.is_finished {
            // What is left of it is of no use; where it cannot be removed, the next try writes over it.
            let _ = fs::remove_file(&self.part);
        }
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(path: &Path) -> Result<Beside, String> {
        Beside::begin(path, true).map_err(|error| format!("{error:#}"))
    }

    #[tokio::test]
    async fn one_at_a_time_writes_it_and_half_of_it_is_never_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(dir.path().join(".file.part"), "left by one that was killed").unwrap();
        let pieces = |words: &'static [&str]| {
            let piece = |word: &&str| {
                if *word == "!" { Err(anyhow::anyhow!("it broke off")) } else { Ok(word.as_bytes().to_vec()) }
            };
            futures::stream::iter(words.iter().map(piece)).boxed()
        };
        let mut first = begun(&path).unwrap();
        let refused = begun(&path).err().unwrap();
        assert!(refused.contains("another process is writing"), "{refused}");
        assert!(first.pour(pieces(&["ab", "!"]), None).await.is_err());
        drop(first);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left of it");
        let mut second = begun(&path).unwrap();
        assert_eq!(second.pour(pieces(&["ab", "c"]), Some(3)).await.unwrap(), 3);
        assert!(!path.exists());
        second.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "abc");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
