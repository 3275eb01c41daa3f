//! A batch as it comes to a version: the same records at the same place give the same call.

use sha2::{Digest as _, Sha256};

use super::Version;
use super::call::Called;
use crate::bindings::{CallContext, WireBatch, WireHeader};
use crate::delivery::{Records, rounds};
use crate::embedded::Note;

impl Version {
    /// Hands over a batch of the source and partition of `note`. Clocks and randomness follow from where its records stand.
    pub async fn deliver(&self, context: CallContext, note: &Note, batch: &Records, attempt: u32) -> Called<()> {
        let headers: Vec<_> =
            batch.headers.iter().map(|h| WireHeader { at: h.at, name: &h.name, value: &h.value }).collect();
        let wire = WireBatch {
            topic: &note.source,
            partition: i32::try_from(note.partition).unwrap_or(i32::MAX),
            keys: (&batch.keys).into(),
            values: (&batch.values).into(),
            offsets: &batch.offsets,
            timestamps: &batch.timestamps,
            headers: &headers,
            attempt,
        };
        let unix_ms = batch.timestamps.last().copied().unwrap_or_default();
        let seed = seed(note, batch.offsets.first().copied().unwrap_or_default());
        let context = CallContext { round: rounds::of(batch), ..context };
        self.handle(context, wire, unix_ms, seed).await
    }
}

/// Randomness follows from the position, so that a call can be repeated.
#[must_use]
pub fn seed(note: &Note, position: i64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(note.function.as_bytes());
    hash.update([0]);
    hash.update(note.source.as_bytes());
    hash.update(note.partition.to_le_bytes());
    hash.update(position.to_le_bytes());
    hash.finalize().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
