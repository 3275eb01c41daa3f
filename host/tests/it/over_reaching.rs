//! Components that ask for what was not granted, in every way that a file can: each is refused, by name.

use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::bindings;
use isobar::engine::Engine;
use isobar::engine::inspect::{MAX_COMPONENT_BYTES, MAX_IMPORTS, inspect};
use isobar::registry::gate;

use crate::components::{application, exporting, of_grants, of_text, of_wit};

/// What the gate says of a component as `function`.
fn said(function: &str, component: &[u8]) -> String {
    let application = application();
    match inspect(component) {
        Ok(found) => gate::render(&gate::refusals(&application, &application.functions[function], &found)),
        Err(error) => format!("{error:#}"),
    }
}

/// What it says of a world that exports a handler and has these items, with these packages beside it.
fn of_world(items: &str, packages: &str) -> String {
    let text =
        format!("package test:hostile;\n{packages}\nworld hostile {{ export isobar:platform/handler@0.1.1; {items} }}");
    said("total", &of_wit(&text))
}

/// The same for a table interface of the application.
fn of_table(interface: &str) -> String {
    let name = interface.split_whitespace().next().expect("it has a name");
    let package = format!(
        "package shop:tables {{ interface {name} {{ use isobar:platform/types@0.1.1.{{error}}; {} }} }}",
        &interface[name.len()..]
    );
    of_world(&format!("import shop:tables/{name};"), &package)
}

#[test]
fn what_is_granted_is_accepted_whatever_it_is() {
    let mut functions = 0;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = std::fs::read_dir(folder.join("tests/manifest")).unwrap().map(|case| case.unwrap().path());
    let accepted =
        cases.filter(|path| path.extension().is_some_and(|e| e == "toml") && !path.with_extension("err").exists());
    let real = ["../spin.toml", "tests/gate/spin.toml", "tests/cli/spin.toml"].map(|path| folder.join(path));
    for path in accepted.chain(real) {
        let application = isobar::manifest::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for function in application.functions.values() {
            let found = inspect(&of_grants(&application, function)).unwrap();
            let refused = gate::render(&gate::refusals(&application, function, &found));
            assert_eq!(refused, "", "`{}` of {}", function.name, path.display());
            functions += 1;
        }
    }
    assert!(functions > 10, "only {functions} functions were found");
}

#[test]
fn interfaces_and_functions_that_are_not_granted_are_refused() {
    let evil = "package evil:thing@1.0.0 { interface x { f: func(); } }";
    assert_eq!(
        of_world("import evil:thing/x@1.0.0;", evil),
        "`total` imports `evil:thing/x@1.0.0.f`, which spin.toml does not grant\n  hint: isobar knows no such interface; \
         build the component without it"
    );
    assert_eq!(
        of_world("import shop:topics/complaints;", "package shop:topics { interface complaints { send: func(); } }"),
        "`total` imports `shop:topics/complaints.send`, which spin.toml does not grant\n  hint: if that was meant: \
         [application.trigger.isobar.grants.total] publish = [\"complaints\"]"
    );
    assert_eq!(
        of_table("customers delete: func();"),
        "`total` imports `shop:tables/customers.delete`, which spin.toml does not grant\n  hint: if that was meant: \
         [application.trigger.isobar.grants.total] tables.customers = [\"delete\"]"
    );
    assert!(of_table("secrets get: func();").contains("hint: spin.toml declares no such table"));
    let wipe = "(component (import \"isobar:platform/state@0.1.1\" (instance (export \"wipe\" (func)))))";
    let wipe = said("total", &of_text(wipe));
    assert!(wipe.starts_with("`total` imports `isobar:platform/state@0.1.1.wipe`, which spin.toml does not"), "{wipe}");
    let types = "(component (import \"isobar:platform/types@0.1.1\" (instance (export \"f\" (func)))))";
    assert!(said("total", &of_text(types)).starts_with("`total` imports `isobar:platform/types@0.1.1.f`, which"));
    for of_types_only in ["evil:thing/types", "shop:tables/secrets", "isobar:platform/handler@0.1.1"] {
        let component = of_text(&format!("(component (import \"{of_types_only}\" (instance)))"));
        let expected = format!("`total` imports `{of_types_only}`, which spin.toml does not grant");
        assert!(said("total", &component).starts_with(&expected), "{}", said("total", &component));
    }
}

