//! Two small data files beside the main one, for a version that runs in the shadow of the one in charge: in one stands what the
//! version in charge wrote since the shadow began, in the other what the shadow would have written. Both begin as copies of one
//! moment: positions and the tables that the function writes, in the shadow's file its state, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use futures::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use super::past::{Ends, Past, Span, Telling};
use super::{FILE, Folder, Store, backup, folder, options, reserve};
use crate::bindings::tables::schema::{each, physical_name, quoted};
use crate::bindings::tables::sqlite;
use crate::delivery::rows::row_bytes;
use crate::delivery::{Row, outcome};
use crate::manifest::{Application, Column, Function, Table};

/// Bytes of the differences of one table that are held in memory; the one that reaches them is the last.
pub const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Where shadows have their data, below the data folder.
const SHADOWS: &str = "shadows";
/// The source under which it is noted which batches that were only read again a file has.
pub const REREAD: &str = "read again";
/// The files' folders.
const CHARGE: &str = "in-charge";
const SHADOW: &str = "shadow";

/// Both files.
pub struct Mirrors {
    /// What the version in charge wrote.
    pub charge: Arc<Store>,
    /// What the shadow wrote.
    pub shadow: Arc<Store>,
    folder: PathBuf,
}

/// What was compared, and what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Batches.
    pub batches: u64,
    /// Their records.
    pub records: u64,
    /// Microseconds of calls of the version in charge.
    pub charge_micros: u64,
    /// Microseconds of calls of the shadow.
    pub shadow_micros: u64,
}

/// In what the files differ in one table.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The table.
    pub table: Table,
    /// Rows that one of the files has at least.
    pub rows: u64,
    /// Rows that are not the same in both.
    pub differing: u64,
    /// Those of them that only the file of the version in charge has.
    pub only_charge: u64,
    /// Those that only the shadow's has.
    pub only_shadow: u64,
    /// The first of those, by key, as long as they do not take too much memory.
    pub differences: Vec<Difference>,
}

/// A row that is not the same in both files: its cells in the order of the table's columns, where it exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// As the version in charge wrote it.
    pub charge: Option<Row>,
    /// As the shadow wrote it.
    pub shadow: Option<Row>,
}

/// The application as a shadow of `function` has it: with the tables that the function writes, and isobar's own.
#[must_use]
pub fn mirrored(application: &Application, function: &str) -> Application {
    let mut mirrored = application.clone();
    mirrored.tables.retain(|table, _| application.writer_of(table) == Some(function));
    // Wherever they are kept, those of the shadow are in its own file.
    mirrored.tables.values_mut().for_each(|table| table.connection = None);
    mirrored.tables.extend(outcome::tables().map(|table| (table.name.clone(), table)));
    mirrored
}

impl Mirrors {
    /// Makes the files for a shadow of `function`, whose commits are recorded already, as copies of what `main` holds now; where
    /// it replays, the shadow's holds nothing, and the other what the function has made so far; of a part of the past, where spans
    /// are said, both stand at its borders.
    ///
    /// # Errors
    /// When they cannot be written; nothing of them is left then.
    pub async fn make(
        main: &Store,
        place: &str,
        application: Application,
        function: &Function,
        replays: Option<(&[Span], &dyn Past)>,
    ) -> anyhow::Result<Self> {
        ensure_room(main, &application).await?;
        let folder = folder_of(main, place);
        let coming = folder.with_extension("coming");
        let made = async {
            let application = Arc::new(application);
            let mirrors = Self::opened(main, coming.clone(), &application).await?;
            // The writers count what there is when they begin.
            mirrors.close().await;
            drop(mirrors);
            let ends = copy(main, &coming, &application, (&function.name, replays.map(|(spans, _)| spans))).await?;
            if let Some((_, past)) = replays {
                let mirrors = Self::opened(main, coming.clone(), &application).await?;
                let mut telling = Telling::new(&mirrors.charge, function, ends);
                past.tell(&mut telling).await?;
                telling.finish().await?;
                main.tell_stored(&mirrors.charge, function).await?;
                mirrors.close().await;
            }
            // Whole or not at all, whenever the host is killed.
            std::fs::rename(&coming, &folder)?;
            Self::opened(main, folder.clone(), &application).await
        };
        let made = made.await;
        if made.is_err() {
            discard(main, place);
        }
        made.context("a shadow's copy of the data could not be made")
    }

