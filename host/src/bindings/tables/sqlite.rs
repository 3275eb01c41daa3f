//! Rows in the embedded SQLite file: held writes applied, rows read by key and by range. Few statements of few shapes:
//! each costs a round trip to the connection's thread, and each shape is prepared once. Dates, timestamps and booleans
//! are integers. Not the physical tables themselves (`schema`), nor the checks of values (`domain`).

use futures::TryStreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Row as _, SqliteConnection};

use super::groups::{Group, Writes};
use super::schema::{physical, quoted};
use super::{MOST_ROWS_READ, Range, StoredRow, TableError};
use crate::delivery::{Allowance, HeldRow, HeldTable, Row, Value};
use crate::manifest::{ColumnKind, Table};

/// How many rows one statement takes. What is not needed of the next larger shape stays unbound, which is null, and a
/// null key is no row: so a write of 30 rows is one statement, of a shape that is prepared already.
const SHAPES: [usize; 4] = [128, 32, 8, 1];
/// Most parameters of a statement in SQLite.
const MOST_PARAMETERS: usize = 32_766;

/// Applies the writes that a call held, within the caller's transaction. The values have been checked by `domain`.
///
/// # Errors
/// [`TableError::Incomplete`] where a write would leave a column empty that may not be, before anything is written to
/// this table; [`TableError::Store`] when SQLite fails. The caller rolls back.
pub async fn apply(conn: &mut SqliteConnection, table: &Table, held: &HeldTable) -> Result<(), TableError> {
    let writes = Writes::of(table, held)?;
    for group in &writes.groups {
        write(conn, table, group).await?;
    }
    delete(conn, table, &writes.deleted).await
}

async fn write(conn: &mut SqliteConnection, table: &Table, group: &Group<'_>) -> Result<(), TableError> {
    let width = table.key.len() + group.columns.len();
    let names: Vec<String> =
        group.columns.iter().filter_map(|at| table.columns.get(*at)).map(|c| quoted(&c.name)).collect();
    let mut rest = group.rows.as_slice();
    while !rest.is_empty() {
        let shape = shape(rest.len(), width);
        let (now, later) = rest.split_at(shape.min(rest.len()));
        let mut arguments = SqliteArguments::default();
        arguments.reserve(now.len() * width, 0);
        for (row, cells) in now {
            bind_all(&mut arguments, &row.key)?;
            for at in &group.columns {
                bind(&mut arguments, Group::cell(cells, *at))?;
            }
        }
        run(conn, upsert_sql(table, &names, width, shape), arguments).await?;
        rest = later;
    }
    Ok(())
}
fn upsert_sql(table: &Table, names: &[String], width: usize, shape: usize) -> String {
    let key: Vec<String> = table.key.iter().map(|k| quoted(k)).collect();
    let all: Vec<&str> = key.iter().chain(names).map(String::as_str).collect();
    let sets: Vec<String> = names.iter().map(|n| format!("{n}=excluded.{n}")).collect();
    let conflict = if sets.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", sets.join(",")) };
    format!(
        "INSERT INTO {} ({}) SELECT * FROM ({}) WHERE column1 IS NOT NULL ON CONFLICT ({}) DO {conflict}",
        physical(&table.name),
        all.join(","),
        values(width, shape),
        key.join(",")
    )
}

async fn delete(conn: &mut SqliteConnection, table: &Table, rows: &[&HeldRow]) -> Result<(), TableError> {
    let width = table.key.len();
    let mut rest = rows;
    while !rest.is_empty() {
        let shape = shape(rest.len(), width);
        let (now, later) = rest.split_at(shape.min(rest.len()));
        let mut arguments = SqliteArguments::default();
        for row in now {
            bind_all(&mut arguments, &row.key)?;
        }
        let sql = format!("DELETE FROM {} WHERE {}", physical(&table.name), key_among(table, shape));
        run(conn, sql, arguments).await?;
        rest = later;
    }
    Ok(())
}

/// The rows that exist among `keys`, which differ, with the cells of `columns`; in no particular order. Ends where
/// `allowance` is passed.
///
/// # Errors
/// [`TableError::NoColumn`], [`TableError::TooManyRows`] (of keys), [`TableError::Store`].
pub async fn get(
    conn: &mut SqliteConnection,
    table: &Table,
    columns: &[String],
    keys: &[Row],
    allowance: &mut Allowance,
) -> Result<Vec<StoredRow>, TableError> {
    if keys.len() > MOST_ROWS_READ {
        return Err(TableError::TooManyRows { table: table.name.clone(), most: MOST_ROWS_READ });
    }
    let select = Select::new(table, columns)?;
    let mut found = Vec::with_capacity(keys.len());
    let mut rest = keys;
    while !rest.is_empty() && !allowance.is_passed() {
        let shape = shape(rest.len(), table.key.len());
        let (now, later) = rest.split_at(shape.min(rest.len()));
        let mut arguments = SqliteArguments::default();
        for key in now {
            bind_all(&mut arguments, key)?;
        }
        let sql = format!("{} WHERE {}", select.sql, key_among(table, shape));
        select.fetch(conn, sql, arguments, &mut found, allowance).await?;
        rest = later;
    }
    Ok(found)
}

