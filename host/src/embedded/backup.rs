//! Backups: one moment of the data file as a file of its own, and how that becomes a data folder again.
//!
//! A backup is a SQLite file with a seal behind its last page, which SQLite passes over: `IBBK0001`, then the SHA-256
//! of all that stands before. SQLite's own check of a file knows its structure, not what the cells hold.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use futures::stream::{self, BoxStream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tokio::io::AsyncReadExt as _;

use super::folder::{self, Folder};
use super::mark::{self, HEADER_BYTES, Header};
use super::{FILE, Kind, Store, options, reserve, schema, trouble};

/// The copy, in the data folder, while it is made.
const COPY: &str = "backup.unfinished";
const SEAL: &[u8; 8] = b"IBBK0001";
/// The seal's name and the digest.
const SEAL_BYTES: usize = SEAL.len() + 32;
/// Bytes that are read and written at one time.
const PIECE: usize = 256 * 1024;
/// How many steps SQLite goes before it looks whether the copy is still wanted: some milliseconds.
const STEPS: i32 = 100_000;

/// The remedy where a disk is full.
const MAKE_ROOM: &str = "make room on the disk";
/// Bytes of the pages that SQLite copies: all but those that hold nothing any more.
const COPIED: &str =
    "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size";

/// Why no backup could be made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// SQLite could not copy the data.
    #[error("the data file cannot be copied: {0}")]
    Copy(#[from] sqlx::Error),
    /// The copy could not be written or read.
    #[error("the copy of the data file cannot be used: {0}")]
    File(#[from] io::Error),
    /// The disk has not enough room for it.
    #[error("there is no room in `{}`: {needed_mib} MiB are needed, {free_mib} MiB are free", folder.display())]
    Room {
        /// Where it was to be written.
        folder: PathBuf,
        /// MiB that it takes.
        needed_mib: u64,
        /// MiB that there are.
        free_mib: u64,
    },
}

impl BackupError {
    /// The remedy, where there is one.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            BackupError::Copy(error) => trouble::remedy(error),
            BackupError::Room { .. } => Some(MAKE_ROOM),
            BackupError::File(error) => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Some(MAKE_ROOM),
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    Some("the data folder must be writable: run isobar as its owner")
                }
                _ => None,
            },
        }
    }
}

/// A copy of the data, that vanishes with whoever holds it.
#[derive(Debug)]
pub struct Backup {
    file: File,
    bytes: u64,
}

/// What a backup is, by its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// Its size with the seal, in bytes.
    pub bytes: u64,
    /// What its data are.
    pub kind: Kind,
}

impl Store {
    /// Copies what is committed at this moment, while others go on to commit. The copy takes as much room again as the
    /// data, in the data folder.
    ///
    /// # Errors
    /// When the data file cannot be read or there is no room for the copy; nothing of it is left then.
    pub async fn backup(&self) -> Result<Backup, BackupError> {
        let row = sqlx::query(COPIED).fetch_one(&self.readers).await?;
        // While the copy is there, functions have what is kept for them.
        let kept =
            rustix::fs::statvfs(self.folder.path()).map_or(0, |disk| reserve::kept(&disk, self.folder.kept_free()));
        ensure_room(self.folder.path(), row.try_get::<i64, _>(0)?.unsigned_abs() + kept)?;
        let path = self.folder.path().join(COPY);
        folder::remove(&path)?;
        folder::make_private(&path)?;
        let unfinished = Unfinished(path);
        let given_up = GivenUp::default();
        let look = Arc::clone(&given_up.0);
        // A connection of its own: functions need the pool's.
        let mut connection = options(&self.folder.path().join(FILE)).read_only(true).connect().await?;
        connection.lock_handle().await?.set_progress_handler(STEPS, move || !look.load(Ordering::Relaxed));
        let into = std::path::absolute(&unfinished.0)?;
        let into = into.to_str().ok_or_else(folder::no_text)?;
        sqlx::query("VACUUM INTO ?").bind(into).execute(&mut connection).await?;
        connection.close().await?;
        let file = File::open(&unfinished.0)?;
        Ok(Backup { bytes: file.metadata()?.len(), file })
    }
}

/// Removes what a host that was killed left of a copy.
pub(super) fn sweep(folder: &Path) {
    // What stays is removed by the next copy, or told by it.
    let _ = folder::remove(&folder.join(COPY));
}

/// The name of a copy, which is taken away in any case: who holds the file open still has it.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Where it cannot be removed, the next one says so.
        let _ = folder::remove(&self.0);
    }
}

/// Tells SQLite to stop copying when nobody waits for it any more.
#[derive(Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Backup {
    /// Its size with the seal, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes + SEAL_BYTES as u64
    }

    /// The backup, piece by piece, the seal last.
    #[must_use]
    pub fn pieces(self) -> BoxStream<'static, io::Result<Vec<u8>>> {
        let state = (tokio::fs::File::from_std(self.file), Some(Sha256::new()));
        stream::try_unfold(state, |(mut file, hash)| async move {
            let Some(mut hash) = hash else { return Ok(None) };
            let mut piece = Vec::with_capacity(PIECE);
            file.read_buf(&mut piece).await?;
            if piece.is_empty() {
                return Ok(Some((seal(hash), (file, None))));
            }
            hash.update(&piece);
            Ok(Some((piece, (file, Some(hash)))))
        })
        .boxed()
    }
}

fn seal(hash: Sha256) -> Vec<u8> {
    [SEAL.as_slice(), &hash.finalize()].concat()
}

