//! Dead letters: the record as it was, its story in headers; and the way back, to the function that failed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::rounds::ROUND;
use super::{Failure, Header, Records};

/// Headers of this prefix are the host's.
const OURS: &str = "isobar-";
/// Names the one function that a redriven record is for.
pub const REDRIVE: &str = "isobar-redrive";

/// Says that a dead letter is of a function that read sensitive data.
const SENSITIVE: &str = "isobar-sensitive";

/// Who failed with records, and how.
#[derive(Debug, Clone)]
pub struct Story<'s> {
    /// The function.
    pub function: &'s str,
    /// The digest of its version.
    pub version: &'s str,
    /// The topic that the records came from.
    pub topic: &'s str,
    /// Their partition there.
    pub partition: u32,
    /// How often they were delivered.
    pub attempts: u32,
    /// Milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// Whether the function reads sensitive data: its words and records stay sensitive, whatever it may read later.
    pub is_sensitive: bool,
}

/// What a dead letter tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Letter {
    /// The function that failed.
    pub function: String,
    /// The digest of its version.
    pub version: String,
    /// Where the record came from.
    pub topic: String,
    /// The partition there.
    pub partition: u32,
    /// The offset there.
    pub offset: i64,
    /// How often it was delivered.
    pub attempts: u32,
    /// What kind of failure it was.
    pub code: String,
    /// Why it failed.
    pub reason: String,
    /// The function's frames, the innermost first.
    pub frames: Vec<String>,
    /// When it was put aside, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Whether the function read sensitive data then.
    pub is_sensitive: bool,
}

/// The records of `batch` named in `failures` (index to why) as dead letters, in order.
#[must_use]
pub fn letters(batch: &Records, failures: &BTreeMap<usize, Failure>, story: &Story<'_>) -> Records {
    let mut letters = Records::default();
    for (at, failure) in failures {
        let Some(offset) = batch.offsets.get(*at) else { continue };
        let index = letters.push_from(batch, *at, story.now_ms);
        let told = [
            ("function", story.function.to_owned()),
            ("version", story.version.to_owned()),
            ("topic", story.topic.to_owned()),
            ("partition", story.partition.to_string()),
            ("offset", offset.to_string()),
            ("attempts", story.attempts.to_string()),
            ("code", failure.cause.code().to_owned()),
            ("reason", failure.reason.clone()),
            ("frames", failure.frames.join("\n")),
            ("time-ms", story.now_ms.to_string()),
            ("sensitive", if story.is_sensitive { "true".to_owned() } else { String::new() }),
        ];
        let told = told.into_iter().filter(|(_, value)| !value.is_empty());
        letters.headers.extend(told.map(|(name, value)| header(index, &format!("{OURS}{name}"), value)));
    }
    letters
}

impl Letter {
    /// What the record at index `at` tells; `None` where it is no dead letter.
    #[must_use]
    pub fn of(records: &Records, at: usize) -> Option<Self> {
        let headers = records.headers_of(at);
        let told = |name: &str| {
            let found = headers.iter().find(|h| h.name.strip_prefix(OURS) == Some(name))?;
            String::from_utf8(found.value.clone()).ok()
        };
        Some(Letter {
            function: told("function")?,
            version: told("version").unwrap_or_default(),
            topic: told("topic")?,
            partition: told("partition")?.parse().ok()?,
            offset: told("offset")?.parse().ok()?,
            attempts: told("attempts").and_then(|a| a.parse().ok()).unwrap_or_default(),
            code: told("code").unwrap_or_default(),
            reason: told("reason").unwrap_or_default(),
            frames: told("frames").unwrap_or_default().lines().map(str::to_owned).collect(),
            at_ms: told("time-ms").and_then(|t| t.parse().ok()).unwrap_or_default(),
            is_sensitive: is_sensitive(records, at),
        })
    }
}

/// Whether the record at index `at` is a dead letter of a function that read sensitive data.
#[must_use]
pub fn is_sensitive(records: &Records, at: usize) -> bool {
    records.headers_of(at).iter().any(|h| h.name == SENSITIVE)
}

/// Appends the dead letter at index `at` of `letters` to `records` as it was before, for `function` alone.
pub fn redrive(records: &mut Records, letters: &Records, at: usize, function: &str, now_ms: i64) {
    let index = records.push_from(letters, at, now_ms);
    records.headers.push(header(index, REDRIVE, function.to_owned()));
}

