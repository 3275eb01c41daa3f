//! What a shadow made, held against what the version in charge made of the same batches: for people, and as what has to be written
//! when the shadow takes over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Running, ShadowError};
use crate::bindings::tables::text;
use crate::delivery::outcome::{PUBLISHED, bytes, is_own};
use crate::delivery::{self, Packed, Published, Value};
use crate::embedded::Store;
use crate::embedded::mirrors::{Compared, Difference};
use crate::embedded::shadows::{Extent, Shadow};
use crate::manifest::Table;

/// Rows and records in which a shadow may differ when it takes over: they are written in one transaction, which others wait for.
pub const MOST_AMENDED: u64 = 100_000;
/// Keys whose last records are published when a shadow or a replay takes over: they are held in memory.
pub const MOST_PUBLISHED: u32 = 100_000;

/// A shadow beside the version in charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    /// The function.
    pub function: String,
    /// The shadow's version: SHA-256, in hex.
    pub version: String,
    /// Since when it follows, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Whether it began with nothing at the beginning of the log, and not as a copy.
    pub replays: bool,
    /// Whether it replays a part of the past, and only rows are compared that it made.
    pub of_part: bool,
    /// Whether it reads tables that others write, of which it has seen what stands in them now.
    pub reads_others: bool,
    /// Whether the same version made all that it was compared with.
    pub same_version: bool,
    /// Whether other hosts went on while the tables were read with which it is compared.
    pub beside_others: bool,
    /// Why it does not go on, if it does not; then nothing is compared.
    pub ended: Option<String>,
    /// Whether it still has batches to handle that were handled before it began.
    pub past: bool,
    /// Records that it has not compared yet.
    pub behind: u64,
    /// Batches that it has compared.
    pub batches: u64,
    /// Their records.
    pub records: u64,
    /// Microseconds that the version in charge took for them.
    pub charge_micros: u64,
    /// Microseconds that the shadow took.
    pub shadow_micros: u64,
    /// Why the shadow refused records last, if it did.
    pub failure: Option<String>,
    /// Rows that are not the same, and keys whose last records are not, and records that one of both refused.
    pub differing: u64,
    /// By table.
    pub tables: Vec<TableComparison>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableComparison {
    /// Its name; of isobar's own, what stands in it.
    pub table: String,
    /// Rows that one of both has at least.
    pub rows: u64,
    /// Rows that are not the same.
    pub differing: u64,
    /// Those of them that only the version in charge has.
    pub only_charge: u64,
    /// Those that only the shadow has.
    pub only_shadow: u64,
    /// The first of them, where they may be shown.
    pub first: Vec<RowDifference>,
    /// Whether values are not shown because they were not asked for and are sensitive.
    pub hidden: bool,
}

/// A row that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RowDifference {
    /// The key's columns and cells.
    pub key: Vec<(String, String)>,
    /// Whether the version in charge has it.
    pub in_charge: bool,
    /// Whether the shadow has it.
    pub in_shadow: bool,
    /// Its other cells that are not the same.
    pub cells: Vec<CellDifference>,
}

/// A cell that is not the same; `None` for null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CellDifference {
    /// The column.
    pub column: String,
    /// As the version in charge wrote it.
    pub charge: Option<String>,
    /// As the shadow wrote it.
    pub shadow: Option<String>,
}

/// In what tables and topics would change so that they are as the shadow has them.
#[derive(Default)]
pub struct Amends {
    /// Rows and records in which the two differ.
    pub differing: u64,
    /// Keys whose last records are not the same.
    pub unpublished: u64,
    /// Whether those are more than [`MOST_PUBLISHED`], or too large.
    pub is_too_much: bool,
    /// The records by topic, unless they are too much.
    pub published: BTreeMap<String, Vec<Published>>,
}

impl Running {
    /// Compares it with the version in charge as far as it has come; of each table the first `most` differences are given, those of
    /// sensitive data where they are asked for.
    ///
    /// # Errors
    /// When its data cannot be read.
    pub async fn compare(&self, store: &Store, most: u32, sensitive: bool) -> Result<Comparison, ShadowError> {
        let behind = self.behind(store).await?;
        let held = self.data.lock().await;
        let data = held.as_ref().ok_or_else(|| self.gone())?;
        let (past, name, version) = (data.past.is_some(), &self.shadow.function, &self.shadow.version);
        let compared = data.mirrors.compare(|_| most, self.shadow.extent == Extent::Part).await?;
        let spent = data.mirrors.spent().await?;
        let (charge_micros, by_others) = match self.shadow.replays {
            true if self.is_shared => data.told,
            true => store.spent_on(&data.mirrors.shadow, name, version).await?,
            false => (spent.charge_micros, store.was_run_by_others(name, version).await?),
        };
        drop(held);
        let is_hidden = |column: Option<&str>, table: &Table| {
            let column = column.and_then(|column| table.column(column)).is_some_and(|column| column.sensitive);
            let own = is_own(&table.name) && self.hides;
            !sensitive && (table.sensitive || column || own)
        };
        let tables: Vec<TableComparison> = compared.into_iter().map(|c| shown(c, &is_hidden)).collect();
        Ok(Comparison {
            behind,
            past,
            batches: spent.batches,
            records: spent.records,
            charge_micros,
            shadow_micros: spent.shadow_micros,
            failure: self.failure(),
            reads_others: self.reads_others(),
            same_version: !by_others,
            beside_others: self.beside_others,
            differing: tables.iter().map(|table| table.differing).sum(),
            tables,
            ..Comparison::of(&self.shadow)
        })
    }

