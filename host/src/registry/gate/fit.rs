//! Whether a function as a component calls it can be answered by the one that is granted.

use crate::engine::inspect::{Shape, Signature};
use crate::manifest::schema::wit_name;
use crate::manifest::{Column, Operation, Table};

/// Whether a call typed `signature` can be answered by `granted`: the same shape, though the rows of a table's
/// `operation` may leave columns out and have them in another order: they are linked by name, and objects of JSON, as in
/// Spin's lock, have no order. Keys and ranges may not: half a key names no row, and they are taken in their order.
pub(super) fn fits(signature: &Signature, granted: &Signature, operation: Option<&str>) -> bool {
    let operation = operation.and_then(Operation::parse);
    let takes_rows = operation == Some(Operation::Upsert);
    let gives_rows = matches!(operation, Some(Operation::Get | Operation::Scan));
    let params = signature.params.len() == granted.params.len()
        && signature.params.iter().zip(&granted.params).all(|(a, b)| a == b || (takes_rows && is_part_of(a, b)));
    let result = match (&signature.result, &granted.result) {
        (Some(Shape::Result(Some(rows), error)), Some(Shape::Result(Some(all), of))) if gives_rows => {
            error == of && is_part_of(rows, all)
        }
        (a, b) => a == b,
    };
    signature.is_async == granted.is_async && params && result
}

/// A column of the rows that `granted` does not have at all.
pub(super) fn foreign_column<'s>(signature: &'s Signature, granted: &Signature) -> Option<&'s str> {
    [false, true].into_iter().find_map(|of_result| {
        let known = granted.record_fields(of_result)?;
        signature.record_fields(of_result)?.into_iter().find(|f| !known.contains(f))
    })
}

/// A column that an upsert leaves out though it may not be null: such a write would fail whenever it is committed.
pub(super) fn left_out<'t>(signature: &Signature, operation: &str, table: &'t Table) -> Option<&'t str> {
    let written = signature.record_fields(false).filter(|_| operation == Operation::Upsert.name())?;
    let needed = |c: &&Column| (!c.nullable || table.is_key(&c.name)) && !written.contains(&wit_name(&c.name).as_str());
    table.columns.iter().find(needed).map(|c| c.name.as_str())
}

/// Whether both are lists of records, the fields of the one being some of the other's.
fn is_part_of(rows: &Shape, all: &Shape) -> bool {
    let (Some(fields), Some(all)) = (rows.rows(), all.rows()) else { return false };
    fields.iter().all(|field| all.contains(field))
}
