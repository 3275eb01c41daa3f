//! What functions may do with sensitive data, and by what a manifest goes beyond another one in that.

use std::collections::BTreeSet;

use super::declaration::Referenced;
use super::{Application, Function, Operation, TriggerSource};

/// By what `new` widens access to what is sensitive, or says that it is not sensitive any more; in words. Empty: by nothing.
#[must_use]
pub fn widened(base: &Application, new: &Application) -> Vec<String> {
    let mut found = unmarked(base, new);
    let marks = Marks { base, new };
    for function in new.functions.values() {
        let before = base.functions.get(&function.name);
        let had = before.map(|f| marks.accesses(base, f)).unwrap_or_default();
        let has = marks.accesses(new, function);
        found.extend(has.difference(&had).map(|access| format!("`{}` would {access}", function.name)));
    }
    found
}

/// What is marked as sensitive in `base` and no longer in `new`.
fn unmarked(base: &Application, new: &Application) -> Vec<String> {
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

    /// What `function` of `application` may do with what is sensitive, each in words that follow "would".
    fn accesses(&self, application: &Application, function: &Function) -> BTreeSet<String> {
        let mut accesses = BTreeSet::new();
        let mut reads = false;
        for (table, grant) in &function.grants.tables {
            for operation in &grant.operations {
                // A delete names no column but the key's.
                let columns = grant.columns.iter().filter(|column| match operation {
                    Operation::Delete => self.table(table),
                    _ => self.table(table) || self.column(table, column),
                });
                for column in columns {
                    reads |= !operation.writes();
                    accesses.insert(format!("{} `{column}` of table `{table}`, which is sensitive", operation.name()));
                }
            }
        }
        for trigger in &function.triggers {
            if let TriggerSource::Topic(topic) = &trigger.source
                && self.topic(topic)
            {
                reads = true;
                accesses.insert(format!("read topic `{topic}`, which is sensitive"));
            }
        }
        for topic in function.grants.publish.iter().filter(|topic| self.topic(topic)) {
            accesses.insert(format!("publish to topic `{topic}`, which is sensitive"));
        }
        if reads {
            accesses.extend(function.grants.releases.iter().map(|to| format!("release what it makes of it to `{to}`")));
            accesses.extend(hosts(application, function).map(|host| format!("send it to `{host}`")));
        }
        accesses
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
    "#;

    fn by(changes: &[(&str, &str)]) -> String {
        let parse = |text: &str| super::super::parse(text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        let changed = changes.iter().fold(BASE.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        widened(&parse(BASE), &parse(&changed)).join("\n")
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
                "https://bank.example.org",
                "https://evil.example.org",
                "`bill` would send it to `{{ bank }} (bank = https://evil.example.org)`",
            ),
        ] {
            let found = by(&[(from, to)]);
            assert!(found.contains(told), "{to}: {found}");
        }
        let found = by(&[
            ("orders = {}", "orders = {}\n        news = {}"),
            ("releases = [", "publish = [\"news\"]\n        releases = [\"news\", "),
        ]);
        assert_eq!(found, "`bill` would release what it makes of it to `news`");
    }

    #[test]
    fn another_name_for_the_function_gives_it_nothing() {
        let renamed = BASE
            .replace("\"bill\"", "\"bills\"")
            .replace("grants.bill]", "grants.bills]")
            .replace("component.bill]", "component.bills]");
        let parse = |text: &str| super::super::parse(text).unwrap();
        let found = widened(&parse(BASE), &parse(&renamed)).join("\n");
        assert!(found.contains("`bills` would get `name` of table `people`"), "{found}");
    }

    #[test]
    fn what_would_not_be_sensitive_any_more_is_found() {
        for (from, to, told) in [
            ("sensitive = true\n", "\n", "table `people` is sensitive"),
            ("{ type = \"text?\", sensitive = true }", "\"text?\"", "column `who` of table `bills` is sensitive"),
            ("payments = { sensitive = true }", "payments = {}", "topic `payments` is sensitive"),
        ] {
            let found = by(&[(from, to)]);
            assert!(found.contains(told), "{to}: {found}");
        }
    }
}
