//! What of a commit is kept in a function's own topics: state and schedules in one that is compacted, failed deliveries in
//! another, the ledger in a third.
//!
//! A key of the state's topic begins with what it is: `s` and the key of an entry, or `d` and the id of a schedule's trigger.

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::delivery::{Interval, Records, Trial};
use crate::embedded::{Attempt, Changes, Commit, Note};

const ENTRY: u8 = b's';
const SCHEDULE: u8 = b'd';

/// A failed delivery as it is kept.
#[derive(Serialize, Deserialize)]
struct KeptAttempt {
    numbers: (i64, i64, i64, i64),
    split: bool,
    counts: (u32, u32, u32),
    spent_ms: u64,
    code: String,
    reason: String,
    at_ms: i64,
}

/// One line of the ledger: which version handled which interval of which input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The topic, or the id of the schedule's trigger.
    pub source: String,
    /// The positions before and after; nothing for a call that only read records again.
    pub interval: Option<(i64, i64)>,
    /// Records of the input.
    pub records: u32,
    /// The function's version.
    pub version: String,
    /// Which delivery it was.
    pub attempt: u32,
    /// Microseconds that the call took.
    pub micros: u64,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// Changes of state and of a schedule, for the state's topic; empty where there are none.
pub(super) fn state(commit: &Commit) -> Result<Records, Fault> {
    let mut records = Records::default();
    for (key, value) in &commit.effects.state {
        push(&mut records, &tagged(ENTRY, key), value.as_deref(), commit.at_ms);
    }
    if let Some(schedule) = commit.schedule {
        let value = encoded(&schedule)?;
        push(&mut records, &tagged(SCHEDULE, &commit.note.source), Some(&value), commit.at_ms);
    }
    Ok(records)
}

/// A failed delivery, or that there is none any more, for the attempts' topic.
pub(super) fn attempt(note: &Note, attempt: Option<&Attempt>, at_ms: i64) -> Result<Records, Fault> {
    let value = attempt.map(|attempt| {
        let Trial { range, upper, until, split, deliveries, whole, attempts, spent_ms } = attempt.trial;
        encoded(&KeptAttempt {
            numbers: (range.first, range.next, upper, until),
            split,
            counts: (deliveries, whole, attempts),
            spent_ms,
            code: attempt.code.clone(),
            reason: attempt.reason.clone(),
            at_ms: attempt.at_ms,
        })
    });
    let mut records = Records::default();
    push(&mut records, note.source.as_bytes(), value.transpose()?.as_deref(), at_ms);
    Ok(records)
}

/// The ledger's line of a commit.
pub(super) fn line(commit: &Commit) -> Result<Records, Fault> {
    let line = Line {
        source: commit.note.source.to_string(),
        interval: commit.interval.map(|i| (i.first, i.next)),
        records: commit.records,
        version: commit.version.to_string(),
        attempt: commit.attempt,
        micros: commit.micros,
        at_ms: commit.at_ms,
    };
    let value = serde_json::to_vec(&line).map_err(|error| Fault::Wrong(error.to_string()))?;
    let mut records = Records::default();
    push(&mut records, commit.note.source.as_bytes(), Some(&value), commit.at_ms);
    Ok(records)
}

/// What records of the state's topic come to, the later ones winning.
pub(super) fn changes(topic: &str, records: &Records, into: &mut Changes) -> Result<(), Fault> {
    for ((key, value), offset) in records.keys.iter().zip(records.values.iter()).zip(&records.offsets) {
        let wrong = || Fault::Wrong(format!("the record at offset {offset} of `{topic}` is none of isobar's"));
        let (kind, name) = key.and_then(<[u8]>::split_first).ok_or_else(wrong)?;
        let name = std::str::from_utf8(name).map_err(|_| wrong())?.to_owned();
        match (*kind, value) {
            (ENTRY, value) => drop(into.state.insert(name, value.map(<[u8]>::to_vec))),
            (SCHEDULE, Some(value)) => {
                into.schedules.insert(name, postcard::from_bytes(value).map_err(|_| wrong())?);
            }
            (SCHEDULE, None) => drop(into.schedules.remove(&name)),
            _ => return Err(wrong()),
        }
    }
    Ok(())
}

