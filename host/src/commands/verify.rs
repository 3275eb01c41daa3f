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
        let (entries, records, read) = (report.entries, report.records, report.records_read);
        ui::line(format_args!("{entries} entries count {records} records handled; the log holds {read} of the same"))?;
        for finding in &report.findings {
            let place = format!("{} on `{}`/{}", finding.function, finding.source, finding.partition);
            ui::line(format_args!("{place}: {}", ui::visible(&finding.message)))?;
        }
        ui::line(ui::count(report.finding_count, "finding"))?;
    }
    Ok(if report.finding_count == 0 { Outcome::Done } else { Outcome::Found })
}
