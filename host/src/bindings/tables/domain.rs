//! The one domain of values: what a cell may hold on every backend. Checked when a function writes and when a file is
//! loaded, so that no store is the first to object. Pure; how values are written as text is `text`'s.

use std::cmp::Ordering;

use crate::delivery::{Row, Value};
use crate::manifest::{Column, ColumnKind, Table};

/// 0001-01-01 in days since 1970-01-01: earlier years differ between stores.
pub const FIRST_DAY: i64 = -719_162;
/// 9999-12-31 in days since 1970-01-01: later years differ between stores.
pub const LAST_DAY: i64 = 2_932_896;
/// Milliseconds of a day; leap seconds are not counted.
pub const DAY_MS: i64 = 86_400_000;
/// The first millisecond of [`FIRST_DAY`].
pub const FIRST_MS: i64 = FIRST_DAY * DAY_MS;
/// The last millisecond of [`LAST_DAY`].
pub const LAST_MS: i64 = (LAST_DAY + 1) * DAY_MS - 1;

/// The longest text of a cell, in bytes: rows are read, shown and exported by the dozen.
pub const MOST_TEXT_BYTES: usize = 1024 * 1024;

/// Checks that `value` may stand in `column` of `table`.
///
/// # Errors
/// What is wrong and the remedy, naming table and column. The value itself stands in the text only where neither table
/// nor column is sensitive.
pub fn check(table: &Table, column: &Column, value: &Value) -> Result<(), String> {
    let key = table.is_key(&column.name);
    let fault = match (column.kind, value) {
        (_, Value::Null) if key => Some("is null, which a key column may not be: write a value".to_owned()),
        (_, Value::Null) if !column.nullable => {
            Some(format!("is null, which it may not be: write a value, or declare it as `{}?`", column.kind.name()))
        }
        (_, Value::Null) | (ColumnKind::Boolean, Value::Bool(_)) | (ColumnKind::Bigint, Value::Int(_)) => None,
        (ColumnKind::Text, Value::Text(text)) => text_fault(text, key).map(str::to_owned),
        (ColumnKind::Double, Value::Double(number)) => number.is_nan().then(|| "is NaN: write null instead".to_owned()),
        (ColumnKind::Int, Value::Int(i)) => {
            outside(i, i64::from(i32::MIN)..=i64::from(i32::MAX), "32 bits, or declare it as `bigint`")
        }
        (ColumnKind::Date, Value::Int(days)) => outside(days, FIRST_DAY..=LAST_DAY, "the days of the years 1 to 9999"),
        (ColumnKind::Timestamp, Value::Int(ms)) => {
            outside(ms, FIRST_MS..=LAST_MS, "the milliseconds of the years 1 to 9999")
        }
        (kind, value) => Some(format!("holds {}: write {} instead", kind_of(value), expected(kind))),
    };
    match fault {
        None => Ok(()),
        Some(fault) => {
            Err(format!("column `{}` of table `{}` {fault}{}", column.name, table.name, shown(table, column, value)))
        }
    }
}

fn text_fault(text: &str, key: bool) -> Option<&'static str> {
    if text.len() > MOST_TEXT_BYTES {
        return Some("holds text of more than 1 MiB: keep what is so long elsewhere, and its place here");
    }
    if text.contains('\0') {
        return Some("holds text with a NUL character: leave it out");
    }
    (key && text.is_empty()).then_some("is empty text, which a key column may not be: write a name")
}

fn outside(value: &i64, allowed: std::ops::RangeInclusive<i64>, what: &str) -> Option<String> {
    (!allowed.contains(value)).then(|| format!("is out of range: keep to {what}"))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Text(_) => "text",
        Value::Int(_) => "an integer",
        Value::Double(_) => "a double",
        Value::Bool(_) => "a boolean",
    }
}

/// What a cell of that kind holds, in words.
pub(super) fn expected(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "text",
        ColumnKind::Date => "a date",
        ColumnKind::Timestamp => "a timestamp",
        ColumnKind::Double => "a number",
        ColumnKind::Int => "an integer of 32 bits",
        ColumnKind::Bigint => "an integer of 64 bits",
        ColumnKind::Boolean => "true or false",
    }
}

