//! `isobar table`: the tables there are, their rows, files made of them and files loaded into them.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::stream::BoxStream;

use super::Outcome;
use super::beside::{self, Beside};
use super::reach::Reach;
use crate::bindings::tables::load::MOST_BYTES;
use crate::cli::{ExportArgs, ExportFormat, LoadArgs, QueryArgs, QueryFormat, ReadArgs, TableCommand};
use crate::console::answers::{RowsAsk, TableSummary};
use crate::ui;

/// Lists, queries, exports or loads.
///
/// # Errors
/// When there are no data, or what is asked for cannot be done.
pub async fn run(command: &TableCommand) -> anyhow::Result<Outcome> {
    match command {
        TableCommand::List(args) => list(args).await,
        TableCommand::Query(args) => query(args).await,
        TableCommand::Export(args) => export(args).await,
        TableCommand::Load(args) => load(args).await,
    }
}

async fn list(args: &ReadArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let tables = reach.tables().await;
    reach.close().await;
    let tables = tables?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&tables)?)?;
    } else {
        let row = |t: &TableSummary| {
            let sensitive = if t.sensitive { "sensitive" } else { "" };
            let writer = t.writer.clone().unwrap_or_else(|| "(table load)".to_owned());
            [
                t.table.clone(),
                t.rows.map_or_else(|| "?".to_owned(), |rows| rows.to_string()),
                t.key.join(", "),
                writer,
                sensitive.to_owned(),
            ]
        };
        ui::line(ui::table(["TABLE", "ROWS", "KEY", "WRITTEN BY", ""], tables.iter().map(row)))?;
        let troubles: BTreeSet<&String> = tables.iter().filter_map(|t| t.trouble.as_ref()).collect();
        troubles.into_iter().for_each(ui::warn);
    }
    Ok(Outcome::Done)
}

async fn query(args: &QueryArgs) -> anyhow::Result<Outcome> {
    let format = match args.format {
        QueryFormat::Table => None,
        QueryFormat::Csv => Some("csv".to_owned()),
        QueryFormat::Json => Some("json".to_owned()),
    };
    let ask = RowsAsk {
        filter: args.filter.clone(),
        columns: args.columns.as_ref().map(|names| names.join(",")),
        limit: Some(args.limit),
        format,
        sensitive: args.sensitive,
        ..RowsAsk::default()
    };
    let reach = Reach::open(&args.place).await?;
    let shown = if ask.format.is_some() {
        pour(&reach, &args.table, &ask).await
    } else {
        show(&reach, &args.table, &ask).await
    };
    reach.close().await;
    shown.map(|()| Outcome::Done)
}

async fn show(reach: &Reach, table: &str, ask: &RowsAsk) -> anyhow::Result<()> {
    let rows = reach.rows(table, ask).await?;
    let headings: Vec<&str> = rows.columns.iter().map(String::as_str).collect();
    let cells = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect();
    let shown = rows.rows.len() as u64;
    ui::line(ui::columns(&headings, rows.rows.into_iter().map(cells)))?;
    if let Some(notice) = &rows.notice {
        ui::say(ui::visible(notice));
    }
    if rows.more {
        let remedy = match ask.limit {
            Some(limit) if shown < limit => "that is as much as one answer holds; `isobar table export` writes all",
            _ => "name a higher `--limit`, or `isobar table export`",
        };
        ui::say(format_args!("only the first {}; {remedy}", ui::count(shown, "row")));
    }
    Ok(())
}

async fn pour(reach: &Reach, table: &str, ask: &RowsAsk) -> anyhow::Result<()> {
    let mut pieces = reach.export(table, ask).await?;
    while let Some(piece) = pieces.next().await {
        ui::data(&piece?)?;
    }
    Ok(())
}

async fn export(args: &ExportArgs) -> anyhow::Result<Outcome> {
    let format = match args.format {
        ExportFormat::Csv => "csv",
        ExportFormat::Json => "json",
        ExportFormat::Parquet => "parquet",
    };
    let ask = RowsAsk { format: Some(format.to_owned()), sensitive: args.sensitive, ..RowsAsk::default() };
    let reach = Reach::open(&args.place).await?;
    let done = match &args.output {
        None => pour(&reach, &args.table, &ask).await,
        Some(path) => match reach.export(&args.table, &ask).await {
            Ok(pieces) => save(pieces, path, args.sensitive).await,
            Err(error) => Err(error),
        },
    };
    reach.close().await;
    done.map(|()| Outcome::Done)
}

async fn save(pieces: BoxStream<'static, anyhow::Result<Vec<u8>>>, path: &Path, sensitive: bool) -> anyhow::Result<()> {
    let bytes = if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        // A device, a pipe or a link to one is written to; a file in its place would be another thing.
        let file = File::options().write(true).truncate(true).open(path);
        let mut file = file.with_context(|| format!("cannot write `{}`", path.display()))?;
        beside::pour(&mut file, path, pieces, None).await?
    } else {
        let mut file = Beside::begin(path, sensitive)?;
        let bytes = file.pour(pieces, None).await?;
        file.finish()?;
        bytes
    };
    ui::doing("Wrote", format_args!("{} ({})", path.display(), ui::size(bytes)));
    Ok(())
}

async fn load(args: &LoadArgs) -> anyhow::Result<Outcome> {
    let path = args.file.display();
    let size = std::fs::metadata(&args.file).with_context(|| format!("cannot read `{path}`"))?.len();
    anyhow::ensure!(size <= MOST_BYTES as u64, "`{path}` is larger than {} MiB; load it in parts", MOST_BYTES >> 20);
    let file = std::fs::read(&args.file).with_context(|| format!("cannot read `{path}`"))?;
    let reach = Reach::open(&args.place).await?;
    let loaded = reach.load(&args.table, file.into()).await;
    reach.close().await;
    let loaded = loaded?;
    ui::doing("Loaded", format_args!("{} into `{}`", ui::count(loaded.rows, "row"), args.table));
    if !loaded.readers.is_empty() {
        ui::say(format_args!("{} will read their input again", loaded.readers.join(", ")));
    }
    Ok(Outcome::Done)
}
