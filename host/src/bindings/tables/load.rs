//! `table load`: a CSV file read into the rows of a table. All or nothing, and every bad line said at once. Pure;
//! committing what was read is the caller's.

use std::collections::HashMap;
use std::fmt::{Display, Formatter};

use csv::{ReaderBuilder, StringRecord};

use super::domain;
use super::filter::no_column;
use super::text::{form, parse_cell};
use crate::delivery::rows::{HeldTable, KeyBytes, key_bytes};
use crate::delivery::{Row, Value};
use crate::manifest::{Column, ColumnKind, Table};

/// Largest file: it is read into memory, and its rows beside it.
pub const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Most rows: they are one commit, which holds up every other writer.
pub const MOST_ROWS: usize = 200_000;
/// Most faults that are said one by one: whoever corrects a file reads them.
pub const MOST_FAULTS: usize = 20;

/// What is wrong with a file; nothing of it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// One per fault, in the order of lines, each with its line, at most [`MOST_FAULTS`].
    pub faults: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

impl LoadError {
    fn of(fault: impl Into<String>) -> Self {
        LoadError { faults: vec![fault.into()], more: 0 }
    }
}

impl Display for LoadError {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.faults.join("\n"))?;
        if self.more > 0 { write!(f, "\nand {} more", self.more) } else { Ok(()) }
    }
}

impl std::error::Error for LoadError {}

/// Reads a CSV file: UTF-8, comma-separated, the first line naming columns in any order. An empty cell, or a column
/// that the file leaves out, is null. Lines count from 1, the header's being the first.
///
/// # Errors
/// [`LoadError`] with every fault. Values of sensitive columns are not in its text.
pub fn read(table: &Table, file: &[u8]) -> Result<HeldTable, LoadError> {
    let file = decode(file)?;
    check_quotes(file)?;
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(file.as_bytes());
    let header = reader.headers().map_err(|e| LoadError::of(format!("line 1: {e}")))?.clone();
    let columns = columns(table, &header)?;
    let mut load =
        Load { table, columns, held: HeldTable::default(), lines: HashMap::new(), faults: Faults::default() };
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| LoadError::of(e.to_string()))? {
        let line = record.position().map_or(0, csv::Position::line);
        if load.lines.len() == MOST_ROWS {
            return Err(LoadError::of(format!("line {line}: more than {MOST_ROWS} rows: load it in parts")));
        }
        load.row(line, &record);
    }
    load.finish()
}

fn decode(file: &[u8]) -> Result<&str, LoadError> {
    if file.len() > MOST_BYTES {
        return Err(LoadError::of(format!("the file is larger than {} MiB: load it in parts", MOST_BYTES >> 20)));
    }
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let text = std::str::from_utf8(file).map_err(|e| {
        let before = file.get(..e.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        LoadError::of(format!("line {line}: not UTF-8: save the file as UTF-8"))
    })?;
    if text.trim().is_empty() {
        return Err(LoadError::of("the file is empty: its first line must name the columns"));
    }
    Ok(text)
}

/// An open quote would swallow the lines after it without a word.
fn check_quotes(file: &str) -> Result<(), LoadError> {
    let mut reader = ReaderBuilder::new().flexible(true).has_headers(false).from_reader(file.as_bytes());
    let mut record = csv::ByteRecord::new();
    loop {
        let start = reader.position().clone();
        if !reader.read_byte_record(&mut record).map_err(|e| LoadError::of(e.to_string()))? {
            return Ok(());
        }
        let span = usize::try_from(start.byte()).ok()..usize::try_from(reader.position().byte()).ok();
        let bytes = span.start.zip(span.end).and_then(|(a, b)| file.as_bytes().get(a..b)).unwrap_or_default();
        if bytes.iter().filter(|b| **b == b'"').count() % 2 == 1 {
            let line = record.position().map_or(0, csv::Position::line);
            let remedy = "close it, or put the cell in quotes and double those inside";
            return Err(LoadError::of(format!("line {line}: a quote is not closed: {remedy}")));
        }
    }
}

/// For each column of the table, where the file has it.
fn columns<'t>(table: &'t Table, header: &StringRecord) -> Result<Vec<(&'t Column, Option<usize>)>, LoadError> {
    let mut faults = Faults::default();
    let names: Vec<&str> = header.iter().map(str::trim).collect();
    let known: Vec<&Column> = table.columns.iter().collect();
    for (at, name) in names.iter().enumerate() {
        if names.len() == 1 && name.contains([';', '\t']) {
            faults.add("line 1: the columns are not separated by commas: save the file as comma-separated".to_owned());
        } else if name.is_empty() {
            faults.add(format!("line 1: column {} has no name: name it or remove it", at + 1));
        } else if table.column(name).is_none() {
            faults.add(format!("line 1: {}", no_column(name, &known)));
        } else if names.iter().take(at).any(|before| before == name) {
            faults.add(format!("line 1: column `{name}` stands there twice: remove one"));
        }
    }
    let columns: Vec<_> = table.columns.iter().map(|c| (c, names.iter().position(|name| *name == c.name))).collect();
    // Where the header is not understood, that is the fault, and not what seems to be missing.
    if faults.said.is_empty() {
        for (column, _) in columns.iter().filter(|(c, at)| at.is_none() && !c.nullable) {
            let why = if table.is_key(&column.name) { "which is part of the key" } else { "which may not be null" };
            faults.add(format!("line 1: column `{}` is missing, {why}: add it", column.name));
        }
    }
    faults.finish(columns)
}

