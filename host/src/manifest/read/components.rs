//! `[component.*]`: what Spin says of a component, of which isobar takes source, build, hosts and variables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, PathBuf};

use super::super::document::{At, Fields, Located, Report, strings, text};
use super::super::names::{self, Spelling};
use super::super::outbound::{OutboundHost, without_userinfo};
use super::super::{Build, Function, Grants, Limits, Variable};
use super::variables::check_template;

/// Component ids whose WIT package would be that of the application's tables or topics.
const RESERVED_COMPONENTS: [&str; 2] = ["tables", "topics"];

/// What Spin knows of a component and isobar has no use for.
const SPINS_OWN: [&str; 13] = [
    "description",
    "environment",
    "files",
    "exclude_files",
    "allowed_http_hosts",
    "key_value_stores",
    "sqlite_databases",
    "ai_models",
    "targets",
    "dependencies_inherit_configuration",
    "dependencies",
    "profile",
    "source",
];

/// All components of the file, until their triggers are known.
pub(super) struct Components<'a> {
    pub(super) functions: BTreeMap<String, Function>,
    declared_at: BTreeMap<String, Located<'a>>,
    /// Whether some trigger does not say well enough which component it runs.
    pub(super) has_unclear_triggers: bool,
}

impl Components<'_> {
    /// The components as functions; reports those that nothing runs and those that share a folder for their WIT.
    pub(super) fn into_functions(self, report: &Report) -> BTreeMap<String, Function> {
        let at = |f: &Function| self.declared_at.get(&f.name).map_or_else(At::default, |l| l.at);
        let mut folders = BTreeMap::new();
        for function in self.functions.values() {
            if function.triggers.is_empty() && !self.has_unclear_triggers {
                let hint = format!("add a `[[trigger.isobar]]` with `component = \"{}\"`, or remove it", function.name);
                report.add(at(function), format!("component `{}` has no trigger", function.name), hint);
            }
            if let Some(other) = folders.insert(&function.wit, &function.name) {
                let (name, folder) = (&function.name, function.wit.display());
                let message =
                    format!("components `{other}` and `{name}` keep their WIT in the same folder, `{folder}`");
                report.add(at(function), message, "give one of them `tool.isobar = { wit = \"…\" }`");
            }
        }
        self.functions
    }
}

/// Reads the components that isobar runs, which are all but those `of_others`.
pub(super) fn read<'a>(
    top: &mut Fields<'a>,
    variables: &BTreeMap<String, Variable>,
    of_others: &BTreeSet<&str>,
) -> Components<'a> {
    let mut functions = BTreeMap::new();
    let mut declared_at = BTreeMap::new();
    for (name, fields) in top.tables("component", "component", "{ source = \"…\" }") {
        if of_others.contains(name.text) {
            continue;
        }
        names::check(fields.report(), "component", name, Spelling::Kebab);
        if RESERVED_COMPONENTS.contains(&name.text) {
            let message = format!("component `{}` has a reserved name: it is that of a WIT package", name.text);
            fields.report().add(name.at, message, "give it another name");
        }
        functions.insert(name.text.to_owned(), component(name, fields, variables));
        declared_at.insert(name.text.to_owned(), name);
    }
    Components { functions, declared_at, has_unclear_triggers: false }
}

fn component(name: Located<'_>, mut fields: Fields<'_>, variables: &BTreeMap<String, Variable>) -> Function {
    let report = fields.report();
    let (source, line) = source(&mut fields, name);
    let hosts = fields.strings("allowed_outbound_hosts").unwrap_or_default();
    for host in &hosts {
        check_template(report, *host, variables);
        check_host(report, *host);
    }
    let values = fields.string_map("variables");
    for (variable, value) in &values {
        names::check(report, "variable", *variable, Spelling::Variable);
        check_template(report, *value, variables);
    }
    let function = Function {
        name: name.text.to_owned(),
        source,
        line,
        wit: wit_folder(&mut fields, name),
        build: build(&mut fields),
        triggers: Vec::new(),
        grants: Grants::default(),
        limits: Limits::default(),
        allowed_outbound_hosts: hosts.iter().map(|h| h.text.to_owned()).collect(),
        variables: values.iter().map(|(k, v)| (k.text.to_owned(), v.text.to_owned())).collect(),
    };
    fields.ignore(&SPINS_OWN);
    fields.finish();
    function
}

