//! What was asked for and answered, so that a test can prove that no archive was fetched twice.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Different answers counted each for itself; those beyond count as one, with an empty path.
const MAX_ANSWERS: usize = 20_000;
/// User agents remembered.
const MAX_AGENTS: usize = 32;
/// Characters of a user agent remembered.
const MAX_AGENT: usize = 256;

/// One kind of answer, and how often it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answered {
    pub path: String,
    pub status: u16,
    /// The version sent; empty for answers without one.
    pub etag: String,
    pub count: u64,
}

/// Everything answered since the start or the last `DELETE /_requests`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// By path, status and ETag.
    pub answers: Vec<Answered>,
    pub user_agents: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    answers: BTreeMap<(String, u16, String), u64>,
    user_agents: BTreeSet<String>,
}

impl Requests {
    pub(crate) fn count(&self, path: &str, status: u16, etag: &str, user_agent: Option<&str>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (path.to_owned(), status, etag.to_owned());
        if seen.answers.len() >= MAX_ANSWERS && !seen.answers.contains_key(&key) {
            key = Default::default();
        }
        *seen.answers.entry(key).or_default() += 1;
        if let Some(agent) = user_agent.filter(|_| seen.user_agents.len() < MAX_AGENTS) {
            seen.user_agents.insert(agent.chars().take(MAX_AGENT).collect());
        }
    }

    pub(crate) fn report(&self) -> Report {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = seen.answers.iter().map(|((path, status, etag), count)| Answered {
            path: path.clone(),
            status: *status,
            etag: etag.clone(),
            count: *count,
        });
        Report { answers: answers.collect(), user_agents: seen.user_agents.clone() }
    }

    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }
}
