//! Reads `dashboard.toml`, and holds it against the application: a name that it does not have would leave an empty chart.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Component, Path};

use anyhow::{Context as _, bail, ensure};

use super::{Chart, Dashboard, Kind, Scale, Shown, Whole};
use crate::bindings::tables::filter;
use crate::manifest::{Application, Column, Table, nearest};

/// The file's name, beside spin.toml.
pub const FILE: &str = "dashboard.toml";
/// Bytes of the file, and of the outline: they go to every page.
const MOST_BYTES: u64 = 1024 * 1024;
/// Charts of one page.
const MOST_CHARTS: usize = 64;

/// What `dashboard.toml` in `root` says, if there is one.
///
/// # Errors
/// What is wrong with it, for `application`.
pub fn read(root: &Path, application: &Application) -> anyhow::Result<Option<Dashboard>> {
    let path = root.join(FILE);
    let Some(text) = small(&path)? else { return Ok(None) };
    let said = || format!("`{}` cannot be shown", path.display());
    let mut dashboard: Dashboard = toml::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{}", error.to_string().trim_end()))
        .with_context(said)?;
    dashboard.fits(application).with_context(said)?;
    if let Some(map) = &mut dashboard.subject.map {
        map.outline = outline(root, &map.outline).with_context(said)?;
    }
    Ok(Some(dashboard))
}

fn small(path: &Path) -> anyhow::Result<Option<String>> {
    let unreadable = || format!("cannot read `{}`", path.display());
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(unreadable),
        Ok(found) => ensure!(
            found.len() <= MOST_BYTES,
            "`{}` has {} bytes, and {MOST_BYTES} can be shown: leave something out",
            path.display(),
            found.len()
        ),
    }
    Ok(Some(std::fs::read_to_string(path).with_context(unreadable)?))
}

/// The GeoJSON of the file that `named` names.
fn outline(root: &Path, named: &serde_json::Value) -> anyhow::Result<serde_json::Value> {
    let Some(name) = named.as_str() else { bail!("`outline` is the name of a file beside it, as text") };
    let is_beside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    ensure!(is_beside, "`outline = \"{name}\"` is not in the folder of spin.toml, or below it: put it there");
    let text = small(&root.join(name))?;
    let text = text.with_context(|| format!("`outline`: there is no file `{name}` in the folder of spin.toml"))?;
    let geo: serde_json::Value = serde_json::from_str(&text).with_context(|| format!("`{name}` is not JSON"))?;
    ensure!(geo.get("type").is_some(), "`{name}` is not GeoJSON: it has no `type`");
    Ok(geo)
}

impl Dashboard {
    /// Refuses names that the application does not have, and charts that say too little.
    ///
    /// # Errors
    /// The first thing that is wrong, and the remedy.
    pub fn fits(&self, application: &Application) -> anyhow::Result<()> {
        let place = Place { application, key: &self.subject.key, scales: &self.scales };
        self.check_subject(&place).context("[subject]")?;
        if let Some(years) = &self.years {
            let table = place.table(&years.table).context("[years]")?;
            has(table, [&years.when, &years.column]).context("[years]")?;
            years.of.check(table).and_then(|()| share(years.enough)).context("[years]")?;
        }
        for (name, scale) in &self.scales {
            let is_scale = scale.middle.is_finite() && scale.reach.is_finite() && scale.reach > 0.0;
            ensure!(is_scale, "[scales.{name}]: `reach` is a number above 0, and `middle` a number");
        }
        ensure!(
            self.charts.len() <= MOST_CHARTS,
            "{} charts are too many: {MOST_CHARTS} can be shown",
            self.charts.len()
        );
        let mut ids = BTreeSet::new();
        for chart in &self.charts {
            let is_id = !chart.id.is_empty() && chart.id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            ensure!(is_id, "`id = \"{}\"`: take letters, digits and `-`", chart.id);
            ensure!(ids.insert(&chart.id), "two charts have the id `{}`: name one otherwise", chart.id);
            chart.check(&place).with_context(|| format!("chart `{}`", chart.id))?;
        }
        Ok(())
    }

