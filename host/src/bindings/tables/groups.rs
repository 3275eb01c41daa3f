//! Held writes in the shape in which stores take them: rows that set the same columns together, and deletes. Pure.

use super::TableError;
use crate::delivery::{HeldRow, HeldTable, Value};
use crate::manifest::{Column, Table};

/// What an upsert says of each column of its table, `None` where it says nothing.
pub type Cells = Vec<Option<Value>>;

/// Rows that set the same columns.
pub struct Group<'h> {
    /// Indexes, in the table's columns, of those set besides the key.
    pub columns: Vec<usize>,
    /// The rows.
    pub rows: Vec<(&'h HeldRow, &'h Cells)>,
}

/// The writes to one table, as a store takes them.
pub struct Writes<'h> {
    /// Upserts.
    pub groups: Vec<Group<'h>>,
    /// Rows to delete.
    pub deleted: Vec<&'h HeldRow>,
}

impl<'h> Writes<'h> {
    /// The writes that a call held. Their values have been checked by `domain`.
    ///
    /// # Errors
    /// [`TableError::Incomplete`] where a write would leave a column empty that may not be.
    pub fn of(table: &Table, held: &'h HeldTable) -> Result<Self, TableError> {
        let mut writes = Writes { groups: Vec::new(), deleted: Vec::new() };
        for row in held.rows.values() {
            let Some(cells) = &row.cells else {
                writes.deleted.push(row);
                continue;
            };
            match writes.groups.iter_mut().find(|g| g.takes(table, row, cells)) {
                Some(group) => group.rows.push((row, cells)),
                None => writes.groups.push(Group::begin(table, row, cells)?),
            }
        }
        Ok(writes)
    }
}

impl<'h> Group<'h> {
    fn begin(table: &Table, row: &'h HeldRow, cells: &'h Cells) -> Result<Self, TableError> {
        let columns: Vec<usize> = set(table, row, cells).collect();
        let left_out = |(at, column): &(usize, &Column)| {
            !column.nullable && !table.is_key(&column.name) && !matches!(cells.get(*at), Some(Some(_)))
        };
        match table.columns.iter().enumerate().find(left_out) {
            None => Ok(Group { columns, rows: vec![(row, cells)] }),
            Some((_, column)) => Err(TableError::Incomplete { table: table.name.clone(), column: column.name.clone() }),
        }
    }

    fn takes(&self, table: &Table, row: &HeldRow, cells: &Cells) -> bool {
        set(table, row, cells).eq(self.columns.iter().copied())
    }

    /// What a row sets the column at index `at` of the table to.
    #[must_use]
    pub fn cell(cells: &Cells, at: usize) -> &Value {
        cells.get(at).and_then(Option::as_ref).unwrap_or(&Value::Null)
    }
}

/// Which columns a write sets besides the key: those it names, or all where the stored row goes first.
fn set<'a>(table: &'a Table, row: &'a HeldRow, cells: &'a Cells) -> impl Iterator<Item = usize> + 'a {
    let named = cells.iter().zip(&table.columns).enumerate();
    named.filter(|(_, (cell, column))| (row.cleared || cell.is_some()) && !table.is_key(&column.name)).map(|(at, _)| at)
}