/// The offending integer where it may be seen; text is never shown, being long or unprintable when it is wrong.
fn shown(table: &Table, column: &Column, value: &Value) -> String {
    match value {
        Value::Int(i) if !table.sensitive && !column.sensitive => format!(" (it is {i})"),
        _ => String::new(),
    }
}

/// Orders two cells of one column as every store does: null first, text by bytes, numbers by size.
#[must_use]
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Double(a), Value::Double(b)) => a.total_cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) => 2,
        Value::Double(_) => 3,
        Value::Text(_) => 4,
    }
}

/// Orders two keys cell by cell.
#[must_use]
pub fn compare_keys(a: &Row, b: &Row) -> Ordering {
    a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn verdict(column: &str, value: Value) -> String {
        let table = samples::table();
        check(&table, table.column(column).unwrap(), &value).err().unwrap_or_else(|| "fine".to_owned())
    }

    #[test]
    fn each_kind_takes_its_own_values() {
        for (column, value) in [
            ("id", Value::Text("Zürich".into())),
            ("day", Value::Int(LAST_DAY)),
            ("day", Value::Int(FIRST_DAY)),
            ("at", Value::Int(FIRST_MS)),
            ("at", Value::Int(LAST_MS)),
            ("mean", Value::Double(f64::INFINITY)),
            ("mean", Value::Null),
            ("count", Value::Int(i64::from(i32::MIN))),
            ("total", Value::Int(i64::MIN)),
            ("frost", Value::Bool(false)),
            ("note", Value::Text(String::new())),
        ] {
            assert_eq!(verdict(column, value.clone()), "fine", "{column} {value:?}");
        }
    }

    #[test]
    fn what_a_store_would_refuse_is_refused_with_the_remedy() {
        let cases = [
            ("id", Value::Null, "column `id` of table `daily` is null, which a key column may not be: write a value"),
            (
                "id",
                Value::Text(String::new()),
                "column `id` of table `daily` is empty text, which a key column may not be: write a name",
            ),
            (
                "note",
                Value::Text("a\0b".into()),
                "column `note` of table `daily` holds text with a NUL character: leave it out",
            ),
            ("mean", Value::Double(f64::NAN), "column `mean` of table `daily` is NaN: write null instead"),
            (
                "count",
                Value::Null,
                "column `count` of table `daily` is null, which it may not be: write a value, or declare it as `int?`",
            ),
            (
                "count",
                Value::Int(1 << 31),
                "column `count` of table `daily` is out of range: keep to 32 bits, or declare it as `bigint` (it is 2147483648)",
            ),
            (
                "day",
                Value::Int(LAST_DAY + 1),
                "column `day` of table `daily` is out of range: keep to the days of the years 1 to 9999 (it is 2932897)",
            ),
            (
                "at",
                Value::Int(FIRST_MS - 1),
                "column `at` of table `daily` is out of range: keep to the milliseconds of the years 1 to 9999 (it is -62135596800001)",
            ),
            (
                "frost",
                Value::Int(1),
                "column `frost` of table `daily` holds an integer: write true or false instead (it is 1)",
            ),
            ("mean", Value::Bool(true), "column `mean` of table `daily` holds a boolean: write a number instead"),
            (
                "secret",
                Value::Int(1 << 40),
                "column `secret` of table `daily` is out of range: keep to 32 bits, or declare it as `bigint`",
            ),
        ];
        for (column, value, expected) in cases {
            assert_eq!(verdict(column, value), expected);
        }
    }

    #[test]
    fn text_orders_by_bytes_and_keys_by_their_first_difference() {
        let text = |t: &str| Value::Text(t.into());
        assert_eq!(compare(&text("Z"), &text("a")), Ordering::Less);
        assert_eq!(compare(&text("ö"), &text("z")), Ordering::Greater);
        let key = |t: &str, i| vec![text(t), Value::Int(i)];
        assert_eq!(compare_keys(&key("a", 2), &key("b", 1)), Ordering::Less);
        assert_eq!(compare_keys(&key("a", 2), &key("a", -1)), Ordering::Greater);
    }
}
