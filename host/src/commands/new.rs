//! `isobar new`: a function to begin with, with its tests, its part of spin.toml, and what Rust needs around it.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use super::{Outcome, wit};
use crate::cli::{NewArgs, Template};
use crate::manifest::{self, Application};
use crate::ui;

/// What functions in Rust are built with; the same as in this repository.
const WIT_BINDGEN: &str = "wit-bindgen = { version = \"0.63\", default-features = false, features = [\"macros\", \"realloc\", \"async\", \"bitflags\"] }";
/// The guest crate, which stands beside the functions.
const GUEST: &str = "isobar-guest";
const GUEST_FILES: [(&str, &str); 3] = [
    ("src/lib.rs", include_str!("../../../wit/src/lib.rs")),
    ("src/packed.rs", include_str!("../../../wit/src/packed.rs")),
    ("platform/platform.wit", include_str!("../../../wit/platform/platform.wit")),
];
const WORKSPACE: &str = "[workspace]\nresolver = \"3\"\nmembers = [\"isobar-guest\", \"functions/*\"]\n";
/// Characters of a name: what is named after it has some more.
const MOST_NAME: usize = 40;
const IGNORED: &str = "/target\n/.isobar\n";

/// The files of a template, and what of spin.toml is its own.
struct Files {
    is_rust: bool,
    sources: &'static [(&'static str, &'static str)],
    part: &'static str,
    component: &'static str,
    next: &'static str,
}

/// What spin.toml says of a component in Rust.
const RUST: &str = include_str!("../../templates/component.toml");

fn files(template: Template) -> Files {
    macro_rules! of {
        ($file:literal) => {
            include_str!(concat!("../../templates/", $file))
        };
    }
    match template {
        Template::Aggregate => Files {
            sources: &[
                ("src/lib.rs", of!("aggregate/lib.rs")),
                ("src/component.rs", of!("aggregate/component.rs")),
                ("example.jsonl", of!("aggregate/example.jsonl")),
            ],
            part: of!("aggregate/spin.toml"),
            component: RUST,
            next: "cargo test --package {{name}}\n  isobar build\n  isobar test {{name}} functions/{{name}}/example.jsonl",
            is_rust: true,
        },
        Template::Python => Files {
            sources: &[
                ("app.py", of!("python/app.py")),
                ("packed.py", of!("python/packed.py")),
                ("summary.py", of!("python/summary.py")),
                ("test_summary.py", of!("python/test_summary.py")),
                ("example.jsonl", of!("aggregate/example.jsonl")),
                (".gitignore", of!("python/gitignore")),
            ],
            part: of!("aggregate/spin.toml"),
            component: of!("python/component.toml"),
            next: "python3 -m unittest discover -s python/{{name}}\n  pip install componentize-py==0.25.1\n  isobar build\n  \
                   isobar test {{name}} python/{{name}}/example.jsonl",
            is_rust: false,
        },
        Template::Enrich => Files {
            sources: &[
                ("src/lib.rs", of!("enrich/lib.rs")),
                ("src/component.rs", of!("enrich/component.rs")),
                ("example.jsonl", of!("enrich/example.jsonl")),
                ("names.csv", of!("enrich/names.csv")),
            ],
            part: of!("enrich/spin.toml"),
            component: RUST,
            is_rust: true,
            next: "cargo test --package {{name}}\n  isobar build\n  isobar test {{name}} functions/{{name}}/example.jsonl --table {{snake}}_names=functions/{{name}}/names.csv",
        },
        Template::Scheduled => Files {
            sources: &[("src/lib.rs", of!("scheduled/lib.rs")), ("src/component.rs", of!("scheduled/component.rs"))],
            part: of!("scheduled/spin.toml"),
            component: RUST,
            is_rust: true,
            next: "cargo test --package {{name}}\n  isobar build\n  isobar up",
        },
    }
}

