//! The program `isobar`: parse, trace, run the command, say how it ended.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::Parser as _;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::cli::{Cli, Command};
use crate::commands::{self, Outcome};
use crate::ui;

/// It failed; the codes are explained in `isobar --help`.
const FAILED: u8 = 3;

/// The program, from its first line to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    give_back_memory();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => {
            ui::error(&anyhow::Error::new(error).context("no thread can be started"));
            ExitCode::from(FAILED)
        }
    }
}

/// Blocks of records come and go by the megabyte, on many threads: each allocator's arena would keep what it had at its most. What
/// is as large as this goes back to the system at once; on a whole job that is a sixth of the memory, and no measurable time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library has no safe way to say it")]
fn give_back_memory() {
    const LARGE_BYTES: libc::c_int = 256 * 1024;
    // SAFETY: there is no other thread yet.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back_memory() {}

async fn run() -> ExitCode {
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
    let said = fmt::layer().with_writer(io::stderr).with_ansi(ui::is_talking_to_a_person()).with_target(false);
    // Without the hint the other filter's is not seen either, and each record that the Kafka client reads asks whether to say it.
    let may_be_said = filter_fn(may_be_said).with_max_level_hint(LevelFilter::TRACE);
    tracing_subscriber::registry().with(said.with_filter(filter.and(may_be_said))).init();
}

/// Below warnings the engine tells what functions write and are given, and the driver of Cassandra repeats what the server says,
/// which quotes keys; both may be sensitive: whatever `ISOBAR_LOG` says, that is not logged.
fn may_be_said(metadata: &Metadata<'_>) -> bool {
    let (level, target) = (*metadata.level(), metadata.target());
    !target.starts_with("scylla") && (level <= Level::WARN || !target.starts_with("wasmtime"))
}

/// Whoever read our stdout has seen enough, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|e| e.downcast_ref::<io::Error>()).any(|e| e.kind() == ErrorKind::BrokenPipe)
}
