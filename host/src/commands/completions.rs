//! `isobar completions`: a shell's completion script.

use clap::CommandFactory as _;

use super::Outcome;
use crate::cli::{Cli, CompletionsArgs};
use crate::ui;

/// Writes the script to stdout.
///
/// # Errors
/// When stdout is closed.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "isobar", &mut script);
    ui::data(&script)?;
    Ok(Outcome::Done)
}
