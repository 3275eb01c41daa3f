//! What people ask of tables and load into them.

use isobar::bindings::tables::{filter, load, query, text};
use isobar::delivery::Value;
use isobar::manifest::{Column, Table, parse};
use mutate::Target;

use super::kind;

/// A table with a column of every kind.
fn table() -> Table {
    let text = r#"spin_manifest_version = 2
        [application]
        name = "shop"
        [application.trigger.isobar.tables.days]
        store = "embedded"
        key = ["id", "day"]
        columns.id = "text"
        columns.day = "date"
        columns.at = "timestamp?"
        columns.mean = "double?"
        columns.count = "int"
        columns.total = "bigint?"
        columns.frost = "boolean?"
        columns.note = "text?"
        columns.secret = { type = "text?", sensitive = true }"#;
    parse(text).unwrap_or_else(|problems| panic!("{problems:?}")).tables["days"].clone()
}

#[test]
fn filters() {
    let table = table();
    let visible: Vec<&Column> = query::visible_columns(&table, false).expect("it may be seen");
    let seeds = [
        "id = 'a''b' and day >= '2019-04-24' and at < '2019-04-24T10:00:00Z'",
        "mean != -1.5e3 and count in (1, 2, 3) and total <= 9223372036854775807",
        "frost = true and note is not null and mean is null",
        "note in ('a', '', 'ö')",
    ];
    let words =
        ["and", "or", "is not null", "in (", "'", "''", "<=", "<>", "secret", "null", "true", "?", "--", "/*", "\""];
    Target::new("filter").seeds(seeds).words(words).longest(8 * 1024).run(|input| {
        let text = String::from_utf8_lossy(input);
        let read = match filter::parse(&text, &visible) {
            Ok(read) => read,
            Err(error) => {
                assert!((1..=text.chars().count() + 1).contains(&error.at), "{error}");
                assert!(error.message.len() < 1000, "{error}");
                return (0, kind(&error.message));
            }
        };
        let (sql, values) = read.sql();
        assert_eq!(sql.matches('?').count(), values.len(), "{sql}");
        assert!(!sql.contains(['\'', ';']) && !sql.contains("secret") && !sql.contains("--"), "{sql}");
        let written = read.to_string();
        if written.len() <= filter::MOST_BYTES {
            assert_eq!(filter::parse(&written, &visible).as_ref(), Ok(&read), "{written}");
        }
        (values.len(), String::new())
    });
}

#[test]
fn questions() {
    let table = table();
    let seeds = ["id,day\n\n10\n", "count\ncount = 1\n\ns", "\n\n\n", "secret,note\nsecret = 'x'\n1\ns"];
    Target::new("question").seeds(seeds).words(["id", "secret", ",", " ", "\n", "s"]).longest(4096).run(|input| {
        let text = String::from_utf8_lossy(input);
        let mut lines = text.split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty());
        let columns = next().map(|names| names.split(',').map(str::to_owned).collect());
        let (filter, limit) = (next().map(str::to_owned), next().and_then(|limit| limit.parse().ok()));
        let sensitive = next() == Some("s");
        match query::Query::new(&table, &query::Ask { columns, filter, limit, sensitive, ..query::Ask::default() }) {
            Ok(query) => {
                assert!(sensitive || query.columns().iter().all(|column| !column.sensitive));
                (query.columns().len().min(20), String::new())
            }
            Err(error) => (usize::MAX, kind(&error.to_string())),
        }
    });
}

#[test]
fn files_to_load() {
    let table = table();
    let seeds = [
        "id,day,at,mean,count,total,frost,note,secret\na,2019-04-24,2019-04-24T10:00:00Z,1.5,7,8,true,\"x, \"\"y\"\"\",s\nb,0001-01-01,,,-1,,,,\n",
        "\u{feff}day,id,count\r\n9999-12-31,z,0\r\n",
        "count,id,day,note\n1,\"two\nlines\",2020-02-29,\n",
    ];
    let words = ["\"", "\"\"", ",", ",,,,", "\n\n", "id", "secret", "2019-04-24", "NaN", "1e999", "\t", ";"];
    Target::new("load").seeds(seeds).words(words).memory(2 << 20, 400).run(|file| {
        let held = match load::read(&table, file) {
            Ok(held) => held,
            Err(error) => {
                assert!(!error.faults.is_empty() && error.faults.len() <= load::MOST_FAULTS, "{error}");
                assert!(error.faults.iter().all(|fault| fault.len() < 1000), "{error}");
                return (error.faults.len().min(3), kind(&error.faults[0]));
            }
        };
        // Written again, it is the same.
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(table.columns.iter().map(|c| c.name.as_str())).expect("it is written");
        for row in held.rows.values() {
            assert!(row.key.iter().all(|cell| *cell != Value::Null), "{row:?}");
            let cells = row.cells.as_ref().expect("it is no delete").iter().zip(&table.columns);
            let cells = cells.map(|(cell, column)| text::cell(column.kind, cell.as_ref().unwrap_or(&Value::Null)));
            writer.write_record(cells).expect("it is written");
        }
        let written = writer.into_inner().expect("it is written");
        // A file without rows is a header, which is a file as well.
        assert_eq!(load::read(&table, &written).as_ref(), Ok(&held), "{}", written.escape_ascii());
        (held.rows.len().min(9), "loaded".to_owned())
    });
}
