//! The gate: what a component imports and exports, held against what spin.toml grants. Everything that is not expected
//! is refused by name; what is not granted is not linked either. Tables are linked with whatever shape the component
//! gives them, so that for those nothing but the gate stands between a component and a column.

mod expected;
mod fit;
mod release;

use crate::bindings::system::{self, Need};
use crate::bindings::tables::text::cut;
use crate::engine::inspect::{Capabilities, Interface, Signature};
use crate::manifest::schema::wit_name;
use crate::manifest::{Application, Function, TriggerSource};

/// The exports by which functions are called.
pub const HANDLER: &str = "isobar:platform/handler@0.1.1";
/// The same, for languages without async exports.
pub const HANDLER_SYNC: &str = "isobar:platform/handler-sync@0.1.1";
/// The export that schedules call.
pub const SCHEDULED: &str = "isobar:platform/scheduled@0.1.1";
/// The export that gives state another form.
pub const MIGRATION: &str = "isobar:platform/migration@0.1.1";
/// The import by which functions keep state.
pub const STATE: &str = "isobar:platform/state@0.1.1";
/// What tools leave behind that has done its work when the component was built: componentize-py's initialisation.
const LEFT_OVER: [&str; 1] = ["instance `exports`"];
/// What imports and exports of the contract are made of.
const PLUMBING: [&str; 2] = ["isobar:platform/events@0.1.1", "isobar:platform/types@0.1.1"];

/// Refusals that are said one by one: who builds components reads them, and a stranger's may have any number.
const MOST_SAID: usize = 20;
/// Characters of a name that a message shows; the names of tables and columns are shorter.
const MOST_NAME: usize = 200;
const REBUILD: &str = "build it against the WIT that `isobar wit` writes";

/// One thing that a component may not do, or lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// What to write where, if it was meant.
    pub hint: String,
}

impl Refusal {
    fn new(message: String, hint: impl Into<String>) -> Self {
        Refusal { message, hint: hint.into() }
    }
}

/// The reasons not to run a component as `function`, of very many the first; none: it may run.
#[must_use]
pub fn refusals(application: &Application, function: &Function, found: &Capabilities) -> Vec<Refusal> {
    let expected = match expected::capabilities(application, function) {
        Ok(expected) => expected,
        Err(error) => return vec![Refusal::new(format!("{error:#}"), "rename what it names")],
    };
    let found = &release::current(found);
    let gate = Gate { application, function, expected };
    let mut refused = Refused::default();
    gate.irregular(found, &mut refused);
    for (interface, imported) in &found.imports {
        gate.import(interface, imported, &mut refused);
    }
    gate.exports(found, &mut refused);
    let Refused { mut said, more } = refused;
    if more > 0 {
        said.push(Refusal::new(format!("`{}` has {more} more such faults", function.name), REBUILD));
    }
    said
}

/// Refusals as a person reads them.
#[must_use]
pub fn render(refusals: &[Refusal]) -> String {
    refusals.iter().map(|r| format!("{}\n  hint: {}", r.message, r.hint)).collect::<Vec<_>>().join("\n")
}

/// A name out of a component, fit to stand in a message.
fn shown(name: &str) -> String {
    cut(name, MOST_NAME)
}

/// The first refusals, and how many more there are: those are counted and not made, since a file of a megabyte has
/// reasons for a hundred thousand, each with a name as long as the file.
#[derive(Default)]
struct Refused {
    said: Vec<Refusal>,
    more: usize,
}

impl Refused {
    fn add(&mut self, refusal: impl FnOnce() -> Refusal) {
        if self.said.len() < MOST_SAID {
            self.said.push(refusal());
        } else {
            self.more += 1;
        }
    }
}

struct Gate<'a> {
    application: &'a Application,
    function: &'a Function,
    expected: Capabilities,
}

