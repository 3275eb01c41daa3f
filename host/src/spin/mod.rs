//! The trigger `isobar` of Spin: `spin up` starts this program for the application's triggers of that type, by the name
//! `trigger-isobar`, with the application's lock in the environment.

mod lock;
mod output;
pub mod plugin;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args as _, Command, CommandFactory as _, Parser};
use serde_json::json;
use url::Url;

pub(crate) use output::Output;

use crate::app::{self, Plan};
use crate::cli::variable;
use crate::commands::{self, up};
use crate::deploys::Settings;
use crate::embedded::Kind;
use crate::embedded::versions::digest_of;
use crate::manifest::{self, Application};
use crate::{registry, ui};
use lock::Unlocked;

/// What Spin calls this program.
pub(crate) const NAME: &str = "trigger-isobar";
/// Where the lock is.
const LOCKED_URL: &str = "SPIN_LOCKED_URL";
/// Asked for our options, in words and for programs.
const HELP_ARGS: &str = "--help-args-only";
const LAUNCH_METADATA: &str = "--launch-metadata-only";
/// Below the state folder of Spin.
const STATE: &str = "isobar";
/// Beside the application, as `isobar up` has it in the folder of spin.toml.
const DATA_DIR: &str = ".isobar";
/// How often it is looked whether Spin is still there: should it be killed, nobody would end this process.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The options that `spin up` hands on.
#[derive(Debug, Parser)]
#[command(name = NAME, version, about = "Runs the functions of an application's `isobar` triggers; `spin up` starts it.")]
struct Options {
    #[arg(long, hide = true)]
    help_args_only: bool,
    #[arg(long, hide = true)]
    launch_metadata_only: bool,
    /// A folder for what functions write, in a file for each
    #[arg(long, short = 'L', value_name = "FOLDER")]
    log_dir: Option<PathBuf>,
    /// Do not show what functions write
    #[arg(long, short = 'q')]
    quiet: bool,
    /// Show what this function writes, and no other; may be repeated
    #[arg(long, value_name = "FUNCTION")]
    follow: Vec<String>,
    /// A folder for the data [default: `.isobar` beside spin.toml]
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// Spin's runtime config, of which isobar takes providers of variables
    #[arg(long, value_name = "FILE")]
    runtime_config_file: Option<PathBuf>,
    /// The value of a variable; may be repeated
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// Compile components anew at each start
    #[arg(long)]
    disable_cache: bool,
    /// The operator's file [default: isobar.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Exit 0 once the first run of every schedule is done and every function has caught up
    #[arg(long)]
    until_idle: bool,
    /// Where the HTTP API listens [default: 127.0.0.1:3000, or the next free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

/// Whether this program was started as Spin starts it.
pub(crate) fn is_meant() -> bool {
    let mut words = std::env::args_os();
    let program = words.next().map(PathBuf::from);
    let is_named = program.as_deref().and_then(Path::file_name).is_some_and(|name| name == NAME);
    is_named || words.any(|word| word == HELP_ARGS || word == LAUNCH_METADATA)
}

/// How functions' output is shown; the program ends here when the command line cannot be understood.
///
/// # Errors
/// When the folder for it cannot be made.
pub(crate) fn output() -> anyhow::Result<Output> {
    let options = Options::parse();
    Output::new(options.quiet, &options.follow, options.log_dir.as_deref())
}

/// Does what Spin asks for.
///
/// # Errors
/// Whatever keeps the application from running.
pub(crate) async fn run() -> anyhow::Result<()> {
    let spin = parent_id();
    let options = Options::parse();
    if options.help_args_only {
        let mut help = Options::command().help_template("{options}");
        ui::data(help.render_help().to_string().as_bytes())?;
        return Ok(());
    }
    if options.launch_metadata_only {
        // Where Spin reads it; nothing else may be written there.
        anstream::eprintln!("{}", launch_metadata(&Options::augment_args(Command::new(NAME))));
        return Ok(());
    }
    let unlocked = unlocked()?;
    let application = application(&unlocked)?;
    let root = unlocked.origin.as_deref().and_then(Path::parent).map_or_else(|| PathBuf::from("."), Path::to_owned);
    check_digests(&application, &unlocked.digests, &root)?;
    let values =
        values::values(application.variables.keys(), &options.variables, options.runtime_config_file.as_deref())?;
    let config = commands::config(options.config.as_deref())?;
    let settings = Settings { values, config, is_uncached: options.disable_cache, ..Settings::default() };
    let data_dir = options.state_dir.map_or_else(|| root.join(DATA_DIR), |state| state.join(STATE));
    let plan = Plan { manifest: unlocked.manifest, root, data_dir, kind: Kind::Real, settings };
    let prepared = app::prepare(plan).await?;
    up::run_prepared(prepared, options.listen, options.until_idle, gone(spin)).await
}

fn unlocked() -> anyhow::Result<Unlocked> {
    let url = std::env::var(LOCKED_URL).ok().filter(|url| !url.is_empty()).with_context(|| {
        format!(
            "`{LOCKED_URL}` is not set: `spin up` starts this program; without Spin, `isobar up` runs the application"
        )
    })?;
    let path = Url::parse(&url).ok().and_then(|url| url.to_file_path().ok());
    let path = path.with_context(|| format!("`{LOCKED_URL}` is `{url}`, which names no file"))?;
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    lock::unlock(&text).with_context(|| format!("`{}`", path.display()))
}

/// What the lock declares. Its lines are not those of spin.toml, so that none is told.
fn application(unlocked: &Unlocked) -> anyhow::Result<Application> {
    manifest::parse(&unlocked.manifest).map_err(|problems| {
        let told: Vec<String> = problems.iter().map(|p| format!("{}\n  hint: {}", p.message, p.hint)).collect();
        anyhow::anyhow!("{}", told.join("\n"))
    })
}

fn check_digests(application: &Application, digests: &BTreeMap<String, String>, root: &Path) -> anyhow::Result<()> {
    for (name, digest) in digests {
        let Some(function) = application.functions.get(name) else { continue };
        let found = digest_of(&registry::read(function, root)?);
        anyhow::ensure!(
            found == *digest,
            "the component of `{name}` is not the one of the lock: its SHA-256 is {found}, and the lock says {digest}"
        );
    }
    Ok(())
}

/// The options as Spin wants to know them where an application has triggers of several types.
fn launch_metadata(command: &Command) -> serde_json::Value {
    let known = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let flags = known.filter_map(|argument| {
        let long = format!("--{}", argument.get_long()?);
        Some(match argument.get_short() {
            Some(short) => json!({ "long": long, "short": format!("-{short}") }),
            None => json!({ "long": long }),
        })
    });
    json!({ "all_flags": flags.collect::<Vec<_>>() })
}

/// Ends when the process `spin` that started this one has ended.
async fn gone(spin: u32) {
    while parent_id() == spin {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    ui::say("Spin is gone: running batches are committed first");
}
