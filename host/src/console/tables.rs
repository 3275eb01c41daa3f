//! Tables as they are seen from outside: listed, asked, exported, loaded.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::SqlitePool;

use super::answers::{Fault, Loaded, Refusal, Rows, RowsAsk, TableSummary, is_made_up};
use super::view::View;
use crate::bindings::tables::copy::{self, CopyError};
use crate::bindings::tables::export::{self, ExportError, Format, Sheet};
use crate::bindings::tables::query::{self, Ask, AskError, Query};
use crate::bindings::tables::{load, text};
use crate::delivery::Value;
use crate::dispatch::rereads;
use crate::manifest::{Column, Table, nearest};

/// Most rows of an answer that is not an export: they are held in memory.
const MOST_ROWS: u64 = 10_000;
/// Bytes of cells in one such answer; the row that reaches it is the last.
const MOST_ROW_BYTES: usize = 8 * 1024 * 1024;
/// Rows where no number is asked for.
const USUAL_ROWS: u64 = 100;

/// A file as it is made.
pub type Pieces = BoxStream<'static, Result<Vec<u8>, ExportError>>;

impl View {
    /// Every table.
    ///
    /// # Errors
    /// When the data file cannot be read.
    pub async fn tables(&self) -> Result<Vec<TableSummary>, Refusal> {
        let mut tables = Vec::new();
        let application = self.application();
        for table in application.tables.values() {
            let (rows, trouble) = match self.store.stores().of(table) {
                None => (Some(query::count(table, &self.store.readers).await?), None),
                Some(connection) => match connection.count(table).await {
                    Ok(rows) => (Some(rows), None),
                    Err(error) => (None, Some(error.to_string())),
                },
            };
            tables.push(TableSummary {
                table: table.name.clone(),
                rows,
                trouble,
                key: table.key.clone(),
                writer: self.application().writer_of(&table.name).map(str::to_owned),
                sensitive: table.sensitive,
                notice: self.notice(table),
            });
        }
        Ok(tables)
    }

    /// Some rows of a table, as text.
    ///
    /// # Errors
    /// When they cannot be asked for so, are sensitive, or the data file cannot be read.
    pub async fn rows(&self, table: &str, ask: &RowsAsk) -> Result<Rows, Refusal> {
        let table = &self.table(table)?;
        let limit = ask.limit.unwrap_or(USUAL_ROWS).min(MOST_ROWS);
        let query = Query::new(table, &Ask { limit: Some(limit + 1), ..asked(ask) }).map_err(unasked)?;
        let cell = |(column, value): (&Column, Value)| (value != Value::Null).then(|| text::cell(column.kind, &value));
        let mut found = query.rows(&self.readable(table, &query).await?);
        let (mut rows, mut bytes, mut more) = (Vec::new(), 0, false);
        while let Some(row) = found.try_next().await? {
            if rows.len() as u64 >= limit || bytes >= MOST_ROW_BYTES {
                more = true;
                break;
            }
            let cells: Vec<Option<String>> = query.columns().iter().zip(row).map(cell).collect();
            bytes += cells.iter().flatten().map(String::len).sum::<usize>();
            rows.push(cells);
        }
        let columns = query.columns().iter().map(|c| c.name.clone()).collect();
        Ok(Rows { columns, rows, notice: self.notice(table), more })
    }

    /// A table, or what is asked of it, as a file, in constant memory.
    ///
    /// # Errors
    /// When it cannot be asked for so, is sensitive, or too much else is being read.
    pub async fn export(&self, table: &str, ask: &RowsAsk) -> Result<(Format, Pieces), Refusal> {
        let table = &self.table(table)?;
        let name = ask.format.as_deref().unwrap_or("csv");
        let format = Format::parse(name).ok_or_else(|| {
            let known = Format::ALL.map(|f| format!("`{}`", f.name())).join(", ");
            Refusal::new(Fault::Invalid, format!("there is no format `{name}`")).hint(format!("known: {known}"))
        })?;
        let query = Query::new(table, &asked(ask)).map_err(unasked)?;
        let permit = self.long_read()?;
        let sheet = Sheet { table: table.name.clone(), columns: query.columns().to_vec(), notice: self.notice(table) };
        let pieces = export::pieces(sheet, format, query.rows(&self.readable(table, &query).await?));
        let held = pieces.map(move |piece| {
            let _ = &permit;
            piece
        });
        Ok((format, held.boxed()))
    }