    fn reads_others(&self) -> bool {
        let (application, function) = (&self.version.application, &self.version.function);
        let mut grants = function.grants.tables.iter();
        grants.any(|(table, grant)| {
            application.writer_of(table) != Some(&function.name) && grant.operations.iter().any(|o| !o.writes())
        })
    }

    /// What has to be written when it takes over.
    ///
    /// # Errors
    /// When its data cannot be read.
    pub async fn amends(&self) -> Result<Amends, ShadowError> {
        let held = self.data.lock().await;
        let data = held.as_ref().ok_or_else(|| self.gone())?;
        let mut amends = Amends::default();
        let most = |table: &str| if table == PUBLISHED { MOST_PUBLISHED } else { 0 };
        for Compared { table, differing, differences, .. } in data.mirrors.compare(most, false).await? {
            amends.differing += differing;
            if table.name == PUBLISHED {
                amends.unpublished = differing;
                amends.is_too_much = (differences.len() as u64) < differing;
                amends.published = published(&differences);
            }
        }
        Ok(amends)
    }
}

/// The last records of the shadow.
fn published(differences: &[Difference]) -> BTreeMap<String, Vec<Published>> {
    let mut topics: BTreeMap<String, (Packed, Packed)> = BTreeMap::new();
    for row in differences.iter().filter_map(|difference| difference.shadow.as_ref()) {
        let [Value::Text(topic), Value::Text(key), value] = row.as_slice() else { continue };
        let Some(key) = bytes(key) else { continue };
        let value = if let Value::Text(value) = value { bytes(value) } else { None };
        let (keys, values) = topics.entry(topic.clone()).or_default();
        keys.push(Some(&key));
        values.push(value.as_deref());
    }
    topics.into_iter().map(|(topic, (keys, values))| (topic, vec![Published { keys, values, round: 0 }])).collect()
}

fn key_of<'r>(table: &'r Table, row: &'r delivery::Row) -> Vec<(&'r str, &'r Value)> {
    let cell = |key: &'r String| {
        let at = table.columns.iter().position(|column| column.name == *key)?;
        Some((key.as_str(), row.get(at)?))
    };
    table.key.iter().filter_map(cell).collect()
}

fn shown(compared: Compared, is_hidden: &impl Fn(Option<&str>, &Table) -> bool) -> TableComparison {
    let Compared { table, rows, differing, only_charge, only_shadow, differences } = compared;
    let all_hidden = is_hidden(None, &table) || table.key.iter().any(|key| is_hidden(Some(key), &table));
    let mut some_hidden = all_hidden;
    let first = match all_hidden {
        true => Vec::new(),
        false => differences.iter().map(|difference| row(&table, difference, is_hidden, &mut some_hidden)).collect(),
    };
    let (hidden, table) = (some_hidden && differing > 0, table.name);
    TableComparison { table, rows, differing, only_charge, only_shadow, first, hidden }
}

fn row(
    table: &Table,
    difference: &Difference,
    is_hidden: &impl Fn(Option<&str>, &Table) -> bool,
    some_hidden: &mut bool,
) -> RowDifference {
    let written = |name: &str, value: &Value| -> Option<String> {
        let kind = table.column(name)?.kind;
        (*value != Value::Null).then(|| text::cell(kind, value))
    };
    let row = difference.shadow.as_ref().or(difference.charge.as_ref());
    let key = row.map(|row| key_of(table, row)).unwrap_or_default();
    let key = key.into_iter().map(|(name, cell)| (name.to_owned(), written(name, cell).unwrap_or_default()));
    let mut cells = Vec::new();
    for (at, column) in table.columns.iter().enumerate().filter(|(_, column)| !table.is_key(&column.name)) {
        let cell =
            |row: &Option<delivery::Row>| row.as_ref().and_then(|row| row.get(at)).cloned().unwrap_or(Value::Null);
        let (charge, shadow) = (cell(&difference.charge), cell(&difference.shadow));
        if charge == shadow {
            continue;
        }
        if is_hidden(Some(&column.name), table) {
            *some_hidden = true;
            continue;
        }
        let (charge, shadow) = (written(&column.name, &charge), written(&column.name, &shadow));
        cells.push(CellDifference { column: column.name.clone(), charge, shadow });
    }
    let (in_charge, in_shadow) = (difference.charge.is_some(), difference.shadow.is_some());
    RowDifference { key: key.collect(), in_charge, in_shadow, cells }
}

impl Comparison {
    /// What is known of a shadow that compares nothing.
    #[must_use]
    pub fn of(shadow: &Shadow) -> Self {
        Comparison {
            function: shadow.function.clone(),
            version: shadow.version.clone(),
            since_ms: shadow.at_ms,
            replays: shadow.replays,
            of_part: shadow.extent == Extent::Part,
            reads_others: false,
            same_version: false,
            beside_others: false,
            ended: shadow.ended.clone(),
            behind: 0,
            past: shadow.past,
            batches: 0,
            records: 0,
            charge_micros: 0,
            shadow_micros: 0,
            failure: None,
            differing: 0,
            tables: Vec::new(),
        }
    }
}
