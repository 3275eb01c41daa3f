//! What of a manifest affects one function, in one canonical form: two manifests that mean the same for it give the same,
//! whatever their order, comments and spelled-out defaults. A version of a function is the digest of this and its component.
//!
//! What is as usual is left out, so that a limit that a later isobar adds changes no version.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::template::{self, Part};
use super::{
    Application, Column, Delivery, Function, Limits, Table, TableGrant, Timing, Topic, Trigger, TriggerSource,
};

/// Says what the digest is of, so that it is that of nothing else.
const DOMAIN: &str = "isobar function version 1";

impl Application {
    /// Everything that the manifest says about `function`, with the declarations that it refers to. Defaults of secret
    /// variables are not in it.
    #[must_use]
    pub fn declaration(&self, function: &Function) -> Value {
        let names = self.referenced(function);
        let mut declared = Map::new();
        let mut put = |key: &str, value: Value| {
            if !is_empty(&value) {
                declared.insert(key.to_owned(), value);
            }
        };
        put("triggers", function.triggers.iter().map(|t| (t.id.clone(), trigger(t))).collect());
        put("grants", grants(function));
        put("limits", limits(&function.limits));
        put("allowed_outbound_hosts", json!(function.allowed_outbound_hosts));
        put("variables", json!(function.variables));
        let topics = names.topics.iter().filter_map(|name| self.topics.get(name));
        put("topics", topics.map(|t| (t.name.clone(), topic(t))).collect());
        let tables = names.tables.iter().filter_map(|name| self.tables.get(name));
        put("tables", tables.map(|t| (t.name.clone(), table(t))).collect());
        let variables = names.variables.iter().filter_map(|name| Some((name, self.variables.get(name)?)));
        let variable = |v: &super::Variable| match v.secret {
            true => json!({ "secret": true }),
            false => json!({ "default": v.default }),
        };
        put("application_variables", variables.map(|(name, v)| (name.clone(), variable(v))).collect());
        Value::Object(declared)
    }

    /// The version of `function` that has the component with this digest: SHA-256, in hex.
    #[must_use]
    pub fn version(&self, function: &Function, component: &str) -> String {
        let mut hash = Sha256::new();
        for part in [DOMAIN, component, &self.declaration(function).to_string()] {
            hash.update(part.as_bytes());
            hash.update(b"\n");
        }
        hex(&hash.finalize())
    }

    /// The variables whose values come to `function`, or into the names of the hosts that it may send requests to.
    #[must_use]
    pub fn variables_of(&self, function: &Function) -> BTreeSet<String> {
        self.referenced(function).variables
    }

    /// The topics, tables and variables that `function` refers to.
    #[must_use]
    pub(super) fn referenced(&self, function: &Function) -> Referenced {
        let read = function.topics().map(str::to_owned);
        let letters = function.triggers.iter().filter_map(|t| t.dead_letters.clone());
        let templates = function.variables.values().chain(&function.allowed_outbound_hosts);
        let variables = templates.flat_map(|t| template::parts(t).unwrap_or_default()).filter_map(|part| match part {
            Part::Variable(name) => Some(name.to_owned()),
            Part::Literal(_) => None,
        });
        Referenced {
            topics: read.chain(letters).chain(function.grants.publish.iter().cloned()).collect(),
            tables: function.grants.tables.keys().cloned().collect(),
            variables: variables.collect(),
        }
    }
}

