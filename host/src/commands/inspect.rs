//! `isobar inspect`: what a component can do, in plain words: its imports are its capabilities.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde::Serialize;

use super::Outcome;
use crate::bindings::system::{self, Need};
use crate::cli::InspectArgs;
use crate::engine::inspect::{self, Capabilities, Interface, Signature};
use crate::registry::gate;
use crate::ui;

/// What a component can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Abilities {
    /// Whether batches of records can be given to it.
    pub handles_records: bool,
    /// Whether a schedule can run it.
    pub runs_on_schedule: bool,
    /// Topics that it may publish to, as WIT spells them.
    pub publishes: BTreeSet<String>,
    /// Tables that it may read or write, by name.
    pub tables: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// Whether it keeps state by key.
    pub keyed_state: bool,
    /// Whether it may send HTTP requests, to hosts that the manifest names.
    pub http: bool,
    /// Whether it reads variables.
    pub variables: bool,
    /// What of the system it imports: clocks and randomness are answered from the batch, the rest is empty or denied.
    pub system: BTreeSet<String>,
    /// Imports that isobar does not serve.
    pub unknown: BTreeSet<String>,
}

/// Says what a component can do.
///
/// # Errors
/// When the file is no component.
pub fn run(args: &InspectArgs) -> anyhow::Result<Outcome> {
    let path = args.file.display();
    let bytes = inspect::read(&args.file).with_context(|| format!("cannot read `{path}`"))?;
    let found = inspect::inspect(&bytes).with_context(|| format!("cannot inspect `{path}`"))?;
    let abilities = abilities(&found);
    if args.json {
        ui::line(serde_json::to_string_pretty(&abilities)?)?;
    } else {
        ui::line(words(&abilities))?;
    }
    Ok(Outcome::Done)
}

/// Sorts imports and exports into what they mean.
#[must_use]
pub fn abilities(found: &Capabilities) -> Abilities {
    let exports = |name: &str| found.exports.contains_key(name);
    let mut abilities = Abilities {
        handles_records: exports(gate::HANDLER) || exports(gate::HANDLER_SYNC),
        runs_on_schedule: exports(gate::SCHEDULED),
        unknown: found.irregular_imports.iter().map(|what| what.replace('`', "")).collect(),
        ..Abilities::default()
    };
    // Types alone are no ability.
    for (name, interface) in found.imports.iter().filter(|(_, interface)| **interface != Interface::default()) {
        sort(&mut abilities, name, &interface.functions);
    }
    abilities
}

fn sort(abilities: &mut Abilities, interface: &str, functions: &BTreeMap<String, Signature>) {
    match system::need(interface) {
        Some(Need::Hosts) => return abilities.http = true,
        Some(Need::Variables) => return abilities.variables = true,
        Some(Need::Nothing) => {
            abilities.system.extend(interface.split_once('/').map(|(package, _)| package.to_owned()));
            return;
        }
        None => {}
    }
    // Tables and topics have no version.
    let (package, name) = interface.split_once('/').filter(|_| !interface.contains('@')).unwrap_or((interface, ""));
    match (package, name) {
        (gate::STATE, _) => abilities.keyed_state = true,
        (package, name) if package.ends_with(":topics") => {
            abilities.publishes.insert(name.to_owned());
        }
        (package, name) if package.ends_with(":tables") => {
            let columns = |s: &Signature| {
                let fields = s.record_fields(true).or_else(|| s.record_fields(false)).unwrap_or_default();
                fields.into_iter().map(snake).collect()
            };
            let operations = functions.iter().map(|(operation, s)| (operation.clone(), columns(s))).collect();
            abilities.tables.insert(snake(name), operations);
        }
        _ => {
            abilities.unknown.insert(interface.to_owned());
        }
    }
}

/// Tables and columns are snake_case, which WIT writes with hyphens.
fn snake(name: &str) -> String {
    name.replace('-', "_")
}

/// The same for people, an ability per line: names are a stranger's, and may hold what moves a cursor.
#[must_use]
pub fn words(abilities: &Abilities) -> String {
    let mut lines = Vec::new();
    let mut say = |is_so: bool, line: String| lines.extend(is_so.then_some(line));
    say(abilities.handles_records, "handles batches of records".to_owned());
    say(abilities.runs_on_schedule, "runs on a schedule".to_owned());
    say(!abilities.handles_records && !abilities.runs_on_schedule, "exports nothing that isobar calls".to_owned());
    for topic in &abilities.publishes {
        say(true, format!("publishes to topic `{}`", ui::visible(topic)));
    }
    for (table, operations) in &abilities.tables {
        for (operation, columns) in operations {
            let line = format!("table `{table}`: {operation}{}", of_columns(columns));
            say(true, ui::visible(&line));
        }
    }
    say(abilities.keyed_state, "keeps state by key".to_owned());
    say(abilities.http, "sends HTTP requests, to hosts that the manifest names".to_owned());
    say(abilities.variables, "reads its variables".to_owned());
    let system = |name: &str| abilities.system.contains(name);
    let fixed = system("wasi:clocks") || system("wasi:random");
    say(fixed, "asks for time or randomness, which the batch answers".to_owned());
    let empty: Vec<&str> = ["wasi:filesystem", "wasi:sockets"].into_iter().filter(|name| system(name)).collect();
    say(!empty.is_empty(), format!("links {}, where it finds nothing", empty.join(" and ")));
    for interface in &abilities.unknown {
        say(true, format!("imports `{}`, which isobar does not serve", ui::visible(interface)));
    }
    lines.join("\n")
}

fn of_columns(columns: &[String]) -> String {
    if columns.is_empty() { String::new() } else { format!(" of {}", columns.join(", ")) }
}
