//! Cells as Cassandra has them.

use scylla::value::{CqlDate, CqlTimestamp, CqlValue};

use crate::delivery::Value;
use crate::manifest::ColumnKind;

/// What Cassandra's protocol has in place of 1970-01-01, so that days before it are unsigned
/// (<https://cassandra.apache.org/doc/latest/cassandra/reference/native-protocol.html>, version 4, section 6.7).
const EPOCH_DAY: i64 = 1 << 31;

/// The type of a column in CQL.
pub(super) fn type_of(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "text",
        ColumnKind::Date => "date",
        ColumnKind::Timestamp => "timestamp",
        ColumnKind::Double => "double",
        ColumnKind::Int => "int",
        ColumnKind::Bigint => "bigint",
        ColumnKind::Boolean => "boolean",
    }
}

/// The kind that a stored type serves, if any does.
pub(super) fn kind_of(stored: &str) -> Option<ColumnKind> {
    ColumnKind::ALL.into_iter().find(|kind| type_of(*kind) == stored)
}

/// A cell for a column of `kind`; `domain` has seen to it that they fit.
pub(super) fn written(kind: ColumnKind, value: &Value) -> Option<CqlValue> {
    Some(match (kind, value) {
        (_, Value::Text(text)) => CqlValue::Text(text.clone()),
        (ColumnKind::Date, Value::Int(days)) => CqlValue::Date(CqlDate(u32::try_from(days + EPOCH_DAY).ok()?)),
        (ColumnKind::Timestamp, Value::Int(ms)) => CqlValue::Timestamp(CqlTimestamp(*ms)),
        (ColumnKind::Int, Value::Int(i)) => CqlValue::Int(i32::try_from(*i).ok()?),
        (_, Value::Int(i)) => CqlValue::BigInt(*i),
        // Not every store keeps negative zero apart.
        (_, Value::Double(d)) => CqlValue::Double(*d + 0.0),
        (_, Value::Bool(b)) => CqlValue::Boolean(*b),
        (_, Value::Null) => return None,
    })
}

/// A cell as it was stored.
pub(super) fn read(cell: Option<CqlValue>) -> Value {
    match cell {
        Some(CqlValue::Text(text)) => Value::Text(text),
        Some(CqlValue::Date(CqlDate(days))) => Value::Int(i64::from(days) - EPOCH_DAY),
        Some(CqlValue::Timestamp(CqlTimestamp(ms))) => Value::Int(ms),
        Some(CqlValue::Int(i)) => Value::Int(i.into()),
        Some(CqlValue::BigInt(i)) => Value::Int(i),
        Some(CqlValue::Double(d)) => Value::Double(d),
        Some(CqlValue::Boolean(b)) => Value::Bool(b),
        // `prepare` has refused columns of other types.
        _ => Value::Null,
    }
}