#[test]
fn columns_and_shapes_other_than_the_granted_are_refused() {
    let get = |key: &str, row: &str, result: &str| {
        format!("customers record key {{ {key} }} record row {{ {row} }} get: func(keys: list<key>) -> {result};")
    };
    let granted = "id: string, name: option<string>";
    let rows = "result<list<row>, error>";
    assert_eq!(of_table(&get("id: string", granted, rows)), "", "the granted shape");
    assert_eq!(of_table(&get("id: string", "id: string", rows)), "", "a row may leave columns out");
    assert_eq!(of_table(&get("id: string", "name: option<string>, id: string", rows)), "", "rows are linked by name");
    let debt = of_table(&get("id: string", "id: string, name: option<string>, debt: option<f64>", rows));
    assert!(
        debt.starts_with("`total` imports `shop:tables/customers.get` with column `debt`, which spin.toml does not")
    );
    assert!(debt.ends_with("add the column to [application.trigger.isobar.grants.total]"), "{debt}");
    for (key, row, result, shows) in [
        ("id: string", "id: string, name: string", rows, "name: string}"),
        ("id: s64", granted, rows, "{id: s64}"),
        ("id: string", granted, "result<list<row>, string>", ", string>, but it is"),
        ("id: string", granted, "result<row, error>", "result<{id"),
        ("id: string", granted, "list<row>", "-> list<{id"),
        ("id: string", granted, "result<list<tuple<string>>, error>", "list<tuple>"),
        ("id: string", granted, "result<list<row>>", "}>, _>"),
    ] {
        let said = of_table(&get(key, row, result));
        let expected = "`total` imports `shop:tables/customers.get` as func(";
        assert!(said.starts_with(expected) && said.contains(shows), "{said}");
        assert!(
            said.contains(", but it is func(list<{id: string}>) -> result<list<{id: string, name: option<string>}>")
        );
    }
    for function in ["async func(keys: list<key>)", "func(keys: list<key>, more: u32)", "func()"] {
        let said = of_table(&format!(
            "customers record key {{ id: string }} record row {{ {granted} }} get: {function} -> {rows};"
        ));
        assert!(said.starts_with("`total` imports `shop:tables/customers.get` as "), "{function}: {said}");
    }
}

#[test]
fn a_column_that_the_gate_let_pass_would_not_be_linked() {
    let cache = tempfile::tempdir().unwrap();
    let engine = Engine::new(Some(cache.path())).unwrap();
    let application = Arc::new(application());
    let linked = |row: &str| {
        let component = of_wit(&format!(
            "package test:hostile; package shop:tables {{ interface customers {{
                 use isobar:platform/types@0.1.1.{{error}}; record key {{ id: string }} record row {{ {row} }}
                 get: func(keys: list<key>) -> result<list<row>, error>; }} }}
             world hostile {{ import shop:tables/customers; export isobar:platform/handler@0.1.1; }}"
        ));
        let component = engine.compile(&component).unwrap();
        let linker = bindings::linker(&engine, &application, &application.functions["total"], &component);
        linker.err().map(|error| format!("{error:#}")).unwrap_or_default()
    };
    assert_eq!(linked("id: string, name: option<string>"), "");
    let refused = "`shop:tables/customers.get` is imported with a shape that was not granted";
    assert!(linked("id: string, debt: option<f64>").contains(refused));
}

