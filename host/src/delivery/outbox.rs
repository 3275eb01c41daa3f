//! Writes to tables of stores that cannot take part in a commit, as records of the outbox `<application>.<function>.tables`:
//! a record holds rows of one table; its key is the table's name, its value the names of the columns and the rows in postcard
//! (its specification: <https://postcard.jamesmunns.com/wire-format>). A record may wait while spin.toml changes: who applies it
//! finds cells by name.

use serde::{Deserialize, Serialize};

use super::{HeldRow, HeldTable, Records};

/// Bytes of rows after which a record ends, about: below what brokers take by default, which is 1 MiB.
const MOST_BYTES: usize = 512 * 1024;

/// A record that does not hold rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it does not hold rows of a table: {0}")]
pub struct RowsError(String);

/// Rows of one table, as they were written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// The columns of the key, in its order.
    pub key: Vec<String>,
    /// What the cells of `rows` are of.
    pub columns: Vec<String>,
    /// One per key.
    pub rows: Vec<HeldRow>,
}

/// What is written to one table.
pub struct Written<'t> {
    /// The table.
    pub table: &'t str,
    /// The columns of its key.
    pub key: &'t [String],
    /// All its columns.
    pub columns: Vec<&'t str>,
    /// What becomes of its rows.
    pub held: &'t HeldTable,
}

/// `tables` as records, stamped with `at_ms`.
///
/// # Errors
/// When rows cannot be written down, which no row of a table is known to cause.
pub fn records<'t>(tables: impl IntoIterator<Item = Written<'t>>, at_ms: i64) -> Result<Records, RowsError> {
    let mut records = Records::default();
    for written in tables {
        let mut part: Vec<&HeldRow> = Vec::new();
        let mut bytes = 0;
        for row in written.held.rows.values() {
            part.push(row);
            bytes += row.bytes();
            if bytes >= MOST_BYTES {
                push(&mut records, &written, &part, at_ms)?;
                part.clear();
                bytes = 0;
            }
        }
        if !part.is_empty() {
            push(&mut records, &written, &part, at_ms)?;
        }
    }
    Ok(records)
}

fn push(records: &mut Records, written: &Written<'_>, rows: &[&HeldRow], at_ms: i64) -> Result<(), RowsError> {
    let value = postcard::to_allocvec(&(written.key, &written.columns, rows));
    let value = value.map_err(|error| RowsError(error.to_string()))?;
    records.offsets.push(records.len() as i64);
    records.keys.push(Some(written.table.as_bytes()));
    records.values.push(Some(&value));
    records.timestamps.push(at_ms);
    Ok(())
}

/// The rows of a record.
///
/// # Errors
/// [`RowsError`] when it does not hold what [`records`] writes.
pub fn rows(value: Option<&[u8]>) -> Result<Rows, RowsError> {
    let value = value.ok_or_else(|| RowsError("it has no value".to_owned()))?;
    let (rows, rest): (Rows, _) = postcard::take_from_bytes(value).map_err(|error| RowsError(error.to_string()))?;
    match rest {
        [] => Ok(rows),
        _ => Err(RowsError("bytes follow the rows".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::delivery::Value;

    fn held(count: usize, text: &str) -> HeldTable {
        let mut held = HeldTable::default();
        for at in 0..count as i64 {
            let cells = vec![Some(Value::Int(at)), Some(Value::Double(-0.0)), None, Some(Value::Null)];
            held.upsert(vec![Value::Text(text.to_owned()), Value::Int(at)], cells);
        }
        held.delete(vec![Value::Text(text.to_owned()), Value::Int(-1)]);
        held.delete(vec![Value::Text(text.to_owned()), Value::Int(0)]);
        held.upsert(vec![Value::Text(text.to_owned()), Value::Int(0)], vec![None, None, Some(Value::Bool(true)), None]);
        held
    }

    const KEY: &[String] = &[];

    fn written<'t>(table: &'t str, held: &'t HeldTable) -> Written<'t> {
        Written { table, key: KEY, columns: vec!["a", "b"], held }
    }

    #[test]
    fn rows_come_back_as_they_were_in_records_that_a_broker_takes() {
        let (small, large) = (held(3, "k"), held(5_000, &"long".repeat(100)));
        let records = records([written("small", &small), written("large", &large)], 7).unwrap();
        assert!(records.len() > 3, "{}", records.len());
        let mut found: BTreeMap<String, Vec<HeldRow>> = BTreeMap::new();
        for (key, value) in records.keys.iter().zip(records.values.iter()) {
            assert!(value.is_some_and(|v| v.len() < 1_000_000));
            let part = rows(value).unwrap();
            assert_eq!(part.columns, ["a", "b"]);
            found.entry(String::from_utf8(key.unwrap().to_vec()).unwrap()).or_default().extend(part.rows);
        }
        let all = |held: &HeldTable| held.rows.values().cloned().collect::<Vec<_>>();
        assert_eq!(found, BTreeMap::from([("small".to_owned(), all(&small)), ("large".to_owned(), all(&large))]));
        assert_eq!(records.timestamps, vec![7; records.len()]);
    }

    #[test]
    fn what_is_not_rows_is_refused() {
        let held = held(2, "k");
        let good = records([written("t", &held)], 0).unwrap();
        let value = good.values.iter().next().unwrap().unwrap().to_vec();
        assert!(rows(Some(&value)).is_ok());
        let longer = [value.as_slice(), b"x"].concat();
        for value in [None, Some(&value[..value.len() - 1]), Some(&[0xff; 9]), Some(longer.as_slice())] {
            assert!(rows(value).is_err(), "{value:?}");
        }
    }
}
