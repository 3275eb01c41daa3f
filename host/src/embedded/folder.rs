//! The data folder: one host at a time, real data or made-up data.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

const LOCK: &str = "lock";
const KIND: &str = "made-up";
const FILE: &str = super::FILE;

/// What a folder's data are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was really observed.
    Real,
    /// Made up by a demo.
    MadeUp,
}

/// A data folder that this process alone uses, until it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    kind: Kind,
    _lock: File,
}

impl Folder {
    /// Takes the folder, making it when it is missing. A new folder becomes one of `kind`.
    ///
    /// # Errors
    /// When another process has it, when it holds data of the other kind, or when it cannot be written.
    pub fn take(path: &Path, kind: Kind) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("cannot make the data folder `{}`", path.display()))?;
        let lock = Self::lock(path)?;
        let found = Self::kind_of(path);
        let empty = !path.join(FILE).exists();
        match (empty, found, kind) {
            (true, ..) => Self::mark(path, kind)?,
            (false, Kind::Real, Kind::MadeUp) => anyhow::bail!(
                "`{}` holds real data, and a demo may not mix made-up data into it; name an empty folder with `--data-dir`",
                path.display()
            ),
            (false, Kind::MadeUp, Kind::Real) => anyhow::bail!(
                "`{}` holds the made-up data of a demo; name another folder with `--data-dir`, or add `--demo`",
                path.display()
            ),
            _ => {}
        }
        Ok(Folder { path: path.to_owned(), kind, _lock: lock })
    }

    /// Takes a folder that exists, whatever its kind: what commands do when no host runs.
    ///
    /// # Errors
    /// When it does not exist, holds no data yet, or another process has it.
    pub fn take_existing(path: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(
            Self::holds_data(path),
            "`{}` holds no data yet; start `isobar up` first, or name the folder with `--data-dir`",
            path.display()
        );
        let lock = Self::lock(path)?;
        Ok(Folder { path: path.to_owned(), kind: Self::kind_of(path), _lock: lock })
    }

    /// Whether there are data in the folder.
    #[must_use]
    pub fn holds_data(path: &Path) -> bool {
        path.join(FILE).exists()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its data are.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn kind_of(path: &Path) -> Kind {
        if path.join(KIND).exists() { Kind::MadeUp } else { Kind::Real }
    }

    fn mark(path: &Path, kind: Kind) -> anyhow::Result<()> {
        let mark = path.join(KIND);
        match kind {
            Kind::MadeUp => fs::write(&mark, "The data in this folder were made up by a demo.\n")
                .with_context(|| format!("cannot write `{}`", mark.display())),
            Kind::Real if mark.exists() => {
                fs::remove_file(&mark).with_context(|| format!("cannot remove `{}`", mark.display()))
            }
            Kind::Real => Ok(()),
        }
    }

    fn lock(path: &Path) -> anyhow::Result<File> {
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK))
            .with_context(|| format!("cannot write to the data folder `{}`", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => anyhow::bail!(
                "another isobar process uses the data folder `{}`; stop it, or name another folder with `--data-dir`",
                path.display()
            ),
            Err(TryLockError::Error(e)) => {
                Err(e).with_context(|| format!("cannot lock the data folder `{}`", path.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_and_made_up_data_never_share_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        drop(Folder::take(&path, Kind::MadeUp).unwrap());
        fs::write(path.join(FILE), "").unwrap();
        let refused = Folder::take(&path, Kind::Real).unwrap_err().to_string();
        assert!(refused.contains("made-up data of a demo"), "{refused}");
        assert_eq!(Folder::take_existing(&path).unwrap().kind(), Kind::MadeUp);
        fs::remove_file(path.join(KIND)).unwrap();
        let refused = Folder::take(&path, Kind::MadeUp).unwrap_err().to_string();
        assert!(refused.contains("holds real data"), "{refused}");
    }

    #[test]
    fn a_second_process_is_told_who_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let held = Folder::take(dir.path(), Kind::Real).unwrap();
        let refused = Folder::take(dir.path(), Kind::Real).unwrap_err().to_string();
        assert!(refused.contains("another isobar process uses the data folder"), "{refused}");
        drop(held);
        Folder::take(dir.path(), Kind::Real).unwrap();
    }
}