struct Load<'t> {
    table: &'t Table,
    columns: Vec<(&'t Column, Option<usize>)>,
    held: HeldTable,
    /// The line on which each key stands.
    lines: HashMap<KeyBytes, u64>,
    faults: Faults,
}

impl Load<'_> {
    fn row(&mut self, line: u64, record: &StringRecord) {
        let named = self.columns.iter().filter(|(_, at)| at.is_some()).count();
        if record.len() != named {
            self.faults.add(format!("line {line}: {} cells where the header names {named} columns", record.len()));
            return;
        }
        let mut cells = Vec::with_capacity(self.columns.len());
        for (column, at) in &self.columns {
            let text = at.and_then(|at| record.get(at)).unwrap_or_default();
            match cell(self.table, column, text) {
                Ok(value) => cells.push(Some(value)),
                Err(fault) => self.faults.add(format!("line {line}: {fault}")),
            }
        }
        if cells.len() == self.columns.len() {
            self.hold(line, cells);
        }
    }

    fn hold(&mut self, line: u64, cells: Vec<Option<Value>>) {
        let part = |name: &String| {
            let at = self.columns.iter().position(|(c, _)| c.name == *name)?;
            cells.get(at).cloned().flatten()
        };
        let key: Row = self.table.key.iter().map(|name| part(name).unwrap_or(Value::Null)).collect();
        if let Some(before) = self.lines.insert(key_bytes(&key), line) {
            self.faults.add(format!("line {line}: the same key as on line {before}: leave one of the two out"));
        }
        self.held.upsert(key, cells);
    }

    fn finish(self) -> Result<HeldTable, LoadError> {
        self.faults.finish(self.held)
    }
}

/// One cell, of the file's text.
fn cell(table: &Table, column: &Column, text: &str) -> Result<Value, String> {
    let text = if column.kind == ColumnKind::Text { text } else { text.trim() };
    let value = if text.is_empty() && (column.nullable || column.kind != ColumnKind::Text) {
        Value::Null
    } else {
        parse_cell(column.kind, text).map_err(|fault| {
            let hidden = table.sensitive || column.sensitive;
            let fault = if hidden { format!("the cell is not {}", form(column.kind)) } else { fault };
            format!("column `{}`: {fault}", column.name)
        })?
    };
    domain::check(table, column, &value)?;
    Ok(value)
}

#[derive(Debug, Default)]
struct Faults {
    said: Vec<String>,
    more: usize,
}

impl Faults {
    fn add(&mut self, fault: String) {
        if self.said.len() < MOST_FAULTS {
            self.said.push(fault);
        } else {
            self.more += 1;
        }
    }

    fn finish<T>(self, outcome: T) -> Result<T, LoadError> {
        if self.said.is_empty() { Ok(outcome) } else { Err(LoadError { faults: self.said, more: self.more }) }
    }
}

#[cfg(test)]
mod tests;
