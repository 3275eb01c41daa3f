//! `isobar status`: where every function stands, and how large the topics are.

use std::collections::BTreeMap;

use super::Outcome;
use super::reach::Reach;
use crate::cli::ReadArgs;
use crate::console::answers::Status;
use crate::dispatch::{SourceStatus, Standing};
use crate::ui;

/// Shows it.
///
/// # Errors
/// When there are no data, or they cannot be read.
pub async fn run(args: &ReadArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let status = reach.status().await;
    reach.close().await;
    let status = status?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&status)?)?;
    } else {
        ui::line(text(&status))?;
    }
    Ok(Outcome::Done)
}

/// The status for people.
fn text(status: &Status) -> String {
    let data = if status.made_up { "made-up data" } else { "real data" };
    let running = if status.running { "running" } else { "not running" };
    let mut parts = vec![format!("application `{}`, {data}, {running}", status.application)];
    let mut sources: BTreeMap<(&str, &str), Vec<&SourceStatus>> = BTreeMap::new();
    for source in &status.sources {
        sources.entry((&source.function, &source.source)).or_default().push(source);
    }
    let headings = ["FUNCTION", "SOURCE", "POSITION", "LAG", "RECORDS", "DEAD LETTERS", "STATE"];
    parts.push(ui::table(headings, sources.values().filter_map(|partitions| row(partitions))));
    let mut topics: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for topic in &status.topics {
        let (records, bytes) = topics.entry(&topic.topic).or_default();
        *records += topic.next - topic.first;
        *bytes += topic.bytes;
    }
    let topic = |(name, (records, bytes)): (&str, (i64, i64))| {
        [name.to_owned(), records.to_string(), ui::size(bytes.unsigned_abs())]
    };
    parts.push(ui::table(["TOPIC", "RECORDS", "SIZE"], topics.into_iter().map(topic)));
    for failure in &status.failures {
        parts.push(format!(
            "`{}` failed {} on `{}`/{}: {}",
            failure.function,
            ui::count(u64::from(failure.attempt), "time"),
            failure.source,
            failure.partition,
            ui::visible(&failure.reason)
        ));
    }
    parts.join("\n\n")
}

/// All partitions of a source in one row, the standing being the worst.
fn row(partitions: &[&SourceStatus]) -> Option<[String; 7]> {
    let worst = partitions.iter().max_by_key(|s| severity(&s.standing))?;
    let sum = |of: fn(&SourceStatus) -> i64| partitions.iter().map(|s| of(s)).sum::<i64>().to_string();
    let counted = |of: fn(&SourceStatus) -> u64| partitions.iter().map(|s| of(s)).sum::<u64>().to_string();
    let position = if worst.scheduled { format!("{} runs", worst.position) } else { sum(|s| s.position) };
    Some([
        worst.function.clone(),
        worst.source.clone(),
        position,
        if worst.scheduled { "-".to_owned() } else { sum(|s| s.lag) },
        counted(|s| s.records),
        counted(|s| s.dead_letters),
        standing(worst),
    ])
}

fn severity(standing: &Standing) -> u8 {
    match standing {
        Standing::Elsewhere => 0,
        Standing::Idle => 1,
        Standing::Running => 2,
        Standing::Paced { .. } => 3,
        Standing::Waiting { .. } => 4,
        Standing::Retrying { .. } => 5,
        Standing::Stopped { .. } => 6,
    }
}

fn standing(source: &SourceStatus) -> String {
    match &source.standing {
        Standing::Idle => match source.due_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
            Some(due) => format!("idle, due {due}"),
            None => "idle".to_owned(),
        },
        Standing::Running => "running".to_owned(),
        Standing::Elsewhere => "not on this host".to_owned(),
        Standing::Retrying { attempt, .. } => format!("retrying after delivery {attempt}, see below"),
        Standing::Waiting { reason } => format!("waiting: {reason}"),
        Standing::Stopped { reason } => format!("stopped: {reason}"),
        Standing::Paced { reader } => format!("paced by {reader}"),
    }
}