/// Refuses what the disk of a folder has no room for; a disk that does not say how much it has left will say when it is
/// full.
///
/// # Errors
/// [`BackupError::Room`].
pub fn ensure_room(folder: &Path, bytes: u64) -> Result<(), BackupError> {
    let disk = rustix::fs::statvfs(folder).ok().filter(|disk| disk.f_blocks > 0);
    match disk.map(|disk| disk.f_bavail * disk.f_frsize) {
        Some(free) if free < bytes => Err(BackupError::Room {
            folder: folder.to_owned(),
            needed_mib: bytes.div_ceil(1 << 20),
            free_mib: free >> 20,
        }),
        _ => Ok(()),
    }
}

/// Reads a backup to its end and holds it against its seal.
///
/// # Errors
/// When it cannot be read, is not a backup, is not whole, or is of a newer isobar.
pub fn check(path: &Path) -> anyhow::Result<Sealed> {
    read(path, |_| Ok(()))
}

/// Writes the data of a backup into a folder that holds none and that nobody uses.
///
/// # Errors
/// As [`check`], and when the folder holds data, is used, or cannot be written; no data are left in it then.
pub async fn restore(path: &Path, folder: &Path) -> anyhow::Result<Sealed> {
    // Before anything is made or copied: most of what can be wrong with the file shows here.
    let (_, said) = opened(path)?;
    let vacant = Folder::take_empty(folder)?;
    ensure_room(folder, said.bytes).map_err(|error| anyhow::anyhow!("{error}\n  hint: {MAKE_ROOM}"))?;
    let cannot = || format!("cannot write into `{}`", folder.display());
    let (coming, mut file) = vacant.coming().with_context(cannot)?;
    let unfinished = Unfinished(coming);
    let sealed = read(path, |piece| file.write_all(piece).with_context(cannot))?;
    file.sync_all().with_context(cannot)?;
    check_structure(&unfinished.0).await.with_context(|| damaged(path))?;
    vacant.fill(sealed.kind)?;
    Ok(sealed)
}

/// Reads the data of a backup, each piece once, and holds it against its seal.
fn read(path: &Path, mut each: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<Sealed> {
    let (mut file, sealed) = opened(path)?;
    let mut left = sealed.bytes - SEAL_BYTES as u64;
    let (mut hash, mut piece) = (Sha256::new(), Vec::with_capacity(PIECE));
    while left > 0 {
        piece.clear();
        let read = Read::by_ref(&mut file).take(left.min(PIECE as u64)).read_to_end(&mut piece);
        read.with_context(|| format!("cannot read `{}`", path.display()))?;
        anyhow::ensure!(!piece.is_empty(), damaged(path));
        left -= piece.len() as u64;
        hash.update(&piece);
        each(&piece)?;
    }
    let mut found = Vec::new();
    file.read_to_end(&mut found).with_context(|| format!("cannot read `{}`", path.display()))?;
    anyhow::ensure!(found == seal(hash), damaged(path));
    Ok(sealed)
}

fn damaged(path: &Path) -> String {
    format!("`{}` is damaged: it is not what was written as a backup; use another one", path.display())
}

/// The file at its beginning, and what its header says.
fn opened(path: &Path) -> anyhow::Result<(File, Sealed)> {
    let cannot = || format!("cannot read `{}`", path.display());
    let mut file = File::open(path).with_context(cannot)?;
    let mut name = [0; SEAL.len()];
    let bytes = file.metadata().with_context(cannot)?.len();
    let header = Header::read(&mut file).with_context(cannot)?;
    if bytes >= (HEADER_BYTES + SEAL_BYTES) as u64 {
        file.seek(SeekFrom::End(-(SEAL_BYTES as i64))).with_context(cannot)?;
        file.read_exact(&mut name).with_context(cannot)?;
    }
    file.rewind().with_context(cannot)?;
    let header = header.filter(|_| name == *SEAL).with_context(|| {
        format!("`{}` is no backup of isobar, or was cut short; `isobar backup` writes one", path.display())
    })?;
    let format = i64::from(header.user_version);
    anyhow::ensure!(
        format <= schema::FORMAT,
        "`{}` has format {format}, and this isobar knows formats up to {}; use the isobar that wrote it or a newer one",
        path.display(),
        schema::FORMAT
    );
    let kind = mark::kind_of(header.application_id).filter(|_| format > 0);
    let kind = kind.with_context(|| format!("`{}` does not hold data of isobar", path.display()))?;
    Ok((file, Sealed { bytes, kind }))
}

/// Lets SQLite walk through all of a file that nobody writes.
async fn check_structure(path: &Path) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
    let mut connection = options.connect().await?;
    let row = sqlx::query("PRAGMA integrity_check(1)").fetch_one(&mut connection).await?;
    connection.close().await?;
    let found: String = row.try_get(0)?;
    anyhow::ensure!(found == "ok", found);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_disk_has_no_room_for_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        ensure_room(dir.path(), 1).unwrap();
        let refused = ensure_room(dir.path(), 1 << 60).unwrap_err();
        let (words, remedy) = (refused.to_string(), refused.remedy());
        assert!(words.contains("1099511627776 MiB are needed, ") && remedy == Some(MAKE_ROOM), "{words}");
    }

    #[test]
    fn each_trouble_has_its_own_remedy() {
        let remedy = |kind: ErrorKind| BackupError::File(kind.into()).remedy();
        assert_eq!(remedy(ErrorKind::StorageFull), Some(MAKE_ROOM));
        assert!(remedy(ErrorKind::PermissionDenied).is_some_and(|words| words.contains("run isobar as its owner")));
        assert_eq!(BackupError::Copy(sqlx::Error::PoolClosed).remedy(), None);
    }
}
