//! Writes to tables of stores that cannot take part in a commit, as records of the outbox `<application>.<function>.tables`:
//! a record holds rows of one table; its key is the table's name, its value the rows in postcard (its specification:
//! <https://postcard.jamesmunns.com/wire-format>).

use std::collections::BTreeMap;

use super::{HeldRow, HeldTable, Records, key_bytes};

/// Bytes of rows after which a record ends, about: below what brokers take by default, which is 1 MiB.
const MOST_BYTES: usize = 512 * 1024;

/// A record that does not hold rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it does not hold rows of a table: {0}")]
pub struct RowsError(String);

/// `tables` as records, stamped with `at_ms`.
///
/// # Errors
/// When rows cannot be written down, which no row of a table is known to cause.
pub fn records<'t>(
    tables: impl IntoIterator<Item = (&'t str, &'t HeldTable)>,
    at_ms: i64,
) -> Result<Records, RowsError> {
    let mut records = Records::default();
    for (name, table) in tables {
        let mut part: Vec<&HeldRow> = Vec::new();
        let mut bytes = 0;
        for row in table.rows.values() {
            part.push(row);
            bytes += row.bytes();
            if bytes >= MOST_BYTES {
                push(&mut records, name, &part, at_ms)?;
                part.clear();
                bytes = 0;
            }
        }
        if !part.is_empty() {
            push(&mut records, name, &part, at_ms)?;
        }
    }
    Ok(records)
}

fn push(records: &mut Records, table: &str, rows: &[&HeldRow], at_ms: i64) -> Result<(), RowsError> {
    let value = postcard::to_allocvec(rows).map_err(|error| RowsError(error.to_string()))?;
    records.offsets.push(records.len() as i64);
    records.keys.push(Some(table.as_bytes()));
    records.values.push(Some(&value));
    records.timestamps.push(at_ms);
    Ok(())
}

/// The table's name and the rows of a record.
///
/// # Errors
/// [`RowsError`] when it does not hold what [`records`] writes.
pub fn rows(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(String, HeldTable), RowsError> {
    let wrong = |what: &str| RowsError(what.to_owned());
    let name = key.and_then(|key| std::str::from_utf8(key).ok()).ok_or_else(|| wrong("its key is no table's name"))?;
    let value = value.ok_or_else(|| wrong("it has no value"))?;
    let (rows, rest): (Vec<HeldRow>, _) =
        postcard::take_from_bytes(value).map_err(|error| RowsError(error.to_string()))?;
    if !rest.is_empty() {
        return Err(wrong("bytes follow the rows"));
    }
    let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (key_bytes(&row.key), row)).collect();
    Ok((name.to_owned(), HeldTable { rows }))
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn rows_come_back_as_they_were_in_records_that_a_broker_takes() {
        let (small, large) = (held(3, "k"), held(5_000, &"long".repeat(100)));
        let records = records([("small", &small), ("large", &large)], 7).unwrap();
        assert!(records.len() > 3, "{}", records.len());
        let mut found: BTreeMap<String, HeldTable> = BTreeMap::new();
        for (key, value) in records.keys.iter().zip(records.values.iter()) {
            assert!(value.is_some_and(|v| v.len() < 1_000_000));
            let (name, part) = rows(key, value).unwrap();
            found.entry(name).or_default().follow(part);
        }
        assert_eq!(found, BTreeMap::from([("small".to_owned(), small), ("large".to_owned(), large)]));
        assert_eq!(records.timestamps, vec![7; records.len()]);
    }

    #[test]
    fn what_is_not_rows_is_refused() {
        let good = records([("t", &held(2, "k"))], 0).unwrap();
        let value = good.values.iter().next().unwrap().unwrap().to_vec();
        for (key, value) in [
            (None, Some(value.as_slice())),
            (Some(&b"\xff"[..]), Some(value.as_slice())),
            (Some(b"t"), None),
            (Some(b"t"), Some(&value[..value.len() - 1])),
            (Some(b"t"), Some(&[0xff; 9])),
            (Some(b"t"), Some(&[value.as_slice(), b"x"].concat())),
        ] {
            assert!(rows(key, value).is_err(), "{key:?} {value:?}");
        }
    }
}
