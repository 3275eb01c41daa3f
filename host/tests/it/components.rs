//! Components made in a test: of WIT, with a body that does nothing, or of text, for what WIT cannot say.

use isobar::manifest::{Application, Function, parse, wit};
pub(crate) use made_components::of_text;
use made_components::of_world;

/// The application that components are held against: `total` reads a topic, `asks` runs on a schedule.
pub(crate) fn application() -> Application {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gate/spin.toml");
    parse(&std::fs::read_to_string(path).expect("the manifest is readable")).expect("it is accepted")
}

/// A component that imports and exports all that spin.toml grants to `function`.
pub(crate) fn of_grants(application: &Application, function: &Function) -> Vec<u8> {
    let mut files: Vec<_> = wit::generate(application, function).into_iter().collect();
    files.sort_by_key(|(path, _)| (path == "world.wit", !path.ends_with("platform.wit")));
    of_world(files.iter().map(|(_, text)| text.as_str()), "function")
}

/// A component of the world `hostile` of WIT text that may refer to the contract.
pub(crate) fn of_wit(text: &str) -> Vec<u8> {
    of_world([wit::PLATFORM, text].into_iter(), "hostile")
}

/// The same of text that has a contract of its own.
pub(crate) fn of_wit_alone(text: &str) -> Vec<u8> {
    of_world([text].into_iter(), "hostile")
}

/// A component that exports an instance with functions of no parameters.
pub(crate) fn exporting(name: &str, functions: &str) -> Vec<u8> {
    let lifted = functions.replace("(func)", "(func $f)");
    of_text(&format!(
        "(component (core module $m (func (export \"f\"))) (core instance $m (instantiate $m))
            (func $f (canon lift (core func $m \"f\"))) (instance $i {lifted}) (export \"{name}\" (instance $i)))"
    ))
}
