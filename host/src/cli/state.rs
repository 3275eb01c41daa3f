//! What the commands take that see to what functions remember.

use clap::{Args, Subcommand};

use super::{FunctionArgs, PlaceArgs};

/// What `delete` takes.
#[derive(Debug, Clone, Args)]
pub struct DeleteArgs {
    /// Which function.
    #[command(flatten)]
    pub of: FunctionArgs,
    /// Its state, and how far it has come; what it published and wrote stays
    #[arg(long, required = true)]
    pub state: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// What `logs` takes.
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// The function; all where none is named
    pub function: Option<String>,
    /// Where.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Show what comes, too, until it is interrupted
    #[arg(long)]
    pub follow: bool,
    /// Most lines of those that there are
    #[arg(long, default_value_t = 100)]
    pub limit: u32,
    /// As JSON, a line each
    #[arg(long)]
    pub json: bool,
}

/// What of state can be looked at.
#[derive(Debug, Clone, Subcommand)]
pub enum StateCommand {
    /// List keys
    List(StateListArgs),
    /// Show what stands under a key
    Get(StateGetArgs),
}

/// Whose state.
#[derive(Debug, Clone, Args)]
pub struct StateArgs {
    /// Which function.
    #[command(flatten)]
    pub of: FunctionArgs,
    /// Only that of one partition
    #[arg(long)]
    pub partition: Option<u32>,
    /// As JSON, a key per line
    #[arg(long)]
    pub json: bool,
    /// State of a function that reads sensitive data too
    #[arg(long)]
    pub sensitive: bool,
}

/// What `state list` takes.
#[derive(Debug, Clone, Args)]
pub struct StateListArgs {
    /// Whose state.
    #[command(flatten)]
    pub state: StateArgs,
    /// Only keys that begin so
    #[arg(long)]
    pub prefix: Option<String>,
    /// Most keys
    #[arg(long, value_name = "KEYS", default_value_t = 100)]
    pub limit: u32,
}

/// What `state get` takes.
#[derive(Debug, Clone, Args)]
pub struct StateGetArgs {
    /// Whose state.
    #[command(flatten)]
    pub state: StateArgs,
    /// The key
    pub key: String,
}
