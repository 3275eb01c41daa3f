//! What has been written to tables since somebody looked last, for pages that show them. While nobody looks, nothing is kept.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering as Seen};
use std::sync::{Mutex, PoisonError};

use crate::delivery::{HeldTable, Row, Value};

/// The rows of a table that were written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WrittenRows {
    /// How many, the same row counted as often as it was written.
    pub rows: u64,
    /// The keys of the first and the last in the order of keys; none where any row may have been written.
    pub keys: Option<(Row, Row)>,
}

/// What has been written, by table.
#[derive(Debug, Default)]
pub struct Written {
    is_watched: AtomicBool,
    tables: Mutex<BTreeMap<String, WrittenRows>>,
}

impl Written {
    /// Says whether somebody looks.
    pub fn watch(&self, is_watched: bool) {
        if self.is_watched.swap(is_watched, Seen::Relaxed) && !is_watched {
            self.take();
        }
    }

    /// What was written since this was asked last.
    pub fn take(&self) -> BTreeMap<String, WrittenRows> {
        std::mem::take(&mut *self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes rows of a table that can be read now.
    pub fn note(&self, table: &str, held: &HeldTable) {
        if !self.is_watched.load(Seen::Relaxed) {
            return;
        }
        let mut keys = held.rows.values().map(|row| &row.key);
        let Some(one) = keys.next() else { return };
        let (first, last) = keys.fold((one, one), |(first, last), key| {
            (if before(key, first) { key } else { first }, if before(last, key) { key } else { last })
        });
        let rows = held.rows.len() as u64;
        self.add(table, WrittenRows { rows, keys: Some((first.clone(), last.clone())) });
    }

    /// Notes that any row of a table may be another one now.
    pub fn note_all(&self, table: &str) {
        if self.is_watched.load(Seen::Relaxed) {
            self.add(table, WrittenRows::default());
        }
    }

    fn add(&self, table: &str, new: WrittenRows) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        match tables.entry(table.to_owned()) {
            Entry::Vacant(place) => {
                place.insert(new);
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.rows += new.rows;
                known.keys = match (known.keys.take(), new.keys) {
                    (Some((first, last)), Some((from, to))) => {
                        let first = if before(&from, &first) { from } else { first };
                        Some((first, if before(&last, &to) { to } else { last }))
                    }
                    _ => None,
                };
            }
        }
    }
}

/// Whether a key comes before another one of its table.
fn before(a: &Row, b: &Row) -> bool {
    let cells = a.iter().zip(b).map(|cells| match cells {
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Double(a), Value::Double(b)) => a.total_cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        // Cells of a key's column are of one kind.
        _ => Ordering::Equal,
    });
    cells.fold(Ordering::Equal, Ordering::then) == Ordering::Less
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(keys: &[(&str, i64)]) -> HeldTable {
        let mut held = HeldTable::default();
        for (name, day) in keys {
            held.upsert(key(name, *day), vec![None]);
        }
        held
    }

    fn key(name: &str, day: i64) -> Row {
        vec![Value::Text(name.to_owned()), Value::Int(day)]
    }

    #[test]
    fn what_was_written_is_told_once_with_the_range_of_its_keys() {
        let written = Written::default();
        written.note("days", &held(&[("a", 1)]));
        assert!(written.take().is_empty(), "nobody looks");
        written.watch(true);
        written.note("days", &held(&[("b", -3), ("a", 300), ("b", 7)]));
        written.note("days", &held(&[("a", 256), ("b", 6)]));
        written.note("years", &held(&[]));
        let told = written.take();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told["days"], WrittenRows { rows: 5, keys: Some((key("a", 256), key("b", 7))) });
        assert!(written.take().is_empty());
    }

    #[test]
    fn where_any_row_may_be_another_one_there_is_no_range() {
        let written = Written::default();
        written.watch(true);
        written.note("days", &held(&[("a", 1)]));
        written.note_all("days");
        written.note("days", &held(&[("a", 2)]));
        assert_eq!(written.take()["days"], WrittenRows { rows: 2, keys: None });
        written.note("days", &held(&[("a", 3)]));
        written.watch(false);
        written.watch(true);
        assert!(written.take().is_empty(), "what nobody looked at is not told later");
    }
}
