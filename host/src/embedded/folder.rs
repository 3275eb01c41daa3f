//! The data folder: one host at a time, real data or made-up data, and nobody but its owner looks into it.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

const LOCK: &str = "lock";
const KIND: &str = "made-up";
/// Where the host that has the lock says how to reach it.
const ACCESS: &str = "api.json";
const FILE: &str = super::FILE;
/// What SQLite may leave beside a file: it would be taken for a part of another one that came in its place.
const BESIDE: [&str; 2] = ["isobar.sqlite-wal", "isobar.sqlite-journal"];
/// What the copies are called that were made before a change of format: the next change would take one for its own.
pub(super) const COPIES: &str = "isobar.sqlite.format-";
/// A file that is about to become the data file.
const COMING: &str = "isobar.sqlite.part";
/// Says which host works in the folder.
const HOST: &str = "host";
const HOST_DIGITS: usize = 12;
/// Says which Kafka cluster holds the log, if one does.
const CLUSTER: &str = "cluster";
/// What everybody but the owner may do with a file.
const OTHERS: u32 = 0o077;

/// What a folder's data are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was really observed.
    Real,
    /// Made up by a demo.
    MadeUp,
}

impl Kind {
    /// As a person says it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Kind::Real => "real data",
            Kind::MadeUp => "made-up data",
        }
    }
}

/// Another process uses the folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("another isobar process uses the data folder `{}`; stop it, or name another folder with `--data-dir`", .0.display())]
pub struct InUse(PathBuf);

/// A data folder that this process alone uses, until it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    kind: Kind,
    kept_free: Option<u64>,
    _lock: File,
}

impl Folder {
    /// Takes the folder, making it when it is missing. A new folder becomes one of `kind`.
    ///
    /// # Errors
    /// When another process has it, when it holds data of the other kind, or when it cannot be written.
    pub fn take(path: &Path, kind: Kind) -> anyhow::Result<Self> {
        Self::make(path)?;
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
        if is_open_to_others(path) {
            tracing::warn!(
                "other users of this machine can read the data in `{0}`; `chmod -R go= {0}` keeps them out",
                path.display()
            );
        }
        Ok(Folder { path: path.to_owned(), kind, kept_free: None, _lock: lock })
    }

    /// Bytes of its disk that are free now, where the disk says it.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.path).ok()?;
        Some(disk.f_bavail * disk.f_frsize)
    }

    /// Bytes of its disk that are kept free, where it was said.
    #[must_use]
    pub fn kept_free(&self) -> Option<u64> {
        self.kept_free
    }

    /// Says how many bytes of its disk are kept free for those functions that store little.
    #[must_use]
    pub fn keep_free(self, bytes: Option<u64>) -> Self {
        Folder { kept_free: bytes, ..self }
    }

    /// Takes a folder that holds no data, making it when it is missing, to put a data file into it.
    ///
    /// # Errors
    /// When it holds data, another process has it, or it cannot be written.
    pub(super) fn take_empty(path: &Path) -> anyhow::Result<Vacant> {
        Self::make(path)?;
        let lock = Self::lock(path)?;
        let is_data = |file: &String| file == FILE || BESIDE.contains(&file.as_str()) || file.starts_with(COPIES);
        let files = fs::read_dir(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let names = files.map_while(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned());
        match names.filter(is_data).min() {
            Some(file) => {
                anyhow::bail!("`{}` holds data (`{file}`); name a new folder with `--data-dir`", path.display())
            }
            None => Ok(Vacant { path: path.to_owned(), _lock: lock }),
        }
    }

    /// Takes a folder that exists, whatever its kind: what commands do when no host runs.
    ///
    /// # Errors
    /// When it does not exist, holds no data yet, or another process has it, which is [`InUse`].
    pub fn take_existing(path: &Path) -> anyhow::Result<Self> {
        Self::refuse_file(path)?;
        anyhow::ensure!(
            Self::holds_data(path),
            "`{}` holds no data yet; start `isobar up` first, or name the folder with `--data-dir`",
            path.display()
        );
        let lock = Self::lock(path)?;
        Ok(Folder { path: path.to_owned(), kind: Self::kind_of(path), kept_free: None, _lock: lock })
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

    /// Names the host that works in it. It is in no backup: two hosts of one name would end each other's transactions.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn host(&self) -> anyhow::Result<Arc<str>> {
        own_number(&self.path, HOST, HOST_DIGITS)
    }

    /// Holds the folder against where the log is: in the Kafka cluster of this id, or in the folder itself. A folder without data
    /// becomes what is asked for.
    ///
    /// # Errors
    /// What the folder belongs to instead.
    pub fn belongs_to(&self, cluster: Option<&str>) -> anyhow::Result<()> {
        let mark = self.path.join(CLUSTER);
        let path = self.path.display();
        let before = fs::read_to_string(&mark).ok();
        match (before.as_deref(), cluster) {
            (None, None) => Ok(()),
            (Some(before), Some(cluster)) if before == cluster => Ok(()),
            (Some(before), Some(cluster)) => anyhow::bail!(
                "`{path}` belongs to the Kafka cluster {before}, and [kafka] of isobar.toml names {cluster}; name another folder \
                 with `--data-dir`, as what it holds can be had from Kafka again"
            ),
            (Some(before), None) => anyhow::bail!(
                "the log of `{path}` is in the Kafka cluster {before}: name the isobar.toml that says so with `--config`, or \
                 another folder with `--data-dir`"
            ),
            (None, Some(_)) if Self::holds_data(&self.path) => anyhow::bail!(
                "`{path}` holds a log of its own, which Kafka has nothing of; name another folder with `--data-dir`"
            ),
            (None, Some(cluster)) => write_whole(&mark, cluster),
        }
    }

    /// Whether it holds copies of what a Kafka cluster holds.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.path.join(CLUSTER).exists()
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

    /// Makes it for its owner alone.
    fn make(path: &Path) -> anyhow::Result<()> {
        Self::refuse_file(path)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|e| unwritable(&format!("cannot make the data folder `{}`", path.display()), &e))
    }

    fn refuse_file(path: &Path) -> anyhow::Result<()> {
        let is_folder = !path.exists() || path.is_dir();
        anyhow::ensure!(is_folder, "`{}` is a file; name a folder for the data with `--data-dir`", path.display());
        Ok(())
    }

    /// Locks the folder. What a host that was killed said of itself goes: nobody may be sent there any more.
    fn lock(path: &Path) -> anyhow::Result<File> {
        let mut options = File::options();
        let lock = options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(|e| unwritable(&format!("cannot write to the data folder `{}`", path.display()), &e))?;
        match lock.try_lock() {
            Ok(()) => {
                let access = path.join(ACCESS);
                remove(&access).map_err(|e| unwritable(&format!("cannot remove `{}`", access.display()), &e))?;
                Ok(lock)
            }
            Err(TryLockError::WouldBlock) => Err(InUse(path.to_owned()).into()),
            Err(TryLockError::Error(e)) => {
                Err(e).with_context(|| format!("cannot lock the data folder `{}`", path.display()))
            }
        }
    }
}

