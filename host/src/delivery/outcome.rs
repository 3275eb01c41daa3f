//! What a batch came to besides rows, as rows of two tables of isobar's own, so that what two versions made of it is compared in
//! one way: the last record of each key of each topic, and the records that were refused. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{HeldTable, Value};
use crate::manifest::{Column, ColumnKind, Function, Table};

/// The table of records that were published. No table of an application has a name with a space.
pub const PUBLISHED: &str = "published records";
/// The table of records that were refused.
pub const REFUSED: &str = "refused records";

/// What bytes begin with that stand as they are, being UTF-8.
const AS_TEXT: &str = "text:";
/// What bytes begin with that stand in base64.
const AS_BASE64: &str = "base64:";

/// A record of the input that was refused.
pub struct Refused<'r> {
    /// The topic.
    pub topic: &'r str,
    /// The partition.
    pub partition: u32,
    /// Where it stands.
    pub offsets: &'r [i64],
}

/// Whether it is one of both tables.
#[must_use]
pub fn is_own(table: &str) -> bool {
    [PUBLISHED, REFUSED].contains(&table)
}

/// Whether what `function` publishes to `topic` is compared: dead letters are told by what was refused.
#[must_use]
pub fn counts(function: &Function, topic: &str) -> bool {
    let takes_letters = function.triggers.iter().any(|t| t.dead_letters.as_deref() == Some(topic));
    function.grants.publish.iter().any(|t| t == topic) && !takes_letters
}

/// Both tables.
#[must_use]
pub fn tables() -> [Table; 2] {
    let column = |name: &str, kind: ColumnKind, nullable: bool| Column {
        name: name.to_owned(),
        kind,
        nullable,
        sensitive: false,
    };
    let table = |name: &str, key: &[&str], columns: Vec<Column>| Table {
        name: name.to_owned(),
        store: String::new(),
        connection: None,
        key: key.iter().map(|k| (*k).to_owned()).collect(),
        columns,
        sensitive: false,
        notice: None,
    };
    let (topic, key) = (column("topic", ColumnKind::Text, false), column("key", ColumnKind::Text, false));
    let records = vec![topic.clone(), key, column("value", ColumnKind::Text, true)];
    let place = [("partition", ColumnKind::Int), ("position", ColumnKind::Bigint)];
    let place = place.into_iter().map(|(name, kind)| column(name, kind, false));
    let refused = std::iter::once(topic).chain(place).chain([column("refused", ColumnKind::Boolean, false)]).collect();
    [table(PUBLISHED, &["topic", "key"], records), table(REFUSED, &["topic", "partition", "position"], refused)]
}

/// `published` (topic, key, value) and `refused` as rows; of records without a key none is the last.
#[must_use]
pub fn rows<'r>(
    published: impl Iterator<Item = (&'r str, Option<&'r [u8]>, Option<&'r [u8]>)>,
    refused: &Refused<'_>,
) -> BTreeMap<String, HeldTable> {
    let mut last: BTreeMap<(&str, &[u8]), Option<&[u8]>> = BTreeMap::new();
    for (topic, key, value) in published {
        last.extend(key.map(|key| ((topic, key), value)));
    }
    let (mut records, mut lost) = (HeldTable::default(), HeldTable::default());
    for ((topic, key), value) in last {
        let (topic, key) = (Value::Text(topic.to_owned()), Value::Text(text(key)));
        let value = value.map_or(Value::Null, |value| Value::Text(text(value)));
        records.upsert(vec![topic.clone(), key.clone()], vec![Some(topic), Some(key), Some(value)]);
    }
    for offset in refused.offsets {
        let key =
            vec![Value::Text(refused.topic.to_owned()), Value::Int(refused.partition.into()), Value::Int(*offset)];
        lost.upsert(key.clone(), key.into_iter().chain([Value::Bool(true)]).map(Some).collect());
    }
    let both = [(PUBLISHED, records), (REFUSED, lost)].into_iter();
    both.filter(|(_, held)| !held.rows.is_empty()).map(|(name, held)| (name.to_owned(), held)).collect()
}

/// Bytes as they stand in a cell.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')) {
        Some(text) => format!("{AS_TEXT}{text}"),
        None => format!("{AS_BASE64}{}", BASE64_STANDARD.encode(bytes)),
    }
}

/// The bytes of a cell of [`PUBLISHED`]; `None` for one that was not made here.
#[must_use]
pub fn bytes(cell: &str) -> Option<Vec<u8>> {
    match cell.strip_prefix(AS_BASE64) {
        Some(encoded) => BASE64_STANDARD.decode(encoded).ok(),
        None => cell.strip_prefix(AS_TEXT).map(|text| text.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_of_a_key_counts_and_bytes_come_back() {
        let (a, odd): (&[u8], &[u8]) = (b"a", &[0xff, 0]);
        let published =
            [("t", Some(a), Some(a)), ("t", Some(a), Some(odd)), ("t", Some(odd), None), ("t", None, Some(a))];
        let refused = Refused { topic: "in", partition: 2, offsets: &[7] };
        let rows = rows(published.into_iter(), &refused);
        let cells = |table: &str| -> Vec<Vec<Value>> {
            let rows = rows[table].rows.values();
            rows.map(|row| row.cells.clone().unwrap().into_iter().flatten().collect()).collect()
        };
        let published = cells(PUBLISHED);
        assert_eq!(published.len(), 2, "{published:?}");
        let mut found: Vec<_> = published
            .iter()
            .map(|row| {
                let Value::Text(key) = &row[1] else { panic!("{row:?}") };
                let value = if let Value::Text(value) = &row[2] { bytes(value) } else { None };
                (bytes(key).unwrap(), value)
            })
            .collect();
        found.sort();
        assert_eq!(found, [(a.to_vec(), Some(odd.to_vec())), (odd.to_vec(), None)]);
        let lost = vec![Value::Text("in".to_owned()), Value::Int(2), Value::Int(7), Value::Bool(true)];
        assert_eq!(cells(REFUSED), [lost]);
    }
}
