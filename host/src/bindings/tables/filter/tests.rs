//! Filters read, refused and run: the refusals word by word, the meaning against a plain evaluation.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use proptest::prelude::*;
use sqlx::{Connection, SqliteConnection};

use super::super::samples::{self, Model};
use super::super::{domain, schema, sqlite};
use super::*;

fn read(text: &str) -> Result<Filter, FilterError> {
    let table = samples::table();
    let seen: Vec<&Column> = table.columns.iter().filter(|c| !c.sensitive).collect();
    parse(text, &seen)
}

#[test]
fn values_are_parameters_and_never_part_of_the_sql() {
    let filter = read(
        "id = 'x''; drop table y; --' AND day >= '2019-04-24' and mean < -1.5e2 and note is not null and count in (1, 2)",
    );
    let (sql, values) = filter.unwrap().sql();
    assert_eq!(sql, r#""id" = ? AND "day" >= ? AND "mean" < ? AND "note" IS NOT NULL AND "count" IN (?,?)"#);
    let text = Value::Text("x'; drop table y; --".into());
    assert_eq!(values, vec![text, Value::Int(18_010), Value::Double(-150.0), Value::Int(1), Value::Int(2)]);
}

#[test]
fn the_infinite_is_written_as_cells_show_it() {
    for (text, number) in [("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY), ("1e999", f64::INFINITY)] {
        let filter = read(&format!("mean = {text}")).unwrap();
        assert_eq!(filter.sql().1, vec![Value::Double(number)], "{text}");
        assert_eq!(read(&filter.to_string()), Ok(filter), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_the_remedy() {
    let cases = [
        ("", "character 1 of the filter: it ends where a column is expected"),
        ("meen > 1", "character 1 of the filter: there is no column `meen`: did you mean `mean`?"),
        (
            "zzzzzz > 1",
            "character 1 of the filter: there is no column `zzzzzz`: there are `id`, `mean`, `day`, `at`, `count`, `total`, `frost`, `note`",
        ),
        (
            "mean > 'x'",
            "character 8 of the filter: column `mean` is compared with a number such as 9.5, found text in quotes",
        ),
        ("mean > 1,5", "character 9 of the filter: expected `and`, found `,`"),
        (
            "count = 1.5",
            "character 9 of the filter: `1.5` is not an integer of 32 bits, with which column `count` is compared",
        ),
        (
            "day = 2019",
            "character 7 of the filter: column `day` is compared with a date in quotes such as '2019-04-24', found `2019`",
        ),
        (
            "day = '24.4.2019'",
            "character 7 of the filter: `24.4.2019` is not a date such as 2019-04-24, with which column `day` is compared",
        ),
        (
            "at <",
            "character 5 of the filter: it ends where a timestamp in quotes such as '2019-04-24T10:00:00Z' is expected",
        ),
        ("id = \"a\"", "character 6 of the filter: text stands in single quotes: write 'text'"),
        ("id = 'a", "character 6 of the filter: the quote is not closed: add a `'`, doubled where text holds one"),
        ("id == 'a'", "character 4 of the filter: `==` is no comparison: write `=`"),
        (
            "id like 'a'",
            "character 4 of the filter: expected one of `=` `!=` `<` `<=` `>` `>=` `is` `in`, found `like`",
        ),
        ("id = 'a' or id = 'b'", "character 10 of the filter: conditions are joined by `and` only: ask in two queries"),
        ("note = null", "character 8 of the filter: null is compared with nothing: write `note is null`"),
        (
            "frost < true",
            "character 7 of the filter: column `frost` is true or false, which have no order: write `=` or `!=`",
        ),
        ("frost = yes", "character 9 of the filter: `yes` is not true or false, with which column `frost` is compared"),
        ("id in ('a' 'b')", "character 12 of the filter: expected `,` or `)`, found text in quotes"),
        ("id = 'a'; drop", "character 9 of the filter: `;` has no meaning here: leave it out"),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn a_column_that_may_not_be_seen_is_one_that_does_not_exist() {
    let refusal = |name: &str| read(&format!("{name} = 1")).unwrap_err().message.replace(name, "?");
    assert_eq!(refusal("secret"), refusal("absent"));
}

#[test]
fn length_conditions_and_literals_are_bounded() {
    let long = format!("id = '{}'", "a".repeat(MOST_BYTES));
    assert_eq!(read(&long).unwrap_err().message, "it is longer than 4096 bytes: ask in several queries");
    let many = vec!["count = 1"; MOST_TERMS + 1].join(" and ");
    assert_eq!(read(&many).unwrap_err().message, "more than 32 conditions: ask in several queries");
    let wide = format!("count in ({})", vec!["1"; MOST_LITERALS + 1].join(","));
    assert_eq!(read(&wide).unwrap_err().message, "more than 256 values in one `in`: ask in several queries");
}

fn test(column: &Column) -> BoxedStrategy<Test> {
    let given = Column { nullable: false, ..column.clone() };
    // Infinity has no literal.
    let value =
        samples::cell(&given).prop_filter("has a literal", |v| !matches!(v, Value::Double(d) if d.is_infinite()));
    let boolean = column.kind == ColumnKind::Boolean;
    let operators = if boolean { Operator::ALL[..2].to_vec() } else { Operator::ALL.to_vec() };
    prop_oneof![
        4 => (proptest::sample::select(operators), value.clone()).prop_map(|(o, v)| Test::Compare(o, v)),
        1 => proptest::collection::vec(value, 1..4).prop_map(Test::Among),
        1 => Just(Test::Null),
        1 => Just(Test::NotNull),
    ]
    .boxed()
}

fn term() -> impl Strategy<Value = Term> {
    proptest::sample::select(samples::table().columns).prop_flat_map(|column| {
        let (name, kind) = (column.name.clone(), column.kind);
        test(&column).prop_map(move |test| Term { column: name.clone(), kind, test })
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    proptest::collection::vec(term(), 1..4).prop_map(|terms| Filter { terms })
}

fn holds(test: &Test, cell: &Value) -> bool {
    match test {
        Test::Null => *cell == Value::Null,
        Test::NotNull => *cell != Value::Null,
        _ if *cell == Value::Null => false,
        Test::Among(values) => values.contains(cell),
        Test::Compare(operator, value) => {
            let order = domain::compare(cell, value);
            match operator {
                Operator::Equal => order == Ordering::Equal,
                Operator::Different => order != Ordering::Equal,
                Operator::Less => order == Ordering::Less,
                Operator::LessOrEqual => order != Ordering::Greater,
                Operator::Greater => order == Ordering::Greater,
                Operator::GreaterOrEqual => order != Ordering::Less,
            }
        }
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "[a-z<=>!'\"(), .0-9\\PC-]{0,60}") {
        let _ = read(&text);
    }

    #[test]
    fn what_is_written_reads_back_as_itself(filter in filter()) {
        let table = samples::table();
        let columns: Vec<&Column> = table.columns.iter().collect();
        prop_assert_eq!(parse(&filter.to_string(), &columns), Ok(filter));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_store_finds_the_rows_for_which_every_condition_holds(writes in samples::writes(30), filter in filter()) {
        samples::block_on(async {
            let table = samples::table();
            let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
            schema::prepare(&mut conn, &BTreeMap::from([(table.name.clone(), table.clone())])).await.unwrap();
            sqlite::apply(&mut conn, &table, &samples::held(&writes)).await.unwrap();
            let mut model = Model::default();
            model.apply(&writes);
            let cell = |row: &[Value], term: &Term| row[table.columns.iter().position(|c| c.name == term.column).unwrap()].clone();
            let expected = model.rows().iter().filter(|r| filter.terms.iter().all(|t| holds(&t.test, &cell(&r.cells, t)))).count();
            let (sql, values) = filter.sql();
            let mut arguments = sqlx::sqlite::SqliteArguments::default();
            values.iter().for_each(|v| sqlite::bind(&mut arguments, v).unwrap());
            let sql = format!("SELECT 1 FROM table_daily WHERE {sql}");
            let found = sqlx::query_with(sqlx::AssertSqlSafe(sql), arguments).fetch_all(&mut conn).await.unwrap().len();
            prop_assert_eq!(found, expected);
            Ok(())
        })?;
    }
}
