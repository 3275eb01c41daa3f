//! Functions that stand still: because an operator said so, or because too many of their records would have become dead
//! letters. It is kept in the data file, so that a restart changes nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::clock::now_ms;
use crate::delivery::toll::{Toll, WINDOW};
use crate::embedded::{Pause, Store, WriteError};

/// Which functions stand still, and how many records each has lost lately.
pub struct Pauses {
    store: Arc<Store>,
    paused: Mutex<BTreeMap<Arc<str>, Pause>>,
    tolls: Mutex<BTreeMap<Arc<str>, Toll>>,
    changed: watch::Sender<()>,
}

impl Pauses {
    pub(super) async fn load(store: Arc<Store>) -> Result<Self, WriteError> {
        let paused = store.pauses().await?.into_iter().map(|p| (Arc::clone(&p.function), p)).collect();
        let tolls = store.pardons().await?.into_iter().map(|function| (function, Toll::pardoned())).collect();
        Ok(Pauses { store, paused: Mutex::new(paused), tolls: Mutex::new(tolls), changed: watch::Sender::new(()) })
    }

    /// Why a function stands still, if it does.
    #[must_use]
    pub fn reason(&self, function: &str) -> Option<String> {
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        paused.get(function).map(|p| p.reason.clone())
    }

    /// The functions that stand still because an operator said so, not for what they lost.
    #[must_use]
    pub fn by_operator(&self) -> BTreeSet<String> {
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        paused.values().filter(|pause| !pause.by_toll).map(|pause| pause.function.to_string()).collect()
    }

    /// Lets a function stand still after the batches that are under way.
    ///
    /// # Errors
    /// When that cannot be written; then it goes on.
    pub async fn pause(&self, function: &str, reason: String) -> Result<(), WriteError> {
        self.keep(Pause { function: function.into(), reason, at_ms: now_ms(), by_toll: false }).await
    }

    /// As [`Pauses::pause`], because too many of its records would be lost.
    ///
    /// # Errors
    /// As [`Pauses::pause`].
    pub(super) async fn stop(&self, function: &str, reason: String) -> Result<(), WriteError> {
        self.keep(Pause { function: function.into(), reason, at_ms: now_ms(), by_toll: true }).await
    }

    async fn keep(&self, pause: Pause) -> Result<(), WriteError> {
        self.store.pause(pause.clone()).await?;
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(&pause.function), pause);
        self.changed.send_replace(());
        Ok(())
    }

    /// Lets a function go on, and forgets how many records it lost. If it stood still for that, the next batch may lose as many
    /// as it has.
    ///
    /// # Errors
    /// When that cannot be written; then it stands still.
    pub async fn resume(&self, function: &str) -> Result<(), WriteError> {
        self.store.resume(function).await?;
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner).remove(function);
        let toll = if paused.is_some_and(|p| p.by_toll) { Toll::pardoned() } else { Toll::default() };
        self.tolls.lock().unwrap_or_else(PoisonError::into_inner).insert(function.into(), toll);
        self.changed.send_replace(());
        Ok(())
    }

    /// Changes when a function is paused or resumed.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Lets so many dead letters through, or says why they may not be committed: they would be too many.
    pub(super) fn refuses(&self, function: &Arc<str>, letters: u64, most: u32) -> Option<String> {
        let mut tolls = self.tolls.lock().unwrap_or_else(PoisonError::into_inner);
        let is_admitted = tolls.entry(Arc::clone(function)).or_default().admit(letters, most);
        (!is_admitted).then(|| {
            format!(
                "more than {most} of its last {WINDOW} records would be dead letters (`max_dead_letters`); see to the \
                 function or its input, then `isobar resume {function}`"
            )
        })
    }

    /// Takes back dead letters that were let through and could not be committed.
    pub(super) fn take_back(&self, function: &Arc<str>, letters: u64) {
        let mut tolls = self.tolls.lock().unwrap_or_else(PoisonError::into_inner);
        tolls.entry(Arc::clone(function)).or_default().take_back(letters);
    }

    /// Counts a batch that was committed, and its dead letters.
    pub(super) fn count(&self, function: &Arc<str>, records: u64, letters: u64) {
        let mut tolls = self.tolls.lock().unwrap_or_else(PoisonError::into_inner);
        tolls.entry(Arc::clone(function)).or_default().count(records, letters);
    }
}
