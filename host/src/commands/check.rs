//! `isobar check`: the manifest, and each built component's imports against its grants. Everything that is wrong is
//! said at once; nothing is compiled or run.

use std::path::Path;

use super::Outcome;
use crate::cli::CheckArgs;
use crate::engine::inspect;
use crate::manifest::{Application, Function, variables};
use crate::registry::gate;
use crate::ui;

/// Checks, and says what is wrong on stderr.
///
/// # Errors
/// When the manifest cannot be read at all.
pub fn run(args: &CheckArgs) -> anyhow::Result<Outcome> {
    let path = &args.manifest.manifest;
    let text = super::manifest_text(path)?;
    let mut problems = Vec::new();
    match crate::manifest::parse(&text) {
        Err(found) => problems.extend(super::rendered(&found, path)),
        Ok(application) => {
            let given = super::given(&application, &args.variables.variables);
            if let Err(found) = variables::resolve(&application, &given) {
                problems.extend(super::rendered(&found, path));
            }
            let root = super::root(path);
            problems.extend(application.functions.values().flat_map(|f| component(&application, f, root, path)));
            if problems.is_empty() {
                let functions = ui::count(application.functions.len() as u64, "function");
                ui::say(format_args!("`{}`: {functions}, nothing wrong", path.display()));
                return Ok(Outcome::Done);
            }
        }
    }
    problems.iter().for_each(|problem| ui::problem(problem));
    ui::say(ui::count(problems.len() as u64, "problem"));
    Ok(Outcome::Found)
}

/// What is wrong with a function's component.
fn component(application: &Application, function: &Function, root: &Path, manifest: &Path) -> Vec<String> {
    let Ok(bytes) = std::fs::read(root.join(&function.source)) else {
        return super::rendered(&[function.missing_source()], manifest);
    };
    match inspect::inspect(&bytes) {
        Err(error) => vec![format!("the component of `{}` cannot be read: {error:#}", function.name)],
        Ok(found) => {
            gate::refusals(application, function, &found).into_iter().map(|refusal| gate::render(&[refusal])).collect()
        }
    }
}
