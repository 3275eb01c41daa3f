//! The manifest in parts: what of a spin.toml concerns some functions, and a manifest with such a part in the place of what it
//! said of them before. Whether the whole is right is `parse`'s to say.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::{Application, Problem, parse};

const APPLICATION: &str = "application";
const TRIGGER: &str = "trigger";
const OURS: &str = "isobar";
const COMPONENT: &str = "component";
const VARIABLES: &str = "variables";
/// How a component is built is the business of who builds it: a command of somebody else is none that is to be run.
const BUILD: &str = "build";
/// What is below `[application.trigger.isobar]` for each function.
const OF_FUNCTIONS: [&str; 2] = ["grants", "limits"];
/// What is declared there for all, and replaced one by one.
const DECLARED: [&str; 2] = ["topics", "tables"];

/// What of the manifest `text` concerns `functions`: they themselves, their triggers, grants and limits, and the topics, tables and
/// variables that they refer to. Values of secret variables are not in it.
///
/// # Errors
/// What is wrong with the text, or that it has no such function.
pub fn part(text: &str, functions: &BTreeSet<String>) -> Result<String, Vec<Problem>> {
    let text = &without_secrets(text)?;
    let application = parse(text)?;
    let mut topics = BTreeSet::new();
    let mut tables = BTreeSet::new();
    let mut variables = BTreeSet::new();
    for name in functions {
        let function = application.functions.get(name).ok_or_else(|| vec![unknown(name, &application)])?;
        let referenced = application.referenced(function);
        topics.extend(referenced.topics);
        tables.extend(referenced.tables);
        variables.extend(referenced.variables);
    }
    let mut document = table(text)?;
    retain(&mut document, &[COMPONENT], functions);
    retain(&mut document, &[VARIABLES], &variables);
    for (_, component) in at(&mut document, &[COMPONENT]).into_iter().flat_map(Table::iter_mut) {
        component.as_table_mut().and_then(|fields| fields.remove(BUILD));
    }
    retain(&mut document, &[TRIGGER], &BTreeSet::from([OURS.to_owned()]));
    change_triggers(&mut document, |all| all.retain(|t| component(t).is_some_and(|c| functions.contains(c))));
    let settings = [APPLICATION, TRIGGER, OURS];
    for (key, kept) in [("topics", &topics), ("tables", &tables), ("grants", functions), ("limits", functions)] {
        retain(&mut document, &[settings[0], settings[1], settings[2], key], kept);
    }
    if let Some(settings) = at(&mut document, &settings) {
        settings.retain(|key, _| OF_FUNCTIONS.contains(&key) || DECLARED.contains(&key));
    }
    Ok(document.to_string())
}

/// The manifest `running` with the functions, topics, tables and variables of `part` in the place of its own.
///
/// # Errors
/// What is wrong with one of the two, or with the whole; without lines, which would be those of neither.
pub fn merge(running: &str, part: &str) -> Result<String, Vec<Problem>> {
    let (before, change) = (parse(running).map_err(without_lines)?, parse(part).map_err(without_lines)?);
    if before.name != change.name {
        let message = format!("the application is `{}`, and `{}` runs here", change.name, before.name);
        let hint = "deploy to the host that runs it, or start one with another `--data-dir`".to_owned();
        return Err(vec![Problem { line: None, message, hint }]);
    }
    let (mut document, mut part) = (table(running)?, table(part)?);
    let deployed: BTreeSet<String> = change.functions.into_keys().collect();
    keep_builds(&mut document, &mut part);
    let mut added = Vec::new();
    change_triggers(&mut part, |all| added = std::mem::take(all));
    change_triggers(&mut document, |all| {
        all.retain(|trigger| component(trigger).is_none_or(|c| !deployed.contains(c)));
        all.extend(added);
    });
    replace(&mut document, &mut part, &[COMPONENT], &deployed);
    replace(&mut document, &mut part, &[VARIABLES], &BTreeSet::new());
    for key in DECLARED {
        replace(&mut document, &mut part, &[APPLICATION, TRIGGER, OURS, key], &BTreeSet::new());
    }
    for key in OF_FUNCTIONS {
        replace(&mut document, &mut part, &[APPLICATION, TRIGGER, OURS, key], &deployed);
    }
    let merged = document.to_string();
    parse(&merged).map_err(without_lines)?;
    Ok(merged)
}

/// The manifest without functions that are `gone`: topics, tables and variables stay declared.
///
/// # Errors
/// What is wrong with the text, or with what is left.
pub fn without(text: &str, gone: &BTreeSet<String>) -> Result<String, Vec<Problem>> {
    let mut document = table(text)?;
    change_triggers(&mut document, |all| all.retain(|t| component(t).is_none_or(|c| !gone.contains(c))));
    let mut take = |path: &[&str]| {
        at(&mut document, path).into_iter().for_each(|table| table.retain(|key, _| !gone.contains(key)));
    };
    take(&[COMPONENT]);
    OF_FUNCTIONS.iter().for_each(|key| take(&[APPLICATION, TRIGGER, OURS, key]));
    let left = document.to_string();
    parse(&left).map_err(without_lines)?;
    Ok(left)
}

