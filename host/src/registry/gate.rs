//! The gate: what a component imports and exports, held against what spin.toml grants. Everything that is not expected
//! is refused by name; what is not granted is not linked either.
//!
//! What is expected is read from the same WIT that `isobar wit` writes, so that the two cannot differ.

use std::collections::BTreeMap;

use wit_parser::Resolve;

use crate::engine::inspect::{Capabilities, Shape, Signature, capabilities};
use crate::manifest::schema::wit_name;
use crate::manifest::{Application, Function, TriggerSource, wit};

/// The exports by which functions are called.
pub const HANDLER: &str = "isobar:platform/handler@0.1.0";
/// The same, for languages without async exports.
pub const HANDLER_SYNC: &str = "isobar:platform/handler-sync@0.1.0";
/// The export that schedules call.
pub const SCHEDULED: &str = "isobar:platform/scheduled@0.1.0";
const STATE: &str = "isobar:platform/state@0.1.0";

/// Linked for every function, answering from the batch or not at all; see `bindings`.
const ALWAYS: [&str; 6] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
/// The versions of them that are linked.
const WASI_VERSIONS: [&str; 2] = ["@0.2.", "@0.3.0"];

/// One thing that a component may not do, or lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// What to write where, if it was meant.
    pub hint: String,
}

/// All reasons not to run a component as `function`; none: it may run.
#[must_use]
pub fn refusals(application: &Application, function: &Function, found: &Capabilities) -> Vec<Refusal> {
    let expected = match expected(application, function) {
        Ok(expected) => expected,
        Err(error) => return vec![Refusal { message: format!("{error:#}"), hint: "rename what it names".to_owned() }],
    };
    let mut refusals: Vec<Refusal> = found
        .irregular
        .iter()
        .map(|name| Refusal {
            message: format!("`{}` imports {name}, which belongs to no interface that isobar knows", function.name),
            hint: "build it against the WIT that `isobar wit` writes".to_owned(),
        })
        .collect();
    for (interface, functions) in &found.imports {
        refusals.extend(import_refusals(application, function, &expected, interface, functions));
    }
    refusals.extend(export_refusals(function, &expected, found));
    refusals
}

/// Refusals as a person reads them.
#[must_use]
pub fn render(refusals: &[Refusal]) -> String {
    refusals.iter().map(|r| format!("{}\n  hint: {}", r.message, r.hint)).collect::<Vec<_>>().join("\n")
}

fn import_refusals(
    application: &Application,
    function: &Function,
    expected: &Capabilities,
    interface: &str,
    functions: &BTreeMap<String, Signature>,
) -> Vec<Refusal> {
    if is_always_linked(interface) {
        return Vec::new();
    }
    let name = &function.name;
    let needs = |what: &str, hint: String| Refusal { message: format!("`{name}` imports `{interface}`, {what}"), hint };
    if interface.starts_with("wasi:http/") && !function.allowed_outbound_hosts.is_empty() {
        return Vec::new();
    }
    if interface.starts_with("wasi:http/") {
        let hint = format!("if that was meant: [component.{name}] allowed_outbound_hosts = [\"https://…\"]");
        return vec![needs("and spin.toml allows it no outbound host", hint)];
    }
    if interface.starts_with("spin:variables/variables@3.") {
        let hint = format!("if that was meant: [component.{name}.variables] …");
        return match function.variables.is_empty() {
            true => vec![needs("and spin.toml gives it no variables", hint)],
            false => Vec::new(),
        };
    }
    let granted = expected.imports.get(interface);
    functions
        .iter()
        .filter_map(|(called, signature)| {
            let wanted = granted.and_then(|functions| functions.get(called));
            refusal(application, function, &format!("{interface}.{called}"), (interface, called), signature, wanted)
        })
        .collect()
}

fn refusal(
    application: &Application,
    function: &Function,
    what: &str,
    (interface, called): (&str, &str),
    signature: &Signature,
    granted: Option<&Signature>,
) -> Option<Refusal> {
    let name = &function.name;
    let Some(granted) = granted else {
        return Some(Refusal {
            message: format!("`{name}` imports `{what}`, which spin.toml does not grant"),
            hint: grant_hint(application, name, interface, called),
        });
    };
    if let Some(column) = foreign_column(signature, granted) {
        return Some(Refusal {
            message: format!("`{name}` imports `{what}` with column `{column}`, which spin.toml does not grant"),
            hint: format!("if that was meant, add the column to [application.trigger.isobar.grants.{name}]"),
        });
    }
    (!fits(signature, granted)).then(|| Refusal {
        message: format!("`{name}` imports `{what}` as {signature}, but it is {granted}"),
        hint: "build it against the WIT that `isobar wit` writes".to_owned(),
    })
}

