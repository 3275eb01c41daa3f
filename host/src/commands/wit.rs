//! `isobar wit`: the functions' WIT folders as the grants give them; written, or only compared.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Outcome;
use crate::cli::WitArgs;
use crate::manifest::{Application, wit};
use crate::ui;

/// How every file begins that `wit` makes and may therefore delete.
const MADE_BY_US: &str = "// Made by `isobar wit`";

/// A file that is not what the grants give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// Relative to the folder of the manifest.
    pub path: PathBuf,
    /// What it should hold; `None`: it should not be there.
    pub wanted: Option<String>,
}

/// Writes the WIT of all functions, or says what is stale.
///
/// # Errors
/// When the manifest is wrong, or a file cannot be read or written.
pub fn run(args: &WitArgs) -> anyhow::Result<Outcome> {
    let (application, root) = super::manifest(&args.manifest.manifest)?;
    if !args.check {
        if write(&application, &root)? == 0 {
            ui::say("every WIT file is what the manifest gives");
        }
        return Ok(Outcome::Done);
    }
    let stale = stale(&application, &root)?;
    for file in &stale {
        let what = if file.wanted.is_some() { "is stale" } else { "is not part of the grants any more" };
        ui::line(format_args!("{} {what}", file.path.display()))?;
    }
    if stale.is_empty() {
        return Ok(Outcome::Done);
    }
    ui::hint("run `isobar wit` and commit what it writes");
    Ok(Outcome::Found)
}

/// Writes and deletes what is needed, saying each; gives how many files that were.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(application: &Application, root: &Path) -> anyhow::Result<usize> {
    let stale = stale(application, root)?;
    for file in &stale {
        let path = root.join(&file.path);
        match &file.wanted {
            Some(text) => {
                let folder = path.parent().unwrap_or(root);
                fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
                fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
                ui::doing("Wrote", file.path.display());
            }
            None => {
                fs::remove_file(&path).with_context(|| format!("cannot delete `{}`", path.display()))?;
                ui::doing("Deleted", file.path.display());
            }
        }
    }
    Ok(stale.len())
}

/// The files that are not what the grants give, in order.
///
/// # Errors
/// When a file cannot be read.
pub fn stale(application: &Application, root: &Path) -> anyhow::Result<Vec<Stale>> {
    let mut stale = Vec::new();
    for function in application.functions.values() {
        let wanted = wit::generate(application, function);
        for (name, text) in &wanted {
            let path = function.wit.join(name);
            if found(&root.join(&path))?.as_ref() != Some(text) {
                stale.push(Stale { path, wanted: Some(text.clone()) });
            }
        }
        for name in made_by_us(&root.join(&function.wit))? {
            if !wanted.contains_key(&name) {
                stale.push(Stale { path: function.wit.join(name), wanted: None });
            }
        }
    }
    Ok(stale)
}

/// The files of a WIT folder that an earlier run made: nothing else is ever deleted.
fn made_by_us(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut ours = Vec::new();
    for within in ["", "deps/"] {
        let entries = match fs::read_dir(folder.join(within)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", folder.display())),
        };
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let name = format!("{within}{name}");
            if name.ends_with(".wit") && found(&folder.join(&name))?.is_some_and(|t| t.starts_with(MADE_BY_US)) {
                ours.push(name);
            }
        }
    }
    ours.sort();
    Ok(ours)
}

fn found(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(grants: &str) -> Application {
        let text = format!(
            "spin_manifest_version = 2\napplication.name = \"shop\"\ncomponent.a.source = \"a.wasm\"\n\
             [[trigger.isobar]]\ncomponent = \"a\"\ntopic = \"orders\"\n\
             [application.trigger.isobar.topics.orders]\n[application.trigger.isobar.topics.totals]\n{grants}"
        );
        crate::manifest::parse(&text).unwrap()
    }

    #[test]
    fn files_follow_the_grants_and_what_others_wrote_stays() {
        let root = tempfile::tempdir().unwrap();
        let deps = root.path().join("functions/a/wit/deps");
        let granted = application("[application.trigger.isobar.grants.a]\npublish = [\"totals\"]\n");
        assert_eq!(write(&granted, root.path()).unwrap(), 3);
        assert_eq!(stale(&granted, root.path()).unwrap(), []);
        fs::write(deps.join("own.wit"), "package own:own;\n").unwrap();
        fs::write(deps.join("platform.wit"), "changed").unwrap();
        let plain = application("");
        let paths: Vec<PathBuf> = stale(&plain, root.path()).unwrap().into_iter().map(|s| s.path).collect();
        let wit = Path::new("functions/a/wit");
        assert_eq!(paths, ["deps/platform.wit", "world.wit", "deps/shop-topics.wit"].map(|p| wit.join(p)));
        write(&plain, root.path()).unwrap();
        assert_eq!(stale(&plain, root.path()).unwrap(), []);
        assert!(!deps.join("shop-topics.wit").exists());
        assert!(deps.join("own.wit").exists());
    }
}
