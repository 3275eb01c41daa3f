//! `[application.trigger.isobar.demo]`.

use super::super::document::{Fields, Located, Report};
use super::super::problem::instead_of;
use super::super::{Application, Demo, TriggerSource};
use super::triggers::check_cron;

/// What stands for a value that is only known when the demo starts.
const PLACEHOLDERS: [&str; 2] = ["port", "demo_dir"];

/// Reads the demo of `application`, whose other parts are known.
pub(super) fn read(settings: &mut Fields<'_>, application: &Application) -> Option<Demo> {
    let report = settings.report();
    let mut fields = settings.get("demo").and_then(|e| Fields::of(report, "`demo`", e))?;
    let build = fields.string("build").map(|b| b.text.to_owned());
    let command = fields.required_string("command", "add `command = \"…\"`");
    let variables = fields.string_map("variables");
    let cron = fields.string_map("cron");
    let load = fields.string_map("load");
    for text in command.iter().chain(variables.iter().chain(&load).map(|(_, value)| value)) {
        check_placeholders(report, *text);
    }
    for (name, _) in &variables {
        if !application.variables.contains_key(name.text) {
            let known = application.variables.keys().map(String::as_str);
            report.add(
                name.at,
                format!("the demo sets the unknown variable `{}`", name.text),
                instead_of(name.text, known, "remove it"),
            );
        }
    }
    for (id, expression) in &cron {
        check_schedule(report, *id, application);
        check_cron(report, *expression);
    }
    for (table, _) in &load {
        check_load(report, *table, application);
    }
    fields.finish();
    let owned = |pairs: Vec<(Located<'_>, Located<'_>)>| {
        pairs.into_iter().map(|(k, v)| (k.text.to_owned(), v.text.to_owned())).collect()
    };
    let command = command.map(|c| c.text.to_owned()).unwrap_or_default();
    Some(Demo { build, command, variables: owned(variables), cron: owned(cron), load: owned(load) })
}

fn check_placeholders(report: &Report, text: Located<'_>) {
    for opened in text.text.split('{').skip(1) {
        let Some((name, _)) = opened.split_once('}') else { continue };
        if !PLACEHOLDERS.contains(&name) {
            let message = format!("the demo uses the unknown placeholder `{{{name}}}`");
            report.add(text.at, message, instead_of(name, PLACEHOLDERS, ""));
        }
    }
}

fn check_schedule(report: &Report, id: Located<'_>, application: &Application) {
    let triggers = application.functions.values().flat_map(|f| &f.triggers);
    let scheduled = triggers.filter(|t| matches!(t.source, TriggerSource::Cron(_))).map(|t| t.id.as_str());
    let scheduled: Vec<&str> = scheduled.collect();
    if !scheduled.contains(&id.text) {
        let message =
            format!("the demo sets the schedule of `{}`, which is no trigger with a `cron_expression`", id.text);
        report.add(id.at, message, instead_of(id.text, scheduled, "remove it"));
    }
}

fn check_load(report: &Report, table: Located<'_>, application: &Application) {
    if !application.tables.contains_key(table.text) {
        let known = application.tables.keys().map(String::as_str);
        let message = format!("the demo loads table `{}`, which is not declared", table.text);
        report.add(table.at, message, instead_of(table.text, known, "remove it"));
    }
    if let Some(writer) = application.writer_of(table.text) {
        let message = format!("the demo loads table `{}`, which `{writer}` writes", table.text);
        report.add(table.at, message, "a table has one writer: do not load it, or take the grant back");
    }
}
