//! The commands, a file each, and what they share: the manifest, the values of variables, how a command ends.

pub mod backup;
mod beside;
pub mod build;
pub mod check;
pub mod completions;
pub mod dead_letters;
pub mod deploy;
pub mod inspect;
pub mod logs;
pub mod new;
pub mod open;
pub mod openapi;
pub mod pause;
pub mod plugin;
mod reach;
pub mod replay;
pub mod restore;
pub mod shadow;
pub mod state;
pub mod status;
pub mod table;
pub mod test;
pub mod token;
pub mod topic;
pub mod up;
pub mod user;
pub mod verify;
pub mod watch;
pub mod wit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::Command;
use crate::config::{self, Config};
use crate::manifest::{self, Application, Problem};

/// The operator's file where none is named.
const USUAL_CONFIG: &str = "isobar.toml";

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, or the answer is yes.
    Done,
    /// The answer is no.
    Found,
}

/// Runs a command.
///
/// # Errors
/// When it fails: why, with the remedy.
pub async fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Up(args) => up::run(args).await.map(|()| Outcome::Done),
        Command::Build(args) => build::run(&args),
        Command::Check(args) => check::run(&args).await,
        Command::Test(args) => test::run(&args).await,
        Command::Wit(args) => wit::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Openapi => openapi::run(),
        Command::Plugin(command) => plugin::run(&command),
        Command::Open(args) => open::run(&args).await,
        Command::Status(args) => status::run(&args).await,
        Command::Table(command) => table::run(&command).await,
        Command::Topic(command) => topic::run(&command).await,
        Command::DeadLetters(command) => dead_letters::run(&command).await,
        Command::Deploy(args) => deploy::deploy(&args).await,
        Command::Watch(args) => watch::run(&args).await,
        Command::Versions(args) => deploy::versions(&args).await,
        Command::Rollback(args) => deploy::rollback(&args).await,
        Command::Remove(args) => deploy::remove(&args).await,
        Command::Diff(args) => deploy::diff(&args).await,
        Command::Shadow(command) => shadow::run(&command).await,
        Command::Replay(args) => replay::run(&args).await,
        Command::Promote(args) => shadow::promote(&args).await,
        Command::Pull(args) => deploy::pull(&args).await,
        Command::Audit(args) => deploy::audit(&args).await,
        Command::New(args) => new::run(&args),
        Command::Logs(args) => logs::run(&args).await,
        Command::Run(args) => state::call(&args).await,
        Command::Delete(args) => state::delete(&args).await,
        Command::State(command) => state::run(&command).await,
        Command::Token(command) => token::run(&command).await,
        Command::User(command) => user::run(&command).await,
        Command::Pause(args) => pause::pause(&args).await,
        Command::Resume(args) => pause::resume(&args).await,
        Command::Verify(args) => verify::run(&args).await,
        Command::Backup(args) => backup::run(&args).await,
        Command::Restore(args) => restore::run(&args).await,
    }
}

/// The application that a manifest declares, and the folder that its paths start from.
///
/// # Errors
/// When the file cannot be read; everything that is wrong with it.
pub fn manifest(path: &Path) -> anyhow::Result<(Application, PathBuf)> {
    let text = manifest_text(path)?;
    let application =
        manifest::parse(&text).map_err(|problems| anyhow::anyhow!(rendered(&problems, path).join("\n")))?;
    Ok((application, root(path).to_owned()))
}

/// The operator's settings: of the file that is named, else of the usual one, where there is one.
///
/// # Errors
/// When the file cannot be read, or what is wrong with it.
pub fn config(named: Option<&Path>) -> anyhow::Result<Config> {
    let path = named.unwrap_or(Path::new(USUAL_CONFIG));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    };
    config::parse(&text).map_err(|wrong| anyhow::anyhow!("`{}`: {wrong}", path.display()))
}

/// Problems for people to read, each with its hint.
#[must_use]
pub fn rendered(problems: &[Problem], path: &Path) -> Vec<String> {
    let file = path.display().to_string();
    problems.iter().map(|p| p.render(&file)).collect()
}

fn manifest_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`; name the application's manifest with `--manifest`", path.display()))
}

fn root(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The values that the command line, else the environment, gives to the application's variables. What the environment
/// says of variables that the application does not have is another application's.
#[must_use]
pub fn given(application: &Application, flags: &[(String, String)]) -> BTreeMap<String, String> {
    let from_environment = application.variables.keys().filter_map(|name| {
        let value = std::env::var(format!("SPIN_VARIABLE_{}", name.to_uppercase())).ok()?;
        Some((name.clone(), value))
    });
    from_environment.chain(flags.iter().cloned()).collect()
}
