//! A file that is written beside its place and put there at the end, so that half of it never looks like the whole.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use rustix::fs::OFlags;

use crate::ui;

/// Rights of a file that its owner alone reads; what others may do with the usual one is the user's mask.
const PRIVATE: u32 = 0o600;
const USUAL: u32 = 0o666;
/// What of a file's mode are its rights.
const RIGHTS: u32 = 0o777;

/// A file on its way.
pub(super) struct Beside {
    file: File,
    part: PathBuf,
    path: PathBuf,
    is_finished: bool,
}

impl Beside {
    /// Begins to write what will be `path`; what a try that was killed left is removed. `private` is for its owner
    /// alone; another one keeps the rights of the file that it will replace.
    ///
    /// # Errors
    /// When it cannot be written, or another process writes it.
    pub(super) fn begin(path: &Path, private: bool) -> anyhow::Result<Self> {
        let name = path.file_name().with_context(|| format!("`{}` names no file", path.display()))?.to_string_lossy();
        let part = folder(path).join(format!(".{name}.part"));
        let cannot = || format!("cannot write `{}`", path.display());
        let busy = || format!("another process is writing `{}`", path.display());
        let replaced = path.symlink_metadata().ok().filter(|found| found.is_file() && !private);
        let mode = if private || replaced.is_some() { PRIVATE } else { USUAL };
        anyhow::ensure!(clear(&part).with_context(cannot)?, busy());
        let file = match File::options().write(true).create_new(true).mode(mode).open(&part) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => anyhow::bail!(busy()),
            file => file.with_context(cannot)?,
        };
        anyhow::ensure!(hold(&file, &part).with_context(cannot)?, busy());
        if let Some(replaced) = replaced {
            file.set_permissions(Permissions::from_mode(replaced.mode() & RIGHTS)).with_context(cannot)?;
        }
        Ok(Beside { file, part, path: path.to_owned(), is_finished: false })
    }

    /// Writes all pieces, and shows how far it is on a terminal; gives their bytes.
    ///
    /// # Errors
    /// When a piece does not come or cannot be written.
    pub(super) async fn pour(
        &mut self,
        pieces: BoxStream<'static, anyhow::Result<Vec<u8>>>,
        all: Option<u64>,
    ) -> anyhow::Result<u64> {
        pour(&mut self.file, &self.path, pieces, all).await
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
            // What is left of it is of no use; where it cannot be removed, the next try does.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Writes all pieces into a file that is called `path`, and shows how far it is on a terminal; gives their bytes.
///
/// # Errors
/// When a piece does not come or cannot be written.
pub(super) async fn pour(
    file: &mut File,
    path: &Path,
    mut pieces: BoxStream<'static, anyhow::Result<Vec<u8>>>,
    all: Option<u64>,
) -> anyhow::Result<u64> {
    let progress = ui::counter(format!("writing {}", path.display()), all);
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        file.write_all(&piece).with_context(|| format!("cannot write `{}`", path.display()))?;
        bytes += piece.len() as u64;
        progress.inc(piece.len() as u64);
    }
    progress.finish_and_clear();
    Ok(bytes)
}

/// Removes what stands where the file will be written: others may read it, hold it open, or have put it there. `false`
/// when another process writes it.
fn clear(part: &Path) -> io::Result<bool> {
    match part.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        // A link goes, not what it leads to.
        Ok(found) if !found.is_file() => return fs::remove_file(part).map(|()| true),
        found => found?,
    };
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let left = match File::options().read(true).custom_flags(flags).open(part) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        left => left?,
    };
    if !hold(&left, part)? {
        return Ok(false);
    }
    fs::remove_file(part).map(|()| true)
}

/// Locks the file; `false` when another process has it, or had it and put it in its place since it was opened.
fn hold(file: &File, part: &Path) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let own = file.metadata()?;
    Ok(part.symlink_metadata().is_ok_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino())))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & RIGHTS
    }

    #[test]
    fn what_others_may_read_or_have_put_there_is_never_written_into() {
        let dir = tempfile::tempdir().unwrap();
        let (path, part, other) = (dir.path().join("file"), dir.path().join(".file.part"), dir.path().join("other"));
        fs::write(&part, "left").unwrap();
        fs::set_permissions(&part, Permissions::from_mode(0o644)).unwrap();
        let open_already = File::open(&part).unwrap();
        let mut begun = Beside::begin(&path, true).unwrap();
        begun.file.write_all(b"secret").unwrap();
        assert_eq!(mode(&part), PRIVATE);
        assert_eq!(io::read_to_string(open_already).unwrap(), "left", "who had it open learns nothing");
        drop(begun);
        fs::write(&other, "another's").unwrap();
        std::os::unix::fs::symlink(&other, &part).unwrap();
        let mut begun = Beside::begin(&path, true).unwrap();
        begun.file.write_all(b"secret").unwrap();
        begun.finish().unwrap();
        assert_eq!((mode(&path), fs::read_to_string(&other).unwrap().as_str()), (PRIVATE, "another's"));
    }

    #[test]
    fn a_file_that_is_replaced_keeps_its_rights_unless_the_new_one_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        for (private, expected) in [(false, 0o666), (true, PRIVATE)] {
            Beside::begin(&path, private).unwrap().finish().unwrap();
            assert_eq!(mode(&path), expected);
        }
    }

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
