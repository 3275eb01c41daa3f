//! A call sees its own held writes: what a store gave, with the writes that are not committed yet laid over it. Pure.

use std::collections::BTreeMap;

use super::domain::{compare, compare_keys};
use super::{Range, StoredRow};
use crate::delivery::rows::key_bytes;
use crate::delivery::{HeldRow, HeldTable, Row, Value};
use crate::manifest::Table;

/// Lays the held writes over the rows that a store found for `keys`. Each row once, in no particular order.
#[must_use]
pub fn get(
    table: &Table,
    columns: &[String],
    stored: Vec<StoredRow>,
    held: &HeldTable,
    keys: &[Row],
) -> Vec<StoredRow> {
    if held.rows.is_empty() {
        return stored;
    }
    let mut rows: BTreeMap<Vec<u8>, StoredRow> = stored.into_iter().map(|r| (key_bytes(&r.key), r)).collect();
    for key in keys.iter().map(|k| key_bytes(k)) {
        if let Some(write) = held.rows.get(&key) {
            lay(table, columns, &mut rows, key, write);
        }
    }
    rows.into_values().collect()
}

/// Lays the held writes over the rows that a store found in `range`; ordered by key.
#[must_use]
pub fn scan(
    table: &Table,
    columns: &[String],
    stored: Vec<StoredRow>,
    held: &HeldTable,
    range: &Range,
) -> Vec<StoredRow> {
    let partition = key_bytes(std::slice::from_ref(&range.partition));
    let in_partition = held.rows.range(partition.clone()..).take_while(|(key, _)| key.starts_with(&partition));
    let mut written = in_partition.filter(|(_, write)| covers(range, &write.key)).peekable();
    if written.peek().is_none() {
        return stored;
    }
    let mut rows: BTreeMap<Vec<u8>, StoredRow> = stored.into_iter().map(|r| (key_bytes(&r.key), r)).collect();
    for (key, write) in written {
        lay(table, columns, &mut rows, key.clone(), write);
    }
    let mut rows: Vec<StoredRow> = rows.into_values().collect();
    rows.sort_by(|a, b| compare_keys(&a.key, &b.key));
    rows
}

fn covers(range: &Range, key: &Row) -> bool {
    let [partition, ranged, ..] = key.as_slice() else { return false };
    compare(partition, &range.partition).is_eq()
        && compare(&range.first, ranged).is_le()
        && compare(ranged, &range.last).is_le()
}

fn lay(table: &Table, columns: &[String], rows: &mut BTreeMap<Vec<u8>, StoredRow>, key: Vec<u8>, write: &HeldRow) {
    let Some(cells) = &write.cells else {
        rows.remove(&key);
        return;
    };
    let before = if write.cleared { None } else { rows.remove(&key) };
    let mut old = before.map(|r| r.cells).unwrap_or_default().into_iter();
    let cells = columns.iter().map(|name| {
        let old = old.next().unwrap_or(Value::Null);
        if let Some(part) = table.key.iter().position(|k| k == name) {
            return write.key.get(part).cloned().unwrap_or(Value::Null);
        }
        let at = table.columns.iter().position(|c| c.name == *name);
        at.and_then(|at| cells.get(at).cloned().flatten()).unwrap_or(old)
    });
    let row = StoredRow { key: write.key.clone(), cells: cells.collect() };
    rows.insert(key, row);
}

#[cfg(test)]
mod tests;
