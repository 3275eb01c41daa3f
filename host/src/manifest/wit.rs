//! The WIT of a function, written from its grants: one interface per granted table and topic, with the granted
//! operations and columns and no more. A component built against it cannot import what it was not granted.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::schema::wit_name;
use super::{Application, Column, ColumnKind, Function, Operation, Table, TableGrant, TriggerSource};

/// The contract itself, which every function's WIT refers to.
pub const PLATFORM: &str = include_str!("../../../wit/platform/platform.wit");

/// Version of the package in [`PLATFORM`].
pub const PLATFORM_VERSION: &str = "0.1.1";

/// Words that WIT understands by themselves: as names they take a `%` in front.
const KEYWORDS: [&str; 44] = [
    "as",
    "async",
    "bool",
    "borrow",
    "char",
    "constructor",
    "enum",
    "error-context",
    "export",
    "f32",
    "f64",
    "flags",
    "from",
    "func",
    "future",
    "import",
    "include",
    "interface",
    "list",
    "map",
    "option",
    "own",
    "package",
    "record",
    "resource",
    "result",
    "s16",
    "s32",
    "s64",
    "s8",
    "static",
    "stream",
    "string",
    "tuple",
    "type",
    "u16",
    "u32",
    "u64",
    "u8",
    "use",
    "variant",
    "with",
    "world",
    "implements",
];

/// The files of the function's WIT folder: text by path relative to [`Function::wit`], `/` between its parts.
#[must_use]
pub fn generate(application: &Application, function: &Function) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    files.insert("world.wit".to_owned(), world(application, function));
    files.insert("deps/platform.wit".to_owned(), PLATFORM.to_owned());
    if !function.grants.tables.is_empty() {
        files.insert(format!("deps/{}-tables.wit", application.name), tables(application, function));
    }
    if !function.grants.publish.is_empty() {
        files.insert(format!("deps/{}-topics.wit", application.name), topics(application, function));
    }
    files
}

/// A name as an identifier in WIT text.
fn identifier(name: &str) -> String {
    let name = wit_name(name);
    if KEYWORDS.contains(&name.as_str()) { format!("%{name}") } else { name }
}

fn world(application: &Application, function: &Function) -> String {
    let namespace = identifier(&application.name);
    let name = &function.name;
    let mut text = format!(
        "// Made by `isobar wit` from spin.toml: what `{name}` may import. Change the grants there, then run it again.\n\
         package {namespace}:{};\n\n\
         /// The tables and topics granted to `{name}`.\nworld grants {{\n",
        identifier(name)
    );
    for table in function.grants.tables.keys() {
        line(&mut text, format_args!("  import {namespace}:tables/{};", identifier(table)));
    }
    for topic in &function.grants.publish {
        line(&mut text, format_args!("  import {namespace}:topics/{};", identifier(topic)));
    }
    line(&mut text, format_args!("}}\n"));
    line(
        &mut text,
        format_args!("/// All of `{name}`, for languages other than Rust, whose guest crate has the rest."),
    );
    line(&mut text, format_args!("world function {{\n  include grants;"));
    if function.grants.state {
        line(&mut text, format_args!("  import isobar:platform/state@{PLATFORM_VERSION};"));
    }
    let is_topic = |source: &TriggerSource| matches!(source, TriggerSource::Topic(_));
    if function.triggers.iter().any(|t| is_topic(&t.source)) {
        line(&mut text, format_args!("  export isobar:platform/handler@{PLATFORM_VERSION};"));
    }
    if function.triggers.iter().any(|t| !is_topic(&t.source)) {
        line(&mut text, format_args!("  export isobar:platform/scheduled@{PLATFORM_VERSION};"));
    }
    line(&mut text, format_args!("}}"));
    if function.grants.state && function.grants.state_version > 1 {
        line(
            &mut text,
            format_args!("\n/// The same of a version that knows what the state of an older one is to become."),
        );
        line(&mut text, format_args!("world migrating-function {{\n  include function;"));
        line(&mut text, format_args!("  export isobar:platform/migration@{PLATFORM_VERSION};\n}}"));
    }
    text
}

