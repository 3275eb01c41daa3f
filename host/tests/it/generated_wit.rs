//! The WIT that is written from a manifest: it parses, and it holds the granted operations and columns and no others.

#![expect(clippy::indexing_slicing, reason = "an index that is not there fails the test")]

use std::fs;
use std::path::Path;

use isobar::manifest::schema::wit_name;
use isobar::manifest::{Application, Function, Operation, TriggerSource, parse, wit};
use proptest::collection::btree_set;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use wit_parser::{Resolve, TypeDefKind, WorldItem, WorldKey};

/// Reads the function's WIT as a toolchain would.
fn resolve(application: &Application, function: &Function, world: &str) -> (Resolve, wit_parser::WorldId) {
    let mut files = wit::generate(application, function);
    let mut resolve = Resolve::default();
    let main = files.remove("world.wit").expect("there is a world");
    let platform = files.remove("deps/platform.wit").expect("there is the contract");
    for (path, text) in [("platform".to_owned(), platform)].into_iter().chain(files) {
        resolve.push_source(&path, &text).unwrap_or_else(|e| panic!("{path}: {e:#}\n{text}"));
    }
    let package = resolve.push_source("world", &main).unwrap_or_else(|e| panic!("{e:#}\n{main}"));
    let world = resolve.select_world(&[package], Some(world)).unwrap_or_else(|e| panic!("{e:#}\n{main}"));
    (resolve, world)
}

/// Imports or exports by name, with the functions of each.
fn interfaces<'r>(
    resolve: &Resolve,
    items: impl Iterator<Item = (&'r WorldKey, &'r WorldItem)>,
) -> Vec<(String, Vec<String>)> {
    let interface = |(key, item): (&WorldKey, &WorldItem)| {
        let WorldItem::Interface { id, .. } = item else { return None };
        let functions = resolve.interfaces[*id].functions.keys().cloned().collect();
        Some((resolve.name_world_key(key), functions))
    };
    // What interfaces use comes along: the platform's types and events are no grants.
    let plumbing = ["isobar:platform/types@0.1.1", "isobar:platform/events@0.1.1"];
    items.filter_map(interface).filter(|(name, _)| !plumbing.contains(&name.as_str())).collect()
}

fn sorted(mut names: Vec<(String, Vec<String>)>) -> Vec<(String, Vec<String>)> {
    names.sort();
    names
}

fn check(application: &Application, function: &Function) {
    let named = |kind: &str, name: &str| format!("{}:{kind}/{}", application.name, wit_name(name));
    let grants = &function.grants;
    let tables = grants
        .tables
        .iter()
        .map(|(name, grant)| (named("tables", name), grant.operations.iter().map(|o| o.name().to_owned()).collect()));
    let topics = grants.publish.iter().map(|name| (named("topics", name), vec!["send".to_owned()]));
    let expected = sorted(tables.chain(topics).collect());

    let (resolved, world) = resolve(application, function, "grants");
    let imports = interfaces(&resolved, resolved.worlds[world].imports.iter());
    assert_eq!(sorted(imports), expected);
    for (name, grant) in &grants.tables {
        let columns: Vec<String> = grant.columns.iter().map(|c| wit_name(c)).collect();
        if grant.operations != [Operation::Delete].into() {
            assert_eq!(fields(&resolved, &wit_name(name), "row"), columns);
        }
    }

    let (resolved, world) = resolve(application, function, "function");
    let imports = interfaces(&resolved, resolved.worlds[world].imports.iter());
    assert_eq!(imports.iter().any(|(name, _)| name == "isobar:platform/state@0.1.1"), grants.state);
    let exports = interfaces(&resolved, resolved.worlds[world].exports.iter());
    let is_topic = |source: &TriggerSource| matches!(source, TriggerSource::Topic(_));
    let exported = |interface: &str| exports.iter().any(|(name, _)| name == interface);
    assert_eq!(exported("isobar:platform/handler@0.1.1"), function.triggers.iter().any(|t| is_topic(&t.source)));
    assert_eq!(exported("isobar:platform/scheduled@0.1.1"), function.triggers.iter().any(|t| !is_topic(&t.source)));
}

/// The fields of a record of an interface of tables, in order.
fn fields(resolve: &Resolve, interface: &str, record: &str) -> Vec<String> {
    let in_tables = |i: &&wit_parser::Interface| {
        i.name.as_deref() == Some(interface) && i.package.is_some_and(|p| resolve.packages[p].name.name == "tables")
    };
    let (_, interface) = resolve.interfaces.iter().find(|(_, i)| in_tables(i)).expect("the interface is there");
    let kind = &resolve.types[interface.types[record]].kind;
    let TypeDefKind::Record(record) = kind else { panic!("`{record}` is no record") };
    record.fields.iter().map(|f| f.name.clone()).collect()
}

