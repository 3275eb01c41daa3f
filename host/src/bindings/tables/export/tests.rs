//! Every format read back by its own library, and what a spreadsheet must not run.

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use futures::TryStreamExt;
use proptest::prelude::*;

use super::super::samples;
use super::super::text::parse_cell;
use super::*;
use crate::delivery::Value;
use crate::manifest::ColumnKind;

fn sheet() -> Sheet {
    let table = samples::table();
    Sheet { table: table.name, columns: table.columns, notice: table.notice }
}

fn file(sheet: Sheet, format: Format, rows: Vec<Row>) -> Vec<u8> {
    let rows = stream::iter(rows.into_iter().map(Ok)).boxed();
    let pieces = pieces(sheet, format, rows).try_collect::<Vec<_>>();
    samples::block_on(pieces).unwrap().concat()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row: Vec<_> = samples::table().columns.iter().map(samples::cell).collect();
    proptest::collection::vec(row, 0..20)
}

fn records(bytes: &[u8]) -> Vec<Vec<String>> {
    let reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
    reader.into_records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn csv_is_what_people_expect_to_open() {
    let text = |t: &str| Value::Text(t.into());
    let row = vec![
        text("00433"),
        Value::Double(-1.5),
        Value::Int(18_010),
        Value::Int(0),
        Value::Int(-3),
        Value::Null,
        Value::Bool(true),
        text("=HYPERLINK(\"http://x\")"),
        Value::Null,
    ];
    let bytes = file(sheet(), Format::Csv, vec![row]);
    let expected = "id,mean,day,at,count,total,frost,note,secret,notice\n\
        00433,-1.5,2019-04-24,1970-01-01T00:00:00Z,-3,,true,\"'=HYPERLINK(\"\"http://x\"\")\",,\"Source: made up, \"\"quoted\"\"\"\n";
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn text_that_a_spreadsheet_would_run_is_made_harmless_and_other_text_is_not_touched() {
    for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
        let mut row = vec![Value::Null; 9];
        row[0] = Value::Text(text.into());
        assert_eq!(records(&file(sheet(), Format::Csv, vec![row]))[1][0], format!("'{text}"));
    }
    for text in ["a=1", "00433", " =1", "'x", "Köln-Stammheim"] {
        let mut row = vec![Value::Null; 9];
        row[0] = Value::Text(text.into());
        assert_eq!(records(&file(sheet(), Format::Csv, vec![row]))[1][0], text);
    }
    let sheet = Sheet { notice: Some("=1".into()), ..sheet() };
    assert_eq!(records(&file(sheet, Format::Csv, vec![vec![Value::Null; 9]]))[1][9], "'=1");
}

#[test]
fn a_file_without_rows_is_still_a_file() {
    let csv = file(Sheet { notice: None, ..sheet() }, Format::Csv, vec![]);
    assert_eq!(csv, b"id,mean,day,at,count,total,frost,note,secret\n");
    let json: serde_json::Value = serde_json::from_slice(&file(sheet(), Format::Json, vec![])).unwrap();
    assert_eq!(json["rows"], serde_json::json!([]));
    let parquet = file(sheet(), Format::Parquet, vec![]);
    let reader = SerializedFileReader::new(bytes::Bytes::from(parquet)).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
}

#[test]
fn a_table_with_a_column_called_notice_keeps_both() {
    let mut sheet = sheet();
    sheet.columns[7].name = "notice".into();
    let header = records(&file(sheet, Format::Csv, vec![])).remove(0);
    assert_eq!((header[7].as_str(), header[9].as_str()), ("notice", "notice_2"));
}

#[test]
fn an_infinite_number_is_text_in_json() {
    let mut row = vec![Value::Null; 9];
    row[1] = Value::Double(f64::NEG_INFINITY);
    let json: serde_json::Value = serde_json::from_slice(&file(sheet(), Format::Json, vec![row])).unwrap();
    assert_eq!(json["rows"][0]["mean"], "-Infinity");
}

#[test]
fn a_long_table_goes_out_in_pieces_and_row_groups() {
    let row = |i| {
        let mut row = vec![Value::Null; 9];
        row[0] = Value::Text(format!("place {i}"));
        row[2] = Value::Int(i);
        row[4] = Value::Int(i);
        Ok(row)
    };
    for format in [Format::Csv, Format::Json] {
        let pieces = pieces(sheet(), format, stream::iter((0..20_000).map(row)).boxed());
        let sizes: Vec<usize> = samples::block_on(pieces.map_ok(|p| p.len()).try_collect()).unwrap();
        assert!(sizes.len() > 10 && sizes.iter().all(|s| *s < 2 * PIECE), "{sizes:?}");
    }
    let rows = (0..20_000).map(|i| row(i).unwrap()).collect();
    let reader = SerializedFileReader::new(bytes::Bytes::from(file(sheet(), Format::Parquet, rows))).unwrap();
    assert_eq!((reader.num_row_groups(), reader.metadata().file_metadata().num_rows()), (2, 20_000));
}

#[test]
fn a_store_that_fails_breaks_the_export_off() {
    let rows = stream::iter([Err(TableError::Store(sqlx::Error::PoolClosed))]).boxed();
    let outcome: Result<Vec<Vec<u8>>, _> = samples::block_on(pieces(sheet(), Format::Csv, rows).try_collect());
    assert_eq!(outcome.unwrap_err().to_string(), "the tables' store failed");
}

fn from_parquet(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(b) => Value::Bool(*b),
        Field::Int(i) | Field::Date(i) => Value::Int(i64::from(*i)),
        Field::Long(i) | Field::TimestampMillis(i) => Value::Int(*i),
        Field::Double(d) => Value::Double(*d),
        Field::Str(text) => Value::Text(text.clone()),
        other => panic!("no such type was written: {other:?}"),
    }
}