fn tables(application: &Application, function: &Function) -> String {
    let mut text = format!(
        "// Made by `isobar wit` from spin.toml: the tables, operations and columns granted to `{}`.\npackage {}:tables;\n",
        function.name,
        identifier(&application.name)
    );
    for (name, grant) in &function.grants.tables {
        if let Some(table) = application.tables.get(name) {
            interface(&mut text, table, grant);
        }
    }
    text
}

fn interface(text: &mut String, table: &Table, grant: &TableGrant) {
    let may = |operation| grant.operations.contains(&operation);
    line(text, format_args!("\n/// Key: {}.", table.key.join(", ")));
    line(text, format_args!("interface {} {{", identifier(&table.name)));
    line(text, format_args!("  use isobar:platform/types@{PLATFORM_VERSION}.{{error}};"));
    if may(Operation::Get) || may(Operation::Delete) {
        record(text, "key", table.key.iter().filter_map(|k| table.column(k)));
    }
    if may(Operation::Scan) {
        range(text, table);
    }
    if may(Operation::Get) || may(Operation::Scan) || may(Operation::Upsert) {
        record(text, "row", table.columns.iter().filter(|c| grant.columns.contains(&c.name)));
    }
    for operation in &grant.operations {
        let (comment, signature) = match operation {
            Operation::Get => {
                ("The rows that exist, in no particular order.", "(keys: list<key>) -> result<list<row>, error>")
            }
            Operation::Scan => {
                ("The rows that exist, in no particular order.", "(ranges: list<range>) -> result<list<row>, error>")
            }
            Operation::Upsert => {
                ("Inserts or replaces rows by key, when the batch commits.", "(rows: list<row>) -> result<_, error>")
            }
            Operation::Delete => {
                ("Removes the rows that exist, when the batch commits.", "(keys: list<key>) -> result<_, error>")
            }
        };
        line(text, format_args!("\n  /// {comment}\n  {}: func{signature};", operation.name()));
    }
    line(text, format_args!("}}"));
}

fn record<'c>(text: &mut String, name: &str, columns: impl Iterator<Item = &'c Column>) {
    line(text, format_args!("\n  record {name} {{"));
    for column in columns {
        let kind = column.kind.wit();
        let kind = if column.nullable { format!("option<{kind}>") } else { kind.to_owned() };
        unit(text, column.kind);
        line(text, format_args!("    {}: {kind},", identifier(&column.name)));
    }
    line(text, format_args!("  }}"));
}

/// What the numbers of a column count, where its kind says so.
fn unit(text: &mut String, kind: ColumnKind) {
    match kind {
        ColumnKind::Date => line(text, format_args!("    /// Days since 1970-01-01.")),
        ColumnKind::Timestamp => line(text, format_args!("    /// Milliseconds since the Unix epoch.")),
        _ => {}
    }
}

/// Rows of one partition key over a range of the first clustering column.
fn range(text: &mut String, table: &Table) {
    let mut key = table.key.iter().filter_map(|k| table.column(k));
    let (Some(partition), Some(clustering)) = (key.next(), key.next()) else { return };
    line(text, format_args!("\n  /// First and last are both included.\n  record range {{"));
    unit(text, partition.kind);
    line(text, format_args!("    {}: {},", identifier(&partition.name), partition.kind.wit()));
    for bound in ["first", "last"] {
        unit(text, clustering.kind);
        line(text, format_args!("    {bound}-{}: {},", wit_name(&clustering.name), clustering.kind.wit()));
    }
    line(text, format_args!("  }}"));
}

fn topics(application: &Application, function: &Function) -> String {
    let mut text = format!(
        "// Made by `isobar wit` from spin.toml: the topics that `{}` may publish to.\npackage {}:topics;\n",
        function.name,
        identifier(&application.name)
    );
    for topic in &function.grants.publish {
        line(&mut text, format_args!("\n/// Topic `{topic}`.\ninterface {} {{", identifier(topic)));
        line(&mut text, format_args!("  use isobar:platform/types@{PLATFORM_VERSION}.{{error, packed}};\n"));
        line(&mut text, format_args!("  /// Sent when the batch commits. One value per key, or null."));
        line(&mut text, format_args!("  send: func(keys: packed, values: packed) -> result<_, error>;\n}}"));
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}