/// Makes the function, or nothing.
///
/// # Errors
/// When the name is taken or cannot be one, a file is in the way, or the workspace around it does not take it.
pub fn run(args: &NewArgs) -> anyhow::Result<Outcome> {
    let manifest = &args.manifest.manifest;
    let root = super::root(manifest);
    let before = match manifest.exists() {
        true => super::manifest_text(manifest)?,
        false => first_manifest(root)?,
    };
    let Application { name: application, functions, .. } = parsed(manifest, &before)?;
    check_name(&args.name)?;
    ensure!(!functions.contains_key(&args.name), "there is a function `{}` already; take another name", args.name);
    let Files { is_rust, sources, part, component, next } = files(args.template);
    let filled = |text: &str| fill(text, &args.name, &application);
    let text = format!("{}\n\n{}", before.trim_end(), filled(&format!("{part}{component}")));
    // Topics and tables may be there under these names.
    let whole = parsed(manifest, &text)?;
    // A folder of the workspace would have to be a package of Rust.
    let folder = Path::new(if is_rust { "functions" } else { "python" }).join(&args.name);
    ensure!(!root.join(&folder).exists(), "`{}` is there already; take another name", root.join(&folder).display());
    let mut made = BTreeMap::new();
    if is_rust {
        made = around(root)?;
        made.insert(folder.join("Cargo.toml"), filled(include_str!("../../templates/Cargo.toml.function")));
    }
    if !root.join(".gitignore").exists() {
        made.insert(PathBuf::from(".gitignore"), IGNORED.to_owned());
    }
    made.extend(sources.iter().map(|(name, text)| (folder.join(name), filled(text))));
    for (path, text) in made {
        if let Err(error) = write(&root.join(&path), &text) {
            // Half a function would be in the way of the next try.
            let _ = fs::remove_dir_all(root.join(&folder));
            return Err(error);
        }
        ui::doing("Wrote", path.display());
    }
    write(manifest, &text)?;
    ui::doing("Wrote", manifest.display());
    wit::write(&whole, root)?;
    ui::say(format_args!("`{}` is made; next:\n  {}", args.name, filled(next)));
    Ok(Outcome::Done)
}

/// Refuses what is no name of a component, a package of Rust and a table at the same time.
fn check_name(name: &str) -> anyhow::Result<()> {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    ensure!(
        name.len() <= MOST_NAME && name.split('-').all(is_word),
        "`{}` is no name of a function; write up to {MOST_NAME} small letters and digits, a letter first, with `-` between words",
        ui::visible(name)
    );
    Ok(())
}

/// A manifest without functions, named after its folder.
fn first_manifest(root: &Path) -> anyhow::Result<String> {
    let folder = root.canonicalize().with_context(|| format!("cannot find `{}`", root.display()))?;
    let name = folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let begins_right = words.iter().all(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
    let name = if words.is_empty() || !begins_right { "application".to_owned() } else { words.join("-") };
    Ok(format!("spin_manifest_version = 2\n\n[application]\nname = \"{name}\"\nversion = \"0.1.0\"\n"))
}

/// What Rust needs around functions and is not there yet.
fn around(root: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut made = BTreeMap::new();
    let workspace = root.join("Cargo.toml");
    match fs::read_to_string(&workspace) {
        Ok(text) => fits(&workspace, &text)?,
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot read `{}`", workspace.display()));
        }
        Err(_) => drop(made.insert(PathBuf::from("Cargo.toml"), WORKSPACE.to_owned())),
    }
    if !root.join(GUEST).exists() {
        let package = format!(
            "[package]\nname = \"{GUEST}\"\nversion = \"{}\"\nedition = \"2024\"\nlicense = \"Apache-2.0\"\npublish = false\n\n\
             [dependencies]\n{WIT_BINDGEN}\n",
            env!("CARGO_PKG_VERSION")
        );
        made.insert(Path::new(GUEST).join("Cargo.toml"), package);
        made.extend(GUEST_FILES.map(|(name, text)| (Path::new(GUEST).join(name), text.to_owned())));
    }
    Ok(made)
}

/// Refuses a workspace that would not take the function.
fn fits(path: &Path, text: &str) -> anyhow::Result<()> {
    let document: toml::Table = toml::from_str(text).with_context(|| format!("`{}` cannot be read", path.display()))?;
    let members = document.get("workspace").and_then(|workspace| workspace.get("members"));
    let members: Vec<&str> =
        members.and_then(|m| m.as_array()).into_iter().flatten().filter_map(|m| m.as_str()).collect();
    let missing: Vec<&str> = [GUEST, "functions/*"].into_iter().filter(|wanted| !members.contains(wanted)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "`{}` has other members than functions need; add to `workspace.members`: \"{}\"",
        path.display(),
        missing.join("\", \"")
    )
}

fn fill(text: &str, name: &str, application: &str) -> String {
    let snake = |name: &str| name.replace('-', "_");
    text.replace("{{name}}", name)
        .replace("{{snake}}", &snake(name))
        .replace("{{app}}", &snake(application))
        .replace("{{wit-bindgen}}", WIT_BINDGEN)
}

fn parsed(path: &Path, text: &str) -> anyhow::Result<Application> {
    manifest::parse(text).map_err(|problems| anyhow::anyhow!(super::rendered(&problems, path).join("\n")))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_built_with_what_those_of_this_repository_are_built_with() {
        let root = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml")).unwrap();
        assert!(root.lines().any(|line| line == WIT_BINDGEN));
    }
}
