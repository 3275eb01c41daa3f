//! Misbehaviour on request: which of the next answers go wrong, and how a file's bytes are spoilt. Pure; the server
//! carries it out.

use crate::shelf::BASE;
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::sync::{Mutex, PoisonError};

/// Rules kept at a time; a test needs a few.
const MAX_RULES: usize = 64;
/// Answers that one rule spoils: enough for "until further notice".
const MAX_COUNT: u32 = 1_000_000;
/// A slow answer takes at most two minutes, so that a forgotten one ends.
const MAX_SLOW_MS: u64 = 120_000;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Status 500, whatever was asked.
    Status500,
    /// 404, whatever was asked.
    MissingFolder,
    /// A folder's page without entries.
    EmptyListing,
    /// The connection ends in the middle of a file, short of its Content-Length.
    CutBody,
    /// Half a file, with a Content-Length that fits the half.
    Truncated,
    /// A file of the right length with a wrong byte in the middle.
    Corrupt,
    /// A sound archive of another size, ETag and time than the listing names.
    ChangedFile,
    /// The body drips over `ms` milliseconds.
    Slow,
}

/// One request for misbehaviour, from the query of `POST /_misbehave`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub kind: Kind,
    /// Paths that begin so; without a leading slash, below `air_temperature/`. Everything by default.
    #[serde(default)]
    pub path: String,
    /// How many answers; one by default.
    #[serde(default = "once")]
    pub count: u32,
    /// For `slow`: how long the body takes.
    #[serde(default = "a_second")]
    pub ms: u64,
}

fn once() -> u32 {
    1
}

fn a_second() -> u64 {
    1000
}

impl Rule {
    fn fits(&self, path: &str) -> bool {
        let is_folder = path.ends_with('/');
        let concerns = match self.kind {
            Kind::Status500 | Kind::MissingFolder | Kind::Slow => true,
            Kind::EmptyListing => is_folder,
            Kind::CutBody | Kind::Truncated | Kind::Corrupt | Kind::ChangedFile => !is_folder,
        };
        let below = if self.path.starts_with('/') { path } else { path.strip_prefix(BASE).unwrap_or("/") };
        concerns && (self.path.is_empty() || below.starts_with(&self.path))
    }
}

/// The rules that still hold, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Rules(Mutex<Vec<Rule>>);

impl Rules {
    pub(crate) fn add(&self, rule: Rule) -> Result<()> {
        ensure!((1..=MAX_COUNT).contains(&rule.count), "`count` is not between 1 and {MAX_COUNT}: give another");
        ensure!(rule.ms <= MAX_SLOW_MS, "`ms` is over {MAX_SLOW_MS}: give less");
        let mut rules = self.lock();
        ensure!(rules.len() < MAX_RULES, "there are {MAX_RULES} rules already: clear them with `DELETE /_misbehave`");
        rules.push(rule);
        Ok(())
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// The rule for this path, if there is one; uses up one of its answers.
    pub(crate) fn take(&self, path: &str) -> Option<Rule> {
        let mut rules = self.lock();
        let rule = rules.iter_mut().find(|rule| rule.fits(path))?;
        rule.count -= 1;
        let taken = rule.clone();
        rules.retain(|rule| rule.count > 0);
        Some(taken)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The comment that a changed archive gets.
const COMMENT: &[u8] = b"changed";
const END_OF_ARCHIVE: &[u8] = b"PK\x05\x06";

/// The same archive with a longer comment: sound, and of another size. What is no archive gets the bytes appended.
pub(crate) fn changed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.windows(END_OF_ARCHIVE.len()).rposition(|window| window == END_OF_ARCHIVE);
    if let Some([low, high]) = end.and_then(|end| bytes.get_mut(end + 20..end + 22)) {
        let length = u16::from_le_bytes([*low, *high]).saturating_add(COMMENT.len() as u16);
        [*low, *high] = length.to_le_bytes();
    }
    bytes.extend_from_slice(COMMENT);
    bytes
}

/// The same length, one byte in the middle turned over.
pub(crate) fn corrupt(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte = !*byte;
    }
    bytes
}

/// The first half.
pub(crate) fn truncated(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() / 2);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(kind: Kind, path: &str, count: u32) -> Rule {
        Rule { kind, path: path.into(), count, ms: 0 }
    }

    #[test]
    fn a_rule_spoils_as_many_answers_as_it_says_and_only_where_it_says() {
        let rules = Rules::default();
        rules.add(rule(Kind::CutBody, "recent/", 2)).unwrap();
        rules.add(rule(Kind::EmptyListing, "/10_minutes/air_temperature/now/", 1)).unwrap();
        let kind = |path: &str| rules.take(&format!("{BASE}{path}")).map(|rule| rule.kind);
        assert_eq!(kind("now/a.zip"), None);
        assert_eq!(kind("recent/"), None, "a listing has no body to cut");
        assert_eq!(kind("recent/a.zip"), Some(Kind::CutBody));
        assert_eq!(kind("recent/b.zip"), Some(Kind::CutBody));
        assert_eq!(kind("recent/b.zip"), None);
        assert_eq!(kind("now/"), Some(Kind::EmptyListing));
        assert_eq!(kind("now/"), None);
    }

    #[test]
    fn rules_are_bounded() {
        let rules = Rules::default();
        assert!(rules.add(rule(Kind::Slow, "", 0)).is_err());
        assert!(rules.add(Rule { ms: MAX_SLOW_MS + 1, ..rule(Kind::Slow, "", 1) }).is_err());
        for _ in 0..MAX_RULES {
            rules.add(rule(Kind::Slow, "", 1)).unwrap();
        }
        assert!(rules.add(rule(Kind::Slow, "", 1)).unwrap_err().to_string().contains("DELETE"));
        rules.clear();
        assert_eq!(rules.take(BASE), None);
    }
}
