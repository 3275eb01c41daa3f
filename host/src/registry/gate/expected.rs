//! What a component may import and export, read from the same WIT that `isobar wit` writes, so that the two cannot
//! differ.

use wit_parser::Resolve;

use super::PLUMBING;
use crate::engine::inspect::{self, Capabilities};
use crate::manifest::{Application, Function, wit};

/// The worlds of the contract whose exports may be there.
const WORLDS: [&str; 4] = ["function", "function-sync", "scheduled-function", "migrating-function"];

/// What spin.toml grants to `function`, as the shapes that its WIT has; and every export of the contract.
pub(super) fn capabilities(application: &Application, function: &Function) -> anyhow::Result<Capabilities> {
    let mut resolve = Resolve::default();
    let mut files: Vec<(String, String)> = wit::generate(application, function).into_iter().collect();
    // A file may only use what was read before.
    files.sort_by_key(|(path, _)| (path == "world.wit", !path.ends_with("platform.wit")));
    let mut package = None;
    for (path, text) in files {
        package = Some(resolve.push_str(path, &text)?);
    }
    let world = package.and_then(|p| resolve.packages.get(p)?.worlds.get("function").copied());
    let world = world.ok_or_else(|| anyhow::anyhow!("the generated WIT has no world"))?;
    let mut expected = inspect::capabilities(&resolve, world);
    for (_, package) in &resolve.packages {
        for name in WORLDS {
            let Some(world) = package.worlds.get(name) else { continue };
            expected.exports.extend(inspect::capabilities(&resolve, *world).exports);
        }
    }
    for name in PLUMBING {
        expected.imports.entry(name.to_owned()).or_default();
    }
    Ok(expected)
}
