//! What spin.toml may say: a folder of cases, each a `.toml` beside the `.err` that it gives; one without `.err` is
//! accepted. `ISOBAR_BLESS=1` writes the `.err` files anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use isobar::manifest::outbound::OutboundHost;
use isobar::manifest::{Application, Problem, parse, variables};
use proptest::prelude::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifest")
}

/// The application's own spin.toml.
fn real() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../spin.toml")).expect("spin.toml is readable")
}

/// What `check` does with a manifest when no variable is given.
fn check(text: &str) -> Result<Application, Vec<Problem>> {
    let application = parse(text)?;
    variables::resolve(&application, &BTreeMap::new())?;
    Ok(application)
}

fn rendered(text: &str) -> Option<String> {
    let problems = check(text).err()?;
    Some(problems.iter().map(|p| p.render("spin.toml") + "\n").collect())
}

#[test]
fn every_case_gives_its_problems() {
    let bless = std::env::var_os("ISOBAR_BLESS").is_some();
    let mut cases = 0;
    let mut wrong = String::new();
    for file in fs::read_dir(folder()).expect("the folder of cases is readable") {
        let path = file.expect("a case is readable").path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        cases += 1;
        let found = rendered(&fs::read_to_string(&path).expect("a case is text"));
        let expected_path = path.with_extension("err");
        if let (true, Some(found)) = (bless, &found) {
            fs::write(&expected_path, found).expect("expectations can be written");
        }
        let expected = fs::read_to_string(&expected_path).ok();
        if found != expected {
            let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "(accepted)\n".to_owned());
            let (found, expected) = (shown(&found), shown(&expected));
            wrong += &format!("{}:\n-- expected\n{expected}-- found\n{found}\n", path.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases >= 35, "only {cases} cases were found");
}

#[test]
fn the_applications_own_manifest_is_accepted() {
    assert_eq!(rendered(&real()), None);
}

#[test]
fn variables_take_the_given_value_before_the_default() {
    let text = fs::read_to_string(folder().join("accepted_everything.toml")).expect("the case is readable");
    let application = parse(&text).expect("it is accepted");
    let given = [("api_host".to_owned(), "127.0.0.1:8080".to_owned())].into();
    let fetch = &variables::resolve(&application, &given).expect("every variable has a value")["fetch"];
    assert_eq!(fetch.variables["url"], "https://127.0.0.1:8080/v1");
    assert_eq!(fetch.variables["key"], "none");
    let hosts = ["https://127.0.0.1:8080", "https://*.example.com:8443"].map(|host| OutboundHost::parse(host).unwrap());
    assert_eq!(fetch.allowed_outbound_hosts, hosts);
}

#[test]
fn a_given_variable_that_does_not_exist_is_refused_with_the_nearest() {
    let text = fs::read_to_string(folder().join("unset_required_variable.toml")).expect("the case is readable");
    let application = parse(&text).expect("it is accepted");
    let given = [("api_kye", "k"), ("api_host", "h")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let problems = variables::resolve(&application, &given).expect_err("a variable is unknown, another unset");
    let rendered: Vec<String> = problems.iter().map(|p| p.render("spin.toml")).collect();
    assert_eq!(
        rendered,
        [
            "spin.toml: unknown variable `api_kye`\n  hint: did you mean `api_key`?",
            "spin.toml:7: variable `api_key` is required and has no value\n  hint: give it with `--variable api_key=…` or \
             `SPIN_VARIABLE_API_KEY`",
        ]
    );
}

#[test]
fn columns_keep_the_order_in_which_they_are_declared() {
    let application = parse(&real()).expect("it is accepted");
    for table in application.tables.values() {
        let key: Vec<&str> = table.columns.iter().take(table.key.len()).map(|c| c.name.as_str()).collect();
        assert_eq!(key, table.key, "of `{}`", table.name);
    }
    let text = "spin_manifest_version = 2\napplication.name = \"a\"\n[application.trigger.isobar.tables.t]\nkey = [\"z\"]\n\
                columns = { z = \"text\", b = \"int\", y = \"int\", a = \"int\" }\n";
    let table = &parse(text).expect("it is accepted").tables["t"];
    assert_eq!(table.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["z", "b", "y", "a"]);
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in any::<String>()) {
        let _ = check(&text);
    }

    #[test]
    fn any_schedule_is_read_without_panic(expression in "[-0-9*/,?LW#A-Z@ +]{0,30}|\\PC{0,20}") {
        let expression = expression.replace(['\\', '"'], "");
        let text = format!(
            "spin_manifest_version = 2\napplication.name = \"a\"\ncomponent.b.source = \"b.wasm\"\n\
             [[trigger.isobar]]\ncomponent = \"b\"\ncron_expression = \"{expression}\"\n"
        );
        let _ = check(&text);
    }

    /// A line of the application's manifest lost, doubled or bent: it is accepted, or every problem has a line and a remedy.
    #[test]
    fn a_damaged_manifest_is_refused_with_lines_and_remedies(
        at in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        damage in 0..5,
        inserted in "[a-z\"\\[\\]{}=.,?0-9 _-]{0,6}",
    ) {
        let text = real();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let (at, from) = (at.index(lines.len()), from.index(lines.len()));
        match damage {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[from].clone()),
            2 => lines.swap(at, from),
            3 => lines[at].push_str(&inserted),
            _ => lines[at] = format!("{inserted}{}", lines[at]),
        }
        let count = lines.len();
        for problem in check(&lines.join("\n")).err().unwrap_or_default() {
            prop_assert!(problem.line.is_some_and(|line| (1..=count).contains(&line)), "{problem}");
            prop_assert!(!problem.hint.is_empty() && !problem.message.ends_with('.'), "{problem}");
        }
    }
}
