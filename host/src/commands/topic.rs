//! `isobar topic`: the topics there are, and their records.

use super::Outcome;
use super::reach::Reach;
use crate::cli::{ReadArgs, TopicCommand, TopicReadArgs};
use crate::console::answers::{Payload, RecordView, RecordsAsk, TopicSummary};
use crate::ui;

/// Lists or reads.
///
/// # Errors
/// When there are no data, or they cannot be shown.
pub async fn run(command: &TopicCommand) -> anyhow::Result<Outcome> {
    match command {
        TopicCommand::List(args) => list(args).await,
        TopicCommand::Read(args) => read(args).await,
    }
}

async fn list(args: &ReadArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let topics = reach.topics().await;
    reach.close().await;
    let topics = topics?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&topics)?)?;
    } else {
        let row = |t: &TopicSummary| {
            let records: i64 = t.partitions.iter().map(|p| p.next - p.first).sum();
            let bytes: i64 = t.partitions.iter().map(|p| p.bytes).sum();
            let sensitive = if t.sensitive { "sensitive" } else { "" };
            let (partitions, size) = (t.partitions.len().to_string(), ui::size(bytes.unsigned_abs()));
            [t.topic.clone(), partitions, records.to_string(), size, sensitive.to_owned()]
        };
        ui::line(ui::table(["TOPIC", "PARTITIONS", "RECORDS", "SIZE", ""], topics.iter().map(row)))?;
    }
    Ok(Outcome::Done)
}

async fn read(args: &TopicReadArgs) -> anyhow::Result<Outcome> {
    let ask =
        RecordsAsk { partition: args.partition, from: args.from, limit: Some(args.limit), sensitive: args.sensitive };
    let reach = Reach::open(&args.place).await?;
    let page = reach.records(&args.topic, &ask).await;
    reach.close().await;
    let page = page?;
    for record in &page.records {
        if args.json {
            ui::line(serde_json::to_string(record)?)?;
        } else {
            ui::line(text(record))?;
        }
    }
    if page.more {
        ui::say("there are more records; name a higher `--limit`, or go on with `--partition` and `--from`");
    }
    Ok(Outcome::Done)
}

fn text(record: &RecordView) -> String {
    let time =
        jiff::Timestamp::from_millisecond(record.timestamp_ms).map_or_else(|_| "-".to_owned(), |t| t.to_string());
    let shown = |p: Option<&Payload>| p.map_or_else(|| "(none)".to_owned(), payload);
    let (key, value) = (shown(record.key.as_ref()), shown(record.value.as_ref()));
    let headers: String = record.headers.iter().map(|(n, v)| format!("  {}={}", ui::visible(n), payload(v))).collect();
    format!("{}/{}  {time}  {key}  {value}{headers}", record.partition, record.offset)
}

fn payload(payload: &Payload) -> String {
    match payload {
        Payload::Text(text) => ui::visible(text),
        Payload::Base64(text) => format!("base64:{text}"),
    }
}
