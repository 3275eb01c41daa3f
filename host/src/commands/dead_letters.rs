//! `isobar dead-letters`: the records that a function could not handle, and what becomes of them.

use super::Outcome;
use super::reach::Reach;
use crate::cli::{DeadLettersCommand, LetterShowArgs, LettersListArgs, LettersSettleArgs};
use crate::console::answers::{LetterView, LettersAsk, LettersPage, Payload, SettleAsk};
use crate::embedded::Fate;
use crate::ui;

/// Characters of a reason in a list.
const REASON_CHARS: usize = 80;

/// Lists, shows, sends back or drops.
///
/// # Errors
/// When there is no such function or letter, or no data.
pub async fn run(command: &DeadLettersCommand) -> anyhow::Result<Outcome> {
    match command {
        DeadLettersCommand::List(args) => list(args).await,
        DeadLettersCommand::Show(args) => show(args).await,
        DeadLettersCommand::Redrive(args) => settle(args, Fate::Redriven).await,
        DeadLettersCommand::Drop(args) => settle(args, Fate::Dropped).await,
    }
}

async fn ask(reach: &Reach, function: &str, ask: LettersAsk) -> anyhow::Result<LettersPage> {
    reach.letters(function, &ask).await
}

async fn list(args: &LettersListArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.of.place).await?;
    let wanted =
        LettersAsk { all: args.all, limit: Some(args.limit), sensitive: args.sensitive, ..LettersAsk::default() };
    let page = ask(&reach, &args.of.function, wanted).await;
    reach.close().await;
    let page = page?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&page)?)?;
        return Ok(Outcome::Done);
    }
    let headings = ["OFFSET", "FROM", "KEY", "DELIVERIES", "SINCE", "", "REASON"];
    ui::line(ui::table(headings, page.letters.iter().map(row)))?;
    if page.more {
        ui::say("there are more dead letters; name a higher `--limit`");
    }
    Ok(Outcome::Done)
}

fn row(letter: &LetterView) -> [String; 7] {
    let line = letter.reason.lines().next().unwrap_or_default();
    let reason = match line.char_indices().nth(REASON_CHARS) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line.to_owned(),
    };
    [
        letter.offset.to_string(),
        from(letter),
        text(letter.key.as_ref()),
        letter.attempts.to_string(),
        ui::time(letter.at_ms),
        letter.fate.clone().unwrap_or_default(),
        reason,
    ]
}

async fn show(args: &LetterShowArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.of.place).await?;
    let wanted =
        LettersAsk { offset: Some(args.offset), all: true, sensitive: args.sensitive, ..LettersAsk::default() };
    let page = ask(&reach, &args.of.function, wanted).await;
    reach.close().await;
    let page = page?;
    let function = &args.of.function;
    let Some(letter) = page.letters.first() else {
        anyhow::bail!(
            "`{function}` has no dead letter at offset {}\n  hint: `isobar dead-letters list {function} --all` shows \
             those there are",
            args.offset
        );
    };
    if args.json {
        ui::line(serde_json::to_string_pretty(letter)?)?;
        return Ok(Outcome::Done);
    }
    let frames = letter.frames.iter().map(|frame| ("", format!("in {}", ui::visible(frame))));
    let told = [
        ("from", from(letter)),
        ("key", text(letter.key.as_ref())),
        ("value", text(letter.value.as_ref())),
        ("version", letter.version.clone()),
        ("deliveries", letter.attempts.to_string()),
        ("since", ui::time(letter.at_ms)),
        ("fate", letter.fate.clone().unwrap_or_else(|| "open".to_owned())),
        ("reason", ui::visible(&letter.reason)),
    ];
    for (name, value) in told.into_iter().chain(frames) {
        ui::line(format_args!("{name:<11} {value}"))?;
    }
    Ok(Outcome::Done)
}

async fn settle(args: &LettersSettleArgs, fate: Fate) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.of.place).await?;
    let settled = settle_with(&reach, args, fate).await;
    reach.close().await;
    settled
}

async fn settle_with(reach: &Reach, args: &LettersSettleArgs, fate: Fate) -> anyhow::Result<Outcome> {
    let function = &args.of.function;
    let open = ask(reach, function, LettersAsk { limit: Some(0), ..LettersAsk::default() }).await?.open;
    let count = if args.all { open } else { args.offsets.len() as u64 };
    if count == 0 {
        ui::say(format_args!("`{function}` has no open dead letters"));
        return Ok(Outcome::Done);
    }
    let what = ui::count(count, "dead letter");
    let question = match fate {
        Fate::Redriven => format!("send {what} (of {open} open ones) back to `{function}`?"),
        Fate::Dropped => format!("give up {what} (of {open} open ones) of `{function}`?"),
    };
    anyhow::ensure!(args.yes || ui::confirm(&question)?, "nothing was changed");
    let settled = reach.settle(function, &SettleAsk { offsets: args.offsets.clone() }, fate).await?;
    ui::say(format_args!("{} {}", ui::count(settled.letters, "dead letter"), fate.name()));
    Ok(Outcome::Done)
}

fn from(letter: &LetterView) -> String {
    format!("{}/{}@{}", letter.from_topic, letter.from_partition, letter.from_offset)
}

fn text(payload: Option<&Payload>) -> String {
    match payload {
        Some(Payload::Text(text)) => ui::visible(text),
        Some(Payload::Base64(text)) => format!("base64:{text}"),
        None => "-".to_owned(),
    }
}