#[test]
fn a_write_gives_whatever_may_not_be_null() {
    let upsert = |row: &str| {
        of_table(&format!("days record row {{ {row} }} upsert: func(rows: list<row>) -> result<_, error>;"))
    };
    assert_eq!(upsert("id: string, day: s32, orders: s32"), "", "what may be null may be left out");
    assert_eq!(upsert("orders: s32, day: s32, id: string"), "", "rows are linked by name");
    for (row, column) in [("id: string, day: s32", "orders"), ("id: string, orders: s32, note: option<string>", "day")]
    {
        let said = upsert(row);
        let expected = format!(
            "`total` imports `shop:tables/days.upsert` without column `{column}`, which may not be null\n  hint: write it with every row"
        );
        assert_eq!(said, expected);
    }
}

#[test]
fn keys_and_ranges_are_whole() {
    let none = "result<_, error>";
    let rows = "result<list<row>, error>";
    let whole = "record key { id: string, day: s32 } record range { id: string, first-day: s32, last-day: s32 }
        record row { id: string, day: s32, orders: s32, note: option<string> }";
    let operations = |key: &str| {
        format!(
            "days {key} get: func(keys: list<key>) -> {rows}; scan: func(ranges: list<range>) -> {rows};
             upsert: func(rows: list<row>) -> {none}; delete: func(keys: list<key>) -> {none};"
        )
    };
    assert_eq!(of_table(&operations(whole)), "");
    let halved = of_table(&operations(&whole.replacen("id: string, day: s32 }", "id: string }", 1)));
    let refused = [
        "`total` imports `shop:tables/days.delete` as func(list<{id: string}>)",
        "`total` imports `shop:tables/days.get` as",
    ];
    assert!(refused.iter().all(|line| halved.contains(line)) && halved.lines().count() == 4, "{halved}");
    let turned = of_table(&operations(&whole.replacen("id: string, day: s32 }", "day: s32, id: string }", 1)));
    assert!(refused[1..].iter().all(|line| turned.contains(line)) && turned.lines().count() == 4, "{turned}");
    let open = of_table(&operations(&whole.replacen(", last-day: s32 }", " }", 1)));
    assert!(
        open.starts_with("`total` imports `shop:tables/days.scan` as func(list<{id: string, first-day: s32}>)"),
        "{open}"
    );
}

#[test]
fn names_that_only_begin_like_those_of_the_system_are_refused() {
    for (interface, hint) in [
        ("wasi:cli/evil@0.2.0", "isobar knows no such interface"),
        ("wasi:sockets/raw@0.2.3", "isobar knows no such interface"),
        ("wasi:cli/exit@0.2.0-x", "isobar has it in the versions `0.2` and `0.3`"),
        ("wasi:cli/exit@0.2.0-x.0.3.0", "isobar has it in the versions `0.2` and `0.3`"),
        ("wasi:cli/exit@1.0.2", "isobar has it in the versions `0.2` and `0.3`"),
        ("wasi:clocks/wall-clock@0.3.0", "isobar has it in the versions `0.2`"),
        ("wasi:keyvalue/store@0.2.0", "isobar knows no such interface"),
        ("wasi:http/incoming-handler@0.2.0", "isobar knows no such interface"),
        ("spin:variables/variables@2.0.0", "isobar has it in the versions `3.0`"),
        ("spin:key-value/key-value@3.0.0", "isobar knows no such interface"),
        ("isobar:platform/state@0.1.7", "isobar has `isobar:platform/state@0.1.1`"),
        ("isobar:platform/state@0.2.0", "isobar has `isobar:platform/state@0.1.1`"),
        ("isobar:platform/state", "isobar has `isobar:platform/state@0.1.1`"),
        ("shop:tables/days@0.1.0", "tables have no version"),
        ("shop:topics/answers@1.0.0", "topics have no version"),
    ] {
        let component = of_text(&format!("(component (import \"{interface}\" (instance (export \"get\" (func)))))"));
        for function in ["total", "asks"] {
            let said = said(function, &component);
            let expected =
                format!("`{function}` imports `{interface}.get`, which spin.toml does not grant\n  hint: {hint}");
            assert!(said.starts_with(&expected), "{said}");
        }
    }
}

