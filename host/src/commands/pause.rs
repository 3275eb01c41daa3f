//! `isobar pause` and `isobar resume`: a function stands still, and goes on.

use super::Outcome;
use super::reach::Reach;
use crate::cli::FunctionArgs;
use crate::ui;

/// Pauses.
///
/// # Errors
/// When there is no such function, or that cannot be written.
pub async fn pause(args: &FunctionArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let paused = reach.pause(&args.function).await;
    reach.close().await;
    paused?;
    ui::say(format_args!("`{0}` stands still until `isobar resume {0}`", args.function));
    Ok(Outcome::Done)
}

/// Resumes.
///
/// # Errors
/// As [`pause`].
pub async fn resume(args: &FunctionArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let resumed = reach.resume(&args.function).await;
    reach.close().await;
    resumed?;
    ui::say(format_args!("`{}` goes on", args.function));
    Ok(Outcome::Done)
}
