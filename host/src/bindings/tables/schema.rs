//! The physical tables of the embedded SQLite file: made as spin.toml declares them, compared with what was declared
//! before, and refused where the two differ in more than new columns that may be null. Not the rows: see `sqlite`.

use std::collections::BTreeMap;
use std::fmt::Write;

use sqlx::{AssertSqlSafe, Connection, Row as _, SqliteConnection};

use super::TableError;
use crate::manifest::{Column, ColumnKind, Table};

/// What helps where stored tables do not fit.
const ANEW: &str = "start with an empty data folder, which computes everything anew";
/// What was declared when the physical tables were made. A physical table is called `table_…`, so none is called so.
const RECORD: &str = "CREATE TABLE IF NOT EXISTS tables_schema (
    table_name TEXT NOT NULL,
    column_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    nullable INTEGER NOT NULL,
    key_position INTEGER,
    PRIMARY KEY (table_name, column_name)
) STRICT, WITHOUT ROWID";

/// Makes the declared tables that are missing and adds declared columns that may be null, in one transaction. Tables
/// that are stored but no longer declared stay as they are.
///
/// # Errors
/// [`TableError::Schema`] with one line per difference that cannot be made up for, nothing being changed then;
/// [`TableError::Store`] when SQLite fails.
pub async fn prepare(conn: &mut SqliteConnection, tables: &BTreeMap<String, Table>) -> Result<(), TableError> {
    let mut work = conn.begin().await?;
    sqlx::query(RECORD).execute(&mut *work).await?;
    let mut stored = recorded(&mut work).await?;
    let mut differences = Vec::new();
    let mut changes = Vec::new();
    for table in tables.values() {
        let columns = stored.remove(&table.name);
        if let Some(connection) = table.connection.as_ref().filter(|_| !table.is_in_data_folder()) {
            if columns.is_some() && has_rows(&mut work, table).await? {
                differences.push(format!(
                    "table `{}` has rows in the data folder, and isobar.toml puts it into `{connection}`: {ANEW}, or leave \
                     the table where it is",
                    table.name
                ));
            }
            continue;
        }
        match columns {
            None => changes.push((table, table.columns.iter().collect(), create(table))),
            Some(columns) => match added(table, &columns, &format!("or {ANEW}")) {
                Ok(new) => {
                    let alter = |column: &&Column| {
                        format!("ALTER TABLE {} ADD COLUMN {};", physical(&table.name), column_sql(column))
                    };
                    let sql: String = new.iter().map(alter).collect();
                    if !new.is_empty() {
                        changes.push((table, new, sql));
                    }
                }
                Err(found) => differences.extend(found),
            },
        }
    }
    if !differences.is_empty() {
        return Err(TableError::Schema(differences.join("\n")));
    }
    for (table, columns, sql) in changes {
        // Only names that spin.toml may hold, quoted, and words of this file.
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *work).await?;
        for column in columns {
            record(&mut work, table, column).await?;
        }
    }
    work.commit().await?;
    Ok(())
}

async fn has_rows(conn: &mut SqliteConnection, table: &Table) -> Result<bool, TableError> {
    let sql = format!("SELECT 1 FROM {} LIMIT 1", physical(&table.name));
    Ok(sqlx::query(AssertSqlSafe(sql)).fetch_optional(conn).await?.is_some())
}

/// A column as it was declared when it was stored.
#[derive(Debug, PartialEq)]
pub(crate) struct Stored {
    /// Its name.
    pub(crate) name: String,
    /// What it holds, as spin.toml names it; else as the store does.
    pub(crate) kind: String,
    /// Whether it may be null.
    pub(crate) nullable: bool,
    /// Its place in the key, from 0.
    pub(crate) key_position: Option<usize>,
}

impl Stored {
    fn of(table: &Table, column: &Column) -> Self {
        Stored {
            name: column.name.clone(),
            kind: column.kind.name().to_owned(),
            nullable: column.nullable,
            key_position: table.key.iter().position(|k| *k == column.name),
        }
    }

    /// As spin.toml would declare it.
    fn words(&self) -> String {
        let kind = format!("{}{}", self.kind, if self.nullable { "?" } else { "" });
        self.key_position.map_or_else(|| kind.clone(), |at| format!("{kind}, part {} of the key", at + 1))
    }
}

async fn recorded(conn: &mut SqliteConnection) -> Result<BTreeMap<String, Vec<Stored>>, TableError> {
    let rows = sqlx::query("SELECT table_name, column_name, kind, nullable, key_position FROM tables_schema")
        .fetch_all(conn)
        .await?;
    let mut tables: BTreeMap<String, Vec<Stored>> = BTreeMap::new();
    for row in rows {
        tables.entry(row.try_get(0)?).or_default().push(Stored {
            name: row.try_get(1)?,
            kind: row.try_get(2)?,
            nullable: row.try_get(3)?,
            key_position: row.try_get::<Option<i64>, _>(4)?.and_then(|at| usize::try_from(at).ok()),
        });
    }
    Ok(tables)
}

async fn record(conn: &mut SqliteConnection, table: &Table, column: &Column) -> Result<(), TableError> {
    let record = Stored::of(table, column);
    sqlx::query("INSERT INTO tables_schema VALUES (?, ?, ?, ?, ?)")
        .bind(&table.name)
        .bind(record.name)
        .bind(record.kind)
        .bind(record.nullable)
        .bind(record.key_position.and_then(|at| i64::try_from(at).ok()))
        .execute(conn)
        .await?;
    Ok(())
}

