//! Why a call failed: the words and frames that a dead letter keeps, cut to a length.

use std::collections::BTreeMap;

use super::Rejection;

/// Characters of a reason or frame that are kept; a guest can make either as long as it likes.
pub const MAX_REASON_CHARS: usize = 2000;

/// What kind of failure it was: all that is told of one whose words are sensitive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cause {
    /// It panicked.
    Panic,
    /// It was ended by something else that WebAssembly forbids, or by itself.
    #[default]
    Trap,
    /// It passed one of its limits.
    Limit,
    /// It asked to be called again.
    Retry,
    /// It rejected records.
    Reject,
    /// Its answer was none that the contract has.
    Answer,
    /// An import was not available.
    Unavailable,
}

impl Cause {
    /// The code by which people and programs know it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Cause::Panic => "panic",
            Cause::Trap => "trap",
            Cause::Limit => "limit",
            Cause::Retry => "retry",
            Cause::Reject => "reject",
            Cause::Answer => "answer",
            Cause::Unavailable => "unavailable",
        }
    }
}

/// What stands in the place of the words of a function that reads sensitive data.
#[must_use]
pub fn hidden(code: &str) -> String {
    match code {
        "" => "hidden, because the function reads sensitive data".to_owned(),
        code => format!("{code}; its words are hidden, because the function reads sensitive data"),
    }
}

/// Why a call failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it was.
    pub cause: Cause,
    /// In the function's words, or the line of its panic, or the trap.
    pub reason: String,
    /// The function's own frames, the innermost first.
    pub frames: Vec<String>,
}

impl Failure {
    /// One without frames.
    #[must_use]
    pub fn new(cause: Cause, reason: &str) -> Self {
        Failure { cause, reason: cut(reason), frames: Vec::new() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)?;
        self.frames.iter().try_for_each(|frame| write!(f, "\n  in {frame}"))
    }
}

/// Cuts a text of a guest to [`MAX_REASON_CHARS`].
#[must_use]
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_REASON_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Why each record that a function rejected of a batch of so many was rejected, by its index; an index beyond the batch is the
/// function's mistake.
///
/// # Errors
/// That mistake.
pub fn rejected_by(records: usize, rejected: Vec<Rejection>) -> Result<BTreeMap<usize, Failure>, Failure> {
    rejected
        .into_iter()
        .map(|r| match (r.at as usize) < records {
            true => Ok((r.at as usize, Failure::new(Cause::Reject, &r.reason))),
            false => {
                let told = format!("it rejects record {} of a batch of {records}", r.at);
                Err(Failure::new(Cause::Answer, &told))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let long = "ü".repeat(MAX_REASON_CHARS + 5);
        assert_eq!(cut(&long).chars().count(), MAX_REASON_CHARS + 1);
        assert_eq!(cut("short"), "short");
    }
}
