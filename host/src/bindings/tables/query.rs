//! What a person or program asks of a table: columns, a filter, a limit; answered as a stream in the order of the key,
//! in constant memory. Not what functions read: that is by key and range, in `sqlite`.

use futures::channel::mpsc;
use futures::stream::{self, BoxStream};
use futures::{SinkExt, StreamExt};
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, SqlitePool};

use super::TableError;
use super::filter::{self, Filter, FilterError, no_column};
use super::schema::{physical, quoted};
use super::sqlite::{bind, key_list, read};
use crate::delivery::{Row, Value};
use crate::manifest::{Column, ColumnKind, Table};

/// Rows between the store's reader and the one who asked: enough to keep both going, and few, as a row may have many
/// megabytes.
const ROWS_AHEAD: usize = 8;

/// The columns of `table` that may be shown, `None` where the whole table may not. `sensitive` says whether the asker
/// asked for sensitive ones too.
#[must_use]
pub fn visible_columns(table: &Table, sensitive: bool) -> Option<Vec<&Column>> {
    if table.sensitive && !sensitive {
        return None;
    }
    Some(table.columns.iter().filter(|c| sensitive || !c.sensitive).collect())
}

/// What is asked for, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// Names of columns, in the order wanted; `None`: all that may be shown.
    pub columns: Option<Vec<String>>,
    /// A filter as `filter` reads it.
    pub filter: Option<String>,
    /// Most rows to give.
    pub limit: Option<u64>,
    /// The column that the rows are ordered by, then the key; `-` before it turns that round. `None`: by the key.
    pub order: Option<String>,
    /// Rows of that order to leave out first.
    pub offset: u64,
    /// Whether sensitive tables and columns are asked for.
    pub sensitive: bool,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The whole table is sensitive.
    #[error("table `{0}` is sensitive: it is shown only with `--sensitive`")]
    Sensitive(String),
    /// A column that the table does not have, or that may not be shown.
    #[error("{0}")]
    Column(String),
    /// No column is asked for, or none may be shown.
    #[error("no column of table `{0}` is asked for: name one")]
    Nothing(String),
    /// The filter cannot be read.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// A question that can be answered.
#[derive(Debug, Clone)]
pub struct Query {
    table: Table,
    columns: Vec<Column>,
    filter: Option<Filter>,
    /// The column, and whether the last comes first.
    order: Option<(String, bool)>,
    limit: Option<u64>,
    offset: u64,
}

impl Query {
    /// Checks a question.
    ///
    /// # Errors
    /// [`AskError`] with the remedy.
    pub fn new(table: &Table, ask: &Ask) -> Result<Self, AskError> {
        let visible = visible_columns(table, ask.sensitive).ok_or_else(|| AskError::Sensitive(table.name.clone()))?;
        let column = |name: &String| {
            let found = visible.iter().find(|c| c.name == *name).copied();
            found.ok_or_else(|| AskError::Column(no_column(name, &visible)))
        };
        let columns = match &ask.columns {
            None => visible.clone(),
            Some(names) => names.iter().map(column).collect::<Result<_, _>>()?,
        };
        if columns.is_empty() {
            return Err(AskError::Nothing(table.name.clone()));
        }
        let filter = ask.filter.as_deref().map(|text| filter::parse(text, &visible)).transpose()?;
        let order = ask.order.as_ref().map(|named| {
            let (name, is_turned) = named.strip_prefix('-').map_or((named.as_str(), false), |name| (name, true));
            Ok::<_, AskError>((column(&name.to_owned())?.name.clone(), is_turned))
        });
        let order = order.transpose()?;
        let columns = columns.into_iter().cloned().collect();
        Ok(Query { table: table.clone(), columns, filter, order, limit: ask.limit, offset: ask.offset })
    }

    /// The columns of the answer, in order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The first key column's cell of all rows of the answer, where the filter says it.
    #[must_use]
    pub fn partition(&self) -> Option<Value> {
        self.filter.as_ref()?.equals(self.table.key.first()?)
    }