#[test]
fn hosts_and_variables_must_be_given() {
    for (interface, remedy) in [
        (
            "wasi:http/types@0.2.4",
            "allows it no outbound host\n  hint: if that was meant: [component.total] allowed_outbound",
        ),
        (
            "wasi:http/client@0.3.0",
            "allows it no outbound host\n  hint: if that was meant: [component.total] allowed_outbound",
        ),
        (
            "spin:variables/variables@3.0.0",
            "gives it no variables\n  hint: if that was meant: [component.total.variables]",
        ),
    ] {
        let component = of_text(&format!("(component (import \"{interface}\" (instance (export \"get\" (func)))))"));
        let total = said("total", &component);
        assert!(total.starts_with(&format!("`total` imports `{interface}`, and spin.toml {remedy}")), "{total}");
        // It is given both, and lacks the export alone.
        let asks = said("asks", &component);
        assert!(asks.starts_with("`asks` does not export") && !asks.contains("imports"), "{asks}");
    }
}

#[test]
fn what_belongs_to_no_interface_is_refused() {
    let imports = |what: &str| format!("`total` imports {what}, which belongs to no interface that isobar knows");
    for (import, what) in [
        ("(import \"run\" (func))", "function `run`"),
        ("(import \"m\" (core module))", "core module `m`"),
        ("(import \"c\" (component))", "component `c`"),
        ("(import \"i\" (instance))", "instance `i`"),
        ("(import \"r\" (type (sub resource)))", "resource `r`"),
        ("(type $t u32) (import \"t\" (type (eq $t)))", "type `t`"),
        (
            "(import \"shop:tables/days\" (instance (export \"r\" (type (sub resource)))))",
            "resource `shop:tables/days.r`",
        ),
        ("(import \"shop:tables/days\" (instance (export \"m\" (core module))))", "core module `shop:tables/days.m`"),
        ("(import \"shop:tables/days\" (instance (export \"i\" (instance))))", "instance `shop:tables/days.i`"),
        ("(import \"wasi:cli/exit@0.2.0\" (instance (export \"c\" (component))))", "component `wasi:cli/exit@0.2.0.c`"),
        ("(import \"days\" (implements \"shop:tables/days\") (instance))", "`days` in place of `shop:tables/days`"),
        ("(import \"url=<https://example.org/x>\" (component))", "component `url=<https://example.org/x>`"),
    ] {
        let said = said("total", &of_text(&format!("(component {import})")));
        assert!(said.starts_with(&imports(what)), "{import}: {said}");
    }
    let resource = "resource r { constructor(); }";
    assert!(of_table(&format!("days {resource}")).contains("imports resource `shop:tables/days.r`"));
    assert!(of_world("import run: func();", "").starts_with(&imports("function `run`")));
}

