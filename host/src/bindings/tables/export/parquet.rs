//! Rows as Parquet: dates, timestamps and text with their logical types, row groups of bounded size.

use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::Type;

use super::{Encoder, Sheet, Spool};
use crate::delivery::{Row, Value};
use crate::manifest::{Column, ColumnKind};

/// Most rows of a row group: they are held until it is written. Of twenty columns these are about 10 MB.
const GROUP_ROWS: usize = 16_384;
/// Most bytes of text that a row group begins a further row with, for the same reason.
const GROUP_TEXT: usize = 8 * 1024 * 1024;

pub(super) struct Parquet {
    columns: Vec<Column>,
    notice: Option<String>,
    out: SerializedFileWriter<Spool>,
    group: Vec<Row>,
    text: usize,
}

impl Parquet {
    pub(super) fn new(mut sheet: Sheet, out: Spool) -> std::io::Result<Self> {
        if sheet.notice.is_some() {
            let name = sheet.notice_column();
            sheet.columns.push(Column { name, kind: ColumnKind::Text, nullable: false, sensitive: false });
        }
        let entry = |(key, value): (&str, String)| KeyValue::new(key.to_owned(), value);
        let said = sheet.notice.iter().map(|n| ("notice", n.clone()));
        let metadata = std::iter::once(("table", sheet.table.clone())).chain(said).map(entry).collect();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("isobar".to_owned())
            .set_key_value_metadata(Some(metadata))
            .build();
        let fields = sheet.columns.iter().map(|c| field(c).map(Arc::new)).collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder(&sheet.table).with_fields(fields).build()?;
        let out = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        Ok(Parquet { columns: sheet.columns, notice: sheet.notice, out, group: Vec::new(), text: 0 })
    }
}

impl Encoder for Parquet {
    fn row(&mut self, mut row: Row) -> std::io::Result<()> {
        row.extend(self.notice.clone().map(Value::Text));
        self.text += row.iter().map(|v| if let Value::Text(text) = v { text.len() } else { 0 }).sum::<usize>();
        self.group.push(row);
        if self.group.len() >= GROUP_ROWS || self.text >= GROUP_TEXT {
            self.write_group()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> std::io::Result<()> {
        self.write_group()?;
        self.out.close()?;
        Ok(())
    }
}

impl Parquet {
    fn write_group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.group);
        self.text = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.out.next_row_group()?;
        for (at, column) in self.columns.iter().enumerate() {
            let Some(mut out) = group.next_column()? else { break };
            let cells = || rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null));
            match column.kind {
                ColumnKind::Text => write::<ByteArrayType>(&mut out, column, cells(), text)?,
                ColumnKind::Double => write::<DoubleType>(&mut out, column, cells(), double)?,
                ColumnKind::Boolean => write::<BoolType>(&mut out, column, cells(), boolean)?,
                ColumnKind::Date | ColumnKind::Int => write::<Int32Type>(&mut out, column, cells(), small)?,
                ColumnKind::Timestamp | ColumnKind::Bigint => write::<Int64Type>(&mut out, column, cells(), large)?,
            }
            out.close()?;
        }
        group.close()?;
        Ok(())
    }
}

fn field(column: &Column) -> Result<Type, ParquetError> {
    let (physical, logical) = match column.kind {
        ColumnKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnKind::Date => (Physical::INT32, Some(LogicalType::Date)),
        ColumnKind::Timestamp => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
        ColumnKind::Double => (Physical::DOUBLE, None),
        ColumnKind::Int => (Physical::INT32, None),
        ColumnKind::Bigint => (Physical::INT64, None),
        ColumnKind::Boolean => (Physical::BOOLEAN, None),
    };
    let repetition = if column.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let builder = Type::primitive_type_builder(&column.name, physical);
    builder.with_logical_type(logical).with_repetition(repetition).build()
}

/// Writes one column of a row group: the values there are, and where there is none.
fn write<'v, T: DataType>(
    out: &mut SerializedColumnWriter<'_>,
    column: &Column,
    cells: impl Iterator<Item = &'v Value> + Clone,
    value: fn(&Value) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<T::T> = cells.clone().filter_map(value).collect();
    let present: Vec<i16> = cells.map(|cell| i16::from(*cell != Value::Null)).collect();
    if values.len() != present.iter().filter(|p| **p == 1).count() {
        return Err(ParquetError::General(format!("column `{}` holds a value of another type", column.name)));
    }
    out.typed::<T>().write_batch(&values, column.nullable.then_some(present.as_slice()), None)?;
    Ok(())
}

fn text(value: &Value) -> Option<ByteArray> {
    if let Value::Text(text) = value { Some(text.as_str().into()) } else { None }
}

fn double(value: &Value) -> Option<f64> {
    if let Value::Double(d) = value { Some(*d) } else { None }
}

fn boolean(value: &Value) -> Option<bool> {
    if let Value::Bool(b) = value { Some(*b) } else { None }
}

fn small(value: &Value) -> Option<i32> {
    if let Value::Int(i) = value { i32::try_from(*i).ok() } else { None }
}

fn large(value: &Value) -> Option<i64> {
    if let Value::Int(i) = value { Some(*i) } else { None }
}
