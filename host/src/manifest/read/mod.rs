//! From the text of spin.toml to a checked [`Application`]: every section in the order in which the later ones refer
//! to the earlier. It reads the whole file whatever it finds, so that all problems are reported at once.

mod components;
mod demo;
mod grants;
mod limits;
mod release;
mod tables;
mod topics;
mod triggers;
mod variables;

use toml::de::DeTable;

use super::Application;
use super::document::{At, Fields, Report};
use super::names::{self, Spelling};
use super::problem::Problem;
use grants::Declared;

/// Largest spin.toml that is read: hundreds of times any real one.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// Namespaces of WIT packages that are not an application's.
const RESERVED_APPLICATIONS: [&str; 3] = ["isobar", "wasi", "spin"];

/// Reads the text of a spin.toml.
///
/// # Errors
/// Everything that is wrong with it, by line.
pub fn parse(text: &str) -> Result<Application, Vec<Problem>> {
    let report = Report::new(text);
    if text.len() > MAX_TEXT_BYTES {
        report.add(At::default(), "the file is larger than 1 MiB", "is this the application's spin.toml?");
        return Err(report.into_problems());
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().unwrap_or_default().into();
        let twice = error.message().starts_with("duplicate");
        let hint = if twice { "remove one of the two, or give it another name" } else { "see toml.io for the syntax" };
        report.add(at, format!("this is not TOML: {}", error.message()), hint);
    }
    if !report.is_clean() {
        return Err(report.into_problems());
    }
    let application = application(Fields::root(&report, document.get_ref()));
    if report.is_clean() { Ok(application) } else { Err(report.into_problems()) }
}

fn application(mut top: Fields<'_>) -> Application {
    let report = top.report();
    manifest_version(&mut top);
    let variables = variables::read(&mut top);
    let header = top.get("application").and_then(|e| Fields::of(report, "`[application]`", e));
    if header.is_none() {
        report.add(At::default(), "the file has no `[application]`", "add `[application]` with a `name`");
    }
    let (name, mut settings) = header.map(header_fields).unwrap_or_default();
    let topics = settings.as_mut().map(|s| topics::read(s, &name)).unwrap_or_default();
    let tables = settings.as_mut().map(tables::read).unwrap_or_default();

    let of_others = triggers::components_of_others(&mut top);
    let mut components = components::read(&mut top, &variables, &of_others);
    triggers::read(&mut top, &mut components, &topics);
    top.finish();
    let mut functions = components.into_functions(report);
    if let Some(settings) = &mut settings {
        grants::read(settings, &mut functions, &Declared { topics: &topics, tables: &tables });
    }
    release::refuse_sending(report, &functions, &Declared { topics: &topics, tables: &tables });
    let mut application = Application { name, functions, topics, tables, variables, demo: None };
    limits::refuse_endless(report, &application);
    if let Some(mut settings) = settings {
        application.demo = demo::read(&mut settings, &application);
        settings.finish();
    }
    application
}

fn manifest_version(top: &mut Fields<'_>) {
    let hint = "make `spin_manifest_version = 2` the first line";
    match top.get("spin_manifest_version") {
        None => top.report().add(At::default(), "the file has no `spin_manifest_version`", hint),
        Some(entry) if entry.value.as_integer().is_some_and(|n| n.as_str() == "2") => {}
        Some(entry) => top.report().add(entry.key.at, "this is no manifest of version 2", hint),
    }
}

/// The application's name and its `[application.trigger.isobar]`.
fn header_fields(mut header: Fields<'_>) -> (String, Option<Fields<'_>>) {
    let report = header.report();
    let name = header.required_string("name", "add `name = \"…\"`");
    if let Some(name) = name {
        names::check(report, "application", name, Spelling::Kebab);
        if RESERVED_APPLICATIONS.contains(&name.text) {
            let message = format!("the name `{}` is reserved", name.text);
            report.add(name.at, message, "give the application another name; it is the namespace of its WIT packages");
        }
    }
    header.ignore(&["version", "description", "authors", "targets", "tool"]);
    let mut settings = None;
    if let Some(kinds) = header.get("trigger").and_then(|e| Fields::of(report, "`[application.trigger]`", e)) {
        for entry in kinds.entries() {
            if entry.key.text == triggers::OURS {
                settings = Fields::of(report, "`[application.trigger.isobar]`", entry);
            } else {
                triggers::refuse_misspelling(report, entry.key);
            }
        }
    }
    header.finish();
    (name.map(|n| n.text.to_owned()).unwrap_or_default(), settings)
}