/// The declared columns that are not stored yet, or why the table cannot become what is declared.
/// `remedy` says what else helps, as `or …`.
pub(crate) fn added<'t>(table: &'t Table, stored: &[Stored], remedy: &str) -> Result<Vec<&'t Column>, Vec<String>> {
    let mut differences = Vec::new();
    let mut new = Vec::new();
    for column in &table.columns {
        let declared = Stored::of(table, column);
        let name = &column.name;
        match stored.iter().find(|s| s.name == *name) {
            Some(before) if *before == declared => {}
            Some(before) => differences.push(format!(
                "table `{}` is stored with column `{name}` as `{}`, and declared with `{}`: declare it as before, {remedy}",
                table.name,
                before.words(),
                declared.words()
            )),
            None if column.nullable && declared.key_position.is_none() => new.push(column),
            None => differences.push(format!(
                "table `{}` is stored without column `{name}`, declared as `{}`: let it be null (`{}?`), {remedy}",
                table.name,
                declared.words(),
                declared.kind
            )),
        }
    }
    for gone in stored.iter().filter(|s| table.column(&s.name).is_none()) {
        differences.push(format!(
            "table `{}` is stored with column `{}`, which is no longer declared: declare it as `{}`, {remedy}",
            table.name,
            gone.name,
            gone.words()
        ));
    }
    if differences.is_empty() { Ok(new) } else { Err(differences) }
}

fn create(table: &Table) -> String {
    let mut sql = format!("CREATE TABLE {} (", physical(&table.name));
    for column in &table.columns {
        let _ = write!(sql, "{}, ", column_sql(column));
    }
    let key: Vec<String> = table.key.iter().map(|k| quoted(k)).collect();
    let _ = write!(sql, "PRIMARY KEY ({})) STRICT, WITHOUT ROWID", key.join(", "));
    sql
}

fn column_sql(column: &Column) -> String {
    let kind = match column.kind {
        ColumnKind::Text => "TEXT COLLATE BINARY",
        ColumnKind::Double => "REAL",
        ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::Int | ColumnKind::Bigint | ColumnKind::Boolean => {
            "INTEGER"
        }
    };
    format!("{} {kind}{}", quoted(&column.name), if column.nullable { "" } else { " NOT NULL" })
}

/// The physical table's name, ready to stand in a statement.
pub(super) fn physical(table: &str) -> String {
    quoted(&physical_name(table))
}

/// The physical table's name.
#[must_use]
pub fn physical_name(table: &str) -> String {
    format!("table_{table}")
}

/// `form` for each of `columns`, which stands in the place of its `?`.
pub(crate) fn each<'c>(columns: impl Iterator<Item = &'c str>, form: &str, separator: &str) -> String {
    columns.map(|column| form.replace('?', &quoted(column))).collect::<Vec<_>>().join(separator)
}

/// A name as an identifier that no keyword and no quote can break.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    async fn memory() -> SqliteConnection {
        SqliteConnection::connect("sqlite::memory:").await.unwrap()
    }

    fn declared(table: Table) -> BTreeMap<String, Table> {
        BTreeMap::from([(table.name.clone(), table)])
    }

    #[tokio::test]
    async fn a_new_column_that_may_be_null_is_added_and_rows_stay() {
        let mut conn = memory().await;
        let mut table = samples::table();
        prepare(&mut conn, &declared(table.clone())).await.unwrap();
        sqlx::query("INSERT INTO table_daily (id, day, count) VALUES ('a', 1, 2)").execute(&mut conn).await.unwrap();
        table.columns.push(Column {
            name: "select".into(),
            kind: ColumnKind::Double,
            nullable: true,
            sensitive: false,
        });
        for _ in 0..2 {
            prepare(&mut conn, &declared(table.clone())).await.unwrap();
        }
        let row = sqlx::query("SELECT id, \"select\" FROM table_daily").fetch_one(&mut conn).await.unwrap();
        assert_eq!((row.get::<String, _>(0), row.get::<Option<f64>, _>(1)), ("a".to_owned(), None));
    }

    #[tokio::test]
    async fn every_other_change_is_refused_by_name_and_nothing_is_changed() {
        let mut conn = memory().await;
        prepare(&mut conn, &declared(samples::table())).await.unwrap();
        let mut table = samples::table();
        table.columns.retain(|c| c.name != "note");
        table.key = vec!["id".into()];
        table.columns.push(Column { name: "late".into(), kind: ColumnKind::Int, nullable: false, sensitive: false });
        table.columns.push(Column { name: "fine".into(), kind: ColumnKind::Int, nullable: true, sensitive: false });
        let error = prepare(&mut conn, &declared(table)).await.unwrap_err().to_string();
        let expected = [
            "table `daily` is stored with column `day` as `date, part 2 of the key`, and declared with `date`: declare it as before, or start with an empty data folder, which computes everything anew",
            "table `daily` is stored without column `late`, declared as `int`: let it be null (`int?`), or start with an empty data folder, which computes everything anew",
            "table `daily` is stored with column `note`, which is no longer declared: declare it as `text?`, or start with an empty data folder, which computes everything anew",
        ];
        assert_eq!(error.lines().collect::<Vec<_>>(), expected);
        prepare(&mut conn, &declared(samples::table())).await.unwrap();
    }
}