    /// Opens the files again; `None` where they are gone, as in a restored data folder.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn open(main: &Store, place: &str, application: Application) -> anyhow::Result<Option<Self>> {
        let folder = folder_of(main, place);
        if ![CHARGE, SHADOW].iter().all(|side| folder.join(side).join(FILE).exists()) {
            return Ok(None);
        }
        Self::opened(main, folder, &Arc::new(application)).await.map(Some)
    }

    async fn opened(main: &Store, folder: PathBuf, application: &Arc<Application>) -> anyhow::Result<Self> {
        let take = |side: &str| Folder::take(&folder.join(side), main.folder().kind());
        let (charge, shadow) = (take(CHARGE)?, take(SHADOW)?);
        let charge = Arc::new(Store::open(charge, Arc::clone(application)).await?);
        let shadow = Arc::new(Store::open(shadow, Arc::clone(application)).await?);
        Ok(Mirrors { charge, shadow, folder })
    }

    /// Compares all tables; of each, the first differences are given, as many as `most` says of it. Where the shadow made a part of what
    /// there is, only rows count that it made.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub async fn compare(&self, most: impl Fn(&str) -> u32, of_part: bool) -> Result<Vec<Compared>, sqlx::Error> {
        let mut connection = options(&self.shadow_file()).read_only(true).connect().await?;
        attach(&mut connection, &self.folder.join(CHARGE).join(FILE), "charge").await?;
        let mut compared = Vec::new();
        for table in self.shadow.application().tables.values() {
            compared.push(compare(&mut connection, table, most(&table.name), of_part).await?);
        }
        connection.close().await?;
        Ok(compared)
    }

    /// How far both files have come, by source and partition: that of the version in charge and the shadow's.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub async fn places(&self, function: &str) -> Result<BTreeMap<(Arc<str>, u32), (i64, i64)>, sqlx::Error> {
        let mut places: BTreeMap<(Arc<str>, u32), (i64, i64)> = BTreeMap::new();
        for (at, store) in [&self.charge, &self.shadow].into_iter().enumerate() {
            let sql = "SELECT source, partition, next FROM position WHERE function = ?";
            for row in sqlx::query(sql).bind(function).fetch_all(&store.readers).await? {
                let place = places.entry((row.try_get::<String, _>(0)?.into(), row.try_get(1)?)).or_default();
                let next = row.try_get(2)?;
                if at == 0 { place.0 = next } else { place.1 = next }
            }
        }
        Ok(places)
    }

    /// What was compared, and what it took.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub async fn spent(&self) -> Result<Spent, sqlx::Error> {
        let sql = "SELECT count(*), coalesce(sum(records), 0), coalesce(sum(micros), 0) FROM ledger";
        let row = sqlx::query(sql).fetch_one(&self.shadow.readers).await?;
        let charge = sqlx::query(sql).fetch_one(&self.charge.readers).await?;
        let number = |row: &SqliteRow, at: usize| row.try_get::<i64, _>(at).map(i64::unsigned_abs);
        Ok(Spent {
            batches: number(&row, 0)?,
            records: number(&row, 1)?,
            shadow_micros: number(&row, 2)?,
            charge_micros: number(&charge, 2)?,
        })
    }

    /// The shadow's file.
    #[must_use]
    pub fn shadow_file(&self) -> PathBuf {
        self.folder.join(SHADOW).join(FILE)
    }

    /// Closes the files.
    pub async fn close(&self) {
        self.charge.close().await;
        self.shadow.close().await;
    }

    /// Closes the files and removes them.
    pub async fn remove(&self) {
        self.close().await;
        // What stays is no shadow's, and goes with the next start.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Removes what there is of files that were not made whole.
pub fn discard(main: &Store, place: &str) {
    let folder = folder_of(main, place);
    // What stays is no shadow's, and goes with the next start.
    let _ = std::fs::remove_dir_all(folder.with_extension("coming"));
    let _ = std::fs::remove_dir_all(folder);
}

/// Removes files of shadows that are not among `places`.
pub fn sweep(main: &Store, places: &[&str]) {
    let Ok(found) = std::fs::read_dir(main.folder().path().join(SHADOWS)) else { return };
    for entry in found.map_while(Result::ok) {
        if !places.iter().any(|place| entry.file_name() == *place) {
            // The next start tries it again.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn folder_of(main: &Store, place: &str) -> PathBuf {
    main.folder().path().join(SHADOWS).join(place)
}

/// Adds another file to what `connection` sees.
pub(super) async fn attach(connection: &mut SqliteConnection, file: &Path, name: &str) -> Result<(), sqlx::Error> {
    let file = std::path::absolute(file)?;
    let file = file.to_str().ok_or_else(folder::no_text)?;
    sqlx::query(AssertSqlSafe(format!("ATTACH ? AS {name}"))).bind(file).execute(connection).await?;
    Ok(())
}

/// Refuses to begin where both files might not have room.
async fn ensure_room(main: &Store, application: &Application) -> anyhow::Result<()> {
    let mut connection = main.readers.acquire().await?;
    let mut bytes = 0;
    for table in application.tables.keys().map(|table| physical_name(table)).chain(["state".to_owned()]) {
        let sql = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ? AND aggregate = TRUE";
        bytes += sqlx::query(sql).bind(table).fetch_one(&mut *connection).await?.try_get::<i64, _>(0)?.unsigned_abs();
    }
    let folder = main.folder().path();
    let kept = rustix::fs::statvfs(folder).map_or(0, |disk| reserve::kept(&disk, main.folder().kept_free()));
    Ok(backup::ensure_room(folder, 2 * bytes + kept)?)
}

/// Copies what `main` holds of `function` into both files, all of it as of one moment, while others go on to commit; gives where topics
/// ended then.
async fn copy(
    main: &Store,
    folder: &Path,
    application: &Application,
    (function, replays): (&str, Option<&[Span]>),
) -> anyhow::Result<Ends> {
    let mut connection = options(&folder.join(SHADOW).join(FILE)).connect().await?;
    attach(&mut connection, &folder.join(CHARGE).join(FILE), "charge").await?;
    attach(&mut connection, &main.folder().path().join(FILE), "data").await?;
    let mut work = connection.begin().await?;
    let all = [("main", if replays.is_some() { "0" } else { "next" }), ("charge", "next")];
    for (side, next) in all.into_iter().filter(|_| replays.is_none_or(<[Span]>::is_empty)) {
        let sql = format!(
            "INSERT OR REPLACE INTO {side}.position SELECT function, source, partition, {next} FROM data.position WHERE function = ?"
        );
        sqlx::query(AssertSqlSafe(sql)).bind(function).execute(&mut *work).await?;
    }
    for side in ["main", "charge"] {
        // What was read again before is in what is copied.
        let sql = format!(
            "INSERT OR REPLACE INTO {side}.position (function, source, partition, next)
             SELECT function, ?, partition, max(id) FROM data.shadow_batch WHERE function = ? AND reread IS NOT NULL
             GROUP BY function, partition"
        );
        sqlx::query(AssertSqlSafe(sql)).bind(REREAD).bind(function).execute(&mut *work).await?;
    }
    for Span { source, partition, first, next, is_open } in replays.into_iter().flatten() {
        let stands = sqlx::query("SELECT next FROM data.position WHERE function = ? AND source = ? AND partition = ?");
        let stands = stands.bind(function).bind(source.as_ref()).bind(partition).fetch_optional(&mut *work).await?;
        let stands: Option<i64> = stands.filter(|_| *is_open).map(|row| row.try_get(0)).transpose()?;
        for (side, next) in [("main", *first), ("charge", stands.unwrap_or(*next))] {
            let sql = format!(
                "INSERT OR REPLACE INTO {side}.position (function, source, partition, next) VALUES (?, ?, ?, ?)"
            );
            let moved = sqlx::query(AssertSqlSafe(sql)).bind(function).bind(source.as_ref()).bind(partition).bind(next);
            moved.execute(&mut *work).await?;
        }
    }
    if replays.is_none() {
        sqlx::query(
            "INSERT INTO main.state (function, partition, key, value)
             SELECT (SELECT id FROM main.name WHERE name = ?1), partition, key, value FROM data.state
             WHERE function = (SELECT id FROM data.name WHERE name = ?1)",
        )
        .bind(function)
        .execute(&mut *work)
        .await?;
    }
    let running = main.application();
    for (name, table) in &running.tables {
        let Some(declared) = application.tables.get(name).filter(|_| table.is_in_data_folder()) else { continue };
        let both = table.columns.iter().filter(|column| declared.column(&column.name).is_some());
        let columns = both.map(|column| quoted(&column.name)).collect::<Vec<_>>().join(",");
        let physical = quoted(&physical_name(name));
        for side in if replays.is_some() { &["charge"][..] } else { &["main", "charge"] } {
            let sql = format!("INSERT INTO {side}.{physical} ({columns}) SELECT {columns} FROM data.{physical}");
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *work).await?;
        }
    }
    let mut ends = Ends::new();
    for row in sqlx::query("SELECT topic, partition, next FROM data.log_end").fetch_all(&mut *work).await? {
        ends.insert((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?);
    }
    work.commit().await?;
    connection.close().await?;
    Ok(ends)
}

/// Holds a table of the shadow's file (`main`) against that of the version in charge (`charge`).
async fn compare(
    connection: &mut SqliteConnection,
    table: &Table,
    most: u32,
    of_part: bool,
) -> Result<Compared, sqlx::Error> {
    let physical = quoted(&physical_name(&table.name));
    let key = || table.key.iter().map(String::as_str);
    let on = each(key(), "s.? = c.?", " AND ");
    let columns = || table.columns.iter().map(|column| column.name.as_str());
    let differ = each(columns(), "s.? IS NOT c.?", " OR ");
    let (shadows, charges) = (each(columns(), "s.?", ","), each(columns(), "c.?", ","));
    let first = table.key.first().map(|key| quoted(key)).unwrap_or_default();
    let order = each(key(), "coalesce(s.?, c.?)", ",");
    let join = if of_part { "LEFT" } else { "FULL" };
    let from = format!("FROM main.{physical} s {join} JOIN charge.{physical} c ON {on}");
    let counts = format!(
        "SELECT count(*), coalesce(sum({differ}), 0), coalesce(sum(s.{first} IS NULL), 0), coalesce(sum(c.{first} IS NULL), 0) {from}"
    );
    let row = sqlx::query(AssertSqlSafe(counts)).fetch_one(&mut *connection).await?;
    let number = |at: usize| row.try_get::<i64, _>(at).map(i64::unsigned_abs);
    let (rows, differing, only_charge, only_shadow) = (number(0)?, number(1)?, number(2)?, number(3)?);
    let mut differences = Vec::new();
    if differing > 0 && most > 0 {
        let sql = format!(
            "SELECT s.{first} IS NOT NULL, c.{first} IS NOT NULL, {shadows}, {charges} {from} WHERE {differ} ORDER BY {order} LIMIT {most}"
        );
        let kinds: Vec<_> = table.columns.iter().map(|column: &Column| column.kind).collect();
        let difference = |row: SqliteRow| {
            let side = |exists: usize, start: usize| -> Result<Option<Row>, sqlx::Error> {
                let exists: bool = row.try_get(exists)?;
                exists.then(|| sqlite::read(&row, start, &kinds)).transpose()
            };
            Ok(Difference { shadow: side(0, 2)?, charge: side(1, 2 + kinds.len())? })
        };
        let mut found = sqlx::query(AssertSqlSafe(sql)).try_map(difference).fetch(connection);
        let mut bytes = 0;
        while let Some(difference) = found.try_next().await?.filter(|_| bytes < MOST_BYTES) {
            bytes += [&difference.charge, &difference.shadow].into_iter().flatten().map(row_bytes).sum::<usize>();
            differences.push(difference);
        }
    }
    Ok(Compared { table: table.clone(), rows, differing, only_charge, only_shadow, differences })
}
