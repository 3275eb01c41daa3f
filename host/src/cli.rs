//! What the command line may say. Not what is done about it: that is `commands`, a file per command.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod data;
mod letters;
mod state;
mod tokens;
mod users;
mod versions;

pub use data::{ExportArgs, ExportFormat, LoadArgs, QueryArgs, QueryFormat, TableCommand, TopicCommand, TopicReadArgs};
pub use letters::{DeadLettersCommand, LetterShowArgs, LettersListArgs, LettersSettleArgs};
pub use state::{DeleteArgs, LogsArgs, StateArgs, StateCommand, StateGetArgs, StateListArgs};
pub use tokens::{TokenCommand, TokenCreateArgs, TokenRevokeArgs};
pub use users::{UserAddArgs, UserCommand, UserRemoveArgs};
pub use versions::{AuditArgs, DeployArgs, DiffArgs, PromoteArgs, PullArgs, ReplayArgs, RollbackArgs};
pub use versions::{ShadowCommand, ShadowDropArgs, ShadowShowArgs, VersionsArgs, WatchArgs};

/// The data folder where nothing else is said.
const DATA_DIR: &str = ".isobar";
/// The demo's data folder where nothing else is said.
const DEMO_DATA_DIR: &str = ".isobar/demo";

/// Exit codes, for `--help` and for the manual.
const EXIT_CODES: &str = "\
Exit codes:
  0  it was done, or the answer is yes
  1  the answer is no: `check`, `wit --check` or `verify` found something
  2  the command line cannot be understood
  3  it failed; the last lines on stderr say why and what to do

Environment:
  SPIN_VARIABLE_<NAME>  the value of a variable that `--variable` does not give
  ISOBAR_LOG            what is logged, such as `info` or `isobar=debug`
  ISOBAR_LOG_FORMAT     how: `text`, or `json`, an object a line
  NO_COLOR              no colours, whatever the terminal can do";

/// What whoever makes or has a backup must know.
const BACKUP_HOLDS: &str = "\
A backup holds all data, those of sensitive tables and topics too: whoever can read the file can read them. It is made
readable for you alone; keep it so. While it is made, it takes as much room again in the data folder.";

/// Runs WebAssembly components as functions on event streams; a batch is a transaction.
#[derive(Debug, Parser)]
#[command(name = "isobar", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What isobar can be told to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the application until it is told to stop
    Up(UpArgs),
    /// Build the functions' components
    Build(ManifestArgs),
    /// Make a function to begin with, with its tests and its part of spin.toml
    New(NewArgs),
    /// Check the manifest, and each built component against its grants
    Check(CheckArgs),
    /// Run a function with records from files, each file one batch, and say what it would do
    Test(TestArgs),
    /// Write the functions' WIT from their grants
    Wit(WitArgs),
    /// Say what a component can do
    Inspect(InspectArgs),
    /// Print a link that signs a browser in at the running host, once
    Open(ReadArgs),
    /// Show where every function stands
    Status(ReadArgs),
    /// Look into tables, export and load them
    #[command(subcommand)]
    Table(TableCommand),
    /// Look into topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// See to records that a function could not handle
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Let functions take over in the running host, between two batches
    Deploy(DeployArgs),
    /// Build functions whenever their sources are saved, and let them take over in the running host
    Watch(WatchArgs),
    /// List the versions of a function
    Versions(VersionsArgs),
    /// Put a version in charge again that was so before
    Rollback(RollbackArgs),
    /// Let a function not run any more; what it remembers, published and wrote stays
    Remove(FunctionArgs),
    /// Say in what two versions of a function differ
    Diff(DiffArgs),
    /// See to a version that follows the one in charge in its shadow
    #[command(subcommand)]
    Shadow(ShadowCommand),
    /// Put a version that follows in the shadow in charge, with its state, and write what differs
    Promote(PromoteArgs),
    /// Run a version over the past again, from the beginning of the log, and compare what it makes with what there is
    Replay(ReplayArgs),
    /// Write the manifest that runs
    Pull(PullArgs),
    /// Show who deployed what, and what was refused
    Audit(AuditArgs),
    /// Show what functions wrote
    Logs(LogsArgs),
    /// Let a scheduled function run now
    Run(FunctionArgs),
    /// Look at what a function keeps in its state
    #[command(subcommand)]
    State(StateCommand),
    /// Let go of what a function that does not run any more remembers
    Delete(DeleteArgs),
    /// See to tokens, by which programs speak to the running host
    #[command(subcommand)]
    Token(TokenCommand),
    /// See to users, who sign in to the page with a password
    #[command(subcommand)]
    User(UserCommand),
    /// Let a function stand still
    Pause(FunctionArgs),
    /// Let a function that stands still go on
    Resume(FunctionArgs),
    /// Walk the ledger: every record was handled once
    Verify(ReadArgs),
    /// Write all data of this moment to one file, whether the host runs or not
    Backup(BackupArgs),
    /// Write a backup into a new data folder
    Restore(RestoreArgs),
    /// Write what can be asked of a host's HTTP API to stdout, as OpenAPI
    Openapi,
    /// Write a shell's completion script to stdout
    Completions(CompletionsArgs),
    /// Make this program a plugin of Spin, for `spin up`
    #[command(subcommand)]
    Plugin(PluginCommand),
}

