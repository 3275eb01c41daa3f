//! `isobar check`: the manifest, and each built component's imports against its grants. Everything that is wrong is
//! said at once; nothing is compiled or run.

use std::path::Path;

use serde::Serialize;

use super::Outcome;
use crate::cli::CheckArgs;
use crate::engine::inspect;
use crate::manifest::{Application, Function, Problem, variables};
use crate::registry::gate;
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
pub fn run(args: &CheckArgs) -> anyhow::Result<Outcome> {
    let path = &args.manifest.manifest;
    let (problems, functions) = problems(args)?;
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

/// Everything that is wrong, and how many functions there are.
fn problems(args: &CheckArgs) -> anyhow::Result<(Vec<Problem>, usize)> {
    let path = &args.manifest.manifest;
    super::config(args.config.config.as_deref())?;
    let application = match crate::manifest::parse(&super::manifest_text(path)?) {
        Err(found) => return Ok((found, 0)),
        Ok(application) => application,
    };
    let given = super::given(&application, &args.variables.variables);
    let mut problems = variables::resolve(&application, &given).err().unwrap_or_default();
    let root = super::root(path);
    for function in application.functions.values() {
        problems.extend(component(&application, function, root));
    }
    Ok((problems, application.functions.len()))
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
