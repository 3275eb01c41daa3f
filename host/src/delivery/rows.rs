//! Rows of tables: values, and the writes that a call holds back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One cell. Dates are days since 1970-01-01, timestamps milliseconds since the Unix epoch, both as integers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// No value.
    Null,
    /// Text.
    Text(String),
    /// Int, bigint, date or timestamp.
    Int(i64),
    /// Double, never NaN.
    Double(f64),
    /// Boolean.
    Bool(bool),
}

/// What a cell takes beside its text, about.
pub const CELL_BYTES: usize = 8;

/// Cells in the order of the columns asked for.
pub type Row = Vec<Value>;

/// A key's cells in the order of the table's key, as bytes that compare and hash; see [`key_bytes`].
pub type KeyBytes = Vec<u8>;

/// The writes that a call holds back for one table, last write per key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeldTable {
    /// By key, in the order of the keys' bytes, so that equal effects are equal lists.
    pub rows: BTreeMap<KeyBytes, HeldRow>,
}

/// What becomes of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldRow {
    /// The key's cells, in the order of the table's key.
    pub key: Row,
    /// Whether the stored row goes first; alone, it is a delete.
    pub cleared: bool,
    /// `None` deletes; else one cell per column of the table, `None` where the write says nothing of it.
    pub cells: Option<Vec<Option<Value>>>,
}

impl HeldTable {
    /// Holds an upsert. `cells` has one entry per column of the table, `None` where nothing is said.
    pub fn upsert(&mut self, key: Row, cells: Vec<Option<Value>>) {
        let entry = self.rows.entry(key_bytes(&key)).or_insert(HeldRow { key, cleared: false, cells: None });
        match &mut entry.cells {
            Some(held) => {
                for (old, new) in held.iter_mut().zip(cells) {
                    if new.is_some() {
                        *old = new;
                    }
                }
            }
            none => *none = Some(cells),
        }
    }

    /// Bytes that its upserts take in a table, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.values().filter(|row| row.cells.is_some()).map(HeldRow::bytes).sum()
    }

    /// Holds what `later` holds after what it holds already.
    pub fn follow(&mut self, later: HeldTable) {
        for (bytes, row) in later.rows {
            match row.cells {
                Some(cells) if !row.cleared => self.upsert(row.key, cells),
                _ => {
                    self.rows.insert(bytes, row);
                }
            }
        }
    }

    /// Holds a delete.
    pub fn delete(&mut self, key: Row) {
        self.rows.insert(key_bytes(&key), HeldRow { key, cleared: true, cells: None });
    }
}

impl HeldRow {
    /// Bytes of its cells, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        row_bytes(self.key.iter().chain(self.cells.iter().flatten().flatten()))
    }
}

/// Bytes that cells take, about.
pub fn row_bytes<'v>(cells: impl IntoIterator<Item = &'v Value>) -> usize {
    let cell = |value: &Value| CELL_BYTES + if let Value::Text(text) = value { text.len() } else { 0 };
    cells.into_iter().map(cell).sum()
}

/// The key as bytes: equal keys give equal bytes, different ones different bytes.
#[must_use]
pub fn key_bytes(key: &[Value]) -> KeyBytes {
    let mut bytes = Vec::with_capacity(24);
    for cell in key {
        match cell {
            Value::Null => bytes.push(0),
            Value::Text(text) => {
                bytes.push(1);
                bytes.extend_from_slice(text.as_bytes());
                bytes.push(0);
            }
            Value::Int(i) => {
                bytes.push(2);
                bytes.extend_from_slice(&(i ^ i64::MIN).to_be_bytes());
            }
            Value::Double(d) => {
                bytes.push(3);
                bytes.extend_from_slice(&d.to_bits().to_be_bytes());
            }
            Value::Bool(b) => bytes.extend_from_slice(&[4, u8::from(*b)]),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(k: &str) -> Row {
        vec![Value::Text(k.into())]
    }

    #[test]
    fn the_last_write_of_a_key_counts_and_columns_add_up() {
        let mut held = HeldTable::default();
        held.upsert(key("a"), vec![Some(Value::Int(1)), None]);
        held.upsert(key("a"), vec![None, Some(Value::Int(2))]);
        held.upsert(key("b"), vec![Some(Value::Int(1)), None]);
        held.delete(key("b"));
        held.delete(key("c"));
        held.upsert(key("c"), vec![None, Some(Value::Int(3))]);
        let rows: Vec<_> = held.rows.values().map(|r| (r.cleared, r.cells.clone())).collect();
        assert_eq!(
            rows,
            vec![
                (false, Some(vec![Some(Value::Int(1)), Some(Value::Int(2))])),
                (true, None),
                (true, Some(vec![None, Some(Value::Int(3))])),
            ]
        );
    }
}
