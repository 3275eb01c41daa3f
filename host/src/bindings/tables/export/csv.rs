//! Rows as comma-separated values that a spreadsheet shows and never runs.

use std::borrow::Cow;

use ::csv::Writer;

use super::super::text::cell;
use super::{Encoder, Sheet, Spool};
use crate::delivery::{Row, Value};

/// A cell that begins so is a formula, or hides one, to some spreadsheet: the signs, their full-width forms, and the
/// white space that is skipped before them.
const RUN: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

pub(super) struct Csv {
    sheet: Sheet,
    out: Writer<Spool>,
}

impl Csv {
    pub(super) fn new(sheet: Sheet, out: Spool) -> std::io::Result<Self> {
        let mut out = Writer::from_writer(out);
        let notice = sheet.notice.as_ref().map(|_| sheet.notice_column());
        out.write_record(sheet.columns.iter().map(|c| c.name.as_str()).chain(notice.as_deref()))?;
        Ok(Csv { sheet, out })
    }
}

impl Encoder for Csv {
    fn row(&mut self, row: Row) -> std::io::Result<()> {
        for (column, value) in self.sheet.columns.iter().zip(&row) {
            match value {
                Value::Text(text) => self.out.write_field(harmless(text).as_ref())?,
                value => self.out.write_field(cell(column.kind, value))?,
            }
        }
        if let Some(notice) = &self.sheet.notice {
            self.out.write_field(harmless(notice).as_ref())?;
        }
        Ok(self.out.write_record(None::<&[u8]>)?)
    }

    fn finish(mut self: Box<Self>) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Text as a spreadsheet takes for text.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(RUN) { format!("'{text}").into() } else { text.into() }
}
