//! What the commands take that see to tokens.

use clap::{Args, Subcommand};

use super::{PlaceArgs, ReadArgs};

/// See to tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenCommand {
    /// Make one; it is shown this once
    Create(TokenCreateArgs),
    /// List them, with what each may do
    List(ReadArgs),
    /// Take one away
    Revoke(TokenRevokeArgs),
}

/// What `token create` takes.
#[derive(Debug, Clone, Args)]
pub struct TokenCreateArgs {
    /// Its name: letters, digits, `-`, `_` and `.`; the audit log has it
    pub name: String,
    /// What it may do: `read`, `read-sensitive`, `operate`, `deploy`, `deploy:FUNCTION`; once for each
    #[arg(long, value_name = "SCOPE", required = true)]
    pub may: Vec<String>,
    /// For how many days it is good
    #[arg(long, default_value_t = 90)]
    pub days: u32,
    /// Whose.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `token revoke` takes.
#[derive(Debug, Clone, Args)]
pub struct TokenRevokeArgs {
    /// Its name
    pub name: String,
    /// Whose.
    #[command(flatten)]
    pub place: PlaceArgs,
}
