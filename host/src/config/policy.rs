//! `[policy]`: what an operator lets any manifest say, whether it comes with a start or with a deploy. What is sensitive goes to the
//! functions that are named here and to no others.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::manifest::access::{Widening, widenings};
use crate::manifest::outbound::OutboundHost;
use crate::manifest::variables::Resolved;
use crate::manifest::{Application, Function, Limits, nearest};

/// Functions, by what they may have.
type Holders = BTreeMap<String, BTreeSet<String>>;

/// The bounds of manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    deploy: Holders,
    tables: Holders,
    topics: Holders,
    variables: Holders,
    releases: Holders,
    hosts: Option<Vec<OutboundHost>>,
    limits: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default)]
    deploy: Holders,
    #[serde(default)]
    tables: Holders,
    #[serde(default)]
    topics: Holders,
    #[serde(default)]
    variables: Holders,
    #[serde(default)]
    releases: Holders,
    outbound_hosts: Option<Vec<String>>,
    #[serde(default)]
    limits: BTreeMap<String, u64>,
}

/// Reads what stands under `[policy]`.
pub(super) fn read(document: Document) -> Result<Policy, String> {
    let Document { deploy, tables, topics, variables, releases, outbound_hosts, limits } = document;
    let host = |entry: String| {
        OutboundHost::parse(&entry)
            .map_err(|why| format!("an entry of `outbound_hosts` of [policy] {why}; {}", why.hint()))
    };
    let hosts = outbound_hosts.map(|entries| entries.into_iter().map(host).collect()).transpose()?;
    let known = numbers(&Limits::default());
    if let Some(unknown) = limits.keys().find(|name| !known.contains_key(*name)) {
        let near = nearest(unknown, known.keys().map(String::as_str));
        let hint = near.map_or_else(
            || format!("known: {}", known.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(format!("unknown limit `{unknown}` in [policy.limits]; {hint}"));
    }
    Ok(Policy { deploy, tables, topics, variables, releases, hosts, limits })
}

impl Policy {
    /// Whether `who` may deploy `function`: where nobody is named for it, who has leave to deploy it at all.
    #[must_use]
    pub fn lets_deploy(&self, who: &str, function: &str) -> bool {
        self.deploy.get(function).is_none_or(|named| named.contains(who))
    }

    /// By what `new` widens access to what is sensitive beyond `base` without the policy naming it. What a function holds is named by
    /// [`Policy::beyond`]; where it may bring what it holds, or held once, has to be among its releases.
    #[must_use]
    pub fn widened(&self, base: &Application, new: &Application, knowing: &BTreeSet<String>) -> Vec<String> {
        let is_named = |widening: &Widening| match &widening.access.target {
            // What a template stands for is the manifest's to say: it names nothing.
            Some(target) if target.contains("{{") => false,
            Some(target) => self.releases.get(&widening.function).is_some_and(|named| named.contains(target)),
            None => true,
        };
        widenings(base, new, knowing, false)
            .iter()
            .filter(|widening| !is_named(widening))
            .map(Widening::to_string)
            .collect()
    }

    /// By what the application goes beyond the policy, in words. Empty: by nothing.
    #[must_use]
    pub fn beyond(&self, application: &Application, resolved: &BTreeMap<String, Resolved>) -> Vec<String> {
        let mut found = self.unmarked(application);
        for function in application.functions.values() {
            found.extend(self.sensitive(application, function));
            found.extend(self.usual(function, resolved.get(&function.name)));
        }
        found
    }

    /// What the policy names as sensitive and the application does not mark so.
    fn unmarked(&self, application: &Application) -> Vec<String> {
        let tables = application.tables.values().filter(|table| {
            self.tables.contains_key(&table.name) && !table.sensitive && !table.columns.iter().any(|c| c.sensitive)
        });
        let topics = application.topics.values().filter(|t| self.topics.contains_key(&t.name) && !t.sensitive);
        let variables =
            application.variables.iter().filter(|(name, v)| self.variables.contains_key(*name) && !v.secret);
        let tables = tables.map(|table| format!("table `{}` is not marked as sensitive", table.name));
        let topics = topics.map(|topic| format!("topic `{}` is not marked as sensitive", topic.name));
        let variables = variables.map(|(name, _)| format!("variable `{name}` is not marked as secret"));
        let found = tables.chain(topics).chain(variables);
        found.map(|what| format!("{what}, and [policy] of isobar.toml says who may have it")).collect()
    }

    /// What of a function's access to sensitive things the policy does not name.
    fn sensitive(&self, application: &Application, function: &Function) -> Vec<String> {
        let mut found = Vec::new();
        let mut hold = |holders: &Holders, section: &str, name: &str, what: String| {
            if !holders.get(name).is_some_and(|named| named.contains(&function.name)) {
                found.push(format!(
                    "`{}` would have {what}, and [policy.{section}] does not name it for that",
                    function.name
                ));
            }
        };
        for (name, grant) in &function.grants.tables {
            let Some(table) = application.tables.get(name) else { continue };
            let column = grant.columns.iter().filter_map(|column| table.column(column)).find(|column| column.sensitive);
            match column {
                _ if table.sensitive => {
                    hold(&self.tables, "tables", name, format!("table `{name}`, which is sensitive"))
                }
                Some(column) => {
                    let what = format!("column `{}` of table `{name}`, which is sensitive", column.name);
                    hold(&self.tables, "tables", name, what);
                }
                None => {}
            }
        }
        let publishes = function.grants.publish.iter().map(String::as_str);
        for topic in function.topics().chain(publishes).collect::<BTreeSet<_>>() {
            if application.topics.get(topic).is_some_and(|topic| topic.sensitive) {
                hold(&self.topics, "topics", topic, format!("topic `{topic}`, which is sensitive"));
            }
        }
        for name in application.variables_of(function) {
            if application.variables.get(&name).is_some_and(|variable| variable.secret) {
                hold(&self.variables, "variables", &name, format!("the value of variable `{name}`, which is secret"));
            }
        }
        let released = self.releases.get(&function.name);
        for target in function.grants.releases.iter().filter(|t| !released.is_some_and(|named| named.contains(*t))) {
            found.push(format!(
                "`{}` would release sensitive data to `{target}`, and [policy.releases] does not name that",
                function.name
            ));
        }
        found
    }

    /// By what a function goes beyond hosts and limits.
    fn usual(&self, function: &Function, resolved: Option<&Resolved>) -> Vec<String> {
        let name = &function.name;
        let mut found = Vec::new();
        if let Some(hosts) = &self.hosts {
            let asked = resolved.into_iter().flat_map(|resolved| &resolved.allowed_outbound_hosts);
            // As they are written: what stands in the place of a variable may be secret.
            let asked = function.allowed_outbound_hosts.iter().zip(asked);
            let beyond = asked.filter(|(_, asked)| !hosts.iter().any(|host| host.covers(asked)));
            found.extend(beyond.map(|(written, _)| {
                format!(
                    "`{name}` may send requests to `{written}`, and `outbound_hosts` of [policy] does not name that"
                )
            }));
        }
        let limits = numbers(&function.limits);
        for (limit, most) in &self.limits {
            if let Some(asked) = limits.get(limit).filter(|asked| *asked > most) {
                found.push(format!("`{limit}` of `{name}` is {asked}, and [policy.limits] allows {most}"));
            }
        }
        found
    }
}

/// Limits by the names that spin.toml gives them.
fn numbers(limits: &Limits) -> BTreeMap<String, u64> {
    let mut numbers = BTreeMap::new();
    let Ok(Value::Object(fields)) = serde_json::to_value(limits) else { return numbers };
    for (name, value) in fields {
        match value {
            Value::Object(http) => {
                numbers.extend(http.iter().filter_map(|(field, v)| Some((format!("{name}_{field}"), v.as_u64()?))));
            }
            value => numbers.extend(value.as_u64().map(|number| (name, number))),
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse;
    use crate::manifest::variables::resolve;

    const SHOP: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "shop"
        [variables]
        bank = { default = "https://bank.example.org" }
        token = { default = "t", secret = true }
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
        columns = { id = "text", iban = { type = "text?", sensitive = true }, total = "double?" }
        [[trigger.isobar]]
        component = "pay"
        topic = "payments"
        [application.trigger.isobar.grants.pay]
        publish = ["orders"]
        tables.people = ["get"]
        tables.bills = { operations = ["upsert"], columns = ["id", "iban"] }
        releases = ["orders", "bills", "{{ bank }}"]
        [application.trigger.isobar.limits.pay]
        memory_mb = 128
        http_requests = 100
        [component.pay]
        source = "pay.wasm"
        allowed_outbound_hosts = ["{{ bank }}"]
        [component.pay.variables]
        token = "{{ token }}"
    "#;

    const POLICY: &str = r#"
        [policy]
        outbound_hosts = ["https://*.example.org"]
        [policy.deploy]
        pay = ["ops"]
        [policy.tables]
        people = ["pay"]
        bills = ["pay"]
        [policy.topics]
        payments = ["pay"]
        [policy.variables]
        token = ["pay"]
        [policy.releases]
        pay = ["orders", "bills", "{{ bank }}"]
        [policy.limits]
        memory_mb = 128
        http_requests = 100
    "#;

    fn policy(text: &str) -> Policy {
        crate::config::parse(text).unwrap().policy.unwrap()
    }

    fn beyond(policy: &Policy, manifest: &str) -> Vec<String> {
        let application = parse(manifest).unwrap_or_else(|problems| panic!("{problems:?}"));
        policy.beyond(&application, &resolve(&application, &BTreeMap::new()).unwrap())
    }

    #[test]
    fn what_is_named_may_be_and_each_thing_that_is_not_is_told() {
        assert_eq!(beyond(&policy(POLICY), SHOP), Vec::<String>::new());
        for (named, without, says) in [
            ("people = [\"pay\"]", "", "would have table `people`, which is sensitive, and [policy.tables]"),
            ("people = [\"pay\"]", "people = [\"others\"]", "would have table `people`"),
            ("bills = [\"pay\"]", "", "would have column `iban` of table `bills`"),
            ("payments = [\"pay\"]", "", "would have topic `payments`"),
            ("token = [\"pay\"]", "", "the value of variable `token`, which is secret"),
            ("\"orders\", \"bills\",", "\"orders\",", "would release sensitive data to `bills`"),
            ("https://*.example.org", "https://example.com", "may send requests to `{{ bank }}`"),
            ("memory_mb = 128", "memory_mb = 127", "`memory_mb` of `pay` is 128, and [policy.limits] allows 127"),
            ("http_requests = 100", "http_requests = 99", "`http_requests` of `pay` is 100"),
        ] {
            assert!(POLICY.contains(named));
            let found = beyond(&policy(&POLICY.replace(named, without)), SHOP);
            assert!(found.len() == 1 && found[0].contains(says), "{named}: {found:?}");
        }
    }

    #[test]
    fn what_was_read_before_goes_only_where_it_is_released() {
        let holds = "tables.people = [\"get\"]\n        tables.bills = { operations = [\"upsert\"], columns = [\"id\", \"iban\"] }\n        releases = [\"orders\", \"bills\", \"{{ bank }}\"]";
        let forgets = SHOP
            .replace(holds, "")
            .replace("topic = \"payments\"", "topic = \"orders\"")
            .replace("publish = [\"orders\"]", "publish = [\"news\"]");
        let forgets = forgets.replace("orders = {}", "orders = {}\n        news = {}");
        let (base, new) = (parse(SHOP).unwrap(), parse(&forgets).unwrap_or_else(|problems| panic!("{problems:?}")));
        let found = policy(POLICY).widened(&base, &new, &BTreeSet::new());
        assert!(!found.is_empty() && found.iter().all(|what| what.contains("to topic `news`")), "{found:?}");
        let named = policy(&POLICY.replace("\"orders\", \"bills\",", "\"orders\", \"news\","));
        assert_eq!(named.widened(&base, &new, &BTreeSet::new()), Vec::<String>::new());
    }

    #[test]
    fn what_the_policy_names_has_to_be_marked() {
        let open = SHOP.replace(
            "sensitive = true\n        [application.trigger.isobar.tables.bills]",
            "[application.trigger.isobar.tables.bills]",
        );
        assert_ne!(open, SHOP);
        let found = beyond(&policy(POLICY), &open);
        assert!(found.len() == 1 && found[0].contains("table `people` is not marked as sensitive"), "{found:?}");
    }

    #[test]
    fn who_may_deploy_is_named_or_anybody_with_leave() {
        let policy = policy(POLICY);
        assert!(
            policy.lets_deploy("ops", "pay") && !policy.lets_deploy("ci", "pay") && policy.lets_deploy("ci", "other")
        );
    }

    #[test]
    fn a_policy_that_cannot_be_read_is_told() {
        for (text, says) in [
            ("[policy]\noutbound_hosts = [\"*\"]\n", "an entry of `outbound_hosts` of [policy] has no scheme"),
            ("[policy.limits]\nmemory = 1\n", "did you mean `memory_mb`?"),
            ("[policy.table]\npeople = []\n", "unknown field `table`"),
        ] {
            let error = crate::config::parse(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
