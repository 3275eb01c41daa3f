//! Components, changed: none makes the host panic, and none is accepted that could do what was not granted. What it could
//! do is asked of wasmtime, which the gate does not.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use isobar::bindings;
use isobar::bindings::system::{self, Need};
use isobar::commands;
use isobar::engine::Engine;
use isobar::engine::inspect::inspect;
use isobar::manifest::schema::wit_name;
use isobar::manifest::{Application, Function, Operation};
use isobar::registry::gate;
use mutate::Target;
use wasmtime::component::Type;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};

use super::kind;
use crate::components::{application, of_grants, of_text, of_wit};

/// Of accepted components that ask for the same, one in so many is compiled: it takes a hundred times what all else does.
const COMPILED: usize = 16;
/// Ways to ask that are told apart.
const MOST_WAYS: usize = 1_000;

#[test]
fn components() {
    let application = Arc::new(application());
    let (total, asks) = (&application.functions["total"], &application.functions["asks"]);
    let wide = of_wit(
        "package test:hostile; package evil:thing@1.0.0 { interface x { resource r { constructor(); } f: func(r: r); } }
         world hostile { import evil:thing/x@1.0.0; export isobar:platform/handler@0.1.1; export evil:thing/x@1.0.0; }",
    );
    let odd = of_text(
        "(component (import \"m\" (core module)) (import \"c\" (component)) (import \"r\" (type (sub resource)))
         (import \"days\" (implements \"shop:tables/days\") (instance)) (import \"wasi:cli/exit@0.2.0\" (instance))
         (import \"url=<https://example.org/\\1b[2J>\" (component)))",
    );
    // A step from what is granted: a column more, half a key.
    let near = [
        "customers { use isobar:platform/types@0.1.1.{error}; record key { id: string }
             record row { id: string, name: option<string>, debt: option<f64> }
             get: func(keys: list<key>) -> result<list<row>, error>; }",
        "days { use isobar:platform/types@0.1.1.{error}; record key { id: string }
             delete: func(keys: list<key>) -> result<_, error>; }",
    ];
    let near = near.map(|table| {
        let name = table.split(' ').next().expect("it has a name");
        of_wit(&format!(
            "package test:hostile; package shop:tables {{ interface {table} }}
             world hostile {{ import shop:tables/{name}; export isobar:platform/handler@0.1.1; }}"
        ))
    });
    let words = [
        "shop:tables/days",
        "shop:tables/customers",
        "shop:topics/answers",
        "isobar:platform/state@0.1.1",
        "isobar:platform/handler@0.1.1",
        "wasi:cli/exit@0.2.0",
        "wasi:http/types@0.2.0",
        "\x08\x00",
        "\x05\x00",
        "debt",
        "name",
        "upsert",
    ];
    let cache = tempfile::tempdir().expect("a folder");
    let engine = Engine::new(Some(cache.path())).expect("the engine is made");
    let (mut accepted, mut ways) = (0, HashSet::new());
    let granted = [total, asks].map(|function| of_grants(&application, function));
    // The validator keeps room for as many items as a section says it has, a million of some 80 bytes, before it reads the
    // first: address space, of which nothing is touched.
    let target = Target::new("component").seeds(granted).seeds(near).seeds([wide, odd]);
    let target = target.words(words).time(Duration::from_secs(1), Duration::from_millis(20)).memory(128 << 20, 1_000);
    target.run(|bytes| {
        let found = match inspect(bytes) {
            Ok(found) => found,
            Err(error) => {
                let said = format!("{error:#}");
                assert!(said.len() < 2_000 && !said.contains('\u{1b}'), "{said}");
                // What is wrong, without what is said of every damaged file, and where.
                let wrong = said.rsplit("not know: ").next().and_then(|wrong| wrong.split(" (at offset").next());
                return (String::new(), kind(wrong.unwrap_or_default()));
            }
        };
        let shown = commands::inspect::words(&commands::inspect::abilities(&found));
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        let mut outcome = String::new();
        for function in [total, asks] {
            let refusals = gate::refusals(&application, function, &found);
            let said = gate::render(&refusals);
            assert!(said.len() < 100_000 && !said.contains('\u{1b}'), "{said}");
            outcome += &refusals.first().map_or_else(|| "accepted".to_owned(), |refusal| kind(&refusal.message));
            if refusals.is_empty() {
                accepted += 1;
                let is_new = ways.len() < MOST_WAYS && ways.insert(format!("{}{found:?}", function.name));
                if is_new || accepted % COMPILED == 0 {
                    compiled(&engine, &application, function, bytes);
                }
            }
        }
        (outcome, String::new())
    });
    assert!(accepted > 0, "not even what is granted was accepted");
}

