//! What the commands take that see to users.

use clap::{Args, Subcommand};

use super::{PlaceArgs, ReadArgs};
use crate::config::console::Role;

/// See to users.
#[derive(Debug, Clone, Subcommand)]
pub enum UserCommand {
    /// Add one to the data folder; the password is asked for, or read from stdin
    Add(UserAddArgs),
    /// List those of the data folder
    List(ReadArgs),
    /// Take one away from the data folder, and end the sessions
    Remove(UserRemoveArgs),
    /// Print the hash of a password, for `password_hash` in isobar.toml; it is asked for, or read from stdin
    Hash,
}

/// What `user add` takes.
#[derive(Debug, Clone, Args)]
pub struct UserAddArgs {
    /// The name: letters, digits, `-`, `_` and `.`; the audit log has it
    pub name: String,
    /// What the user may do; once for each
    #[arg(long, value_name = "ROLE", required = true)]
    pub role: Vec<Role>,
    /// Whose.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// What `user remove` takes.
#[derive(Debug, Clone, Args)]
pub struct UserRemoveArgs {
    /// The name
    pub name: String,
    /// Whose.
    #[command(flatten)]
    pub place: PlaceArgs,
}