impl Gate<'_> {
    fn irregular(&self, found: &Capabilities, refused: &mut Refused) {
        let name = &self.function.name;
        for what in &found.irregular_imports {
            refused.add(|| {
                let message =
                    format!("`{name}` imports {}, which belongs to no interface that isobar knows", shown(what));
                Refusal::new(message, REBUILD)
            });
        }
        for what in found.irregular_exports.iter().filter(|what| !LEFT_OVER.contains(&what.as_str())) {
            refused.add(|| {
                let message = format!("`{name}` exports {}, which nothing calls", shown(what));
                Refusal::new(message, "build it without that export")
            });
        }
    }

    fn import(&self, interface: &str, imported: &Interface, refused: &mut Refused) {
        if let Some(need) = system::need(interface) {
            self.system(interface, need, refused);
            return;
        }
        let name = &self.function.name;
        let granted = self.expected.imports.get(interface);
        if granted.is_none() && imported.functions.is_empty() && imported.resources.is_empty() {
            refused.add(|| {
                let message = format!("`{name}` imports `{}`, which spin.toml does not grant", shown(interface));
                Refusal::new(message, self.grant_hint(interface, None))
            });
        }
        for resource in &imported.resources {
            refused.add(|| {
                let what = shown(&format!("{interface}.{resource}"));
                let message =
                    format!("`{name}` imports resource `{what}`, which belongs to no interface that isobar knows");
                Refusal::new(message, REBUILD)
            });
        }
        for (called, signature) in &imported.functions {
            let granted = granted.and_then(|granted| granted.functions.get(called));
            self.called((interface, called), signature, granted, refused);
        }
    }

    /// An interface of the system, which is linked whole.
    fn system(&self, interface: &str, need: Need, refused: &mut Refused) {
        let name = &self.function.name;
        let (lacks, what, remedy) = match need {
            Need::Nothing => return,
            Need::Hosts => (
                self.function.allowed_outbound_hosts.is_empty(),
                "allows it no outbound host",
                format!("[component.{name}] allowed_outbound_hosts = [\"https://…\"]"),
            ),
            Need::Variables => {
                (self.function.variables.is_empty(), "gives it no variables", format!("[component.{name}.variables] …"))
            }
        };
        if lacks {
            refused.add(|| {
                let message = format!("`{name}` imports `{interface}`, and spin.toml {what}");
                Refusal::new(message, format!("if that was meant: {remedy}"))
            });
        }
    }

    fn called(
        &self,
        (interface, called): (&str, &str),
        signature: &Signature,
        granted: Option<&Signature>,
        refused: &mut Refused,
    ) {
        let name = &self.function.name;
        let what = || shown(&format!("{interface}.{called}"));
        let Some(granted) = granted else {
            return refused.add(|| {
                let message = format!("`{name}` imports `{}`, which spin.toml does not grant", what());
                Refusal::new(message, self.grant_hint(interface, Some(called)))
            });
        };
        if let Some(column) = fit::foreign_column(signature, granted) {
            return refused.add(|| {
                let (what, column) = (what(), shown(column));
                let message =
                    format!("`{name}` imports `{what}` with column `{column}`, which spin.toml does not grant");
                let hint = format!("if that was meant, add the column to [application.trigger.isobar.grants.{name}]");
                Refusal::new(message, hint)
            });
        }
        let table = interface.strip_prefix(&format!("{}:tables/", self.application.name));
        if !fit::fits(signature, granted, table.map(|_| called)) {
            return refused.add(|| {
                let message = format!("`{name}` imports `{}` as {signature}, but it is {granted}", what());
                Refusal::new(message, REBUILD)
            });
        }
        let table = table.and_then(|t| self.application.tables.values().find(|table| wit_name(&table.name) == t));
        if let Some(column) = table.and_then(|table| fit::left_out(signature, called, table)) {
            refused.add(|| {
                let message = format!("`{name}` imports `{}` without column `{column}`, which may not be null", what());
                Refusal::new(message, "write it with every row")
            });
        }
    }

    /// What to write into spin.toml, or what else to do, for an import that is not granted.
    fn grant_hint(&self, interface: &str, called: Option<&str>) -> String {
        let application = self.application;
        let grants = format!("[application.trigger.isobar.grants.{}]", self.function.name);
        if interface == STATE {
            return format!("if that was meant: {grants} state = true");
        }
        let of = |kind: &str| interface.strip_prefix(&format!("{}:{kind}/", application.name));
        let plain = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
        if let Some(table) = of("tables") {
            let called = called.unwrap_or("…");
            return match application.tables.keys().find(|t| wit_name(t) == plain(table)) {
                Some(_) if table.contains('@') => "tables have no version; ".to_owned() + REBUILD,
                Some(table) => format!("if that was meant: {grants} tables.{table} = [\"{}\"]", shown(called)),
                None => {
                    "spin.toml declares no such table; declare it below [application.trigger.isobar.tables]".to_owned()
                }
            };
        }
        if let Some(topic) = of("topics") {
            return match application.topics.keys().find(|t| wit_name(t) == plain(topic)) {
                Some(_) if topic.contains('@') => "topics have no version; ".to_owned() + REBUILD,
                Some(topic) => format!("if that was meant: {grants} publish = [\"{topic}\"]"),
                None => {
                    "spin.toml declares no such topic; declare it below [application.trigger.isobar.topics]".to_owned()
                }
            };
        }
        self.version_hint(interface)
    }

    fn version_hint(&self, interface: &str) -> String {
        let plain = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
        let ours = [STATE, PLUMBING[0], PLUMBING[1]];
        if let Some(ours) = ours.iter().find(|ours| plain(ours) == plain(interface)) {
            return format!("isobar has `{ours}`; {REBUILD}");
        }
        match system::releases(interface).as_slice() {
            [] => "isobar knows no such interface; build the component without it".to_owned(),
            releases => {
                let releases = releases.iter().map(|r| format!("`{r}`")).collect::<Vec<_>>().join(" and ");
                format!("isobar has it in the versions {releases}; build the component for one of them")
            }
        }
    }

    fn exports(&self, found: &Capabilities, refused: &mut Refused) {
        let name = &self.function.name;
        let missing = |interface: &str, why: &str| {
            let message = format!("`{name}` does not export `{interface}`, which {why} needs");
            let hint =
                "export it (in Rust: `isobar_guest::handler!` or `isobar_guest::scheduled!`), or change the trigger";
            Refusal::new(message, hint)
        };
        let is_topic = |source: &TriggerSource| matches!(source, TriggerSource::Topic(_));
        let exports = |interface: &str| found.exports.contains_key(interface);
        let by_topic = self.function.triggers.iter().any(|t| is_topic(&t.source));
        let by_cron = self.function.triggers.iter().any(|t| !is_topic(&t.source));
        if by_topic && !exports(HANDLER) && !exports(HANDLER_SYNC) {
            refused.add(|| missing(HANDLER, "its topic trigger"));
        }
        if by_cron && !exports(SCHEDULED) {
            refused.add(|| missing(SCHEDULED, "its schedule"));
        }
        for (interface, exported) in &found.exports {
            self.export(interface, exported, refused);
        }
    }

    fn export(&self, interface: &str, exported: &Interface, refused: &mut Refused) {
        let name = &self.function.name;
        if PLUMBING.contains(&interface) && *exported == Interface::default() {
            return;
        }
        match self.expected.exports.get(interface) {
            Some(_) if interface == MIGRATION && !self.function.grants.state => refused.add(|| {
                let message = format!("`{name}` exports `{interface}`, and spin.toml grants it no state");
                Refusal::new(message, self.grant_hint(STATE, None))
            }),
            Some(expected) if expected == exported => {}
            Some(_) => refused.add(|| {
                let message = format!("`{name}` exports `{interface}` with another shape than the contract's");
                Refusal::new(message, REBUILD)
            }),
            None => refused.add(|| {
                let message = format!("`{name}` exports `{}`, which nothing calls", shown(interface));
                Refusal::new(message, "build it without that export")
            }),
        }
    }
}
