//! A built component against manifests that grant less than it imports: refused by name, with the lines to add.

use std::fs;
use std::path::Path;

use isobar::engine::inspect::inspect;
use isobar::manifest;
use isobar::registry::{self, gate};

use crate::crash::{application, build};

/// What the gate says of `counting` when the manifest is changed so.
fn refused(change: impl Fn(&str) -> String) -> String {
    build();
    let text = change(&fs::read_to_string(application()).unwrap());
    let application_of = manifest::parse(&text).unwrap();
    let function = &application_of.functions["counting"];
    let root = application().parent().map(Path::to_owned).unwrap();
    let found = inspect(&registry::read(function, &root).unwrap()).unwrap();
    gate::render(&gate::refusals(&application_of, function, &found))
}

fn without(line: &'static str) -> impl Fn(&str) -> String {
    move |text| {
        let (before, counting) = text.split_once("[application.trigger.isobar.grants.counting]").unwrap();
        assert!(counting.contains(line), "the manifest has no `{line}`");
        format!("{before}[application.trigger.isobar.grants.counting]{}", counting.replacen(line, "", 1))
    }
}

#[test]
fn what_is_granted_runs() {
    assert_eq!(refused(str::to_owned), "");
}

#[test]
fn what_is_not_granted_is_refused_by_name() {
    assert_eq!(
        refused(without("tables.totals = [\"upsert\"]")),
        "`counting` imports `counts:tables/totals.upsert`, which spin.toml does not grant\n  hint: if that was meant: \
         [application.trigger.isobar.grants.counting] tables.totals = [\"upsert\"]"
    );
    assert_eq!(
        refused(without("publish = [\"output\"]")),
        "`counting` imports `counts:topics/output.send`, which spin.toml does not grant\n  hint: if that was meant: \
         [application.trigger.isobar.grants.counting] publish = [\"output\"]"
    );
    let state = refused(without("state = true"));
    assert!(state.starts_with("`counting` imports `isobar:platform/state@0.1.1.get`, which spin.toml"), "{state}");
    assert!(state.contains("`counting` imports `isobar:platform/state@0.1.1.put`"), "{state}");
}

#[test]
fn a_column_that_the_table_does_not_have_is_refused_by_name() {
    let renamed = refused(|text| text.replace("records = \"bigint\"", "amount = \"bigint\""));
    assert!(
        renamed.starts_with("`counting` imports `counts:tables/totals.upsert` with column `records`, which"),
        "{renamed}"
    );
}

#[test]
fn a_column_of_another_type_is_refused() {
    let retyped = refused(|text| text.replace("last_position = \"bigint\"", "last_position = \"double\""));
    assert!(retyped.contains("imports `counts:tables/totals.upsert` as func("), "{retyped}");
    assert!(retyped.contains("last-position: s64") && retyped.contains("last-position: f64"), "{retyped}");
}

#[test]
fn an_export_that_a_trigger_needs_is_missed() {
    let scheduled = refused(|text| {
        text.replace("topic = \"input\"\nbatch_max_records = 150", "id = \"c\"\ncron_expression = \"* * * * * *\"")
    });
    assert!(
        scheduled.starts_with("`counting` does not export `isobar:platform/scheduled@0.1.1`, which its schedule needs"),
        "{scheduled}"
    );
}
