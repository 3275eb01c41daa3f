//! `[application.trigger.isobar.tables.*]`.

use std::collections::BTreeMap;

use super::super::document::{Entry, Fields, Located, Report, text};
use super::super::names::{self, Spelling};
use super::super::problem::{instead_of, quoted};
use super::super::schema::{Column, ColumnKind, Table};

/// Where a table can be kept.
const STORES: [&str; 3] = ["cassandra", "postgres", "embedded"];

pub(super) fn read(settings: &mut Fields<'_>) -> BTreeMap<String, Table> {
    let tables = settings.tables("tables", "table", "{ key = […], columns = { … } }").into_iter();
    tables.map(|(name, fields)| (name.text.to_owned(), table(name, fields))).collect()
}

fn table(name: Located<'_>, mut fields: Fields<'_>) -> Table {
    let report = fields.report();
    names::check(report, "table", name, Spelling::Snake);
    if name.text.starts_with("isobar_") {
        let message = format!("table `{}` has a reserved name: `isobar_` is for isobar's own tables", name.text);
        report.add(name.at, message, "give it a name that does not begin so");
    }
    let columns = columns(&mut fields, name);
    let table = Table {
        name: name.text.to_owned(),
        store: store(&mut fields, name),
        connection: None,
        key: key(&mut fields, name, &columns),
        columns,
        sensitive: fields.flag("sensitive"),
        notice: fields.string("notice").map(|n| n.text.to_owned()),
    };
    fields.finish();
    table
}

fn store(fields: &mut Fields<'_>, table: Located<'_>) -> String {
    let Some(store) = fields.string("store") else { return "embedded".to_owned() };
    if !STORES.contains(&store.text) {
        let message = format!("table `{}` names the store `{}`, which isobar does not have", table.text, store.text);
        fields.report().add(store.at, message, instead_of(store.text, STORES, ""));
    }
    store.text.to_owned()
}

fn columns(fields: &mut Fields<'_>, table: Located<'_>) -> Vec<Column> {
    let report = fields.report();
    let declared = fields.get("columns");
    let inner = declared.and_then(|e| Fields::of(report, format!("`columns` of table `{}`", table.text), e));
    let columns: Vec<Column> = inner.iter().flat_map(Fields::entries).map(|e| column(report, table, e)).collect();
    if columns.is_empty() && (declared.is_none() || inner.is_some()) {
        let message = format!("table `{}` has no columns", table.text);
        report.add(fields.at(), message, "add `columns = { … = \"text\", … = \"double?\" }`");
    }
    columns
}

fn column(report: &Report, table: Located<'_>, entry: Entry<'_>) -> Column {
    let name = entry.key;
    names::check(report, "column", name, Spelling::Snake);
    let what = format!("column `{}` of table `{}`", name.text, table.text);
    let (kind, sensitive) = if entry.value.is_table() {
        let Some(mut fields) = Fields::of(report, what.as_str(), entry) else { return unknown_column(name) };
        let kind = fields.required_string("type", "add `type = \"text\"`, say");
        let sensitive = fields.flag("sensitive");
        fields.finish();
        (kind, sensitive)
    } else {
        (text(report, entry, &what), false)
    };
    let Some(declared) = kind else { return unknown_column(name) };
    let (kind, nullable) = declared.text.strip_suffix('?').map_or((declared.text, false), |kind| (kind, true));
    let parsed = ColumnKind::ALL.into_iter().find(|k| k.name() == kind);
    if parsed.is_none() {
        let hint = match known_elsewhere_as(kind) {
            Some(ours) => format!("did you mean `{}`?", ours.name()),
            None => instead_of(kind, ColumnKind::ALL.map(ColumnKind::name), ""),
        };
        let hint = format!("{hint} (a `?` after it allows null)");
        report.add(declared.at, format!("{what} has the unknown type `{}`", declared.text), hint);
    }
    Column { name: name.text.to_owned(), kind: parsed.unwrap_or(ColumnKind::Text), nullable, sensitive }
}

/// The kind that other systems call `name`.
fn known_elsewhere_as(name: &str) -> Option<ColumnKind> {
    Some(match name.to_lowercase().as_str() {
        "string" | "varchar" | "char" | "str" => ColumnKind::Text,
        "datetime" | "instant" | "time" => ColumnKind::Timestamp,
        "float" | "real" | "number" | "f64" | "f32" => ColumnKind::Double,
        "integer" | "int4" | "i32" | "s32" => ColumnKind::Int,
        "long" | "int8" | "i64" | "s64" => ColumnKind::Bigint,
        "bool" => ColumnKind::Boolean,
        _ => return None,
    })
}

/// Stands for a column whose type could not be read, so that what refers to it is still checked.
fn unknown_column(name: Located<'_>) -> Column {
    Column { name: name.text.to_owned(), kind: ColumnKind::Text, nullable: false, sensitive: false }
}

fn key(fields: &mut Fields<'_>, table: Located<'_>, columns: &[Column]) -> Vec<String> {
    let report = fields.report();
    let declared = fields.strings("key");
    let is_wrong = declared.is_none() && fields.get("key").is_some();
    let key = declared.unwrap_or_default();
    if key.is_empty() && !is_wrong {
        let first = columns.first().map_or("…", |c| c.name.as_str());
        let hint = format!("add `key = [\"{first}\"]`, the partition key first");
        report.add(fields.at(), format!("table `{}` has no key", table.text), hint);
    }
    for name in key.iter().filter(|_| !columns.is_empty()) {
        check_key_column(report, table, *name, columns);
    }
    if let [partition, clustering, ..] = key.as_slice()
        && [format!("first_{}", clustering.text), format!("last_{}", clustering.text)]
            .contains(&partition.text.to_owned())
    {
        let message = format!("key column `{}` is what WIT calls a bound of `{}`", partition.text, clustering.text);
        report.add(partition.at, message, "rename one of the two");
    }
    key.into_iter().map(|k| k.text.to_owned()).collect()
}

fn check_key_column(report: &Report, table: Located<'_>, name: Located<'_>, columns: &[Column]) {
    let what = format!("key column `{}` of table `{}`", name.text, table.text);
    let Some(column) = columns.iter().find(|c| c.name == name.text) else {
        let known = columns.iter().map(|c| c.name.as_str());
        report.add(name.at, format!("{what} is not declared"), instead_of(name.text, known, "add it to `columns`"));
        return;
    };
    if column.nullable {
        let hint = format!("declare it as `{} = \"{}\"`", column.name, column.kind.name());
        report.add(name.at, format!("{what} allows null"), hint);
    }
    if column.kind == ColumnKind::Double {
        let hint = "equality of floats depends on how they were computed; use an `int`, `bigint` or `text`";
        report.add(name.at, format!("{what} is a double"), hint);
    }
}

/// Reports a name that is no column of `table`; true where it is one.
pub(super) fn is_column(report: &Report, table: &Table, name: Located<'_>) -> bool {
    let known = table.column(name.text).is_some();
    if !known {
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let hint = instead_of(name.text, names.iter().copied(), "declare its columns");
        let hint = if hint.starts_with("did") { format!("{hint} (it has {})", quoted(names)) } else { hint };
        report.add(name.at, format!("table `{}` has no column `{}`", table.name, name.text), hint);
    }
    known
}
