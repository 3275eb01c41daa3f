//! `isobar openapi`: what can be asked of a host's HTTP API, so that clients can be generated where none runs.

use super::Outcome;
use crate::console;
use crate::ui;

/// Writes the description as JSON to stdout.
///
/// # Errors
/// When stdout is closed.
pub fn run() -> anyhow::Result<Outcome> {
    let mut text = console::document().to_pretty_json()?;
    text.push('\n');
    ui::data(text.as_bytes())?;
    Ok(Outcome::Done)
}
