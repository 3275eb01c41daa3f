//! The program `isobar`: parse, trace, run the command, say how it ended.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::Parser as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{Cli, Command};
use crate::commands::{self, Outcome};
use crate::{spin, ui};

/// It failed; the codes are explained in `isobar --help`.
const FAILED: u8 = 3;
/// What is logged while an application runs: what functions and the host report.
const RUNNING: &str = "warn,isobar=info";

/// The program, from its first line to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    give_back_memory();
    open_more_files();
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

/// Lets the process have as many open files as it may: pages and stores need some each, and the usual limit is low.
fn open_more_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it may not be, fewer connections are taken.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

async fn run() -> ExitCode {
    let ended = if spin::is_meant() { run_for_spin().await } else { run_command().await };
    match ended {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::FAILURE,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            ui::error(&error);
            ExitCode::from(FAILED)
        }
    }
}

async fn run_command() -> anyhow::Result<Outcome> {
    let cli = Cli::parse();
    let usual = if matches!(cli.command, Command::Up(_)) { RUNNING } else { "warn,sqlx=error" };
    trace(usual, spin::Output::default())?;
    commands::run(cli.command).await
}

async fn run_for_spin() -> anyhow::Result<Outcome> {
    trace(RUNNING, spin::output()?)?;
    spin::run().await.map(|()| Outcome::Done)
}

/// How lines of the log are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// For people, coloured or not.
    Text { ansi: bool },
    /// An object for each line, for programs.
    Json,
}

/// Logs to stderr: what `ISOBAR_LOG` says, else the `usual`, and as `ISOBAR_LOG_FORMAT` says.
///
/// # Errors
/// When one of them says something else.
fn trace(usual: &str, output: spin::Output) -> anyhow::Result<()> {
    let said = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let wanted = said("ISOBAR_LOG").unwrap_or_else(|| usual.to_owned());
    let targets: Targets = wanted
        .parse()
        .map_err(|_| anyhow::anyhow!("`ISOBAR_LOG` is `{wanted}`; write it as `info`, or as `warn,isobar=debug`"))?;
    let form = match said("ISOBAR_LOG_FORMAT").as_deref() {
        None | Some("text") => Form::Text { ansi: ui::is_talking_to_a_person() },
        Some("json") => Form::Json,
        Some(other) => anyhow::bail!("`ISOBAR_LOG_FORMAT` is `{other}`; there are `text` and `json`"),
    };
    log(targets, io::stderr, form).with(output).init();
    Ok(())
}

/// Writes what both filters let pass. They are filters of everything: one that belongs to a layer (tracing-subscriber 0.3) takes a
/// library's question whether it may log for an event, and loses the thread's next one.
fn log<W>(targets: Targets, to: W, form: Form) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Clone + Send + Sync + 'static,
{
    let text = match form {
        Form::Text { ansi } => Some(fmt::layer().with_writer(to.clone()).with_ansi(ansi).with_target(false)),
        Form::Json => None,
    };
    let json = (form == Form::Json).then(|| fmt::layer().json().flatten_event(true).with_writer(to));
    tracing_subscriber::registry().with(text).with(json).with(filter_fn(may_be_said)).with(targets)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::level_filters::LevelFilter;

    use super::*;

    #[test]
    fn a_question_whether_something_is_logged_loses_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let targets = "warn,isobar=info".parse().unwrap();
        let log = log(targets, Arc::new(file.reopen().unwrap()), Form::Text { ansi: false });
        // Else each record that the Kafka client reads asks whether to say it.
        assert_eq!(log.max_level_hint(), Some(LevelFilter::INFO));
        tracing::subscriber::with_default(log, || {
            for number in 0..3 {
                assert!(!tracing::enabled!(Level::DEBUG));
                assert!(!tracing::enabled!(target: "somewhere", Level::INFO));
                tracing::warn!(number, "it is said");
                tracing::debug!(number, "it is not");
            }
        });
        let written = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(written.matches("it is said").count(), 3, "{written}");
        assert!(!written.contains("it is not"), "{written}");
    }

    #[test]
    fn programs_read_an_object_a_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = log("info".parse().unwrap(), Arc::new(file.reopen().unwrap()), Form::Json);
        tracing::subscriber::with_default(log, || tracing::warn!(function = "count", "it waits\nfor \"more\""));
        let written = std::fs::read_to_string(file.path()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!((&line["level"], &line["function"]), (&"WARN".into(), &"count".into()), "{written}");
        assert_eq!(line["message"], "it waits\nfor \"more\"");
    }
}
