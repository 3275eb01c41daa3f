//! What the commands take that see to versions of functions.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::{FunctionArgs, PlaceArgs};
use crate::embedded::past::Mark;

/// What `deploy` takes.
#[derive(Debug, Clone, Args)]
pub struct DeployArgs {
    /// The functions; what spin.toml says of them and their components are sent to the running host
    #[arg(value_name = "FUNCTION", required_unless_present = "all", conflicts_with = "all")]
    pub functions: Vec<String>,
    /// All functions of spin.toml; those that have not changed stay as they are
    #[arg(long)]
    pub all: bool,
    /// Build the components first
    #[arg(long)]
    pub build: bool,
    /// Let the version follow the one in charge first, in its shadow: on the same batches, with its effects held back and compared
    #[arg(long, conflicts_with = "all")]
    pub shadow: bool,
    /// Let the version compute everything anew, from the beginning of the log, and take over with what it made
    #[arg(long, conflicts_with_all = ["all", "shadow"])]
    pub rebuild: bool,
    /// Do not ask
    #[arg(long, requires = "rebuild")]
    pub yes: bool,
    /// Whose.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `watch` takes.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// The functions [default: all]
    #[arg(value_name = "FUNCTION")]
    pub functions: Vec<String>,
    /// Whose.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// See to a version that follows the one in charge in its shadow.
#[derive(Debug, Clone, Subcommand)]
pub enum ShadowCommand {
    /// Compare what it made with what the version in charge made
    Show(ShadowShowArgs),
    /// End it; nothing of it is left
    Drop(ShadowDropArgs),
}

/// What `shadow show` takes.
#[derive(Debug, Clone, Args)]
pub struct ShadowShowArgs {
    /// Which function.
    #[command(flatten)]
    pub of: FunctionArgs,
    /// Most differences of each table
    #[arg(long, value_name = "ROWS", default_value_t = 10)]
    pub differences: u32,
    /// Sensitive values too
    #[arg(long)]
    pub sensitive: bool,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `shadow drop` takes.
#[derive(Debug, Clone, Args)]
pub struct ShadowDropArgs {
    /// Which function.
    #[command(flatten)]
    pub of: FunctionArgs,
}

/// What `replay` takes.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Which function.
    #[command(flatten)]
    pub of: FunctionArgs,
    /// The version, by the beginning of its digest [default: the one in charge]
    #[arg(long)]
    pub version: Option<String>,
    /// What spin.toml says now, with its component as it is built, which need not have been in charge
    #[arg(long, conflicts_with_all = ["version", "apply"])]
    pub candidate: bool,
    /// Only batches from here on, with nothing in state: a position of each partition, or a time in UTC such as 2026-11-30 or
    /// 2026-11-30T12:00:00Z
    #[arg(long, value_name = "POSITION|TIME", value_parser = mark, conflicts_with = "apply")]
    pub from: Option<Mark>,
    /// Only batches that begin before
    #[arg(long, value_name = "POSITION|TIME", value_parser = mark, conflicts_with = "apply")]
    pub to: Option<Mark>,
    /// Put it in charge with what it made: rows, state, and the last records of keys
    #[arg(long)]
    pub apply: bool,
    /// Do not ask
    #[arg(long, requires = "apply")]
    pub yes: bool,
    /// Most differences of each table
    #[arg(long, value_name = "ROWS", default_value_t = 10)]
    pub differences: u32,
    /// Sensitive values too
    #[arg(long)]
    pub sensitive: bool,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Reads where a part of a log begins or ends.
fn mark(text: &str) -> Result<Mark, String> {
    if let Some(position) = text.parse().ok().filter(|position| *position >= 0) {
        return Ok(Mark::Position(position));
    }
    // A date alone is its midnight.
    let in_utc = |time: civil::DateTime| time.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    let time = text.parse::<Timestamp>().or_else(|_| text.parse::<civil::DateTime>().and_then(in_utc));
    let time = time.map_err(|_| "write a position, or a time such as 2026-11-30 or 2026-11-30T12:00:00Z".to_owned())?;
    Ok(Mark::Time(time.as_millisecond()))
}

/// What `promote` takes.
#[derive(Debug, Clone, Args)]
pub struct PromoteArgs {
    /// Which function.
    #[command(flatten)]
    pub of: FunctionArgs,
    /// Rows and records in which it may differ from what the version in charge made
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    pub allow_differences: u64,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `versions` takes.
#[derive(Debug, Clone, Args)]
pub struct VersionsArgs {
    /// Which function.
    #[command(flatten)]
    pub of: FunctionArgs,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `rollback` takes.
#[derive(Debug, Clone, Args)]
pub struct RollbackArgs {
    /// Which function.
    #[command(flatten)]
    pub of: FunctionArgs,
    /// The version, by the beginning of its digest [default: the one that was deployed last before the running one]
    pub version: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `diff` takes.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// Which function.
    #[command(flatten)]
    pub of: FunctionArgs,
    /// A version, by the beginning of its digest
    pub from: String,
    /// Another one [default: the running one]
    pub to: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `pull` takes.
#[derive(Debug, Clone, Args)]
pub struct PullArgs {
    /// Whose.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// The file to write, which must not exist; stdout where it is left out
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What `audit` takes.
#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// Whose.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Most entries
    #[arg(long, value_name = "ENTRIES", default_value_t = 20)]
    pub limit: u32,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_position_or_a_time_in_utc() {
        for (text, wanted) in [
            ("0", Mark::Position(0)),
            ("4500", Mark::Position(4500)),
            ("1970-01-02", Mark::Time(86_400_000)),
            ("1970-01-01T00:00:01Z", Mark::Time(1000)),
            ("1970-01-01T02:00:00+02:00", Mark::Time(0)),
            ("1970-01-01T00:01", Mark::Time(60_000)),
        ] {
            assert_eq!(mark(text), Ok(wanted), "{text}");
        }
        for text in ["", "-1", "yesterday", "2026-13-01"] {
            assert!(mark(text).unwrap_err().contains("2026-11-30T12:00:00Z"), "{text}");
        }
    }
}
