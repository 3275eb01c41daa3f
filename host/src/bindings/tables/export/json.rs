//! Rows as one JSON document, a row per line.

use std::io::Write;

use super::super::text::cell;
use super::{Encoder, Sheet, Spool};
use crate::delivery::{Row, Value};
use crate::manifest::ColumnKind;

pub(super) struct Json {
    sheet: Sheet,
    out: Spool,
    is_first: bool,
}

impl Json {
    pub(super) fn new(sheet: Sheet, mut out: Spool) -> std::io::Result<Self> {
        let (table, notice) =
            (serde_json::Value::from(sheet.table.as_str()), serde_json::Value::from(sheet.notice.as_deref()));
        write!(out, "{{\"table\":{table},\"notice\":{notice},\"rows\":[")?;
        Ok(Json { sheet, out, is_first: true })
    }
}

impl Encoder for Json {
    fn row(&mut self, row: Row) -> std::io::Result<()> {
        self.out.write_all(if std::mem::take(&mut self.is_first) { b"\n" } else { b",\n" })?;
        // By hand and not as a map, so that columns keep their order.
        let mut before = '{';
        for (column, value) in self.sheet.columns.iter().zip(&row) {
            write!(self.out, "{before}{}:{}", serde_json::Value::from(column.name.as_str()), json(column.kind, value))?;
            before = ',';
        }
        self.out.write_all(b"}")
    }

    fn finish(mut self: Box<Self>) -> std::io::Result<()> {
        self.out.write_all(b"\n]}\n")
    }
}

/// A cell as JSON: numbers and booleans as such, the rest as text.
fn json(kind: ColumnKind, value: &Value) -> serde_json::Value {
    match (kind, value) {
        (_, Value::Null) => serde_json::Value::Null,
        (ColumnKind::Int | ColumnKind::Bigint, Value::Int(i)) => serde_json::Value::from(*i),
        (_, Value::Double(d)) if d.is_finite() => serde_json::Value::from(*d),
        (_, Value::Bool(b)) => serde_json::Value::from(*b),
        (_, value) => serde_json::Value::from(cell(kind, value)),
    }
}