/// Which application.
#[derive(Debug, Clone, Args)]
pub struct ManifestArgs {
    /// The application's manifest
    #[arg(long, value_name = "FILE", default_value = "spin.toml")]
    pub manifest: PathBuf,
}

/// What the operator says.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// The operator's file [default: isobar.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which data.
#[derive(Debug, Clone, Args)]
pub struct DataArgs {
    /// The folder that holds the data [default: .isobar, with `--demo` .isobar/demo]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Made-up data instead of real data
    #[arg(long)]
    pub demo: bool,
}

impl DataArgs {
    /// The folder that is meant.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        let usual = if self.demo { DEMO_DATA_DIR } else { DATA_DIR };
        self.data_dir.clone().unwrap_or_else(|| PathBuf::from(usual))
    }

    /// The folder that may have been meant instead, where none is named: the demo's.
    #[must_use]
    pub fn demo_folder(&self) -> Option<PathBuf> {
        (self.data_dir.is_none() && !self.demo).then(|| PathBuf::from(DEMO_DATA_DIR))
    }
}

/// Values of the application's variables.
#[derive(Debug, Clone, Args)]
pub struct VariableArgs {
    /// The value of a variable; may be repeated
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = variable)]
    pub variables: Vec<(String, String)>,
}

/// What `up` takes.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// Which application.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// Which data.
    #[command(flatten)]
    pub data: DataArgs,
    /// Values of variables.
    #[command(flatten)]
    pub variables: VariableArgs,
    /// What the operator says.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Build the components first
    #[arg(long)]
    pub build: bool,
    /// Exit 0 once the first run of every schedule is done and every function has caught up
    #[arg(long)]
    pub until_idle: bool,
    /// Where the HTTP API listens [default: 127.0.0.1:3000, or the next free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
}

/// What `check` takes.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Which application.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// Values of variables.
    #[command(flatten)]
    pub variables: VariableArgs,
    /// What the operator says.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Try each store that isobar.toml names, and hold its tables against those declared; nothing is changed there
    #[arg(long)]
    pub connect: bool,
    /// What is wrong as JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `test` takes.
#[derive(Debug, Clone, Args)]
pub struct TestArgs {
    /// The function
    pub function: String,
    /// Files of records, a line of JSON each, as `topic read --json` writes them; each file is one batch
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The topic that the records are of, where the function reads several
    #[arg(long)]
    pub topic: Option<String>,
    /// Rows that a table holds before: a CSV file, as `table load` takes it; may be repeated
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    pub table: Vec<(String, PathBuf)>,
    /// State that there is before: a line of JSON with `key` and `value` each
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Which application.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// Values of variables.
    #[command(flatten)]
    pub variables: VariableArgs,
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("write it as `table=file.csv`".to_owned()),
    }
}

/// What `new` takes.
#[derive(Debug, Clone, Args)]
pub struct NewArgs {
    /// The function's name: small letters, digits and `-`
    pub name: String,
    /// What it is like
    #[arg(long, value_enum, default_value_t = Template::Aggregate)]
    pub template: Template,
    /// Which application; one is begun where there is no such file.
    #[command(flatten)]
    pub manifest: ManifestArgs,
}

/// What a new function is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// It sums up numbers by key, in its state and in a table
    Aggregate,
    /// It looks rows up for records, and publishes both together
    Enrich,
    /// It runs on a schedule and publishes
    Scheduled,
    /// As `aggregate`, in Python
    Python,
}

/// What `wit` takes.
#[derive(Debug, Clone, Args)]
pub struct WitArgs {
    /// Which application.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// Write nothing; exit 1 when a file is not what the manifest gives
    #[arg(long)]
    pub check: bool,
}

/// What `inspect` takes.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// The component
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What a command that only looks takes.
#[derive(Debug, Clone, Args)]
pub struct ReadArgs {
    /// Where to look.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Whose data: those of the running host, else those in the data folder.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// Which application.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// Which data.
    #[command(flatten)]
    pub data: DataArgs,
    /// What the operator says.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Which function.
#[derive(Debug, Clone, Args)]
pub struct FunctionArgs {
    /// The function
    pub function: String,
    /// Whose.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// What `backup` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = BACKUP_HOLDS)]
pub struct BackupArgs {
    /// The file to write, which must not exist; or a folder, for a file named by application and time
    #[arg(value_name = "FILE|FOLDER")]
    pub target: PathBuf,
    /// Whose data.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `restore` takes.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The file that `isobar backup` wrote
    #[arg(value_name = "BACKUP")]
    pub backup: PathBuf,
    /// The folder for the data; it must hold none, and is made where it is missing
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What can be done about Spin's plugin.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Put this program where `spin` looks for the trigger `isobar`
    Install,
    /// Write an archive and a manifest for `spin plugins install --file`
    Package(PackageArgs),
}

/// What `plugin package` takes.
#[derive(Debug, Clone, Args)]
pub struct PackageArgs {
    /// The folder to write to
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub output: PathBuf,
    /// Where the archive will be had [default: the file itself]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

/// What `completions` takes.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// Whose
    pub shell: clap_complete::Shell,
}

/// `name=value`, or `name=@file` for what stands in a file.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let value = match value.strip_prefix('@') {
                Some(file) => read(file)?,
                None => value.to_owned(),
            };
            Ok((name.to_owned(), value))
        }
        _ => Err("write it as `name=value`, or `name=@file`".to_owned()),
    }
}

/// The text of a file, without the end of its last line.
fn read(file: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read `{file}`: {error}"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
