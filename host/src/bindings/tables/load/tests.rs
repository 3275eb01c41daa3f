//! Files that load, and files that do not: the faults word by word.

use proptest::prelude::*;

use super::super::samples;
use super::*;

fn faults(file: &str) -> Vec<String> {
    read(&samples::table(), file.as_bytes()).unwrap_err().faults
}

#[test]
fn columns_come_in_any_order_and_what_is_left_out_is_null() {
    let file = "\u{feff}day, count ,id,frost,note\r\n2019-04-24, 7 ,00433,true,\r\n\r\n2019-04-25,-1,\"0,43\",,a b\r\n";
    let held = read(&samples::table(), file.as_bytes()).unwrap();
    let text = |t: &str| Value::Text(t.into());
    let row = |id, day, count, frost, note| {
        let null = Value::Null;
        [text(id), null.clone(), Value::Int(day), null.clone(), Value::Int(count), null.clone(), frost, note, null]
            .map(Some)
            .to_vec()
    };
    let rows: Vec<_> = held.rows.values().map(|r| (r.key.clone(), r.cells.clone().unwrap())).collect();
    assert_eq!(
        rows,
        vec![
            (vec![text("0,43"), Value::Int(18_011)], row("0,43", 18_011, -1, Value::Null, text("a b"))),
            (vec![text("00433"), Value::Int(18_010)], row("00433", 18_010, 7, Value::Bool(true), Value::Null)),
        ]
    );
}

#[test]
fn every_bad_line_is_said_at_once() {
    let file = "id,day,count,mean,secret\n\
        a,2019-04-24,1,1.5,\n\
        ,2019-04-24,1,1.5,\n\
        a,24.4.2019,x,1.5,\n\
        a,2019-04-25,,1.5,hush\n\
        a,2019-04-26,1\n\
        a,2019-04-24,2,1.5,\n";
    assert_eq!(
        faults(file),
        vec![
            "line 3: column `id` of table `daily` is empty text, which a key column may not be: write a name",
            "line 4: column `day`: `24.4.2019` is not a date such as 2019-04-24",
            "line 4: column `count`: `x` is not an integer of 32 bits",
            "line 5: column `count` of table `daily` is null, which it may not be: write a value, or declare it as `int?`",
            "line 5: column `secret`: the cell is not an integer of 32 bits",
            "line 6: 3 cells where the header names 5 columns",
            "line 7: the same key as on line 2: leave one of the two out",
        ]
    );
}

#[test]
fn a_header_that_is_not_understood_is_the_fault() {
    let cases: [(&str, &[&str]); 7] = [
        ("", &["the file is empty: its first line must name the columns"]),
        ("id,dya,count\n", &["line 1: there is no column `dya`: did you mean `day`?"]),
        ("id,id,day,count\n", &["line 1: column `id` stands there twice: remove one"]),
        ("id,,day,count\n", &["line 1: column 2 has no name: name it or remove it"]),
        ("id;day;count\n", &["line 1: the columns are not separated by commas: save the file as comma-separated"]),
        (
            "id,note\n",
            &[
                "line 1: column `day` is missing, which is part of the key: add it",
                "line 1: column `count` is missing, which may not be null: add it",
            ],
        ),
        (
            "id,day,count,note\na,2019-04-24,1,\"x\nb,2019-04-25,1,y\n",
            &["line 2: a quote is not closed: close it, or put the cell in quotes and double those inside"],
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(faults(file), expected, "{file}");
    }
    let latin = read(&samples::table(), b"id,day,count\nK\xf6ln,2019-04-24,1\n").unwrap_err();
    assert_eq!(latin.to_string(), "line 2: not UTF-8: save the file as UTF-8");
}

#[test]
fn faults_rows_and_bytes_are_bounded() {
    let bad = format!("id,day,count\n{}", "a,x,1\n".repeat(MOST_FAULTS + 5));
    let error = read(&samples::table(), bad.as_bytes()).unwrap_err();
    assert_eq!((error.faults.len(), error.to_string().lines().last()), (MOST_FAULTS, Some("and 5 more")));
    let long: String = (0..=MOST_ROWS).map(|i| format!("{i},2019-04-24,1\n")).collect();
    let error = read(&samples::table(), format!("id,day,count\n{long}").as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "line 200002: more than 200000 rows: load it in parts");
    let error = read(&samples::table(), &vec![b'a'; MOST_BYTES + 1]).unwrap_err();
    assert_eq!(error.to_string(), "the file is larger than 64 MiB: load it in parts");
}

#[test]
fn a_quoted_cell_may_span_lines_and_later_lines_keep_their_numbers() {
    let file = "id,day,count,note\na,2019-04-24,1,\"x\ny \"\"z\"\"\"\nb,2019-04-24,x,\n";
    assert_eq!(faults(file), vec!["line 4: column `count`: `x` is not an integer of 32 bits"]);
}

proptest! {
    #[test]
    fn no_file_panics(file in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&samples::table(), &file);
    }

    #[test]
    fn no_row_panics(rows in "[a-c0-9,\"\n\r.-]{0,80}") {
        let _ = read(&samples::table(), format!("id,day,count,note\n{rows}").as_bytes());
    }
}