fn from_json(kind: ColumnKind, json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::String(text) => parse_cell(kind, text).unwrap(),
        other => parse_cell(kind, &other.to_string()).unwrap(),
    }
}

/// The double of a row's line, which the library reads back only nearly.
fn exact(line: &str) -> Value {
    let text = line.split("\"mean\":").nth(1).unwrap().split(',').next().unwrap();
    if text == "null" { Value::Null } else { parse_cell(ColumnKind::Double, text.trim_matches('"')).unwrap() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn csv_reads_back_as_what_was_written(rows in rows()) {
        let table = samples::table();
        let read = records(&file(sheet(), Format::Csv, rows.clone()));
        prop_assert_eq!(read.len(), rows.len() + 1);
        // The header.
        for (record, row) in read.iter().skip(1).zip(&rows) {
            prop_assert_eq!(record.last(), table.notice.as_ref());
            for ((text, column), value) in record.iter().zip(&table.columns).zip(row) {
                match value {
                    Value::Null => prop_assert_eq!(text, ""),
                    Value::Text(written) => prop_assert_eq!(text.strip_prefix('\'').filter(|t| t == written).unwrap_or(text), written),
                    value => prop_assert_eq!(&parse_cell(column.kind, text).unwrap(), value),
                }
            }
        }
    }

    #[test]
    fn json_reads_back_as_what_was_written(rows in rows()) {
        let table = samples::table();
        let file = file(sheet(), Format::Json, rows.clone());
        let json: serde_json::Value = serde_json::from_slice(&file).unwrap();
        prop_assert_eq!(json["notice"].as_str(), table.notice.as_deref());
        // The header.
        let lines = std::str::from_utf8(&file).unwrap().lines().skip(1);
        let read: Vec<Row> = json["rows"].as_array().unwrap().iter().zip(lines).map(|(row, line)| {
            table.columns.iter().map(|c| match c.kind {
                ColumnKind::Double => exact(line),
                kind => from_json(kind, &row[&c.name]),
            }).collect()
        }).collect();
        prop_assert_eq!(read, rows);
    }

    #[test]
    fn parquet_reads_back_as_what_was_written(rows in rows()) {
        let notice = Value::Text(samples::table().notice.unwrap());
        let reader = SerializedFileReader::new(bytes::Bytes::from(file(sheet(), Format::Parquet, rows.clone()))).unwrap();
        let metadata = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
        prop_assert!(metadata.iter().any(|kv| kv.key == "notice" && kv.value == samples::table().notice));
        let read: Vec<Row> = reader.get_row_iter(None).unwrap()
            .map(|row| row.unwrap().get_column_iter().map(|(_, field)| from_parquet(field)).collect())
            .collect();
        let written: Vec<Row> = rows.into_iter().map(|mut row| { row.push(notice.clone()); row }).collect();
        prop_assert_eq!(read, written);
    }
}
