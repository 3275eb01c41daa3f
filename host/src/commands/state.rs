//! `isobar state`, `isobar delete` and `isobar run`: what a function remembers, or shall not any more, and a run of a scheduled one
//! now.

use super::Outcome;
use super::reach::Reach;
use crate::cli::{DeleteArgs, FunctionArgs, StateArgs, StateCommand, StateGetArgs, StateListArgs};
use crate::console::answers::{Payload, StateAsk, StateEntry, StatePage};
use crate::ui;

/// Lists or gets.
///
/// # Errors
/// When there are no data, no such function, or its state is sensitive and that was not asked for.
pub async fn run(command: &StateCommand) -> anyhow::Result<Outcome> {
    match command {
        StateCommand::List(args) => list(args).await,
        StateCommand::Get(args) => get(args).await,
    }
}

async fn page(args: &StateArgs, ask: StateAsk) -> anyhow::Result<StatePage> {
    let reach = Reach::open(&args.of.place).await?;
    let ask = StateAsk { partition: args.partition, sensitive: args.sensitive, ..ask };
    let page = reach.state(&args.of.function, &ask).await;
    reach.close().await;
    page
}

async fn list(args: &StateListArgs) -> anyhow::Result<Outcome> {
    let ask = StateAsk { prefix: args.prefix.clone(), limit: Some(args.limit), ..StateAsk::default() };
    let StatePage { entries, more } = page(&args.state, ask).await?;
    if args.state.json {
        for entry in &entries {
            ui::line(serde_json::to_string(entry)?)?;
        }
    } else {
        let row = |entry: &StateEntry| [entry.partition.to_string(), ui::visible(&entry.key), ui::size(entry.bytes)];
        ui::line(ui::table(["PARTITION", "KEY", "SIZE"], entries.iter().map(row)))?;
    }
    if more {
        ui::say("there are more; name a higher `--limit`, or a `--prefix`");
    }
    Ok(Outcome::Done)
}

async fn get(args: &StateGetArgs) -> anyhow::Result<Outcome> {
    let ask = StateAsk { key: Some(args.key.clone()), ..StateAsk::default() };
    let StatePage { entries, .. } = page(&args.state, ask).await?;
    for entry in &entries {
        let value = match &entry.value {
            _ if args.state.json => serde_json::to_string(entry)?,
            Some(Payload::Text(text)) => ui::visible(text),
            Some(Payload::Base64(text)) => format!("base64:{text}"),
            None => format!("({}, too large to be shown)", ui::size(entry.bytes)),
        };
        ui::line(value)?;
    }
    if entries.is_empty() {
        ui::say(format_args!("`{}` has no state under `{}`", args.state.of.function, ui::visible(&args.key)));
        return Ok(Outcome::Found);
    }
    Ok(Outcome::Done)
}

/// Lets a scheduled function run now.
///
/// # Errors
/// When no host runs, or the function has no schedule.
pub async fn call(args: &FunctionArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let called = reach.run(&args.function).await;
    reach.close().await;
    called?;
    ui::say(format_args!("`{}` runs now; `isobar status` says how it goes", args.function));
    Ok(Outcome::Done)
}

/// Lets go of what a function that does not run any more remembers.
///
/// # Errors
/// When it runs, nothing is known of it, or nobody says yes.
pub async fn delete(args: &DeleteArgs) -> anyhow::Result<Outcome> {
    let function = &args.of.function;
    let question = format!("delete the state of `{function}` and how far it has come? It cannot be had again");
    anyhow::ensure!(args.yes || ui::confirm(&question)?, "nothing was deleted");
    let reach = Reach::open(&args.of.place).await?;
    let deleted = reach.forget(function).await;
    reach.close().await;
    let keys = ui::count(deleted?, "key");
    ui::say(format_args!("{keys} of `{function}` deleted; what it published and wrote to tables stays"));
    Ok(Outcome::Done)
}
