//! Tables: the one domain of their values, how the embedded SQLite file keeps them, and what the commands `table
//! query|export|load` do with them. Not the functions that a component imports: those are linked elsewhere and use
//! this.

pub mod copy;
pub mod domain;
pub mod export;
pub mod filter;
pub mod fit;
pub mod groups;
pub mod load;
pub mod overlay;
pub mod query;
pub mod schema;
pub mod sqlite;
pub mod text;

#[cfg(test)]
mod samples;

use crate::delivery::rows::row_bytes;
use crate::delivery::{Row, Value};

/// Most rows that one read gives: they are held in memory, and then in the function's.
pub const MOST_ROWS_READ: usize = 65_536;

/// A row as a store gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRow {
    /// The key's cells, in the order of the table's key.
    pub key: Row,
    /// The cells of the columns that were asked for, in that order.
    pub cells: Row,
}

impl StoredRow {
    /// Bytes that it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        row_bytes(self.key.iter().chain(&self.cells))
    }
}

/// The rows of one partition whose second key column lies in a range, both ends included.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// The first key column's cell.
    pub partition: Value,
    /// The least cell of the second key column.
    pub first: Value,
    /// The greatest.
    pub last: Value,
}

/// Why a table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A write that would make a row that may not be: the function's mistake.
    #[error("a write to table `{table}` leaves out column `{column}`, which may not be null: write it with every row")]
    Incomplete {
        /// The table.
        table: String,
        /// The first column left out.
        column: String,
    },
    /// A read that asks for more than fits: the function's mistake.
    #[error("a read of table `{table}` found more than {most} rows: ask for a narrower range")]
    TooManyRows {
        /// The table.
        table: String,
        /// How many may be read at once.
        most: usize,
    },
    /// A name that the table does not have: the mistake of who asked.
    #[error("table `{table}` has no column `{column}`")]
    NoColumn {
        /// The table.
        table: String,
        /// The name.
        column: String,
    },
    /// A scan of a table whose key is one column; the manifest grants none.
    #[error("table `{0}` cannot be scanned: its key is one column")]
    NoRange(String),
    /// The stored tables are not those declared; one line per difference.
    #[error("{0}")]
    Schema(String),
    /// The store's own trouble, never the function's.
    #[error("the tables' store failed")]
    Store(#[from] sqlx::Error),
}
