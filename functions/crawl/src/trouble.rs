//! What can go wrong with a folder or an archive, in words, and the list of it that a round keeps. Nothing is decided
//! here: whatever is on the list is tried again.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Troubles that are kept in words; of the others only the number.
const MOST_IN_WORDS: usize = 12;
/// One trouble in words: an error of a server may carry a page.
const LONGEST: usize = 400;

/// One thing that went wrong and may go right later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("`{url}` cannot be read: {reason}")]
    Unreachable { url: String, reason: String },
    #[error("`{url}` answers with status {status}")]
    Status { url: String, status: u16 },
    #[error("`{url}` is no whole folder page: {reason}")]
    NoListing { url: String, reason: String },
    #[error("`{url}` is {state}, but had {before} archives")]
    Emptied { url: String, state: &'static str, before: usize },
    #[error("`{url}` no longer lists {missing}")]
    Shrunk { url: String, missing: String },
    #[error("there is nothing at `{url}`: check `dwd_url`")]
    Nothing { url: String },
    #[error("station `{station}` has no archive on the server: check `station_ids`")]
    UnknownStation { station: String },
    #[error("`{file}` has {got} bytes instead of the {expected} that {who} says")]
    Size { file: String, got: u64, expected: u64, who: &'static str },
    #[error("`{file}` is said to be unchanged, but the folder page shows another size")]
    Unchanged { file: String },
    #[error("`{file}` is older than the version that was read before")]
    Older { file: String },
    #[error("`{file}`: {reason}")]
    Damaged { file: String, reason: String },
    #[error("`{what}` was being fetched when the run broke off, {attempts} times, and is set aside")]
    BrokeOff { what: String, attempts: u32 },
}

/// What went wrong in a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Troubles {
    in_words: Vec<String>,
    more: usize,
}

impl Troubles {
    pub(crate) fn is_empty(&self) -> bool {
        self.in_words.is_empty()
    }

    pub(crate) fn add(&mut self, trouble: &str) {
        if self.in_words.iter().any(|known| known == trouble) {
            return;
        }
        if self.in_words.len() < MOST_IN_WORDS {
            self.in_words.push(trouble.to_owned());
        } else {
            self.more += 1;
        }
    }
}

impl fmt::Display for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "left to be tried again: {}", self.in_words.join("; "))?;
        if self.more > 0 {
            write!(f, "; and {} more", self.more)?;
        }
        Ok(())
    }
}

/// The trouble in words of a bounded length.
pub(crate) fn in_words(trouble: &Trouble) -> String {
    trouble.to_string().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_each_thing_once_and_counts_beyond_its_limit() {
        let mut troubles = Troubles::default();
        for number in 0..MOST_IN_WORDS + 2 {
            troubles.add(&format!("t{number}"));
            troubles.add("t0");
        }
        let text = troubles.to_string();
        assert!(text.starts_with("left to be tried again: t0; t1;"), "{text}");
        assert!(text.ends_with("t11; and 2 more"), "{text}");
    }
}
