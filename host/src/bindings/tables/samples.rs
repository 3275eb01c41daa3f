//! A table with a column of every kind, and random rows of it, for the tests beside.

use proptest::prelude::*;

use super::domain;
use crate::delivery::rows::{HeldTable, key_bytes};
use crate::delivery::{Row, Value};
use crate::manifest::{Column, ColumnKind, Table};

/// Runs `work` to its end.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Key (id, day); `note` and `secret` may be null, as may every measure.
pub(super) fn table() -> Table {
    let column = |name: &str, kind, nullable| Column { name: name.into(), kind, nullable, sensitive: name == "secret" };
    Table {
        name: "daily".into(),
        store: "embedded".into(),
        connection: None,
        key: vec!["id".into(), "day".into()],
        columns: vec![
            column("id", ColumnKind::Text, false),
            column("mean", ColumnKind::Double, true),
            column("day", ColumnKind::Date, false),
            column("at", ColumnKind::Timestamp, true),
            column("count", ColumnKind::Int, false),
            column("total", ColumnKind::Bigint, true),
            column("frost", ColumnKind::Boolean, true),
            column("note", ColumnKind::Text, true),
            column("secret", ColumnKind::Int, true),
        ],
        sensitive: false,
        notice: Some("Source: made up, \"quoted\"".into()),
    }
}

/// The names of all columns, in order.
pub(super) fn names(table: &Table) -> Vec<String> {
    table.columns.iter().map(|c| c.name.clone()).collect()
}

/// Any value that `column` of [`table`] may hold.
pub(super) fn cell(column: &Column) -> BoxedStrategy<Value> {
    let some = match column.kind {
        ColumnKind::Text => prop_oneof![
            "[a-zA-Zäß=+@,;\"' \t\r\n-]{1,12}",
            proptest::collection::vec(any::<char>(), 1..8).prop_map(|c| c.into_iter().collect::<String>()),
        ]
        .prop_map(|t| Value::Text(t.replace('\0', "0")))
        .boxed(),
        ColumnKind::Date => (domain::FIRST_DAY..=domain::LAST_DAY).prop_map(Value::Int).boxed(),
        ColumnKind::Timestamp => (domain::FIRST_MS..=domain::LAST_MS).prop_map(Value::Int).boxed(),
        // Negative zero equals zero and is not kept apart from it by every store.
        ColumnKind::Double => any::<f64>()
            .prop_filter("in the domain", |d| !d.is_nan())
            .prop_map(|d| Value::Double(if d == 0.0 { 0.0 } else { d }))
            .boxed(),
        ColumnKind::Int => any::<i32>().prop_map(|i| Value::Int(i64::from(i))).boxed(),
        ColumnKind::Bigint => any::<i64>().prop_map(Value::Int).boxed(),
        ColumnKind::Boolean => any::<bool>().prop_map(Value::Bool).boxed(),
    };
    if column.nullable { prop_oneof![1 => Just(Value::Null), 3 => some].boxed() } else { some }
}

/// Keys of a small set, so that random writes meet.
pub(super) fn key() -> impl Strategy<Value = Row> {
    ("[abß]", 0..6_i64).prop_map(|(id, day)| vec![Value::Text(id), Value::Int(day)])
}

/// One write: what a function with some columns granted would say of a row, or a delete.
#[derive(Debug, Clone)]
pub(super) enum Write {
    Upsert(Row, Vec<Option<Value>>),
    Delete(Row),
}

fn upsert() -> impl Strategy<Value = Write> {
    let table = table();
    let cells: Vec<BoxedStrategy<Option<Value>>> = table
        .columns
        .iter()
        .map(|c| {
            let said = cell(c).prop_map(Some);
            if c.nullable { prop_oneof![Just(None), said].boxed() } else { said.boxed() }
        })
        .collect();
    (key(), cells).prop_map(move |(key, mut cells)| {
        for (name, cell) in table.key.iter().zip(&key) {
            let at = table.columns.iter().position(|c| c.name == *name).unwrap();
            cells[at] = Some(cell.clone());
        }
        Write::Upsert(key, cells)
    })
}

/// Up to `most` writes in the order in which a function makes them.
pub(super) fn writes(most: usize) -> impl Strategy<Value = Vec<Write>> {
    proptest::collection::vec(prop_oneof![3 => upsert(), 1 => key().prop_map(Write::Delete)], 0..most)
}

/// The writes as a call holds them.
pub(super) fn held(writes: &[Write]) -> HeldTable {
    let mut held = HeldTable::default();
    for write in writes.iter().cloned() {
        match write {
            Write::Upsert(key, cells) => held.upsert(key, cells),
            Write::Delete(key) => held.delete(key),
        }
    }
    held
}

/// What a table holds, as plain as can be: all cells by key, each write applied by itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    rows: std::collections::BTreeMap<Vec<u8>, (Row, Row)>,
}

impl Model {
    pub(super) fn apply(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Delete(key) => drop(self.rows.remove(&key_bytes(key))),
                Write::Upsert(key, cells) => {
                    let empty = || (key.clone(), vec![Value::Null; cells.len()]);
                    let (_, row) = self.rows.entry(key_bytes(key)).or_insert_with(empty);
                    for (old, new) in row.iter_mut().zip(cells) {
                        if let Some(new) = new {
                            *old = new.clone();
                        }
                    }
                }
            }
        }
    }

    /// Every row, in key order.
    pub(super) fn rows(&self) -> Vec<super::StoredRow> {
        let mut rows: Vec<super::StoredRow> = self
            .rows
            .values()
            .map(|(key, cells)| super::StoredRow { key: key.clone(), cells: cells.clone() })
            .collect();
        rows.sort_by(|a, b| domain::compare_keys(&a.key, &b.key));
        rows
    }
}
