//! `isobar logs`: what functions wrote to stdout and stderr.

use std::time::Duration;

use super::Outcome;
use super::reach::Reach;
use crate::cli::LogsArgs;
use crate::console::answers::LogsAsk;
use crate::dispatch::Spoken;
use crate::ui;

/// How often it is looked for more.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Lines of one look, while it is followed.
const MOST_AT_ONCE: u32 = 10_000;

/// Shows what there is, and what comes.
///
/// # Errors
/// When no host runs, there is no such function, or the host ends while it is followed.
pub async fn run(args: &LogsArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let shown = follow(args, &reach).await;
    reach.close().await;
    shown
}

async fn follow(args: &LogsArgs, reach: &Reach) -> anyhow::Result<Outcome> {
    let mut ask = LogsAsk { function: args.function.clone(), after: None, limit: Some(args.limit) };
    loop {
        let page = reach.logs(&ask).await?;
        for line in &page.lines {
            show(line, args.json)?;
        }
        if !args.follow {
            return Ok(Outcome::Done);
        }
        // A host that was started anew counts from one.
        let is_anew = ask.after.is_some_and(|after| page.last < after);
        (ask.after, ask.limit) = (Some(if is_anew { 0 } else { page.last }), Some(MOST_AT_ONCE));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn show(spoken: &Spoken, as_json: bool) -> anyhow::Result<()> {
    let Spoken { at_ms, function, version, line, .. } = spoken;
    if as_json {
        return Ok(ui::line(serde_json::to_string(spoken)?)?);
    }
    Ok(ui::line(format_args!("{} {function} {version}  {}", ui::time(*at_ms), ui::visible(line)))?)
}
