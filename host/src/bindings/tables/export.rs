//! A table's rows as a file: CSV, JSON or Parquet, as a stream of bytes in constant memory, the table's notice in each.
//! Which rows and columns is `query`'s, where the bytes go the caller's.

mod csv;
mod json;
mod parquet;

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::TableError;
use crate::delivery::Row;
use crate::manifest::Column;

/// A piece of the file goes out once it has this many bytes: large enough for the socket, small to hold.
const PIECE: usize = 64 * 1024;

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated, UTF-8, the names in the first line, `notice` the last column. Null is an empty cell. Text that
    /// a spreadsheet would run is preceded by an apostrophe.
    Csv,
    /// One document: `{"table": …, "notice": …, "rows": [{column: value, …}, …]}`. An infinite double is the text
    /// `Infinity` or `-Infinity`, which JSON has no number for.
    Json,
    /// Apache Parquet, compressed by zstd; the notice in the file's metadata and as last column.
    Parquet,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 3] = [Format::Csv, Format::Json, Format::Parquet];

    /// Its name on the command line; also the file's extension.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Parquet => "parquet",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Format::ALL.into_iter().find(|f| f.name() == name)
    }

    /// What HTTP calls it.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Json => "application/json",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// What the file says besides the rows.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// The table's name.
    pub table: String,
    /// The columns of each row, in order.
    pub columns: Vec<Column>,
    /// Goes with every row: where the data comes from, and whether it is made up.
    pub notice: Option<String>,
}

impl Sheet {
    /// The name of the notice's column: one that the table does not have.
    fn notice_column(&self) -> String {
        let is_free = |name: &String| self.columns.iter().all(|c| c.name != *name);
        let numbered = (2..).map(|i| format!("notice_{i}"));
        std::iter::once("notice".to_owned()).chain(numbered).find(is_free).unwrap_or_default()
    }
}

/// Why an export broke off; what went out before is not a whole file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The rows could not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A row could not be written in this format.
    #[error("a row could not be written as `{format}`: {cause}", format = format.name())]
    Encode {
        /// The format.
        format: Format,
        /// The encoder's words.
        cause: String,
    },
}

/// The file as pieces of bytes. `rows` have one cell per column of `sheet`.
#[must_use]
pub fn pieces(
    sheet: Sheet,
    format: Format,
    rows: BoxStream<'static, Result<Row, TableError>>,
) -> BoxStream<'static, Result<Vec<u8>, ExportError>> {
    let spool = Spool::default();
    let state = State { stage: Stage::Begin(sheet, format), rows, spool };
    stream::try_unfold(state, |mut state| async move { Ok(state.next().await?.map(|piece| (piece, state))) }).boxed()
}

struct State {
    stage: Stage,
    rows: BoxStream<'static, Result<Row, TableError>>,
    spool: Spool,
}

enum Stage {
    Begin(Sheet, Format),
    Rows(Box<dyn Encoder>, Format),
    Done,
}

impl State {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, ExportError> {
        loop {
            self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Begin(sheet, format) => {
                    Stage::Rows(encoder(sheet, format, self.spool.clone()).map_err(encode(format))?, format)
                }
                Stage::Rows(mut encoder, format) => match self.rows.next().await.transpose()? {
                    Some(row) => {
                        encoder.row(row).map_err(encode(format))?;
                        Stage::Rows(encoder, format)
                    }
                    None => {
                        encoder.finish().map_err(encode(format))?;
                        Stage::Done
                    }
                },
                Stage::Done => Stage::Done,
            };
            let is_done = matches!(self.stage, Stage::Done);
            if is_done || self.spool.len() >= PIECE {
                let piece = self.spool.take();
                return Ok((!piece.is_empty()).then_some(piece));
            }
        }
    }
}

fn encode(format: Format) -> impl Fn(std::io::Error) -> ExportError {
    move |cause| ExportError::Encode { format, cause: cause.to_string() }
}

/// One file being written into the spool.
trait Encoder: Send {
    fn row(&mut self, row: Row) -> std::io::Result<()>;
    fn finish(self: Box<Self>) -> std::io::Result<()>;
}

fn encoder(sheet: Sheet, format: Format, out: Spool) -> std::io::Result<Box<dyn Encoder>> {
    Ok(match format {
        Format::Csv => Box::new(csv::Csv::new(sheet, out)?),
        Format::Json => Box::new(json::Json::new(sheet, out)?),
        Format::Parquet => Box::new(parquet::Parquet::new(sheet, out)?),
    })
}

/// What an encoder has written and nobody has taken yet. Shared because encoders keep their writer to themselves.
#[derive(Debug, Clone, Default)]
struct Spool(Arc<Mutex<Vec<u8>>>);

impl Spool {
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
