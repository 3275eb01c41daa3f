//! `isobar verify`: the walk over the ledger, and what it found.

use super::Outcome;
use super::reach::Reach;
use crate::cli::ReadArgs;
use crate::ui;

/// Walks, and says what it found.
///
/// # Errors
/// When there are no data, or they cannot be read.
pub async fn run(args: &ReadArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let report = reach.verify().await;
    reach.close().await;
    let report = report?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&report)?)?;
    } else {
        let (entries, records) = (report.entries, ui::count(report.records, "record"));
        ui::line(format_args!(
            "entries of the ledger walked: {entries}; {records} handled; the log holds {} of them",
            report.records_read
        ))?;
        for finding in &report.findings {
            let place = format!("{} on `{}`/{}", finding.function, finding.source, finding.partition);
            ui::line(format_args!("{place}: {}", ui::visible(&finding.message)))?;
        }
        ui::line(ui::count(report.finding_count, "finding"))?;
    }
    Ok(if report.finding_count == 0 { Outcome::Done } else { Outcome::Found })
}