/// Whether a call typed `signature` can be answered by `granted`: the same shape, though a table's row may leave
/// columns out. Order of fields counts, because records are laid out by it.
fn fits(signature: &Signature, granted: &Signature) -> bool {
    let part = |a: &Option<Box<Shape>>, b: &Option<Box<Shape>>| match (a, b) {
        (Some(a), Some(b)) => shape_fits(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    let result = match (&signature.result, &granted.result) {
        (Some(Shape::Result(a, ae)), Some(Shape::Result(b, be))) => part(a, b) && ae == be,
        (a, b) => a == b,
    };
    let params = signature.params.len() == granted.params.len()
        && signature.params.iter().zip(&granted.params).all(|(a, b)| shape_fits(a, b));
    signature.is_async == granted.is_async && params && result
}

fn shape_fits(shape: &Shape, granted: &Shape) -> bool {
    match (rows(shape), rows(granted)) {
        (Some(fields), Some(granted)) => {
            let mut rest = granted.iter();
            fields.iter().all(|field| rest.any(|g| g == field))
        }
        _ => shape == granted,
    }
}

fn rows(shape: &Shape) -> Option<&[(String, Shape)]> {
    match shape {
        Shape::List(item) => match item.as_ref() {
            Shape::Record(fields) => Some(fields),
            _ => None,
        },
        _ => None,
    }
}

/// A field of the row that the granted one does not have at all.
fn foreign_column<'s>(signature: &'s Signature, granted: &Signature) -> Option<&'s str> {
    [false, true].into_iter().find_map(|of_result| {
        let known = granted.record_fields(of_result)?;
        signature.record_fields(of_result)?.into_iter().find(|f| !known.contains(f))
    })
}

fn grant_hint(application: &Application, name: &str, interface: &str, called: &str) -> String {
    let grants = format!("[application.trigger.isobar.grants.{name}]");
    let tables = format!("{}:tables/", application.name);
    let topics = format!("{}:topics/", application.name);
    if interface == STATE {
        return format!("if that was meant: {grants} state = true");
    }
    if let Some(table) = interface.strip_prefix(&tables) {
        return match application.tables.keys().find(|t| wit_name(t) == table) {
            Some(table) => format!("if that was meant: {grants} tables.{table} = [\"{called}\"]"),
            None => "spin.toml declares no such table; declare it below [application.trigger.isobar.tables]".to_owned(),
        };
    }
    if let Some(topic) = interface.strip_prefix(&topics) {
        return match application.topics.keys().find(|t| wit_name(t) == topic) {
            Some(topic) => format!("if that was meant: {grants} publish = [\"{topic}\"]"),
            None => "spin.toml declares no such topic; declare it below [application.trigger.isobar.topics]".to_owned(),
        };
    }
    "isobar knows no such interface; build the component without it".to_owned()
}

fn export_refusals(function: &Function, expected: &Capabilities, found: &Capabilities) -> Vec<Refusal> {
    let name = &function.name;
    let missing = |interface: &str, why: &str| Refusal {
        message: format!("`{name}` does not export `{interface}`, which {why} needs"),
        hint: "export it (in Rust: `isobar_guest::handler!` or `isobar_guest::scheduled!`), or change the trigger"
            .to_owned(),
    };
    let mut refusals = Vec::new();
    let by_topic = function.triggers.iter().any(|t| matches!(t.source, TriggerSource::Topic(_)));
    let by_cron = function.triggers.iter().any(|t| matches!(t.source, TriggerSource::Cron(_)));
    if by_topic && !found.exports.contains_key(HANDLER) && !found.exports.contains_key(HANDLER_SYNC) {
        refusals.push(missing(HANDLER, "its topic trigger"));
    }
    if by_cron && !found.exports.contains_key(SCHEDULED) {
        refusals.push(missing(SCHEDULED, "its schedule"));
    }
    for interface in [HANDLER, HANDLER_SYNC, SCHEDULED] {
        let Some(functions) = found.exports.get(interface) else { continue };
        if expected.exports.get(interface).is_some_and(|e| e != functions) {
            refusals.push(Refusal {
                message: format!("`{name}` exports `{interface}` with another shape than the contract's"),
                hint: "build it against the WIT that `isobar wit` writes".to_owned(),
            });
        }
    }
    refusals
}

fn is_always_linked(interface: &str) -> bool {
    ALWAYS.iter().any(|a| interface.starts_with(a)) && WASI_VERSIONS.iter().any(|v| interface.contains(v))
}

/// What spin.toml grants to `function`, as the shapes that its WIT has; and every export of the contract.
fn expected(application: &Application, function: &Function) -> anyhow::Result<Capabilities> {
    let mut resolve = Resolve::default();
    let files = wit::generate(application, function);
    let (world, deps): (Vec<_>, Vec<_>) = files.iter().partition(|(path, _)| path.as_str() == "world.wit");
    let mut package = None;
    let platform_first = |path: &str| !path.ends_with("platform.wit");
    let mut ordered: Vec<_> = deps.into_iter().chain(world).collect();
    ordered.sort_by_key(|(path, _)| (path.as_str() == "world.wit", platform_first(path)));
    for (path, text) in ordered {
        package = Some(resolve.push_str(path, text)?);
    }
    let package = package.and_then(|p| resolve.packages.get(p));
    let world = package.and_then(|p| p.worlds.get("function").copied());
    let world = world.ok_or_else(|| anyhow::anyhow!("the generated WIT has no world"))?;
    let mut expected = capabilities(&resolve, world);
    for (name, world) in resolve.packages.iter().flat_map(|(_, p)| &p.worlds) {
        if ["function-sync", "scheduled-function"].contains(&name.as_str()) || name == "function" {
            expected.exports.extend(capabilities(&resolve, *world).exports);
        }
    }
    Ok(expected)
}
