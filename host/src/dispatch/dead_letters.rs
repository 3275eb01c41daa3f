//! Dead letters: the record as it was, its story in headers.

use std::collections::BTreeMap;

use crate::delivery::{Header, Records};

/// Who failed with a record, and how.
#[derive(Debug, Clone)]
pub struct Story<'s> {
    /// The function.
    pub function: &'s str,
    /// The digest of its version.
    pub version: &'s str,
    /// The topic that the record came from.
    pub topic: &'s str,
    /// Its partition there.
    pub partition: u32,
    /// How often it was delivered.
    pub attempts: u32,
    /// Milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// The records of `batch` named in `reasons` (index to reason) as dead letters, in order.
#[must_use]
pub fn letters(batch: &Records, reasons: &BTreeMap<usize, String>, story: &Story<'_>) -> Records {
    let mut letters = Records::default();
    for (at, reason) in reasons {
        let Some(offset) = batch.offsets.get(*at) else { continue };
        let index = letters.len() as u32;
        letters.keys.push(batch.keys.get(*at));
        letters.values.push(batch.values.get(*at));
        letters.offsets.push(i64::from(index));
        letters.timestamps.push(story.now_ms);
        let own = batch.headers.iter().filter(|h| h.at as usize == *at);
        letters.headers.extend(own.map(|h| Header { at: index, ..h.clone() }));
        let told = [
            ("isobar-function", story.function.to_owned()),
            ("isobar-version", story.version.to_owned()),
            ("isobar-topic", story.topic.to_owned()),
            ("isobar-partition", story.partition.to_string()),
            ("isobar-offset", offset.to_string()),
            ("isobar-attempts", story.attempts.to_string()),
            ("isobar-reason", reason.clone()),
        ];
        letters.headers.extend(told.map(|(name, value)| Header {
            at: index,
            name: name.to_owned(),
            value: value.into_bytes(),
        }));
    }
    letters
}