#[test]
fn accepted_manifests_give_wit_that_holds_their_grants() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = fs::read_dir(root.join("tests/manifest")).expect("the folder of cases is readable");
    let paths = cases.map(|c| c.expect("a case is readable").path());
    let accepted =
        paths.filter(|p| p.to_string_lossy().contains("/accepted_") && p.extension().is_some_and(|e| e == "toml"));
    let mut functions = 0;
    for path in accepted.chain([root.join("../spin.toml")]) {
        let application = parse(&fs::read_to_string(&path).expect("a manifest is text")).expect("it is accepted");
        application.functions.values().for_each(|function| check(&application, function));
        functions += application.functions.len();
    }
    assert!(functions >= 9, "only {functions} functions were checked");
}

#[test]
fn a_grant_becomes_this_text() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifest/accepted_everything.toml"));
    let application = parse(&text.expect("the case is readable")).expect("it is accepted");
    let files = wit::generate(&application, &application.functions["sum"]);
    let paths: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(paths, ["deps/platform.wit", "deps/shop-tables.wit", "deps/shop-topics.wit", "world.wit"]);
    let all = ["deps/shop-tables.wit", "deps/shop-topics.wit", "world.wit"].map(|p| files[p].as_str()).join("----\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifest/accepted_everything.wit");
    if std::env::var_os("ISOBAR_BLESS").is_some() {
        fs::write(&path, &all).expect("expectations can be written");
    }
    assert_eq!(all, fs::read_to_string(path).expect("the expectation is readable"), "found:\n{all}");
}

/// A name that may be a word of WIT's own.
fn snake() -> impl Strategy<Value = String> {
    let keyword =
        select(vec!["type", "from", "list", "result", "use", "record", "string", "u8", "map", "async", "key", "row"]);
    let other = "[a-e][a-z0-9]{0,6}(_[a-z0-9]{1,4}){0,2}";
    prop_oneof![keyword.prop_map(str::to_owned), other]
}

fn list(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|n| format!("\"{}\"", n.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

/// A table whose first `keys` columns are its key, and a grant on it.
fn table() -> impl Strategy<Value = (Vec<String>, usize, Vec<&'static str>)> {
    let columns = btree_set(snake(), 2..8).prop_map(|c| c.into_iter().collect::<Vec<_>>()).prop_shuffle();
    (columns, 2..3_usize, subsequence(vec!["get", "scan", "upsert", "delete"], 1..=4))
}

fn manifest() -> impl Strategy<Value = String> {
    let application = select(vec!["list", "world", "shop-floor"]);
    let component = select(vec!["interface", "stream", "add-up", "grants"]);
    let tables = proptest::collection::btree_map(snake(), table(), 0..4);
    (application, component, tables, btree_set(snake(), 1..4), any::<bool>(), any::<bool>()).prop_map(
        |(application, component, tables, topics, state, scheduled)| {
            let settings = "application.trigger.isobar";
            let mut text = format!("spin_manifest_version = 2\n[application]\nname = \"{application}\"\n");
            let topics: Vec<String> = topics.iter().map(|t| format!("t.{t}")).collect();
            topics.iter().for_each(|t| text += &format!("[{settings}.topics.\"{t}\"]\n"));
            let mut grants = String::new();
            for (name, (columns, keys, operations)) in tables {
                let key: Vec<&String> = columns.iter().take(keys).collect();
                text +=
                    &format!("[{settings}.tables.{name}]\nkey = {}\n[{settings}.tables.{name}.columns]\n", list(key));
                for (at, column) in columns.iter().enumerate() {
                    text += &format!("{column} = \"{}\"\n", if at < keys { "date" } else { "double?" });
                }
                let granted: Vec<&String> = columns.iter().step_by(2).collect();
                grants +=
                    &format!("tables.{name} = {{ operations = {}, columns = {} }}\n", list(operations), list(granted));
            }
            let source = if scheduled {
                "cron_expression = \"0 * * * * *\"".to_owned()
            } else {
                format!("topic = \"{}\"", topics[0])
            };
            text + &format!(
                "[[trigger.isobar]]\ncomponent = \"{component}\"\n{source}\n[{settings}.grants.{component}]\n{grants}\
                 publish = {}\nstate = {state}\n[{settings}.limits.{component}]\nrounds = 1\n[component.{component}]\nsource = \"a.wasm\"\n",
                list(&topics)
            )
        },
    )
}

proptest! {
    #[test]
    fn any_manifest_gives_wit_that_holds_its_grants(text in manifest()) {
        let application = parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
        application.functions.values().for_each(|function| check(&application, function));
    }
}

#[test]
fn the_contracts_version_is_the_one_that_is_written() {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("platform.wit", wit::PLATFORM).expect("the contract parses");
    assert_eq!(
        resolve.packages[package].name.version.as_ref().map(ToString::to_string).as_deref(),
        Some(wit::PLATFORM_VERSION)
    );
}
