//! Why a message was refused. It says what is wrong with which field; what becomes of the record is the caller's.

use std::fmt;

/// The longest part of a refused value that an error repeats: enough to find it, too little to flood a log.
const SHOWN: usize = 60;

/// A message that cannot be taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The field's name in the message; `message` when it is not an object of JSON at all.
    pub field: &'static str,
    /// The refused value as it was written, cut to 60 characters.
    pub value: String,
    /// What was expected instead.
    pub expected: String,
}

impl Invalid {
    /// An error about `field`, which held `value`.
    pub fn new(field: &'static str, value: impl fmt::Display, expected: impl Into<String>) -> Self {
        let value = value.to_string().chars().take(SHOWN).collect();
        Invalid { field, value, expected: expected.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is `{}`, expected {}", self.field, self.value, self.expected)
    }
}

impl std::error::Error for Invalid {}