/// A random number of so many hexadecimal digits that `folder` keeps in `file`; a new one where it has none.
pub(super) fn own_number(folder: &Path, file: &str, digits: usize) -> anyhow::Result<Arc<str>> {
    let path = folder.join(file);
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().len() == digits => return Ok(text.trim().into()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
    let all = format!("{:032x}", rand::random::<u128>());
    let number = all.get(..digits).unwrap_or(&all);
    write_whole(&path, number)?;
    Ok(number.into())
}

/// Writes a file for its owner, whole or not at all.
fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let unfinished = path.with_extension("unfinished");
    make_private(&unfinished)
        .and_then(|()| fs::write(&unfinished, text))
        .and_then(|()| fs::rename(&unfinished, path))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

/// SQLite takes the name of a copy as text; another file would come of one that is none.
pub(super) fn no_text() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "the data folder's name is not UTF-8; move it to one that is")
}

/// A folder without data that this process alone uses.
pub(super) struct Vacant {
    path: PathBuf,
    _lock: File,
}

impl Vacant {
    /// Where the data file is to be written; what a try that broke off left there is gone.
    pub(super) fn coming(&self) -> io::Result<(PathBuf, File)> {
        let path = self.path.join(COMING);
        remove(&path)?;
        Ok((path.clone(), File::options().write(true).create_new(true).mode(0o600).open(path)?))
    }

    /// Puts the written file in its place.
    pub(super) fn fill(self, kind: Kind) -> anyhow::Result<()> {
        // The mark first: a mark without data means nothing, data without their mark would be real.
        Folder::mark(&self.path, kind)?;
        let file = self.path.join(FILE);
        let filled = fs::rename(self.path.join(COMING), &file).and_then(|()| File::open(&self.path)?.sync_all());
        filled.with_context(|| format!("cannot write `{}`", file.display()))
    }
}

/// Makes a file that only its owner may read, where there is none; SQLite gives what it puts beside it the same rights.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Removes a file, where there is one.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether others may enter the folder and read the data file.
fn is_open_to_others(path: &Path) -> bool {
    let open = |path: &Path| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & OTHERS != 0);
    open(path) && open(&path.join(FILE))
}

fn unwritable(what: &str, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => anyhow::anyhow!(
            "{what}: {error}\n  hint: it must be writable: run isobar as its owner, or name another with `--data-dir`"
        ),
        ErrorKind::StorageFull => anyhow::anyhow!("{what}: {error}\n  hint: make room on the disk"),
        _ => anyhow::anyhow!("{what}: {error}"),
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