/// The failed delivery that `value`, the last record of `note` in the attempts' topic, holds.
pub(super) fn kept(note: &Note, value: &[u8]) -> Result<Attempt, Fault> {
    let kept: KeptAttempt = postcard::from_bytes(value)
        .map_err(|error| Fault::Wrong(format!("an attempt of `{}` cannot be read: {error}", note.function)))?;
    let (first, next, upper, until) = kept.numbers;
    let (deliveries, whole, attempts) = kept.counts;
    let range = Interval { first, next };
    let trial = Trial { range, upper, until, split: kept.split, deliveries, whole, attempts, spent_ms: kept.spent_ms };
    Ok(Attempt { note: note.clone(), trial, code: kept.code, reason: kept.reason, at_ms: kept.at_ms })
}

fn encoded(value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    postcard::to_allocvec(value).map_err(|error| Fault::Wrong(error.to_string()))
}

fn tagged(kind: u8, name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 1);
    key.push(kind);
    key.extend_from_slice(name.as_bytes());
    key
}

fn push(records: &mut Records, key: &[u8], value: Option<&[u8]>, at_ms: i64) {
    records.offsets.push(records.len() as i64);
    records.keys.push(Some(key));
    records.values.push(value);
    records.timestamps.push(at_ms);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::delivery::Effects;

    fn note() -> Note {
        Note { function: "count".into(), source: "orders".into(), partition: 2 }
    }

    #[test]
    fn state_and_schedules_come_back_as_they_were_and_the_last_wins() {
        let commit = |value: Option<&[u8]>, due| Commit {
            note: note(),
            effects: Arc::new(Effects {
                state: BTreeMap::from([("d\0x".to_owned(), value.map(<[u8]>::to_vec)), (String::new(), Some(vec![]))]),
                ..Effects::default()
            }),
            schedule: Some((due, true)),
            ..Commit::default()
        };
        let mut found = Changes::default();
        changes("t", &state(&commit(Some(b"1"), 5)).unwrap(), &mut found).unwrap();
        assert_eq!(found.state["d\0x"], Some(b"1".to_vec()));
        changes("t", &state(&commit(None, 7)).unwrap(), &mut found).unwrap();
        assert_eq!(found.state, BTreeMap::from([("d\0x".to_owned(), None), (String::new(), Some(vec![]))]));
        assert_eq!(found.schedules, BTreeMap::from([("orders".to_owned(), (7, true))]));
    }

    #[test]
    fn what_others_wrote_into_the_topic_is_told_with_its_place() {
        for key in [None, Some(&b""[..]), Some(b"x"), Some(b"s\xff")] {
            let mut records = Records::default();
            push(&mut records, b"sgood", Some(b"1"), 0);
            records.keys.push(key);
            records.values.push(Some(b""));
            records.offsets.push(9);
            records.timestamps.push(0);
            let error = changes("t", &records, &mut Changes::default()).unwrap_err().to_string();
            assert!(error.contains("offset 9 of `t`"), "{error}");
        }
    }

    #[test]
    fn a_failed_delivery_is_kept_whole() {
        let trial = Trial {
            upper: 9,
            split: true,
            deliveries: 3,
            whole: 2,
            attempts: 4,
            spent_ms: 5,
            ..Trial::of(Interval { first: 7, next: 8 })
        };
        let failed = Attempt { note: note(), trial, code: "trap".into(), reason: "it broke".into(), at_ms: 11 };
        let records = attempt(&note(), Some(&failed), 12).unwrap();
        let back = kept(&note(), records.values.get(0).unwrap()).unwrap();
        assert_eq!((back.trial, back.code, back.reason, back.at_ms), (trial, failed.code, failed.reason, 11));
        assert_eq!(attempt(&note(), None, 1).unwrap().values.get(0), None);
        assert!(kept(&note(), b"\xff").is_err());
    }
}
