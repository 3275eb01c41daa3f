//! What a function may do: the vocabulary of `[application.trigger.isobar.grants.<function>]`.

use std::collections::{BTreeMap, BTreeSet};

/// All grants of one function. Empty: it can do nothing but compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// Tables by name.
    pub tables: BTreeMap<String, TableGrant>,
    /// Topics it may publish to.
    pub publish: BTreeSet<String>,
    /// Whether it has keyed state.
    pub state: bool,
    /// What its state means: a function that reads another version of state would misread it.
    pub state_version: u32,
    /// Targets that are not sensitive and may receive what it makes of sensitive data.
    pub releases: BTreeSet<String>,
}

impl Default for Grants {
    fn default() -> Self {
        Grants {
            tables: BTreeMap::new(),
            publish: BTreeSet::new(),
            state: false,
            state_version: 1,
            releases: BTreeSet::new(),
        }
    }
}

/// What a function may do with one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableGrant {
    /// Operations, in the order of [`Operation`].
    pub operations: BTreeSet<Operation>,
    /// Columns, in the order in which the table declares them; always with the key's.
    pub columns: Vec<String>,
}

/// An operation on a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Rows by key.
    Get,
    /// Rows of one partition key over a range of the first clustering column.
    Scan,
    /// Inserts or replaces rows by key.
    Upsert,
    /// Removes rows by key.
    Delete,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Operation; 4] = [Operation::Get, Operation::Scan, Operation::Upsert, Operation::Delete];

    /// The name in spin.toml and in WIT.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Operation::Get => "get",
            Operation::Scan => "scan",
            Operation::Upsert => "upsert",
            Operation::Delete => "delete",
        }
    }

    /// The operation of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Operation::ALL.into_iter().find(|o| o.name() == name)
    }

    /// Whether it changes the table.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Operation::Upsert | Operation::Delete)
    }
}
