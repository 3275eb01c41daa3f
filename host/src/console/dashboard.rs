//! What the first page shows, as the application says it in `dashboard.toml`: which tables and columns, in which kinds of charts. What
//! it means is the page's and the application's business.

mod check;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use check::{FILE, read};

/// The first page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// Its title.
    pub title: String,
    /// What one chooses.
    pub subject: Subject,
    /// Which years of a subject are full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub years: Option<Years>,
    /// Colours of values, by name.
    #[serde(default)]
    pub scales: BTreeMap<String, Scale>,
    /// The charts, in their order.
    pub charts: Vec<Chart>,
}

/// What one chooses: a row of a table, by its key. All tables that are shown hold that column, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// What it is called.
    pub title: String,
    /// The table.
    pub table: String,
    /// The column.
    pub key: String,
    /// The column that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What else is said of it.
    #[serde(default)]
    pub details: Vec<Shown>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Map>,
}

/// Where subjects are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubjectMap)]
pub struct Map {
    /// The column with degrees north.
    pub latitude: String,
    /// The column with degrees east.
    pub longitude: String,
    /// The file with the outline, as GeoJSON; then what is in it.
    pub outline: serde_json::Value,
    /// What the dots' colours mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<Coloured>,
}

/// What a colour means: the last cell of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Coloured {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// The column by which the last row is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What it is called.
    pub title: String,
    /// Its unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<String>,
}

/// Which years are full: those with enough of what is counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Years {
    /// The table, with a row for each year.
    pub table: String,
    /// The column with the year.
    pub when: String,
    /// The column that counts.
    pub column: String,
    /// How many there can be.
    pub of: Whole,
    /// The share that is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enough: Option<f64>,
}

/// A diverging scale: `middle` has no colour, `middle ± reach` the strongest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The value without colour.
    pub middle: f64,
    /// How far the ends are from it.
    pub reach: f64,
}

/// How many there can be of what is counted: a number, or what another column says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Whole {
    /// Always so many.
    Number(f64),
    /// The column that says it.
    Column(String),
}

/// Of how much a figure is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Complete {
    /// The column that counts.
    pub column: String,
    /// How many there can be.
    pub of: Whole,
    /// The share that is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enough: Option<f64>,
    /// What is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// A column as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ShownColumn)]
pub struct Shown {
    /// The column.
    pub column: String,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The scale of its colours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<String>,
    /// Which of two axes it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axis: Option<u8>,
}

/// What lies between two columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChartBand)]
pub struct Band {
    /// The lower one.
    pub low: String,
    /// The upper one.
    pub high: String,
    /// What it is called.
    pub title: String,
}

/// How a chart shows what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ChartKind)]
pub enum Kind {
    /// The highest or lowest cell of a column, and when.
    Gauge,
    /// How many rows there are.
    Count,
    /// Columns over time.
    Lines,
    /// A colour for each year.
    Stripes,
    /// Columns as rows, years as columns.
    Matrix,
    /// A share by year and month.
    Completeness,
    /// Rows as they are.
    Table,
}

/// Which cell of a column a gauge shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = GaugePick)]
pub enum Pick {
    /// The highest.
    Highest,
    /// The lowest.
    Lowest,
}

/// A chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// Names it in addresses.
    pub id: String,
    /// How it shows what it shows.
    pub kind: Kind,
    /// What it is called.
    pub title: String,
    /// The table.
    pub table: String,
    /// The column with the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// A sentence under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether it takes the whole width.
    #[serde(default)]
    pub wide: bool,
    /// The unit of its figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The column of a gauge, of stripes, of completeness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Which cell a gauge shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
    /// Where a gauge begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<f64>,
    /// Where it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// The scale of its colours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<String>,
    /// Which rows are counted.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Shown>,
    /// What lies between two lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub band: Option<Band>,
    /// The rows of a matrix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Shown>,
    /// The columns of a table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Shown>,
    /// Of how much a figure is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<Complete>,
    /// Whether a part of the time can be chosen.
    #[serde(default)]
    pub zoom: bool,
    /// Whether the mean of each day over the full years is drawn.
    #[serde(default)]
    pub long_term_mean: bool,
    /// Whether years can be laid over each other.
    #[serde(default)]
    pub overlay_years: bool,
}
