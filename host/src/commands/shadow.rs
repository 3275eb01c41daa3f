//! `isobar shadow` and `isobar promote`: a version compared with the one in charge, then put in charge or dropped.

use super::Outcome;
use super::reach::Reach;
use crate::cli::{PromoteArgs, ShadowCommand, ShadowDropArgs, ShadowShowArgs};
use crate::console::answers::{PromoteAsk, ShadowAsk};
use crate::registry::short;
use crate::shadows::{CellDifference, Comparison, RowDifference, TableComparison};
use crate::ui;

/// Characters of a cell that are shown.
const MOST_SHOWN: usize = 200;

/// Shows or drops.
///
/// # Errors
/// When no host runs, or the function has no shadow.
pub async fn run(command: &ShadowCommand) -> anyhow::Result<Outcome> {
    match command {
        ShadowCommand::Show(args) => show(args).await,
        ShadowCommand::Drop(args) => end(args).await,
    }
}

async fn show(args: &ShadowShowArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.of.place).await?;
    let ask = ShadowAsk { differences: Some(args.differences), sensitive: args.sensitive, brief: false };
    let comparison = reach.shadow(&args.of.function, &ask).await;
    reach.close().await;
    let comparison = comparison?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&comparison)?)?;
        return Ok(Outcome::Done);
    }
    for line in told(&comparison) {
        ui::line(line)?;
    }
    if comparison.tables.iter().any(|table| table.hidden) {
        ui::hint("values that are sensitive are left out; `--sensitive` shows them");
    }
    Ok(Outcome::Done)
}

pub(super) fn told(comparison: &Comparison) -> Vec<String> {
    let Comparison { function, version, since_ms, ended, behind, records, batches, replays, of_part, .. } = comparison;
    let (version, since) = (short(version), ui::time(*since_ms));
    if let Some(reason) = ended {
        return vec![format!("the shadow of `{function}`, version {version} of {since}, has ended: {reason}")];
    }
    let mut lines = vec![format!(
        "`{function}`: version {version} {} since {since}; {} in {batches} batches compared, {behind} to come",
        match (replays, of_part) {
            (true, true) => "replays a part of the past",
            (true, false) => "replays",
            _ => "is in the shadow",
        },
        ui::count(*records, "record"),
    )];
    let row = |t: &TableComparison| {
        let counts = [t.rows, t.differing, t.only_charge, t.only_shadow].map(|count| count.to_string());
        [vec![t.table.clone()], counts.to_vec()].concat()
    };
    let headings = ["", "ROWS", "DIFFERENT", "ONLY IN CHARGE", "ONLY IN THE SHADOW"];
    lines.push(ui::columns(&headings, comparison.tables.iter().map(row)));
    let seconds = |micros: u64| micros as f64 / 1e6;
    lines.push(format!(
        "time of calls: {:.3} s in charge, {:.3} s in the shadow",
        seconds(comparison.charge_micros),
        seconds(comparison.shadow_micros)
    ));
    lines.extend(
        comparison
            .failure
            .as_ref()
            .map(|reason| format!("the shadow refused records, the last: {}", ui::visible(reason))),
    );
    for table in &comparison.tables {
        lines.extend(table.first.iter().flat_map(|row| difference(table, row)));
    }
    lines
}

fn difference(table: &TableComparison, row: &RowDifference) -> Vec<String> {
    let key: Vec<String> = row.key.iter().map(|(column, cell)| format!("{column} {}", shown(cell))).collect();
    let place = format!("{}, {}", table.table, key.join(", "));
    match (row.in_charge, row.in_shadow) {
        (true, false) => vec![format!("{place}: only the version in charge has it")],
        (false, true) => vec![format!("{place}: only the shadow has it")],
        _ => row.cells.iter().map(|cell| format!("{place}: {}", both(cell))).collect(),
    }
}

fn both(cell: &CellDifference) -> String {
    let text = |value: &Option<String>| value.as_deref().map_or_else(|| "null".to_owned(), shown);
    format!("{} {} in charge, {} in the shadow", cell.column, text(&cell.charge), text(&cell.shadow))
}

fn shown(cell: &str) -> String {
    let short: String = cell.chars().take(MOST_SHOWN).collect();
    let more = if short.len() < cell.len() { "…" } else { "" };
    ui::visible(&format!("{short}{more}"))
}

async fn end(args: &ShadowDropArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.of.place).await?;
    let ended = reach.drop_shadow(&args.of.function).await;
    reach.close().await;
    ended?;
    ui::say(format_args!("`{}` has no shadow any more", args.of.function));
    Ok(Outcome::Done)
}

/// Puts a shadow in charge.
///
/// # Errors
/// Why it may not or cannot; nothing has changed then.
pub async fn promote(args: &PromoteArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.of.place).await?;
    let ask = PromoteAsk { allow_differences: Some(args.allow_differences) };
    let taken = reach.promote(&args.of.function, &ask).await;
    reach.close().await;
    let taken = taken?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&taken)?)?;
    } else {
        ui::say(super::deploy::told(&taken));
    }
    Ok(Outcome::Done)
}
