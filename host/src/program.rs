//! The program `isobar`: parse, trace, run the command, say how it ended.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};
use crate::commands::{self, Outcome};
use crate::ui;

/// It failed; the codes are explained in `isobar --help`.
const FAILED: u8 = 3;

/// Runs what the command line says.
pub async fn run() -> ExitCode {
    let cli = Cli::parse();
    trace(&cli.command);
    match commands::run(cli.command).await {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::FAILURE,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            ui::error(&error);
            ExitCode::from(FAILED)
        }
    }
}

/// Logs to stderr: what `ISOBAR_LOG` says, else what functions and the host report while it runs.
fn trace(command: &Command) {
    let usual = if matches!(command, Command::Up(_)) { "warn,isobar=info" } else { "warn,sqlx=error" };
    let filter = EnvFilter::try_from_env("ISOBAR_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(ui::is_talking_to_a_person())
        .with_target(false)
        .init();
}

/// Whoever read our stdout has seen enough, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|e| e.downcast_ref::<io::Error>()).any(|e| e.kind() == ErrorKind::BrokenPipe)
}
