//! `isobar up`.

use crate::cli::UpArgs;

/// Runs the application.
///
/// # Errors
/// Whatever keeps it from running.
pub async fn run(_args: UpArgs) -> anyhow::Result<()> {
    anyhow::bail!("not there yet")
}