    fn check_subject(&self, place: &Place<'_>) -> anyhow::Result<()> {
        let table = place.table(&self.subject.table)?;
        has(table, &self.subject.name)?;
        place.shown(table, &self.subject.details)?;
        let Some(map) = &self.subject.map else { return Ok(()) };
        has(table, [&map.latitude, &map.longitude])?;
        if let Some(color) = &map.color {
            let table = place.table(&color.table)?;
            has(table, [&color.column])?;
            has(table, &color.when)?;
            place.scale(color.scale.as_ref())?;
        }
        Ok(())
    }
}

impl Chart {
    fn check(&self, place: &Place<'_>) -> anyhow::Result<()> {
        let table = place.table(&self.table)?;
        let Chart { kind, .. } = self;
        let wants = |is_there: bool, what: &str| -> anyhow::Result<()> {
            ensure!(is_there, "it says nothing of `{what}`, and a chart of this kind needs it");
            Ok(())
        };
        wants(self.when.is_some() || *kind == Kind::Table, "when")?;
        let of_column = matches!(kind, Kind::Gauge | Kind::Stripes | Kind::Completeness);
        wants(self.column.is_some() || !of_column, "column")?;
        wants(self.pick.is_some() || *kind != Kind::Gauge, "pick")?;
        wants((self.from.is_some() && self.to.is_some()) || *kind != Kind::Gauge, "from` and `to")?;
        if let Some((from, to)) = self.from.zip(self.to) {
            let ascends = from.is_finite() && to.is_finite() && from < to;
            ensure!(ascends, "`from = {from}` and `to = {to}`: two numbers are meant, the lower one first");
        }
        wants(!self.series.is_empty() || *kind != Kind::Lines, "series")?;
        wants(!self.rows.is_empty() || *kind != Kind::Matrix, "rows")?;
        wants(!self.columns.is_empty() || *kind != Kind::Table, "columns")?;
        has(table, self.when.iter().chain(&self.column))?;
        has(table, self.band.iter().flat_map(|band| [&band.low, &band.high]))?;
        for shown in [&self.series, &self.rows, &self.columns] {
            place.shown(table, shown)?;
        }
        if let Some(complete) = &self.complete {
            has(table, [&complete.column])?;
            complete.of.check(table)?;
            share(complete.enough)?;
        }
        if let Some(condition) = &self.filter {
            let columns: Vec<&Column> = table.columns.iter().collect();
            filter::parse(condition, &columns).context("`where`")?;
        }
        place.scale(self.scale.as_ref())
    }
}

impl Whole {
    fn check(&self, table: &Table) -> anyhow::Result<()> {
        match self {
            Whole::Column(column) => has(table, [column]),
            Whole::Number(number) => {
                ensure!(number.is_finite() && *number > 0.0, "`of = {number}`: a number above 0 is meant");
                Ok(())
            }
        }
    }
}

fn share(enough: Option<f64>) -> anyhow::Result<()> {
    let is_share = enough.is_none_or(|enough| enough > 0.0 && enough <= 1.0);
    ensure!(is_share, "`enough` is a share: above 0, and 1 at the most");
    Ok(())
}

/// What names are held against.
struct Place<'a> {
    application: &'a Application,
    key: &'a String,
    scales: &'a BTreeMap<String, Scale>,
}

impl<'a> Place<'a> {
    /// A table of the application that holds the subject's key.
    fn table(&self, name: &str) -> anyhow::Result<&'a Table> {
        let tables = &self.application.tables;
        let Some(table) = tables.get(name) else {
            bail!("spin.toml has no table `{name}`{}", meant(name, tables.keys().map(String::as_str)));
        };
        has(table, [self.key])?;
        Ok(table)
    }

    fn shown(&self, table: &Table, shown: &[Shown]) -> anyhow::Result<()> {
        has(table, shown.iter().map(|shown| &shown.column))?;
        for Shown { column, axis, .. } in shown {
            ensure!(axis.is_none_or(|axis| axis < 2), "`{column}`: `axis` is 0 or 1");
        }
        shown.iter().try_for_each(|shown| self.scale(shown.scale.as_ref()))
    }

    fn scale(&self, name: Option<&String>) -> anyhow::Result<()> {
        let Some(name) = name.filter(|name| !self.scales.contains_key(*name)) else { return Ok(()) };
        bail!("there is no [scales.{name}]{}", meant(name, self.scales.keys().map(String::as_str)))
    }
}

