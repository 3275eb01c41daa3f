//! `[application.trigger.isobar.grants.*]`, and that a table has one writer. Where sensitive data may go is checked in
//! `release`.

use std::collections::{BTreeMap, BTreeSet};

use super::super::bounds;
use super::super::document::{Entry, Fields, Located, Report, strings};
use super::super::problem::{instead_of, quoted};
use super::super::{Function, Operation, Table, TableGrant, Topic};
use super::tables::is_column;
use super::triggers::is_topic;
use super::{limits, release};

/// What grants refer to.
pub(super) struct Declared<'d> {
    pub(super) topics: &'d BTreeMap<String, Topic>,
    pub(super) tables: &'d BTreeMap<String, Table>,
}

pub(super) fn read(settings: &mut Fields<'_>, functions: &mut BTreeMap<String, Function>, declared: &Declared<'_>) {
    let report = settings.report();
    let mut writers = BTreeMap::new();
    for (name, fields) in settings.tables("grants", "the grants of", "{ state = true }") {
        let Some(function) = functions.get_mut(name.text) else {
            unknown_function(report, "grants", name, functions);
            continue;
        };
        grants(fields, function, declared, &mut writers);
    }
    for (name, fields) in settings.tables("limits", "the limits of", "{ memory_mb = 64 }") {
        let limits = limits::read(fields);
        match functions.get_mut(name.text) {
            Some(function) => function.limits = limits,
            None => unknown_function(report, "limits", name, functions),
        }
    }
}

fn unknown_function(report: &Report, what: &str, name: Located<'_>, functions: &BTreeMap<String, Function>) {
    let hint = instead_of(name.text, functions.keys().map(String::as_str), "add a `[[trigger.isobar]]` that names it");
    report.add(name.at, format!("{what} for `{}`, which is no function of isobar", name.text), hint);
}

fn grants<'a>(
    mut fields: Fields<'a>,
    function: &mut Function,
    declared: &Declared<'_>,
    writers: &mut BTreeMap<&'a str, (String, usize)>,
) {
    let report = fields.report();
    let mut targets = table_grants(&mut fields, function, declared, writers);
    for topic in fields.strings("publish").unwrap_or_default() {
        if is_topic(report, topic, declared.topics) {
            targets.push(topic);
            function.grants.publish.insert(topic.text.to_owned());
        }
    }
    function.grants.state = fields.flag("state");
    if let Some(version) = fields.get("state_version").map(|entry| entry.key) {
        function.grants.state_version = fields.small("state_version", bounds::STATE_VERSION).unwrap_or(1);
        if !function.grants.state {
            let message = format!("`{}` has a `state_version` and no state", function.name);
            report.add(version.at, message, "add `state = true`, or remove it");
        }
    }
    for release in fields.strings("releases").unwrap_or_default() {
        let hosts = function.allowed_outbound_hosts.iter().map(String::as_str);
        let mut known = targets.iter().map(|t| t.text).chain(hosts);
        if !known.clone().any(|target| target == release.text) {
            let (name, target) = (&function.name, release.text);
            let hint = instead_of(target, &mut known, "remove it");
            let message = format!("`{name}` releases `{target}`, which it neither writes, publishes nor may ask");
            report.add(release.at, message, hint);
        }
        function.grants.releases.insert(release.text.to_owned());
    }
    let at = fields.at();
    fields.finish();
    release::check(report, at, function, &targets, declared);
}

/// Reads the grants on tables and gives back the tables that may be written.
fn table_grants<'a>(
    fields: &mut Fields<'a>,
    function: &mut Function,
    declared: &Declared<'_>,
    writers: &mut BTreeMap<&'a str, (String, usize)>,
) -> Vec<Located<'a>> {
    let report = fields.report();
    let mut targets = Vec::new();
    let inner = fields.get("tables").and_then(|e| Fields::of(report, "`tables` of the grants", e));
    for entry in inner.iter().flat_map(Fields::entries) {
        let name = entry.key;
        let Some(table) = declared.tables.get(name.text) else {
            let declare = format!("declare it: `[application.trigger.isobar.tables.{}]`", name.text);
            let hint = instead_of(name.text, declared.tables.keys().map(String::as_str), &declare);
            report.add(name.at, format!("table `{}` is not declared", name.text), hint);
            continue;
        };
        let Some(grant) = table_grant(report, entry, table) else { continue };
        if grant.operations.iter().any(|o| o.writes()) {
            targets.push(name);
            claim(report, name, &function.name, writers);
        }
        function.grants.tables.insert(table.name.clone(), grant);
    }
    targets
}