    /// Loads a CSV file into a table, all of it or nothing; functions that read the table are asked to read their
    /// input again.
    ///
    /// # Errors
    /// When there is no such table, a function writes it, the file is wrong, or the data file cannot be written.
    pub async fn load(&self, table: &str, file: Bytes) -> Result<Loaded, Refusal> {
        let table = self.table(table)?;
        if let Some(writer) = self.application().writer_of(&table.name) {
            let message = format!("table `{}` is written by function `{writer}`", table.name);
            return Err(Refusal::new(Fault::Invalid, message)
                .hint("a table has one writer: load another one, or take the grant back"));
        }
        let name = table.name.clone();
        let read = tokio::task::spawn_blocking(move || load::read(&table, &file)).await;
        let rows = match read {
            Ok(Ok(rows)) => rows,
            Ok(Err(faults)) => {
                let message = format!("nothing was loaded into `{name}`:\n{faults}");
                return Err(Refusal::new(Fault::Invalid, message));
            }
            Err(error) => return Err(Refusal::new(Fault::Store, format!("the file could not be read: {error}"))),
        };
        let count = rows.rows.len() as u64;
        let notes = rereads::load(&self.store, self.cluster.as_ref(), &name, rows).await?;
        let readers: BTreeSet<String> = notes.iter().map(|n| n.function.to_string()).collect();
        Ok(Loaded { rows: count, readers: readers.into_iter().collect() })
    }

    /// Where `query` of `table` can be asked: the data file, or a copy of what a store holds of it.
    async fn readable(&self, table: &Table, query: &Query) -> Result<SqlitePool, Refusal> {
        let Some(connection) = self.store.stores().of(table) else { return Ok(self.store.readers.clone()) };
        connection.prepare().await?;
        let rows = connection.rows(table, query.partition());
        copy::copy(table, rows).await.map_err(|error| match error {
            CopyError::Source(error) => error.into(),
            CopyError::Copy(error) => error.into(),
        })
    }

    fn table(&self, name: &str) -> Result<Table, Refusal> {
        let application = self.application();
        let tables = &application.tables;
        tables.get(name).cloned().ok_or_else(|| {
            let refusal = Refusal::new(Fault::Unknown, format!("there is no table `{name}`"));
            match nearest(name, tables.keys().map(String::as_str)) {
                Some(near) => refusal.hint(format!("did you mean `{near}`?")),
                None => refusal.hint("`isobar table list` shows those there are"),
            }
        })
    }

    /// What goes into every export: where the data come from, and that a demo made them up.
    fn notice(&self, table: &Table) -> Option<String> {
        let made_up = is_made_up(self.store.folder().kind()).then_some("made up by a demo");
        let parts: Vec<&str> = made_up.into_iter().chain(table.notice.as_deref()).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

fn asked(ask: &RowsAsk) -> Ask {
    let names = |list: &String| list.split(',').map(|name| name.trim().to_owned()).collect();
    Ask {
        columns: ask.columns.as_ref().map(names),
        filter: ask.filter.clone(),
        limit: ask.limit,
        order: ask.order.clone(),
        offset: ask.offset.unwrap_or_default(),
        sensitive: ask.sensitive,
    }
}

fn unasked(error: AskError) -> Refusal {
    let fault = if matches!(error, AskError::Sensitive(_)) { Fault::Sensitive } else { Fault::Invalid };
    Refusal::new(fault, error.to_string())
}
