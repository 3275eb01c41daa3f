//! `isobar test`: what a function makes of records in files, as lines of JSON that can be compared.

use super::Outcome;
use crate::cli::TestArgs;
use crate::rehearsal::{Effect, Rehearsal};
use crate::ui;

/// Runs a function with each file as one batch, and says what it did.
///
/// # Errors
/// What is wrong with the function or a file.
pub async fn run(args: &TestArgs) -> anyhow::Result<Outcome> {
    let (application, root) = super::manifest(&args.manifest.manifest)?;
    let values = super::given(&application, &args.variables.variables);
    let rehearsal = Rehearsal {
        application,
        root: &root,
        function: &args.function,
        topic: args.topic.as_deref(),
        values,
        tables: &args.table,
        state: args.state.as_deref(),
    };
    let mut stage = rehearsal.begin().await?;
    let mut has_failed = false;
    for file in &args.files {
        let done = stage.call(file).await?;
        for line in done.output.lines() {
            ui::say(format_args!("[{}] {}", args.function, ui::visible(line)));
        }
        for effect in &done.effects {
            has_failed |= matches!(effect, Effect::Failed { .. });
            ui::line(serde_json::to_string(effect)?)?;
        }
    }
    stage.end().await;
    Ok(if has_failed { Outcome::Found } else { Outcome::Done })
}