/// Makes `function` the writer of `table`; reports that it has one.
fn claim<'a>(report: &Report, table: Located<'a>, function: &str, writers: &mut BTreeMap<&'a str, (String, usize)>) {
    if let Some((other, line)) = writers.get(table.text) {
        let message = format!("`{function}` and `{other}` may both write table `{}` (line {line})", table.text);
        let hint = format!(
            "a table has one writer: leave it to one of the two, or publish to a topic that triggers `{other}`"
        );
        report.add(table.at, message, hint);
        return;
    }
    writers.insert(table.text, (function.to_owned(), report.line(table.at)));
}

/// `["get"]` or `{ operations = ["get"], columns = ["…"] }`.
fn table_grant(report: &Report, entry: Entry<'_>, table: &Table) -> Option<TableGrant> {
    let what = format!("the grant on `{}`", table.name);
    if !entry.value.is_table() {
        let names = strings(report, entry, &what)?;
        return Some(finish_grant(report, entry.key, table, names, None));
    }
    let mut fields = Fields::of(report, what.as_str(), entry)?;
    let names = fields.strings("operations");
    if names.is_none() && fields.get("operations").is_none() {
        report.add(fields.at(), format!("{what} has no `operations`"), "add `operations = [\"get\"]`, say");
    }
    let columns = fields.strings("columns");
    fields.finish();
    names.map(|names| finish_grant(report, entry.key, table, names, columns))
}

fn finish_grant(
    report: &Report,
    at: Located<'_>,
    table: &Table,
    names: Vec<Located<'_>>,
    columns: Option<Vec<Located<'_>>>,
) -> TableGrant {
    if names.is_empty() {
        let hint = format!("name some of {}, or remove the grant", quoted(Operation::ALL.map(Operation::name)));
        report.add(at.at, format!("the grant on `{}` allows nothing", table.name), hint);
    }
    let operations = operations(report, table, names);
    let columns = columns.map(|columns| {
        let known = columns.into_iter().filter(|c| is_column(report, table, *c));
        known.map(|c| c.text.to_owned()).collect::<BTreeSet<_>>()
    });
    let granted = |name: &str| table.is_key(name) || columns.as_ref().is_none_or(|c| c.contains(name));
    let missing: Vec<&str> =
        table.columns.iter().filter(|c| !c.nullable && !granted(&c.name)).map(|c| c.name.as_str()).collect();
    if operations.contains(&Operation::Upsert) && !missing.is_empty() {
        let message = format!("an upsert of `{}` must give {} too, which may not be null", table.name, quoted(missing));
        report.add(at.at, message, "add it to `columns` of the grant, or allow null with a `?` after its type");
    }
    let columns = table.columns.iter().map(|c| &c.name).filter(|c| granted(c)).cloned().collect();
    TableGrant { operations, columns }
}

fn operations(report: &Report, table: &Table, names: Vec<Located<'_>>) -> BTreeSet<Operation> {
    let mut operations = BTreeSet::new();
    for name in names {
        let Some(operation) = Operation::parse(name.text) else {
            let hint = instead_of(name.text, Operation::ALL.map(Operation::name), "");
            report.add(name.at, format!("unknown operation `{}` on table `{}`", name.text, table.name), hint);
            continue;
        };
        if operation == Operation::Scan && table.key.len() == 1 {
            let hint = "a scan runs over the second key column: add one to `key`, or grant `get`";
            report.add(name.at, format!("table `{}` cannot be scanned: its key is one column", table.name), hint);
        }
        operations.insert(operation);
    }
    operations
}
