//! What a call did, held back until it succeeds and commits.

use std::collections::BTreeMap;

use super::{HeldTable, Packed};

/// Everything that one call of a function wants to have done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    /// Records by topic, in the order of publishing.
    pub published: BTreeMap<String, Vec<Published>>,
    /// State by key; `None` deletes.
    pub state: BTreeMap<String, Option<Vec<u8>>>,
    /// Writes by table.
    pub tables: BTreeMap<String, HeldTable>,
}

/// Records of one `send`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Keys, null where there is none.
    pub keys: Packed,
    /// As many values, null for a tombstone.
    pub values: Packed,
    /// How often they went round, where they can come back to the function; else 0.
    pub round: u32,
}

/// A record that the function refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Index of the record in the batch.
    pub at: u32,
    /// The function's words.
    pub reason: String,
}
