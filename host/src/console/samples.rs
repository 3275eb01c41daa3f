//! A small application for the tests of what is told of one.

use crate::dispatch::SourceStatus;
use crate::embedded::Note;
use crate::manifest::{self, Application};

/// A function `count` that reads `orders`; the sums of shops by day, and people, who are sensitive.
const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "shop"
[application.trigger.isobar.topics.orders]
[application.trigger.isobar.tables.totals]
store = "postgres"
key = ["shop", "day"]
[application.trigger.isobar.tables.totals.columns]
shop = "text"
day = "date"
sum = "double?"
[application.trigger.isobar.tables.people]
store = "postgres"
key = ["name"]
sensitive = true
[application.trigger.isobar.tables.people.columns]
name = "text"
[[trigger.isobar]]
component = "count"
topic = "orders"
[component.count]
source = "count.wasm"
"#;

pub(super) fn application() -> Application {
    manifest::parse(MANIFEST).unwrap()
}

/// Where a function or store stands in a partition of a topic, once `change` has had its way with it.
pub(super) fn source(
    function: &str,
    topic: &str,
    partition: u32,
    change: impl FnOnce(&mut SourceStatus),
) -> SourceStatus {
    let note = Note { function: function.into(), source: topic.into(), partition };
    let mut source = SourceStatus::resting(&note);
    change(&mut source);
    source
}
