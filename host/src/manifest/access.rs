//! What functions may do with sensitive data, and by what a manifest goes beyond another one in that.

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};

use super::declaration::Referenced;
use super::{Application, Function, Operation, TableGrant, TriggerSource};

/// Something that a function may do with what is sensitive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// In words that follow "would".
    words: String,
    /// Where it may bring what it knows, by name, if it is that.
    pub target: Option<String>,
}

/// An access that a function would come to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widening {
    /// The function.
    pub function: String,
    /// What it might do.
    pub access: Access,
}

impl Display for Widening {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` would {}", self.function, self.access.words)
    }
}

/// By what `new` widens access to what is sensitive, or says that it is not sensitive any more; in words. Empty: by nothing.
#[must_use]
pub fn widened(base: &Application, new: &Application, knowing: &BTreeSet<String>) -> Vec<String> {
    let mut found = unmarked(base, new);
    found.extend(widenings(base, new, knowing, true).iter().map(Widening::to_string));
    found
}

/// By what `new` widens access to what is sensitive; functions that are `knowing` may have it in their state. Where the base lets them
/// write to, they may bring that if the base `is_base_enough`, having been written by who knew of it; else only what they read by the
/// base.
#[must_use]
pub fn widenings(
    base: &Application,
    new: &Application,
    knowing: &BTreeSet<String>,
    is_base_enough: bool,
) -> Vec<Widening> {
    let mut found = Vec::new();
    let marks = Marks { base, new };
    for function in new.functions.values() {
        let before = base.functions.get(&function.name);
        // What it could read once may be in its state.
        let read = knowing.contains(&function.name) || before.is_some_and(|f| marks.reads(f));
        let had = before.map(|f| marks.accesses(base, f, if is_base_enough { read } else { marks.reads(f) }));
        let had = had.unwrap_or_default();
        let has = marks.accesses(new, function, read);
        let wider = |access: &Access| Widening { function: function.name.clone(), access: access.clone() };
        found.extend(has.difference(&had).map(wider));
    }
    found
}

/// What is marked as sensitive or secret in `base` and no longer in `new`, in words.
#[must_use]
pub fn unmarked(base: &Application, new: &Application) -> Vec<String> {
    let mut found = Vec::new();
    let mut lost = |what: String| found.push(format!("{what} is sensitive, and would not be any more"));
    for table in base.tables.values() {
        let Some(after) = new.tables.get(&table.name) else { continue };
        if table.sensitive && !after.sensitive {
            lost(format!("table `{}`", table.name));
        }
        for column in table.columns.iter().filter(|c| c.sensitive && !after.sensitive) {
            if after.column(&column.name).is_some_and(|c| !c.sensitive) {
                lost(format!("column `{}` of table `{}`", column.name, table.name));
            }
        }
    }
    for topic in base.topics.values().filter(|t| t.sensitive) {
        if new.topics.get(&topic.name).is_some_and(|t| !t.sensitive) {
            lost(format!("topic `{}`", topic.name));
        }
    }
    for (name, _) in base.variables.iter().filter(|(_, v)| v.secret) {
        if new.variables.get(name).is_some_and(|v| !v.secret) {
            found.push(format!("variable `{name}` is secret, and would not be any more"));
        }
    }
    found
}

/// What is sensitive by one manifest or the other.
struct Marks<'a> {
    base: &'a Application,
    new: &'a Application,
}

impl Marks<'_> {
    fn both(&self) -> [&Application; 2] {
        [self.base, self.new]
    }

    fn table(&self, name: &str) -> bool {
        self.both().iter().any(|a| a.tables.get(name).is_some_and(|t| t.sensitive))
    }

    fn column(&self, table: &str, column: &str) -> bool {
        let is_marked =
            |a: &&Application| a.tables.get(table).and_then(|t| t.column(column)).is_some_and(|c| c.sensitive);
        self.both().iter().any(is_marked)
    }

    fn topic(&self, name: &str) -> bool {
        self.both().iter().any(|a| a.topics.get(name).is_some_and(|t| t.sensitive))
    }

    fn variable(&self, name: &str) -> bool {
        self.both().iter().any(|a| a.variables.get(name).is_some_and(|v| v.secret))
    }

    /// Whether `function` may read something sensitive.
    fn reads(&self, function: &Function) -> bool {
        let topic = |source: &TriggerSource| matches!(source, TriggerSource::Topic(topic) if self.topic(topic));
        let table = |(name, grant): (&String, &TableGrant)| {
            let is_sensitive = || self.table(name) || grant.columns.iter().any(|column| self.column(name, column));
            grant.operations.iter().any(|o| !o.writes()) && is_sensitive()
        };
        function.triggers.iter().any(|t| topic(&t.source)) || function.grants.tables.iter().any(table)
    }

    /// What `function` of `application` may do with what is sensitive; `read` says that it has read such things before.
    fn accesses(&self, application: &Application, function: &Function, read: bool) -> BTreeSet<Access> {
        let holds = |words: String| Access { words, target: None };
        let mut accesses = BTreeSet::new();
        for (table, grant) in &function.grants.tables {
            for operation in &grant.operations {
                // A delete names no column but the key's.
                let columns = grant.columns.iter().filter(|column| match operation {
                    Operation::Delete => self.table(table),
                    _ => self.table(table) || self.column(table, column),
                });
                let what = |column| format!("{} `{column}` of table `{table}`, which is sensitive", operation.name());
                accesses.extend(columns.map(what).map(holds));
            }
        }
        for trigger in &function.triggers {
            if let TriggerSource::Topic(topic) = &trigger.source
                && self.topic(topic)
            {
                accesses.insert(holds(format!("read topic `{topic}`, which is sensitive")));
            }
        }
        for topic in function.grants.publish.iter().filter(|topic| self.topic(topic)) {
            accesses.insert(holds(format!("publish to topic `{topic}`, which is sensitive")));
        }
        let variables = application.referenced(function).variables;
        let secrets: Vec<String> = variables.into_iter().filter(|name| self.variable(name)).collect();
        let value = |name: &String| format!("have the value of variable `{name}`, which is secret");
        accesses.extend(secrets.iter().map(value).map(holds));
        let brings = |what: &'static str| {
            let targets = self.targets(application, function).into_iter();
            targets.map(move |(name, to)| Access { words: format!("bring {what} to {to}"), target: Some(name) })
        };
        if !secrets.is_empty() {
            accesses.extend(brings("secrets"));
        }
        if read || self.reads(function) {
            accesses.extend(brings("what it read"));
        }
        accesses
    }

    /// Where `function` may bring what it knows, and that is not sensitive: names, and words for people.
    fn targets(&self, application: &Application, function: &Function) -> Vec<(String, String)> {
        let grants = &function.grants;
        let topics = grants
            .publish
            .iter()
            .filter(|topic| !self.topic(topic))
            .map(|topic| (topic.clone(), format!("topic `{topic}`")));
        let written = grants
            .tables
            .iter()
            .filter(|(name, grant)| !self.table(name) && grant.operations.iter().any(|o| o.writes()));
        let tables = written.map(|(name, _)| (name.clone(), format!("table `{name}`")));
        let hosts = function.allowed_outbound_hosts.iter().cloned().zip(hosts(application, function));
        let hosts = hosts.map(|(entry, host)| (entry, format!("host `{host}`")));
        topics.chain(tables).chain(hosts).collect()
    }
}

/// Where a function may send requests to, with the defaults of variables in their places: another default is another host.
fn hosts<'a>(application: &'a Application, function: &'a Function) -> impl Iterator<Item = String> + use<'a> {
    let Referenced { variables, .. } = application.referenced(function);
    function.allowed_outbound_hosts.iter().map(move |host| {
        let value = |name: &str| application.variables.get(name).and_then(|v| v.default.as_deref()).unwrap_or_default();
        let named = variables.iter().filter(|name| host.contains(name.as_str()));
        let values: Vec<String> = named.map(|name| format!("{name} = {}", value(name))).collect();
        if values.is_empty() { host.clone() } else { format!("{host} ({})", values.join(", ")) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "shop"
        [variables]
        bank = { default = "https://bank.example.org" }
        page = { default = "https://page.example.org" }
        token = { required = true, secret = true }
        [application.trigger.isobar.topics]
        orders = {}
        payments = { sensitive = true }
        [application.trigger.isobar.tables.people]
        store = "postgres"
        key = ["id"]
        columns = { id = "text", name = "text?" }
        sensitive = true
        [application.trigger.isobar.tables.bills]
        store = "postgres"
        key = ["id"]
        columns = { id = "text", sum = "double?", who = { type = "text?", sensitive = true } }
        [[trigger.isobar]]
        component = "bill"
        topic = "orders"
        [[trigger.isobar]]
        component = "count"
        topic = "orders"
        [application.trigger.isobar.grants.bill]
        tables.people = ["get"]
        tables.bills = ["upsert"]
        releases = ["bills", "{{ bank }}"]
        [application.trigger.isobar.grants.count]
        state = true
        [component.bill]
        source = "bill.wasm"
        allowed_outbound_hosts = ["{{ bank }}"]
        [component.count]
        source = "count.wasm"
        [[trigger.isobar]]
        component = "ask"
        topic = "orders"
        [component.ask]
        source = "ask.wasm"
        allowed_outbound_hosts = ["{{ page }}"]
        variables.token = "Bearer {{ token }}"
    "#;

    fn by(changes: &[(&str, &str)]) -> String {
        let parse = |text: &str| super::super::parse(text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        let changed = changes.iter().fold(BASE.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        widened(&parse(BASE), &parse(&changed), &BTreeSet::new()).join("\n")
    }

    #[test]
    fn what_stays_within_is_nothing() {
        assert_eq!(by(&[]), "");
        assert_eq!(by(&[("state = true", "state = false")]), "");
        assert_eq!(
            by(&[("tables.people = [\"get\"]", "tables.people = { operations = [\"get\"], columns = [\"id\"] }")]),
            ""
        );
    }

    #[test]
    fn a_function_that_gives_itself_access_is_found() {
        for (from, to, told) in [
            ("state = true", "tables.people = [\"get\"]", "`count` would get `name` of table `people`"),
            (
                "state = true",
                "tables.bills = { operations = [\"get\"], columns = [\"who\"] }",
                "`count` would get `who` of table `bills`",
            ),
            ("state = true", "publish = [\"payments\"]", "`count` would publish to topic `payments`"),
            (
                "component = \"count\"\n        topic = \"orders\"",
                "component = \"count\"\n        topic = \"payments\"",
                "`count` would read topic `payments`",
            ),
            ("[\"get\"]", "[\"get\", \"delete\"]", "`bill` would delete `id` of table `people`"),
            (
                "source = \"count.wasm\"",
                "source = \"count.wasm\"\n        variables.mine = \"{{ token }}\"",
                "`count` would have the value of variable `token`, which is secret",
            ),
            (
                "https://page.example.org",
                "https://evil.example.org",
                "`ask` would bring secrets to host `{{ page }} (page = https://evil.example.org)`",
            ),
            (
                "[\"{{ page }}\"]",
                "[\"{{ page }}\", \"https://evil.example.org\"]",
                "`ask` would bring secrets to host `https://evil.example.org`",
            ),
            (
                "https://bank.example.org",
                "https://evil.example.org",
                "`bill` would bring what it read to host `{{ bank }} (bank = https://evil.example.org)`",
            ),
        ] {
            let found = by(&[(from, to)]);
            assert!(found.contains(told), "{to}: {found}");
        }
        let found = by(&[
            ("orders = {}", "orders = {}\n        news = {}"),
            ("releases = [", "publish = [\"news\"]\n        releases = [\"news\", "),
        ]);
        assert_eq!(found, "`bill` would bring what it read to topic `news`");
    }

    #[test]
    fn what_was_read_before_may_not_go_elsewhere_from_state() {
        let found = by(&[
            ("orders = {}", "orders = {}\n        news = {}"),
            ("tables.people = [\"get\"]", "publish = [\"news\"]"),
        ]);
        assert_eq!(found, "`bill` would bring what it read to topic `news`");
    }

    #[test]
    fn another_name_for_the_function_gives_it_nothing() {
        let renamed = BASE
            .replace("\"bill\"", "\"bills\"")
            .replace("grants.bill]", "grants.bills]")
            .replace("component.bill]", "component.bills]");
        let parse = |text: &str| super::super::parse(text).unwrap();
        let found = widened(&parse(BASE), &parse(&renamed), &BTreeSet::new()).join("\n");
        assert!(found.contains("`bills` would get `name` of table `people`"), "{found}");
    }

    #[test]
    fn what_would_not_be_sensitive_any_more_is_found() {
        for (from, to, told) in [
            ("sensitive = true\n", "\n", "table `people` is sensitive"),
            ("{ type = \"text?\", sensitive = true }", "\"text?\"", "column `who` of table `bills` is sensitive"),
            ("payments = { sensitive = true }", "payments = {}", "topic `payments` is sensitive"),
            ("required = true, secret = true", "required = true", "variable `token` is secret"),
        ] {
            let found = by(&[(from, to)]);
            assert!(found.contains(told), "{to}: {found}");
        }
    }
}