    /// The answer, in its order: one state of the table, whatever is committed meanwhile. A reader that
    /// does not go on keeps SQLite from shortening its write-ahead log.
    pub fn rows(&self, pool: &SqlitePool) -> BoxStream<'static, Result<Row, TableError>> {
        let (sql, values) = self.sql();
        let kinds: Vec<ColumnKind> = self.columns.iter().map(|c| c.kind).collect();
        let pool = pool.clone();
        let (mut into, rows) = mpsc::channel(ROWS_AHEAD);
        // The reader borrows its pool, so the two travel in one future that is polled with the stream.
        let reader = async move {
            let mut arguments = SqliteArguments::default();
            if let Err(error) = values.iter().try_for_each(|v| bind(&mut arguments, v)) {
                let _ = into.send(Err(error.into())).await;
                return;
            }
            // Only names that spin.toml may hold, quoted, and words of these files; every value is a parameter.
            let mut found = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch(&pool);
            while let Some(row) = found.next().await {
                let row = row.and_then(|row| read(&row, 0, &kinds)).map_err(TableError::from);
                if into.send(row).await.is_err() {
                    return;
                }
            }
        };
        stream::select(rows, stream::once(reader).filter_map(|()| async { None })).boxed()
    }

    fn sql(&self) -> (String, Vec<crate::delivery::Value>) {
        let names: Vec<String> = self.columns.iter().map(|c| quoted(&c.name)).collect();
        let (condition, values) = match &self.filter {
            None => (String::new(), Vec::new()),
            Some(filter) => {
                let (sql, values) = filter.sql();
                (format!(" WHERE {sql}"), values)
            }
        };
        let order = match &self.order {
            None => String::new(),
            Some((column, is_turned)) => format!("{}{}, ", quoted(column), if *is_turned { " DESC" } else { "" }),
        };
        let whole = |number: u64| number.min(i64::MAX as u64);
        let limit = match (self.limit, self.offset) {
            (None, 0) => String::new(),
            (limit, offset) => format!(" LIMIT {} OFFSET {}", limit.map_or(i64::MAX as u64, whole), whole(offset)),
        };
        let (names, table, key) = (names.join(","), physical(&self.table.name), key_list(&self.table));
        (format!("SELECT {names} FROM {table}{condition} ORDER BY {order}{key}{limit}"), values)
    }
}

/// How many rows a table has.
///
/// # Errors
/// When the file cannot be read.
pub async fn count(table: &Table, pool: &SqlitePool) -> Result<u64, TableError> {
    // Only a name that spin.toml may hold, quoted.
    let sql = format!("SELECT count(*) FROM {}", physical(&table.name));
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(pool).await?;
    Ok(sqlx::Row::get::<i64, _>(&row, 0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::TryStreamExt;
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

    use super::super::samples::{self, Write};
    use super::super::{schema, sqlite};
    use super::*;
    use crate::delivery::Value;

    async fn pool(table: &Table, days: i64) -> SqlitePool {
        let pool = SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect_with(SqliteConnectOptions::new().in_memory(true)).await.unwrap();
        let mut conn = pool.acquire().await.unwrap();
        schema::prepare(&mut conn, &BTreeMap::from([(table.name.clone(), table.clone())])).await.unwrap();
        let writes: Vec<Write> = (0..days)
            .map(|day| {
                let key = vec![Value::Text("a".into()), Value::Int(day)];
                let mut cells = vec![None; table.columns.len()];
                cells[4] = Some(Value::Int(day % 10));
                cells[8] = Some(Value::Int(7));
                Write::Upsert(key, cells)
            })
            .collect();
        sqlite::apply(&mut conn, table, &samples::held(&writes)).await.unwrap();
        drop(conn);
        pool
    }

    #[tokio::test]
    async fn an_answer_is_the_asked_columns_of_the_matching_rows_in_key_order() {
        let table = samples::table();
        let pool = pool(&table, 1000).await;
        let ask = Ask {
            columns: Some(vec!["count".into(), "day".into()]),
            filter: Some("count = 3 and day >= '1970-01-20'".into()),
            limit: Some(2),
            ..Ask::default()
        };
        let rows: Vec<Row> = Query::new(&table, &ask).unwrap().rows(&pool).try_collect().await.unwrap();
        assert_eq!(rows, vec![vec![Value::Int(3), Value::Int(23)], vec![Value::Int(3), Value::Int(33)]]);
        let turned =
            Ask { columns: Some(vec!["day".into()]), order: Some("-day".into()), offset: 1, limit: Some(2), ..ask };
        let rows: Vec<Row> = Query::new(&table, &turned).unwrap().rows(&pool).try_collect().await.unwrap();
        assert_eq!(rows, vec![vec![Value::Int(983)], vec![Value::Int(973)]], "the last first, without the very last");
        let all: Vec<Row> = Query::new(&table, &Ask::default()).unwrap().rows(&pool).try_collect().await.unwrap();
        assert_eq!(all.len(), 1000);
        let mut abandoned = Query::new(&table, &Ask::default()).unwrap().rows(&pool);
        assert!(abandoned.next().await.unwrap().is_ok());
        drop(abandoned);
        pool.acquire().await.unwrap();
    }

    #[tokio::test]
    async fn sensitive_columns_and_tables_are_shown_only_when_asked_for() {
        let mut table = samples::table();
        let names = |ask: &Ask, table: &Table| {
            Query::new(table, ask).map(|q| q.columns().iter().map(|c| c.name.clone()).collect::<Vec<_>>())
        };
        let asked = Ask { sensitive: true, ..Ask::default() };
        assert!(!names(&Ask::default(), &table).unwrap().contains(&"secret".to_owned()));
        assert!(names(&asked, &table).unwrap().contains(&"secret".to_owned()));
        let by_name = Ask { columns: Some(vec!["secrets".into()]), ..Ask::default() };
        let error = names(&by_name, &table).unwrap_err().to_string();
        assert!(error.starts_with("there is no column `secrets`: there are `id`"), "{error}");
        table.sensitive = true;
        let error = names(&Ask::default(), &table).unwrap_err().to_string();
        assert_eq!(error, "table `daily` is sensitive: it is shown only with `--sensitive`");
        assert_eq!(names(&asked, &table).unwrap().len(), table.columns.len());
    }
}
