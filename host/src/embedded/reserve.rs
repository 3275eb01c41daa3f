//! Room on the disk that is kept: while there is less, a function may store more only as long as it has stored no more than
//! its equal part of what all have since the host started. So one that fills the disk waits, and the others go on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::writer::WriteError;

/// Room that is kept where nothing else is said, or the twentieth part of the disk, whichever is less.
const USUAL_BYTES: u64 = 256 * 1024 * 1024;
const USUAL_PART: u64 = 20;
/// How long an answer of the disk is believed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What is kept free, and who stored how much.
pub(super) struct Reserve {
    folder: PathBuf,
    /// Bytes to be kept free, where it was said.
    said: Option<u64>,
    looked: Option<Instant>,
    /// Bytes that are free, where that is less than what is kept.
    low: Option<u64>,
    grown: Grown,
}

/// What functions stored since the host started, in bytes.
#[derive(Debug, Default)]
struct Grown {
    by_function: HashMap<Arc<str>, u64>,
    all: u64,
    /// What of that is not committed yet.
    open: Vec<(Arc<str>, u64)>,
}

impl Reserve {
    pub(super) fn new(folder: &Path, said: Option<u64>) -> Self {
        Reserve { folder: folder.to_owned(), said, looked: None, low: None, grown: Grown::default() }
    }

    /// Whether a commit may add so many bytes; `functions` is how many share the disk.
    ///
    /// # Errors
    /// [`WriteError::DiskLow`] when the disk has not enough room for that.
    pub(super) fn admit(&mut self, function: &Arc<str>, added: u64, functions: usize) -> Result<(), WriteError> {
        if added == 0 {
            return Ok(());
        }
        if self.looked.is_none_or(|looked| looked.elapsed() > LOOK_EVERY) {
            self.low = self.look();
            self.looked = Some(Instant::now());
        }
        match self.low {
            Some(free) if self.grown.is_over_its_part(function, functions) => {
                Err(WriteError::DiskLow { function: Arc::clone(function), free_mib: free >> 20 })
            }
            _ => Ok(()),
        }
    }

    /// Counts what a commit added, in bytes, until [`Reserve::settle`] says what became of it.
    pub(super) fn count(&mut self, function: &Arc<str>, added: u64) {
        self.grown.count(function, added);
    }

    /// Says whether what was counted since the last time is committed, or was taken back.
    pub(super) fn settle(&mut self, is_committed: bool) {
        self.grown.settle(is_committed);
    }

    /// A disk that does not say how much it has left will say when it is full.
    fn look(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.folder).ok()?;
        let free = disk.f_bavail * disk.f_frsize;
        (free < kept(&disk, self.said)).then_some(free)
    }
}

/// Bytes of `disk` that are kept free, where `said` does not say how many.
pub(super) fn kept(disk: &rustix::fs::StatVfs, said: Option<u64>) -> u64 {
    said.unwrap_or(USUAL_BYTES.min(disk.f_blocks * disk.f_frsize / USUAL_PART))
}

impl Grown {
    fn is_over_its_part(&self, function: &str, functions: usize) -> bool {
        let own = self.by_function.get(function).copied().unwrap_or_default();
        own.saturating_mul(functions.max(1) as u64) > self.all
    }

    fn count(&mut self, function: &Arc<str>, added: u64) {
        *self.by_function.entry(Arc::clone(function)).or_default() += added;
        self.all += added;
        self.open.push((Arc::clone(function), added));
    }

    fn settle(&mut self, is_committed: bool) {
        for (function, added) in self.open.drain(..).filter(|_| !is_committed) {
            self.all -= added;
            if let Some(own) = self.by_function.get_mut(&function) {
                *own -= added;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(said: Option<u64>) -> (tempfile::TempDir, Reserve) {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(dir.path(), said);
        (dir, reserve)
    }

    /// Stores so much if it may.
    fn stores(reserve: &mut Reserve, function: &Arc<str>, bytes: u64) -> bool {
        let may = reserve.admit(function, bytes, 3).is_ok();
        if may {
            reserve.count(function, bytes);
        }
        may
    }

    #[test]
    fn while_there_is_room_everybody_may_store() {
        let (_dir, mut reserve) = with(Some(0));
        let hog: Arc<str> = "hog".into();
        assert!((0..100).all(|_| stores(&mut reserve, &hog, 1 << 40)));
    }

    #[test]
    fn on_a_disk_that_is_low_one_that_stores_more_than_its_part_waits() {
        let (_dir, mut reserve) = with(Some(u64::MAX));
        let (hog, small): (Arc<str>, Arc<str>) = ("hog".into(), "small".into());
        assert!(reserve.admit(&hog, 5000, 3).is_ok(), "what was not committed does not count");
        assert!(stores(&mut reserve, &hog, 5000), "nobody has stored anything yet");
        reserve.settle(false);
        assert!(stores(&mut reserve, &hog, 1000), "nor what was taken back");
        reserve.settle(true);
        reserve.settle(false);
        let refused = reserve.admit(&hog, 1, 3).unwrap_err().to_string();
        assert!(refused.contains("`hog`") && refused.contains("MiB left"), "{refused}");
        assert!((0..6).all(|_| stores(&mut reserve, &small, 100)));
        assert!(!stores(&mut reserve, &small, 100), "600 of 1600 are more than a third");
        assert!(reserve.admit(&hog, 0, 3).is_ok(), "what adds nothing is let through");
    }
}