/// The manifest without the values of secret variables, which are required instead; the text as it is where it holds none.
///
/// # Errors
/// What is wrong with the text.
pub fn without_secrets(text: &str) -> Result<String, Vec<Problem>> {
    let application = parse(text)?;
    let secrets = application.variables.iter().filter(|(_, v)| v.secret && v.default.is_some());
    let secrets: BTreeSet<&String> = secrets.map(|(name, _)| name).collect();
    if secrets.is_empty() {
        return Ok(text.to_owned());
    }
    let mut document = table(text)?;
    let variables = at(&mut document, &[VARIABLES]).into_iter().flat_map(Table::iter_mut);
    for (_, variable) in variables.filter(|(name, _)| secrets.contains(name)) {
        if let Some(fields) = variable.as_table_mut() {
            fields.remove("default");
            fields.insert("required".to_owned(), Value::Boolean(true));
        }
    }
    Ok(document.to_string())
}

/// Lets components be built as before.
fn keep_builds(document: &mut Table, part: &mut Table) {
    let Some((before, after)) = at(document, &[COMPONENT]).zip(at(part, &[COMPONENT])) else { return };
    for (name, component) in after.iter_mut() {
        let build = before.get(name).and_then(|component| component.get(BUILD)).cloned();
        if let Some(fields) = component.as_table_mut() {
            fields.remove(BUILD);
            fields.extend(build.map(|build| (BUILD.to_owned(), build)));
        }
    }
}

fn unknown(name: &str, application: &Application) -> Problem {
    let known = application.functions.keys().map(String::as_str);
    let hint = super::problem::instead_of(name, known, "declare it with a `[[trigger.isobar]]` and a `[component]`");
    Problem { line: None, message: format!("there is no function `{name}`"), hint }
}

fn without_lines(problems: Vec<Problem>) -> Vec<Problem> {
    problems.into_iter().map(|p| Problem { line: None, ..p }).collect()
}

/// The text as a table; `parse` has found it to be TOML.
fn table(text: &str) -> Result<Table, Vec<Problem>> {
    text.parse().map_err(|error: toml::de::Error| {
        let hint = "see toml.io for the syntax".to_owned();
        vec![Problem { line: None, message: format!("this is not TOML: {}", error.message()), hint }]
    })
}

/// The table at `path`, made where it is missing; `None` where something else stands there.
fn at<'t>(document: &'t mut Table, path: &[&str]) -> Option<&'t mut Table> {
    let mut table = document;
    for key in path {
        table = table.entry(*key).or_insert_with(|| Value::Table(Table::new())).as_table_mut()?;
    }
    Some(table)
}

/// Our triggers, put where they belong when they are changed.
fn change_triggers(document: &mut Table, change: impl FnOnce(&mut Vec<Value>)) {
    let Some(kinds) = at(document, &[TRIGGER]) else { return };
    if let Some(triggers) = kinds.entry(OURS).or_insert_with(|| Value::Array(Vec::new())).as_array_mut() {
        change(triggers);
    }
}

fn component(trigger: &Value) -> Option<&str> {
    trigger.get("component")?.as_str()
}

/// Leaves of the table at `path` what is `kept`.
fn retain(document: &mut Table, path: &[&str], kept: &BTreeSet<String>) {
    if let Some(table) = at(document, path) {
        table.retain(|key, _| kept.contains(key));
    }
}