/// Holds what wasmtime sees in an accepted component against the grants, and links it.
fn compiled(engine: &Engine, application: &Arc<Application>, function: &Function, bytes: &[u8]) {
    // A component may be sound in its types and wrong in its code.
    let Ok(component) = engine.compile(bytes) else { return };
    let ty = component.component_type();
    let mut of_system = false;
    for (name, import) in ty.imports(engine.wasmtime()) {
        let ComponentItem::ComponentInstance(instance) = import.ty else {
            panic!("`{name}` is accepted and no instance");
        };
        match system::need(name) {
            Some(need) => {
                of_system = true;
                assert!(need != Need::Hosts || !function.allowed_outbound_hosts.is_empty(), "`{name}`");
                assert!(need != Need::Variables || !function.variables.is_empty(), "`{name}`");
            }
            None => granted(engine, application, function, name, &instance),
        }
    }
    for (name, _) in ty.exports(engine.wasmtime()) {
        assert!(name.starts_with("isobar:platform/") && name.ends_with("@0.1.1"), "`{name}` is exported");
    }
    let linker = bindings::linker(engine, application, function, &component).expect("what is accepted can be linked");
    let linked = linker.instantiate_pre(&component);
    // Of the system's interfaces the gate knows the names; whether their functions are right, the linker says.
    assert!(linked.is_ok() || of_system, "{:#}", linked.err().expect("it is an error"));
}

fn granted(engine: &Engine, application: &Application, function: &Function, name: &str, instance: &ComponentInstance) {
    let items: Vec<_> = instance.exports(engine.wasmtime()).collect();
    let functions = || {
        items.iter().filter_map(|(name, item)| match &item.ty {
            ComponentItem::ComponentFunc(f) => Some((*name, f)),
            ComponentItem::Type(_) => None,
            other => panic!("`{name}` is accepted and {other:?}"),
        })
    };
    let grants = &function.grants;
    let table = grants.tables.iter().find(|(table, _)| format!("shop:tables/{}", wit_name(table)) == name);
    match (name, table) {
        ("isobar:platform/types@0.1.1" | "isobar:platform/events@0.1.1", _) => assert_eq!(functions().count(), 0),
        ("isobar:platform/state@0.1.1", _) => assert!(grants.state),
        (topic, None) => {
            assert!(
                grants.publish.iter().any(|granted| format!("shop:topics/{}", wit_name(granted)) == topic),
                "`{topic}`"
            );
            assert!(functions().all(|(name, _)| name == "send"));
        }
        (_, Some((table, grant))) => {
            let key: Vec<String> = application.tables[table].key.iter().map(|k| wit_name(k)).collect();
            let columns: Vec<String> = grant.columns.iter().map(|c| wit_name(c)).collect();
            for (called, f) in functions() {
                let operation = Operation::parse(called).filter(|o| grant.operations.contains(o));
                assert!(operation.is_some(), "`{table}.{called}` is accepted");
                let (taken, given) = (taken(f), given(f));
                assert!(given.iter().all(|field| columns.contains(field)), "`{table}.{called}` gives {given:?}");
                match called {
                    "upsert" => assert!(taken.iter().all(|field| columns.contains(field)), "{taken:?}"),
                    "scan" => assert_eq!(taken.len(), 3),
                    _ => assert_eq!(taken, key, "`{table}.{called}`"),
                }
            }
        }
    }
}

fn fields(list: Option<Type>) -> Vec<String> {
    let Some(Type::List(list)) = list else { return Vec::new() };
    let Type::Record(record) = list.ty() else { return Vec::new() };
    record.fields().map(|field| field.name.to_owned()).collect()
}

fn taken(f: &ComponentFunc) -> Vec<String> {
    fields(f.params().next().map(|(_, ty)| ty))
}

fn given(f: &ComponentFunc) -> Vec<String> {
    match f.results().next() {
        Some(Type::Result(result)) => fields(result.ok()),
        _ => Vec::new(),
    }
}
