//! What is wrong with spin.toml: where, what, and what to do about it. Not the checks that find it.

use std::fmt::{Display, Formatter};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of spin.toml, from 1; `None` where the cause is outside the file, such as a value given on a command line.
    pub line: Option<usize>,
    /// What is wrong, with the object in backticks.
    pub message: String,
    /// The remedy.
    pub hint: String,
}

impl Problem {
    /// A problem for people to read: `spin.toml:34: message` and the hint on a line of its own.
    #[must_use]
    pub fn render(&self, file: &str) -> String {
        let place = self.line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"));
        format!("{place}: {}\n  hint: {}", self.message, self.hint)
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{} ({})", self.message, self.hint)
    }
}

impl std::error::Error for Problem {}

/// How many names a hint lists before it stops.
const NAMES_IN_A_HINT: usize = 12;

/// From how many letters on the beginning of a name says enough.
const SHORTEST_BEGINNING: usize = 4;

/// Longest name that is compared with others: the comparison is quadratic, and none that is valid is longer.
const LONGEST_COMPARED: usize = 100;

/// The candidate that `name` most likely stands for, if one is close enough to be worth saying.
#[must_use]
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let plain = |s: &str| s.to_lowercase().replace(['-', '.', ' '], "_");
    let wanted = plain(name);
    if wanted.len() > LONGEST_COMPARED {
        return None;
    }
    let allowed = (wanted.chars().count() / 3).max(1);
    let distance = |candidate: &str| {
        let begins_so = wanted.len() >= SHORTEST_BEGINNING && candidate.starts_with(&wanted);
        if begins_so { 1 } else { strsim::damerau_levenshtein(&wanted, candidate) }
    };
    candidates
        .into_iter()
        .map(|candidate| (distance(&plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The hint for an unknown name: the nearest one, else those there are, else `none`.
#[must_use]
pub(super) fn instead_of<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>, none: &str) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(near) = nearest(name, candidates.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    if candidates.is_empty() {
        return none.to_owned();
    }
    let more = if candidates.len() > NAMES_IN_A_HINT { ", …" } else { "" };
    format!("known: {}{more}", quoted(candidates.into_iter().take(NAMES_IN_A_HINT)))
}

/// Names in backticks, separated by commas.
pub(super) fn quoted<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}
