//! `isobar build`: WIT first, then each component by its own command.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::{Outcome, wit};
use crate::cli::ManifestArgs;
use crate::manifest::{Application, Function};
use crate::ui;

/// The Rust target of components; added when a build command names it and it is missing.
const TARGET: &str = "wasm32-wasip2";

/// Builds every component of the manifest.
///
/// # Errors
/// As [`build`].
pub fn run(args: &ManifestArgs) -> anyhow::Result<Outcome> {
    let (application, root) = super::manifest(&args.manifest)?;
    build(&application, &root)?;
    Ok(Outcome::Done)
}

/// Writes the WIT, adds the Rust target where it is needed and missing, runs the build command of each component.
/// `root` is the folder of the manifest.
///
/// # Errors
/// Names the component and the command that failed.
pub fn build(application: &Application, root: &Path) -> anyhow::Result<()> {
    wit::write(application, root)?;
    let commands = application.functions.values().filter_map(|f| Some((f, f.build.as_ref()?.command.as_str())));
    if commands.clone().any(|(_, command)| command.contains(TARGET)) {
        add_target(root)?;
    }
    for (function, command) in commands {
        component(function, command, root)?;
    }
    for function in application.functions.values() {
        let path = root.join(&function.source);
        match path.metadata() {
            Ok(file) => {
                let what = format!("`{}` ({}, {})", function.name, function.source.display(), ui::size(file.len()));
                ui::doing("Built", what);
            }
            Err(_) => return Err(nothing_built(function)),
        }
    }
    Ok(())
}

/// Runs a command of the manifest by the shell, its output going to stderr, where talk goes.
///
/// # Errors
/// When it cannot be started or does not exit 0; `what` says what it was to do.
pub fn shell(what: &str, command: &str, folder: &Path) -> anyhow::Result<()> {
    let status = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status()
        .with_context(|| format!("cannot start `sh` in `{}` to build {what}", folder.display()))?;
    anyhow::ensure!(
        status.success(),
        "{what} could not be built: the command ended with {status}\n  {command}\n  hint: its output above says why"
    );
    Ok(())
}

fn component(function: &Function, command: &str, root: &Path) -> anyhow::Result<()> {
    let workdir = function.build.as_ref().and_then(|b| b.workdir.as_ref());
    let folder = workdir.map_or_else(|| root.to_owned(), |dir| root.join(dir));
    ui::doing("Building", format_args!("`{}`: {command}", function.name));
    shell(&format!("component `{}`", function.name), command, &folder)
}

fn nothing_built(function: &Function) -> anyhow::Error {
    let path = function.source.display();
    match &function.build {
        Some(build) => anyhow::anyhow!(
            "the build command of `{}` made no `{path}`\n  {}\n  hint: correct `source` or the command in the manifest",
            function.name,
            build.command
        ),
        None => anyhow::anyhow!("`{}` has no build command and `{path}` does not exist", function.name)
            .context(function.missing_source().to_string()),
    }
}

/// Asks the compiler that the build will use, in the folder where it will be used: a toolchain file may choose another.
fn add_target(root: &Path) -> anyhow::Result<()> {
    let mut asked = Command::new("rustc");
    asked.args(["--print", "target-libdir", "--target", TARGET]).current_dir(root).stderr(Stdio::null());
    let output = asked.output().context("cannot run `rustc`; install Rust with rustup, see https://rustup.rs")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    ui::doing("Adding", format_args!("the Rust target {TARGET}: rustup target add {TARGET}"));
    let added = Command::new("rustup").args(["target", "add", TARGET]).current_dir(root).stdout(io::stderr()).status();
    match added {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => anyhow::bail!(
            "the Rust target `{TARGET}` is missing and `rustup target add {TARGET}` ended with {status}\n  \
             hint: its output above says why; without a network, install the target by other means"
        ),
        Err(_) => anyhow::bail!(
            "the Rust target `{TARGET}` is missing and there is no `rustup` to add it\n  \
             hint: install Rust with rustup, see https://rustup.rs, or the target as your system packages it"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(command: &str) -> Application {
        let text = format!(
            "spin_manifest_version = 2\napplication.name = \"shop\"\n\
             [component.a]\nsource = \"a.wasm\"\nbuild.command = \"{command}\"\n\
             [[trigger.isobar]]\ncomponent = \"a\"\ntopic = \"orders\"\n[application.trigger.isobar.topics.orders]\n"
        );
        crate::manifest::parse(&text).unwrap()
    }

    #[test]
    fn a_component_is_made_by_its_command_after_its_wit() {
        let root = tempfile::tempdir().unwrap();
        build(&application("cp functions/a/wit/world.wit a.wasm"), root.path()).unwrap();
        assert!(root.path().join("a.wasm").exists());
    }

    #[test]
    fn a_failure_names_the_component_and_the_command() {
        let root = tempfile::tempdir().unwrap();
        let failed = build(&application("exit 7"), root.path()).unwrap_err().to_string();
        assert!(failed.starts_with("component `a` could not be built"), "{failed}");
        assert!(failed.contains("exit 7"), "{failed}");
        let idle = build(&application("true"), root.path()).unwrap_err().to_string();
        assert!(idle.starts_with("the build command of `a` made no `a.wasm`"), "{idle}");
    }
}