/// Whether a header says that its record is for another function.
#[must_use]
pub fn is_for_another(header: &Header, function: &str) -> bool {
    header.name == REDRIVE && header.value != function.as_bytes()
}

/// The records of a batch that are meant for `function`; `None` where all are.
#[must_use]
pub fn meant_for(batch: &Records, function: &str) -> Option<Records> {
    let others = batch.headers.iter().filter(|h| is_for_another(h, function));
    let others: BTreeSet<usize> = others.map(|h| h.at as usize).collect();
    if others.is_empty() {
        return None;
    }
    let mut ours = Records::default();
    let mut from = 0;
    for other in others {
        ours.append(&batch.slice(from, other));
        from = other + 1;
    }
    ours.append(&batch.slice(from, batch.len()));
    Some(ours)
}

fn header(at: u32, name: &str, value: String) -> Header {
    Header { at, name: name.to_owned(), value: value.into_bytes() }
}

impl Records {
    /// Appends a record of `other` without the host's headers, but for how often it went round; gives its index, which is its
    /// offset too.
    fn push_from(&mut self, other: &Records, at: usize, now_ms: i64) -> u32 {
        let index = self.len() as u32;
        self.keys.push(other.keys.get(at));
        self.values.push(other.values.get(at));
        self.offsets.push(i64::from(index));
        self.timestamps.push(now_ms);
        let own = other.headers_of(at).iter().filter(|h| h.name == ROUND || !h.name.starts_with(OURS));
        self.headers.extend(own.map(|h| Header { at: index, ..h.clone() }));
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Cause;

    fn batch() -> Records {
        Records {
            keys: [Some(&b"a"[..]), None, Some(b"c")].into_iter().collect(),
            values: [Some(&b"1"[..]), Some(b"2"), None].into_iter().collect(),
            offsets: vec![10, 12, 13],
            timestamps: vec![1, 2, 3],
            headers: vec![header(1, "trace", "t".to_owned()), header(1, ROUND, "2".to_owned())],
        }
    }

    #[test]
    fn a_letter_tells_its_story_and_goes_back_as_it_was() {
        let story = Story {
            function: "sum",
            version: "abc",
            topic: "orders",
            partition: 2,
            attempts: 5,
            now_ms: 1_000,
            is_sensitive: true,
        };
        let frames = vec!["sum::add".to_owned(), "sum::run".to_owned()];
        let failure = Failure { cause: Cause::Panic, reason: "too hot".to_owned(), frames };
        let put_aside = letters(&batch(), &BTreeMap::from([(1, failure.clone())]), &story);
        let letter = Letter::of(&put_aside, 0).unwrap();
        assert_eq!((letter.function.as_str(), letter.topic.as_str(), letter.partition), ("sum", "orders", 2));
        assert_eq!((letter.offset, letter.attempts, letter.at_ms), (12, 5, 1_000));
        assert_eq!((letter.code.as_str(), letter.reason, letter.frames), ("panic", failure.reason, failure.frames));
        assert!(letter.is_sensitive && is_sensitive(&put_aside, 0));
        let mut back = Records::default();
        redrive(&mut back, &put_aside, 0, "sum", 2_000);
        assert_eq!((back.keys.get(0), back.values.get(0)), (None, Some(&b"2"[..])));
        let names: Vec<_> = back.headers.iter().map(|h| h.name.as_str()).collect();
        assert_eq!(names, ["trace", ROUND, REDRIVE], "and the loop that it was in still ends");
        assert_eq!(meant_for(&back, "sum"), None);
        assert!(meant_for(&back, "other").unwrap().is_empty());
    }

    #[test]
    fn what_is_meant_for_another_is_passed_over() {
        let mut records = batch();
        records.headers.push(header(1, REDRIVE, "sum".to_owned()));
        let ours = meant_for(&records, "other").unwrap();
        assert_eq!(ours.offsets, [10, 13]);
        assert_eq!(ours.values.get(1), None);
    }

    #[test]
    fn no_order_of_headers_delivers_a_record_twice() {
        let mut records = batch();
        records.headers = [2, 0, 0].map(|at| header(at, REDRIVE, "sum".to_owned())).into();
        assert_eq!(meant_for(&records, "other").unwrap().offsets, [12]);
    }

    #[test]
    fn what_is_no_letter_is_not_taken_for_one() {
        assert_eq!(Letter::of(&batch(), 1), None);
        assert_eq!(Letter::of(&batch(), 9), None);
    }
}