/// The component's file and the line that names it.
fn source(fields: &mut Fields<'_>, name: Located<'_>) -> (PathBuf, usize) {
    let report = fields.report();
    let what = format!("component `{}`", name.text);
    let Some(entry) = fields.get("source") else {
        let hint = format!("add `source = \"target/wasm32-wasip2/release/{}.wasm\"`, say", name.text.replace('-', "_"));
        report.add(name.at, format!("{what} has no `source`"), hint);
        return (PathBuf::new(), report.line(name.at));
    };
    if entry.value.is_table() {
        let hint = "download it and name the file: `source = \"path/to/file.wasm\"`";
        report.add(
            entry.key.at,
            format!("{what} has its source elsewhere, and isobar does not fetch components"),
            hint,
        );
        return (PathBuf::new(), report.line(entry.key.at));
    }
    let path = text(report, entry, &format!("`source` of {what}"));
    (path.map(|p| PathBuf::from(p.text)).unwrap_or_default(), report.line(entry.key.at))
}

fn build(fields: &mut Fields<'_>) -> Option<Build> {
    let report = fields.report();
    let mut build = fields.get("build").and_then(|e| Fields::of(report, "`build` of a component", e))?;
    let command = match build.get("command") {
        Some(entry) if entry.value.is_array() => {
            let commands = strings(report, entry, "`command` of `build`").unwrap_or_default();
            Some(commands.iter().map(|c| c.text).collect::<Vec<_>>().join(" && "))
        }
        Some(entry) => text(report, entry, "`command` of `build`").map(|c| c.text.to_owned()),
        None => {
            report.add(
                build.at(),
                "a component's `build` has no `command`",
                "add `command = \"…\"`, or remove `build`",
            );
            None
        }
    };
    let workdir = build.string("workdir").map(|w| PathBuf::from(w.text));
    let watch = build.strings("watch").into_iter().flatten().map(|pattern| pattern.text.to_owned()).collect();
    build.finish();
    command.map(|command| Build { command, workdir, watch })
}

/// Where the function's WIT is kept: `functions/<name>/wit`, or what `tool.isobar.wit` says.
fn wit_folder(fields: &mut Fields<'_>, name: Located<'_>) -> PathBuf {
    let report = fields.report();
    let tools = fields.get("tool").and_then(|e| Fields::of(report, "`tool` of a component", e));
    let ours = tools.and_then(|mut t| t.get("isobar")).and_then(|e| Fields::of(report, "`tool.isobar`", e));
    let said = ours.and_then(|mut ours| {
        let said = ours.string("wit");
        ours.finish();
        said
    });
    let Some(said) = said else { return PathBuf::from("functions").join(name.text).join("wit") };
    let folder = PathBuf::from(said.text);
    if said.text.is_empty() || !folder.components().all(|part| matches!(part, Component::Normal(_))) {
        let message = format!("`{}` is no folder below that of spin.toml", said.text);
        report.add(said.at, message, "`isobar wit` writes there: give a relative path without `..`");
    }
    folder
}

/// A host with a variable is checked when its value is known.
fn check_host(report: &Report, host: Located<'_>) {
    if host.text.contains("{{") {
        return;
    }
    if let Err(why) = OutboundHost::parse(host.text) {
        let message = format!("`{}` in `allowed_outbound_hosts` {why}", without_userinfo(host.text));
        report.add(host.at, message, why.hint());
    }
}