/// The rows of one partition in `range`, ordered by key, with the cells of `columns`. Ends where `allowance` is passed.
///
/// # Errors
/// [`TableError::NoColumn`], [`TableError::NoRange`], [`TableError::TooManyRows`], [`TableError::Store`].
pub async fn scan(
    conn: &mut SqliteConnection,
    table: &Table,
    columns: &[String],
    range: &Range,
    allowance: &mut Allowance,
) -> Result<Vec<StoredRow>, TableError> {
    let select = Select::new(table, columns)?;
    let [partition, ranged, ..] = table.key.as_slice() else {
        return Err(TableError::NoRange(table.name.clone()));
    };
    let (partition, ranged) = (quoted(partition), quoted(ranged));
    let sql = format!(
        "{} WHERE {partition}=? AND {ranged}>=? AND {ranged}<=? ORDER BY {} LIMIT {}",
        select.sql,
        key_list(table),
        MOST_ROWS_READ + 1
    );
    let mut arguments = SqliteArguments::default();
    for value in [&range.partition, &range.first, &range.last] {
        bind(&mut arguments, value)?;
    }
    let mut found = Vec::new();
    select.fetch(conn, sql, arguments, &mut found, allowance).await?;
    if found.len() > MOST_ROWS_READ {
        return Err(TableError::TooManyRows { table: table.name.clone(), most: MOST_ROWS_READ });
    }
    Ok(found)
}

/// The beginning of a read, and how its rows are taken apart.
struct Select {
    sql: String,
    key: Vec<ColumnKind>,
    cells: Vec<ColumnKind>,
}

impl Select {
    fn new(table: &Table, columns: &[String]) -> Result<Self, TableError> {
        let kind = |name: &String| {
            let missing = || TableError::NoColumn { table: table.name.clone(), column: name.clone() };
            table.column(name).map(|c| c.kind).ok_or_else(missing)
        };
        let names: Vec<String> = table.key.iter().chain(columns).map(|c| quoted(c)).collect();
        Ok(Select {
            sql: format!("SELECT {} FROM {}", names.join(","), physical(&table.name)),
            key: table.key.iter().map(kind).collect::<Result<_, _>>()?,
            cells: columns.iter().map(kind).collect::<Result<_, _>>()?,
        })
    }

    async fn fetch(
        &self,
        conn: &mut SqliteConnection,
        sql: String,
        arguments: SqliteArguments,
        into: &mut Vec<StoredRow>,
        allowance: &mut Allowance,
    ) -> Result<(), TableError> {
        let mut rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch(conn);
        while let Some(row) = rows.try_next().await? {
            let row = StoredRow { key: read(&row, 0, &self.key)?, cells: read(&row, self.key.len(), &self.cells)? };
            if !allowance.take(row.bytes()) {
                break;
            }
            into.push(row);
        }
        Ok(())
    }
}

/// The cells of `row` from column `start` on.
pub(crate) fn read(row: &SqliteRow, start: usize, kinds: &[ColumnKind]) -> Result<Row, sqlx::Error> {
    let cell = |(at, kind): (usize, &ColumnKind)| {
        // Unchecked: the physical table is strict, so that a cell's type is its column's.
        Ok(match kind {
            ColumnKind::Text => row.try_get_unchecked::<Option<String>, _>(at)?.map(Value::Text),
            ColumnKind::Double => row.try_get_unchecked::<Option<f64>, _>(at)?.map(Value::Double),
            ColumnKind::Boolean => row.try_get_unchecked::<Option<bool>, _>(at)?.map(Value::Bool),
            ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::Int | ColumnKind::Bigint => {
                row.try_get_unchecked::<Option<i64>, _>(at)?.map(Value::Int)
            }
        }
        .unwrap_or(Value::Null))
    };
    (start..).zip(kinds).map(cell).collect()
}

/// Adds a parameter.
pub(super) fn bind(arguments: &mut SqliteArguments, value: &Value) -> Result<(), sqlx::Error> {
    match value {
        Value::Null => arguments.add(None::<i64>),
        Value::Text(text) => arguments.add(text.as_str()),
        Value::Int(i) => arguments.add(*i),
        Value::Double(d) => arguments.add(*d),
        Value::Bool(b) => arguments.add(*b),
    }
    .map_err(sqlx::Error::Encode)
}

fn bind_all(arguments: &mut SqliteArguments, values: &[Value]) -> Result<(), sqlx::Error> {
    values.iter().try_for_each(|v| bind(arguments, v))
}

async fn run(conn: &mut SqliteConnection, sql: String, arguments: SqliteArguments) -> Result<(), TableError> {
    // Only names that spin.toml may hold, quoted, and words of this file; every value is a parameter.
    sqlx::query_with(AssertSqlSafe(sql), arguments).execute(conn).await?;
    Ok(())
}

/// The key's columns, as a list in a statement.
pub(super) fn key_list(table: &Table) -> String {
    table.key.iter().map(|k| quoted(k)).collect::<Vec<_>>().join(",")
}

fn key_among(table: &Table, shape: usize) -> String {
    format!("({}) IN ({})", key_list(table), values(table.key.len(), shape))
}

/// `VALUES (?,?),(?,?)`.
fn values(width: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; width].join(","));
    format!("VALUES {}", vec![row.as_str(); rows].join(","))
}

/// How many rows of `width` parameters the next statement takes when `rows` are left: the smallest shape that takes all
/// of them, or the largest there is.
pub(crate) fn shape(rows: usize, width: usize) -> usize {
    let fitting = SHAPES.into_iter().filter(|s| s * width <= MOST_PARAMETERS);
    fitting.reduce(|larger, next| if next >= rows { next } else { larger }).unwrap_or(1)
}