/// Names that a function refers to.
pub(super) struct Referenced {
    pub(super) topics: BTreeSet<String>,
    pub(super) tables: BTreeSet<String>,
    pub(super) variables: BTreeSet<String>,
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn trigger(trigger: &Trigger) -> Value {
    let mut declared = unusual(&trigger.delivery, &Delivery::default());
    declared.extend(unusual(&trigger.timing, &Timing::default()));
    let (key, value) = match &trigger.source {
        TriggerSource::Topic(topic) => ("topic", topic),
        TriggerSource::Cron(cron) => ("cron_expression", cron),
    };
    declared.insert(key.to_owned(), json!(value));
    if let Some(letters) = &trigger.dead_letters {
        declared.insert("dead_letters".to_owned(), json!(letters));
    }
    Value::Object(declared)
}

fn grants(function: &Function) -> Value {
    let grants = &function.grants;
    let table = |grant: &TableGrant| {
        let operations: Vec<&str> = grant.operations.iter().map(|o| o.name()).collect();
        // Columns have no order that means something, and none in the lock of Spin.
        let columns: BTreeSet<&String> = grant.columns.iter().collect();
        json!({ "operations": operations, "columns": columns })
    };
    let mut declared = Map::new();
    let tables: Map<String, Value> = grants.tables.iter().map(|(name, grant)| (name.clone(), table(grant))).collect();
    for (key, value) in
        [("tables", Value::Object(tables)), ("publish", json!(grants.publish)), ("releases", json!(grants.releases))]
    {
        if !is_empty(&value) {
            declared.insert(key.to_owned(), value);
        }
    }
    if grants.state {
        declared.insert("state".to_owned(), json!(true));
    }
    if grants.state_version != 1 {
        declared.insert("state_version".to_owned(), json!(grants.state_version));
    }
    Value::Object(declared)
}

fn limits(limits: &Limits) -> Value {
    let usual = Limits::default();
    let mut declared = unusual(limits, &usual);
    declared.remove("http");
    let http = unusual(&limits.http, &usual.http).into_iter();
    declared.extend(http.map(|(key, value)| (format!("http_{key}"), value)));
    Value::Object(declared)
}

fn topic(topic: &Topic) -> Value {
    let mut declared = Map::from_iter([("partitions".to_owned(), json!(topic.partitions))]);
    let mut put = |key: &str, value: Value| declared.insert(key.to_owned(), value);
    if topic.sensitive {
        put("sensitive", json!(true));
    }
    if let Some(bytes) = topic.retention.max_bytes {
        put("retention_max_bytes", json!(bytes));
    }
    if let Some(hours) = topic.retention.max_hours {
        put("retention_max_hours", json!(hours));
    }
    if let Some(records) = topic.max_lag_records {
        put("max_lag_records", json!(records));
    }
    Value::Object(declared)
}

fn table(table: &Table) -> Value {
    let column = |c: &Column| {
        let (null, sensitive) = (if c.nullable { "?" } else { "" }, if c.sensitive { ", sensitive" } else { "" });
        json!(format!("{}: {}{null}{sensitive}", c.name, c.kind.name()))
    };
    let mut columns: Vec<Value> = table.columns.iter().map(column).collect();
    columns.sort_unstable_by_key(Value::to_string);
    let mut declared = json!({ "store": table.store, "key": table.key, "columns": columns });
    if let Some(declared) = declared.as_object_mut() {
        if table.sensitive {
            declared.insert("sensitive".to_owned(), json!(true));
        }
        if let Some(notice) = &table.notice {
            declared.insert("notice".to_owned(), json!(notice));
        }
    }
    declared
}

/// The fields of `value` that are not as in `usual`.
fn unusual<T: Serialize>(value: &T, usual: &T) -> Map<String, Value> {
    let fields = |value: &T| match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let usual = fields(usual);
    fields(value).into_iter().filter(|(key, value)| usual.get(key) != Some(value)).collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    const SHOP: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "shop"
        [variables]
        url = { default = "https://example.org" }
        key = { default = "hunter2", secret = true }
        [application.trigger.isobar.topics.orders]
        partitions = 3
        [application.trigger.isobar.tables.totals]
        store = "postgres"
        key = ["customer"]
        columns = { customer = "text", total = "double?" }
        [[trigger.isobar]]
        component = "count"
        topic = "orders"
        [application.trigger.isobar.grants.count]
        tables.totals = ["upsert"]
        state = true
        [component.count]
        source = "count.wasm"
        allowed_outbound_hosts = ["{{ url }}"]
        [component.count.variables]
        key = "{{ key }}"
    "#;

    fn version(text: &str) -> String {
        let application = super::super::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
        application.version(&application.functions["count"], "c0ffee")
    }

    #[test]
    fn a_version_is_the_same_with_every_isobar() {
        assert_eq!(version(SHOP), "179ff7b15bd9598ce4f300b79df4689a149ba4f2554ba45cee31ef4f59a85ed1");
    }

    #[test]
    fn what_means_the_same_is_the_same_version() {
        for (from, to) in [
            ("topic = \"orders\"", "batch_max_records = 4096 # the default\n        topic = \"orders\""),
            ("[component.count]", "[application.trigger.isobar.limits.count]\nmemory_mb = 64\n[component.count]"),
            ("source = \"count.wasm\"", "source = \"elsewhere/count.wasm\""),
            ("state = true", "state = true\n        state_version = 1"),
            ("customer = \"text\", total = \"double?\"", "total = \"double?\", customer = \"text\""),
            ("source = \"count.wasm\"", "source = \"count.wasm\"\nbuild.command = \"make\""),
            ("[component.count]", "[application.trigger.isobar.topics.others]\n[component.count]"),
            ("hunter2", "hunter3"),
        ] {
            assert!(SHOP.contains(from), "{from}");
            assert_eq!(version(&SHOP.replace(from, to)), version(SHOP), "{to}");
        }
    }

    #[test]
    fn whatever_affects_a_function_is_another_version() {
        for (from, to) in [
            ("topic = \"orders\"", "topic = \"orders\"\n        batch_max_records = 4095"),
            ("partitions = 3", "partitions = 4"),
            ("partitions = 3", "partitions = 3\n        max_lag_records = 9"),
            ("store = \"postgres\"", "sensitive = true\n        store = \"postgres\""),
            ("[\"upsert\"]", "[\"upsert\", \"delete\"]"),
            ("state = true", "state = false"),
            ("state = true", "state = true\n        state_version = 2"),
            ("total = \"double?\"", "total = \"double?\", last = \"int?\""),
            ("store = \"postgres\"", "store = \"cassandra\""),
            ("store = \"postgres\"", "notice = \"n\"\n        store = \"postgres\""),
            ("https://example.org", "https://example.com"),
            ("key = \"{{ key }}\"", "key = \"{{ url }}\""),
            ("[component.count]", "[application.trigger.isobar.limits.count]\nhttp_requests = 65\n[component.count]"),
        ] {
            assert!(SHOP.contains(from), "{from}");
            assert_ne!(version(&SHOP.replace(from, to)), version(SHOP), "{to}");
        }
        let application = super::super::parse(SHOP).unwrap();
        assert_ne!(application.version(&application.functions["count"], "beef"), version(SHOP));
    }

    #[test]
    fn a_secret_is_in_no_declaration() {
        let application = super::super::parse(SHOP).unwrap();
        let declared = application.declaration(&application.functions["count"]).to_string();
        assert!(declared.contains("example.org") && !declared.contains("hunter2"), "{declared}");
    }
}
