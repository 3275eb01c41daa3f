//! `isobar check`: the manifest, the operator's file, and each built component's imports against its grants; with `--connect`
//! the stores too. Everything that is wrong is said at once; nothing is compiled, run or changed.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::Outcome;
use crate::app;
use crate::cli::CheckArgs;
use crate::config::kafka::KafkaConfig;
use crate::console::dashboard;
use crate::engine::inspect;
use crate::kafka::Cluster;
use crate::manifest::{Application, Function, Problem, variables};
use crate::registry::gate;
use crate::stores::{Connection, StoreError, Stores};
use crate::ui;

/// Something that is wrong, as programs read it.
#[derive(Serialize)]
struct Wrong {
    /// The line of the manifest, where the cause stands there.
    line: Option<usize>,
    message: String,
    hint: String,
}

/// Checks, and says what is wrong: on stderr for people, on stdout for programs.
///
/// # Errors
/// When the manifest cannot be read at all.
pub async fn run(args: &CheckArgs) -> anyhow::Result<Outcome> {
    let path = &args.manifest.manifest;
    let (mut problems, functions, parts) = problems(args)?;
    if let Some(Parts { application, stores, kafka }) = parts.filter(|_| args.connect) {
        if let Some(kafka) = kafka {
            problems.extend(reached(&kafka, application, args.json).await);
        }
        for connection in stores.all() {
            problems.extend(connected(connection, args.json).await);
        }
    }
    let outcome = if problems.is_empty() { Outcome::Done } else { Outcome::Found };
    if args.json {
        let wrong = |p: Problem| Wrong { line: p.line, message: p.message, hint: p.hint };
        ui::line(serde_json::to_string_pretty(&problems.into_iter().map(wrong).collect::<Vec<_>>())?)?;
        return Ok(outcome);
    }
    if problems.is_empty() {
        ui::say(format_args!("`{}`: {}, nothing wrong", path.display(), ui::count(functions as u64, "function")));
        return Ok(outcome);
    }
    super::rendered(&problems, path).iter().for_each(|problem| ui::problem(problem));
    ui::say(ui::count(problems.len() as u64, "problem"));
    Ok(outcome)
}

/// Where an application runs, which can be tried.
struct Parts {
    application: Application,
    stores: Arc<Stores>,
    kafka: Option<KafkaConfig>,
}

/// What is wrong with the log in Kafka, and, for people, what is right with it.
async fn reached(kafka: &KafkaConfig, mut application: Application, quiet: bool) -> Option<Problem> {
    let tried = async {
        let found = Arc::new(Cluster::visit(kafka)?).topics().await?;
        Cluster::fit(&mut application, &found)?;
        Cluster::missing(&application, &found)
    };
    match tried.await {
        Ok(missing) => {
            if !quiet && missing.is_empty() {
                ui::say("`kafka`: it answers, all topics as declared");
            } else if !quiet {
                ui::say(format_args!("`kafka`: it answers; `up` will make there: {}", missing.join(", ")));
            }
            None
        }
        Err(error) => Some(Problem {
            line: None,
            message: format!("{error:#}"),
            hint: "until then, `up` refuses to start".to_owned(),
        }),
    }
}

/// Everything that is wrong, how many functions there are, and where it runs.
fn problems(args: &CheckArgs) -> anyhow::Result<(Vec<Problem>, usize, Option<Parts>)> {
    let path = &args.manifest.manifest;
    let config = super::config(args.config.config.as_deref())?;
    let mut application = match crate::manifest::parse(&super::manifest_text(path)?) {
        Err(found) => return Ok((found, 0, None)),
        Ok(application) => application,
    };
    let stores = app::stores(&mut application, &config)?;
    let given = super::given(&application, &args.variables.variables);
    let resolved = variables::resolve(&application, &given);
    let beyond = match (&config.policy, &resolved) {
        (Some(policy), Ok(resolved)) => policy.beyond(&application, resolved),
        _ => Vec::new(),
    };
    let mut problems = resolved.err().unwrap_or_default();
    problems.extend(beyond.into_iter().map(|message| Problem {
        line: None,
        message,
        hint: "leave it out of spin.toml, or name it under [policy] of isobar.toml".to_owned(),
    }));
    let root = super::root(path);
    for function in application.functions.values() {
        problems.extend(component(&application, function, root));
    }
    if let Err(error) = dashboard::read(root, &application) {
        let hint = "until then, pages show nothing of it".to_owned();
        problems.push(Problem { line: None, message: format!("{error:#}"), hint });
    }
    let functions = application.functions.len();
    Ok((problems, functions, Some(Parts { application, stores, kafka: config.kafka })))
}

/// What is wrong with a store, and, for people, what is right with it.
async fn connected(connection: &Connection, quiet: bool) -> Option<Problem> {
    let problem = |message, hint: &str| Some(Problem { line: None, message, hint: hint.to_owned() });
    match connection.missing().await {
        Ok(missing) => {
            let tables = ui::count(connection.tables() as u64, "table");
            if !quiet && missing.is_empty() {
                ui::say(format_args!("`{}`: it answers, {tables} as declared", connection.name));
            } else if !quiet {
                let missing = missing.join("; ");
                ui::say(format_args!("`{}`: it answers; `up` will run there: {missing}", connection.name));
            }
            None
        }
        Err(error @ StoreError::Away { .. }) => problem(
            error.to_string(),
            "start it, or correct address, certificates, user and password in isobar.toml; `up` waits for it meanwhile",
        ),
        Err(StoreError::Schema(text)) => {
            problem(format!("{}: {text}", connection.name), "until then, `up` refuses to start")
        }
        Err(error) => problem(error.to_string(), "correct isobar.toml"),
    }
}

/// What is wrong with a function's component.
fn component(application: &Application, function: &Function, root: &Path) -> Vec<Problem> {
    let Ok(bytes) = inspect::read(&root.join(&function.source)) else {
        return vec![function.missing_source()];
    };
    let problem = |message, hint| Problem { line: Some(function.line), message, hint };
    match inspect::inspect(&bytes) {
        Err(error) => {
            let message = format!("the component of `{}` cannot be read: {error:#}", function.name);
            vec![problem(message, "if it is the wrong file, correct `source`".to_owned())]
        }
        Ok(found) => {
            let refusals = gate::refusals(application, function, &found);
            refusals.into_iter().map(|refusal| problem(refusal.message, refusal.hint)).collect()
        }
    }
}