/// Takes `gone` out of the table at `path`, and puts in what `part` has there.
fn replace(document: &mut Table, part: &mut Table, path: &[&str], gone: &BTreeSet<String>) {
    let Some((table, change)) = at(document, path).zip(at(part, path)) else { return };
    table.retain(|key, _| !gone.contains(key) || change.contains_key(key));
    // What is there already keeps its place.
    for (key, value) in std::mem::take(change) {
        table.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "shop"
        [variables]
        url = { default = "https://example.org" }
        [application.trigger.isobar.topics]
        orders = { partitions = 3 }
        sums = {}
        [application.trigger.isobar.tables.totals]
        store = "postgres"
        key = ["customer"]
        columns = { customer = "text", total = "double?" }
        [[trigger.isobar]]
        component = "count"
        topic = "orders"
        [[trigger.isobar]]
        component = "sum"
        topic = "sums"
        [application.trigger.isobar.grants.count]
        publish = ["sums"]
        [application.trigger.isobar.grants.sum]
        tables.totals = ["upsert"]
        [application.trigger.isobar.limits.sum]
        memory_mb = 32
        [component.count]
        source = "count.wasm"
        allowed_outbound_hosts = ["{{ url }}"]
        [component.sum]
        source = "sum.wasm"
        build.command = "make"
    "#;

    fn only(name: &str) -> BTreeSet<String> {
        BTreeSet::from([name.to_owned()])
    }

    fn said(problems: &[Problem]) -> String {
        problems.iter().map(|p| p.render("spin.toml")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_part_says_of_its_functions_what_the_whole_does_and_nothing_else() {
        let whole = parse(SHOP).unwrap();
        for name in ["count", "sum"] {
            let part = parse(&part(SHOP, &only(name)).unwrap()).unwrap_or_else(|p| panic!("{}", said(&p)));
            assert_eq!(part.functions.keys().collect::<Vec<_>>(), [name]);
            assert_eq!(part.declaration(&part.functions[name]), whole.declaration(&whole.functions[name]));
        }
        let count = parse(&part(SHOP, &only("count")).unwrap()).unwrap();
        assert_eq!(count.tables.len(), 0);
        assert_eq!(count.variables.len(), 1);
        let sum = parse(&part(SHOP, &only("sum")).unwrap()).unwrap();
        assert_eq!((sum.topics.len(), sum.variables.len()), (1, 0));
    }

    #[test]
    fn the_value_of_a_secret_is_in_no_part() {
        let text = SHOP.replace(
            "url = { default = \"https://example.org\" }",
            "url = { default = \"https://example.org\" }\nkey = { default = \"hunter2\", secret = true }",
        ) + "\n[component.sum.variables]\nkey = \"{{ key }}\"\n";
        let (whole, part) = (without_secrets(&text).unwrap(), part(&text, &only("sum")).unwrap());
        for text in [whole, part] {
            let application = parse(&text).unwrap_or_else(|p| panic!("{}", said(&p)));
            assert!(application.variables["key"].secret && !text.contains("hunter2"), "{text}");
        }
        assert_eq!(without_secrets(SHOP).unwrap(), SHOP);
    }

    #[test]
    fn a_merged_manifest_has_the_part_and_the_rest_of_the_running_one() {
        let changed = SHOP.replace("memory_mb = 32", "memory_mb = 48").replace("partitions = 3", "partitions = 5");
        let changed = changed.replace("\"make\"", "\"rm -r .\"");
        let merged = parse(&merge(SHOP, &part(&changed, &only("sum")).unwrap()).unwrap()).unwrap();
        assert_eq!(merged.functions["sum"].limits.memory_mb, 48);
        let build = merged.functions["sum"].build.as_ref().map(|b| b.command.as_str());
        assert_eq!(build, Some("make"), "a command that was deployed is not kept");
        // It belongs to the other function, which was not deployed.
        assert_eq!(merged.topics["orders"].partitions, 3);
        let (before, wanted) = (parse(SHOP).unwrap(), parse(&changed).unwrap());
        assert_eq!(merged.declaration(&merged.functions["count"]), before.declaration(&before.functions["count"]));
        assert_eq!(merged.declaration(&merged.functions["sum"]), wanted.declaration(&wanted.functions["sum"]));
    }

    #[test]
    fn what_a_function_no_longer_has_is_gone() {
        let changed = SHOP.replace("[application.trigger.isobar.limits.sum]\n        memory_mb = 32", "");
        let merged = parse(&merge(SHOP, &part(&changed, &only("sum")).unwrap()).unwrap()).unwrap();
        assert_eq!(merged.functions["sum"].limits, super::super::Limits::default());
        assert_eq!(merged.functions["sum"].triggers.len(), 1);
    }

    #[test]
    fn what_is_left_of_a_manifest_declares_what_others_may_read() {
        let left = parse(&without(SHOP, &only("count")).unwrap()).unwrap();
        assert_eq!(left.functions.keys().collect::<Vec<_>>(), ["sum"]);
        let whole = parse(SHOP).unwrap();
        assert_eq!(left.declaration(&left.functions["sum"]), whole.declaration(&whole.functions["sum"]));
        assert_eq!((left.topics.len(), left.tables.len(), left.variables.len()), (2, 1, 1));
    }

    #[test]
    fn a_new_function_comes_with_its_topics() {
        let more = format!(
            "{SHOP}\n[[trigger.isobar]]\ncomponent = \"more\"\ntopic = \"news\"\n[component.more]\n\
             source = \"more.wasm\"\n[application.trigger.isobar.topics.news]\npartitions = 2\n"
        );
        let merged = parse(&merge(SHOP, &part(&more, &only("more")).unwrap()).unwrap()).unwrap();
        assert_eq!((merged.functions.len(), merged.topics["news"].partitions), (3, 2));
    }

    #[test]
    fn a_whole_that_would_be_wrong_is_refused() {
        let greedy = SHOP
            .replace("publish = [\"sums\"]", "tables.totals = [\"delete\"]")
            .replace("tables.totals = [\"upsert\"]", "state = true");
        let refused = merge(SHOP, &part(&greedy, &only("count")).unwrap()).unwrap_err();
        assert!(said(&refused).contains("may both write table `totals`"), "{}", said(&refused));
        let stranger = SHOP.replace("name = \"shop\"", "name = \"other\"");
        let refused = merge(SHOP, &part(&stranger, &only("count")).unwrap()).unwrap_err();
        assert!(said(&refused).contains("the application is `other`"), "{}", said(&refused));
        let refused = part(SHOP, &only("cuont")).unwrap_err();
        assert!(said(&refused).contains("did you mean `count`"), "{}", said(&refused));
    }
}