/// Refuses columns that a table does not have.
fn has<'n>(table: &Table, names: impl IntoIterator<Item = &'n String>) -> anyhow::Result<()> {
    for name in names {
        let columns = || table.columns.iter().map(|column| column.name.as_str());
        ensure!(
            columns().any(|column| column == name),
            "table `{}` has no column `{name}`{}",
            table.name,
            meant(name, columns())
        );
    }
    Ok(())
}

fn meant<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    nearest(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::samples::application;

    const GOOD: &str = r#"
title = "Sales"
[subject]
title = "Shop"
table = "totals"
key = "shop"
[scales.money]
middle = 0.0
reach = 10.0
[[charts]]
id = "best"
kind = "gauge"
title = "Best day"
table = "totals"
column = "sum"
when = "day"
pick = "highest"
from = 0.0
to = 100.0
scale = "money"
[[charts]]
id = "good"
kind = "count"
title = "Good days"
table = "totals"
when = "day"
where = "sum > 50"
"#;

    fn read_text(text: &str) -> anyhow::Result<Option<Dashboard>> {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(FILE), text).unwrap();
        std::fs::write(root.path().join("land.json"), r#"{"type":"Polygon"}"#).unwrap();
        read(root.path(), &application())
    }

    #[test]
    fn a_dashboard_is_read_as_it_is_written() {
        let dashboard = read_text(GOOD).unwrap().unwrap();
        assert_eq!(dashboard.charts.iter().map(|chart| chart.kind).collect::<Vec<_>>(), [Kind::Gauge, Kind::Count]);
        let told = serde_json::to_value(&dashboard).unwrap();
        assert_eq!(told["charts"][1]["where"], "sum > 50");
        assert!(told["charts"][1].get("column").is_none(), "what is not said is not told");
        let empty = tempfile::tempdir().unwrap();
        assert!(read(empty.path(), &application()).unwrap().is_none());
    }

    #[test]
    fn the_outline_comes_from_a_file_beside_it() {
        let map = |outline: &str| {
            let map = format!(
                "[subject.map]\nlatitude = \"sum\"\nlongitude = \"sum\"\noutline = \"{outline}\"\n[scales.money]"
            );
            read_text(&GOOD.replace("[scales.money]", &map))
        };
        assert_eq!(map("land.json").unwrap().unwrap().subject.map.unwrap().outline["type"], "Polygon");
        for (outline, error) in [
            ("../land.json", "not in the folder"),
            ("/etc/hosts", "not in the folder"),
            ("sea.json", "there is no file `sea.json`"),
        ] {
            let told = format!("{:#}", map(outline).unwrap_err());
            assert!(told.contains(error), "{told}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_the_remedy() {
        for (from, to, error) in [
            (
                "column = \"sum\"",
                "column = \"summ\"",
                "chart `best`: table `totals` has no column `summ`; did you mean `sum`?",
            ),
            (
                "table = \"totals\"\ncolumn",
                "table = \"total\"\ncolumn",
                "spin.toml has no table `total`; did you mean `totals`?",
            ),
            ("id = \"good\"", "id = \"best\"", "two charts have the id `best`"),
            ("id = \"good\"", "id = \"a b\"", "take letters, digits and `-`"),
            ("pick = \"highest\"\n", "", "it says nothing of `pick`"),
            ("to = 100.0", "to = -1.0", "`from = 0` and `to = -1`: two numbers are meant"),
            ("to = 100.0", "to = inf", "`to = inf`: two numbers are meant"),
            ("where =", "complete = { column = \"sum\", of = 1, enough = 97 }\nwhere =", "`enough` is a share"),
            ("where =", "complete = { column = \"sum\", of = nan }\nwhere =", "`of = NaN`"),
            ("sum > 50", "sum >> 50", "chart `good`: `where`"),
            ("scale = \"money\"", "scale = \"mony\"", "there is no [scales.mony]; did you mean `money`?"),
            ("reach = 10.0", "reach = 0.0", "[scales.money]: `reach` is a number above 0"),
            ("key = \"shop\"", "key = \"store\"", "[subject]: table `totals` has no column `store`"),
            ("kind = \"count\"", "kind = \"pie\"", "unknown variant `pie`"),
            ("title = \"Sales\"", "titel = \"Sales\"", "unknown field `titel`"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let told = format!("{:#}", read_text(&GOOD.replace(from, to)).unwrap_err());
            assert!(told.contains(error), "{told}");
            assert!(told.contains("dashboard.toml` cannot be shown"), "{told}");
        }
    }
}
