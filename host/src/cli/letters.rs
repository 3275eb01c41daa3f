//! What the commands take that see to dead letters.

use clap::{Args, Subcommand};

use super::FunctionArgs;

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List a function's dead letters
    List(LettersListArgs),
    /// Show one with its whole story
    Show(LetterShowArgs),
    /// Send them back to the function that failed, and to no other
    Redrive(LettersSettleArgs),
    /// Give them up; they stay in their topic
    Drop(LettersSettleArgs),
}

/// What `dead-letters list` takes.
#[derive(Debug, Clone, Args)]
pub struct LettersListArgs {
    /// Which function.
    #[command(flatten)]
    pub of: FunctionArgs,
    /// Those that were redriven or dropped too
    #[arg(long)]
    pub all: bool,
    /// Most letters
    #[arg(long, value_name = "LETTERS", default_value_t = 100)]
    pub limit: u32,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Words and records of a function that reads sensitive data too
    #[arg(long)]
    pub sensitive: bool,
}

/// What `dead-letters show` takes.
#[derive(Debug, Clone, Args)]
pub struct LetterShowArgs {
    /// Which function.
    #[command(flatten)]
    pub of: FunctionArgs,
    /// The letter, as `list` names it
    pub offset: i64,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Words and record of a function that reads sensitive data too
    #[arg(long)]
    pub sensitive: bool,
}

/// What `dead-letters redrive` and `drop` take.
#[derive(Debug, Clone, Args)]
pub struct LettersSettleArgs {
    /// Which function.
    #[command(flatten)]
    pub of: FunctionArgs,
    /// The letters, as `list` names them
    #[arg(value_name = "OFFSET", required_unless_present = "all", conflicts_with = "all")]
    pub offsets: Vec<i64>,
    /// All that are open
    #[arg(long)]
    pub all: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}