#[test]
fn an_interface_is_judged_by_its_import_and_not_by_an_export_of_its_name() {
    // The export comes first and has the granted shape; a decoder that merges the two sees only that.
    let component = of_text(
        r#"(component
            (component $own
                (core module $m (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
                    (func (export "get") (param i32 i32) (result i32) unreachable))
                (core instance $m (instantiate $m))
                (type $key' (record (field "id" string))) (export $key "key" (type $key'))
                (type $row' (record (field "id" string) (field "name" (option string)))) (export $row "row" (type $row'))
                (type $error' (variant (case "unavailable" string) (case "invalid" string)))
                (export $error "error" (type $error'))
                (func (export "get") (param "keys" (list $key)) (result (result (list $row) (error $error)))
                    (canon lift (core func $m "get") (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
            (instance $own (instantiate $own))
            (export "shop:tables/customers" (instance $own))
            (import "shop:tables/customers" (instance
                (type $key' (record (field "id" string))) (export "key" (type $key (eq $key')))
                (type $wide' (record (field "id" string) (field "debt" (option f64)))) (export "wide" (type $wide (eq $wide')))
                (type $error' (variant (case "unavailable" string) (case "invalid" string)))
                (export "error" (type $error (eq $error')))
                (export "get" (func (param "keys" (list $key)) (result (result (list $wide) (error $error))))))))"#,
    );
    let said = said("total", &component);
    assert!(said.starts_with("`total` imports `shop:tables/customers.get` with column `debt`, which"), "{said}");
    assert!(said.contains("`total` exports `shop:tables/customers`, which nothing calls"), "{said}");
}

#[test]
fn exports_are_those_of_the_contract() {
    let world = |items: &str, packages: &str| {
        said("total", &of_wit(&format!("package test:hostile; {packages} world hostile {{ {items} }}")))
    };
    let missing =
        "`total` does not export `isobar:platform/handler@0.1.1`, which its topic trigger needs\n  hint: export it";
    assert!(world("", "").starts_with(missing));
    assert!(world("export isobar:platform/scheduled@0.1.1;", "").starts_with(missing));
    assert_eq!(world("export isobar:platform/handler-sync@0.1.1;", ""), "");
    let both = "export isobar:platform/handler@0.1.1; export isobar:platform/scheduled@0.1.1;";
    assert_eq!(world(both, ""), "", "one component may serve several triggers");
    let run = world(&format!("{both} export run: func();"), "");
    assert_eq!(run, "`total` exports function `run`, which nothing calls\n  hint: build it without that export");
    let more = world(&format!("{both} export more:of/it;"), "package more:of { interface it { f: func(); } }");
    assert_eq!(more, "`total` exports `more:of/it`, which nothing calls\n  hint: build it without that export");
    for (version, handle) in [
        ("0.1.0", "(export \"handle\" (func))"),
        ("0.1.1", ""),
        ("0.1.0", "(export \"handle\" (func)) (export \"more\" (func))"),
    ] {
        let component = exporting(&format!("isobar:platform/handler@{version}"), handle);
        let said = said("total", &component);
        assert!(said.starts_with("`total` exports `isobar:platform/handler@0.1.1` with another shape than"), "{said}");
    }
    for name in ["isobar:platform/handler@0.1.2", "isobar:platform/handler@0.2.0", "isobar:platform/handler"] {
        let said = said("total", &exporting(name, "(export \"handle\" (func))"));
        assert!(said.starts_with(missing), "{said}");
        assert!(said.contains(&format!("`total` exports `{name}`, which nothing calls")), "{said}");
    }
}

#[test]
fn an_export_that_waits_where_the_contract_does_not_is_of_another_shape() {
    let platform = isobar::manifest::wit::PLATFORM;
    let changed = platform.replace("handle: func(batch", "handle: async func(batch");
    assert_ne!(changed, platform);
    let text = format!(
        "package test:hostile; world hostile {{ export isobar:platform/handler-sync@0.1.1; }}\n{}",
        changed.replacen("package isobar:platform@0.1.1;", "package isobar:platform@0.1.1 {", 1) + "}"
    );
    let component = crate::components::of_wit_alone(&text);
    let said = said("total", &component);
    assert!(said.starts_with("`total` exports `isobar:platform/handler-sync@0.1.1` with another shape"), "{said}");
}

#[test]
fn files_that_are_no_component_are_refused_in_words() {
    let whole = of_grants(&application(), &application().functions["total"]);
    assert_eq!(said("total", &whole), "");
    let capabilities = inspect(&whole).unwrap();
    for cut in 0..whole.len() {
        // What ends between two sections can be whole, but then it has lost what it exports or nothing that counts.
        if let Ok(found) = inspect(&whole[..cut]) {
            let said = said("total", &whole[..cut]);
            assert!(!said.is_empty() || found == capabilities, "cut at {cut} of {}", whole.len());
        }
    }
    let cut = said("total", &whole[..20]);
    assert!(
        cut.starts_with("it is damaged, cut short, or of a format that isobar does not know: unexpected end"),
        "{cut}"
    );
    assert!(cut.ends_with("; build it anew"), "{cut}");
    assert!(said("total", &of_text("(module)")).starts_with("it is a core module, not a component; build it for"));
    assert_eq!(said("total", b"#!/bin/sh\n"), "it is not a WebAssembly file");
    assert_eq!(said("total", b""), "it is not a WebAssembly file");
    let large = said("total", &vec![0; MAX_COMPONENT_BYTES + 1]);
    assert!(
        large.starts_with(
            "it is larger than the 64 MiB that a component may have, which spin.toml cannot raise; build it"
        ),
        "{large}"
    );
}

#[test]
fn imports_and_types_have_limits_that_are_named() {
    let importing = |count: usize| {
        let imports: String = (0..count).map(|i| format!("(import \"wasi:cli/exit@0.2.{i}\" (instance))")).collect();
        said("total", &of_text(&format!("(component {imports})")))
    };
    assert!(importing(MAX_IMPORTS).starts_with("`total` does not export"), "{}", importing(MAX_IMPORTS));
    assert!(
        importing(MAX_IMPORTS + 1).starts_with("it has more than 256 imports, which spin.toml cannot raise; leave out")
    );
    // A type of two copies of another, seventeen times: a few lines, and 100,000 parts.
    let doubled: String = (1..18).map(|i| format!("(type $t{i} (result $t{0} (error $t{0})))", i - 1)).collect();
    let vast = said(
        "total",
        &of_text(&format!(
            "(component (import \"a:b/c\" (instance (type $t0 (list u8)) {doubled} (export \"f\" (func (param \"x\" $t17))))))"
        )),
    );
    let too_many = "what it imports and exports has more than 100000 parts, long names being several, which spin.toml";
    assert!(vast.starts_with(too_many), "{vast}");
    // A megabyte of items that each tell or copy the longest name that a file may have.
    let long = "x".repeat(99_000);
    let of_items = |name: &str, first: &str, count: usize, item: &dyn Fn(usize) -> String| {
        let items: String = (0..count).map(item).collect();
        let component = of_text(&format!("(component (import \"a:b/{name}\" (instance {first} {items})))"));
        let begun = Instant::now();
        let said = said("total", &component);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        said
    };
    let types = of_items(&long, "(type $t (func))", 30_000, &|i| format!("(export \"t{i}\" (type (eq $t)))"));
    assert!(types.starts_with(too_many), "{types:.500}");
    let record = format!("(type $t (record (field \"{long}\" u8))) (export \"r\" (type $r (eq $t)))");
    let copies = of_items("c", &record, 2_000, &|i| format!("(export \"f{i}\" (func (param \"p\" $r)))"));
    assert!(copies.starts_with(too_many), "{copies:.500}");
    let functions = of_items(&long, "", 30_000, &|i| {
        format!("(export \"f{i}\" (func (param \"a\" u8) (param \"b\" u8) (param \"c\" u8)))")
    });
    assert!(functions.starts_with(too_many), "{functions:.500}");
    let resources = of_items(&long, "", 20_000, &|i| format!("(export \"r{i}\" (type (sub resource)))"));
    assert!(resources.contains("\n`total` has 19981 more such faults\n"), "{resources:.500}");
    let functions: String = (0..1000).map(|i| format!("(export \"f{i}\" (func))")).collect();
    let many = said("total", &of_text(&format!("(component (import \"a:b/c\" (instance {functions})))")));
    assert!(many.lines().count() == 42 && many.contains("\n`total` has 981 more such faults\n"), "{many}");
    let nested = |deep| said("total", &of_text(&("(component ".repeat(deep) + &")".repeat(deep))));
    assert!(nested(51).starts_with("`total` does not export"), "{}", nested(51));
    assert!(nested(52).starts_with("components are nested in it more than 50 deep, which spin.toml cannot raise"));
    let name = "x".repeat(5000);
    let long =
        said("total", &of_text(&format!("(component (import \"a:b/c\" (instance (export \"{name}\" (func)))))")));
    assert!(long.len() < 1000, "{long}");
    let twice = format!("(import \"a:b/{name}\" (instance))").repeat(2);
    let twice = said("total", &of_text(&format!("(component {twice})")));
    assert!(twice.starts_with("it is damaged, cut short, or") && twice.len() < 500, "{twice}");
}
