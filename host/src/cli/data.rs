//! What the commands take that look into tables and topics, or fill tables.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{PlaceArgs, ReadArgs};

/// What can be done with tables.
#[derive(Debug, Subcommand)]
pub enum TableCommand {
    /// List the tables
    List(ReadArgs),
    /// Show rows of a table
    Query(QueryArgs),
    /// Write a whole table to a file or to stdout
    Export(ExportArgs),
    /// Load a CSV file into a table; all of it or nothing
    Load(LoadArgs),
}

/// What `table query` takes.
#[derive(Debug, Clone, Args)]
pub struct QueryArgs {
    /// The table
    pub table: String,
    /// Where to look.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Only rows that meet it: `column op literal and …`, op being = != < <= > >= in, is null, is not null
    #[arg(long = "where", value_name = "CONDITION")]
    pub filter: Option<String>,
    /// Only these columns, in this order
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// Most rows
    #[arg(long, value_name = "ROWS", default_value_t = 100)]
    pub limit: u64,
    /// How to write them
    #[arg(long, value_enum, default_value_t = QueryFormat::Table)]
    pub format: QueryFormat,
    /// Sensitive tables and columns too
    #[arg(long)]
    pub sensitive: bool,
}

/// How `table query` writes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueryFormat {
    /// For people.
    Table,
    /// Comma-separated.
    Csv,
    /// One document.
    Json,
}

/// What `table export` takes.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The table
    pub table: String,
    /// Where to look.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How to write it
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// The file; stdout where it is left out
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Sensitive tables and columns too
    #[arg(long)]
    pub sensitive: bool,
}

/// How `table export` writes a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Comma-separated.
    Csv,
    /// One document.
    Json,
    /// Apache Parquet.
    Parquet,
}

/// What `table load` takes.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// The table
    pub table: String,
    /// The CSV file; its first line names the columns
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to load it.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// What can be done with topics.
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// List the topics
    List(ReadArgs),
    /// Show records of a topic
    Read(TopicReadArgs),
}

/// What `topic read` takes.
#[derive(Debug, Clone, Args)]
pub struct TopicReadArgs {
    /// The topic
    pub topic: String,
    /// Where to look.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Only this partition
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<u32>,
    /// From this offset on [default: the oldest record kept]
    #[arg(long, value_name = "OFFSET")]
    pub from: Option<i64>,
    /// Most records of each partition
    #[arg(long, value_name = "RECORDS", default_value_t = 20)]
    pub limit: u32,
    /// As JSON, a record per line
    #[arg(long)]
    pub json: bool,
    /// Sensitive topics too
    #[arg(long)]
    pub sensitive: bool,
}
