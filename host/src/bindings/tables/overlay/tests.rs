//! Held writes applied and read, against a plain model; and laid over what is stored, against applying them first.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sqlx::{Connection, SqliteConnection};

use super::super::samples::{self, Model, Write, block_on};
use super::super::{TableError, schema, sqlite};
use super::*;
use crate::delivery::Allowance;

async fn store(table: &Table) -> SqliteConnection {
    let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    schema::prepare(&mut conn, &BTreeMap::from([(table.name.clone(), table.clone())])).await.unwrap();
    conn
}

fn ranges() -> Vec<Range> {
    ["a", "b", "ß"]
        .into_iter()
        .map(|id| Range { partition: Value::Text(id.into()), first: Value::Int(1), last: Value::Int(4) })
        .collect()
}

fn sorted(mut rows: Vec<StoredRow>) -> Vec<StoredRow> {
    rows.sort_by(|a, b| compare_keys(&a.key, &b.key));
    rows
}

async fn all(conn: &mut SqliteConnection, table: &Table) -> Vec<StoredRow> {
    let keys: Vec<Row> = ["a", "b", "ß"]
        .into_iter()
        .flat_map(|id| (0..6).map(move |day| vec![Value::Text(id.into()), Value::Int(day)]))
        .collect();
    sorted(sqlite::get(conn, table, &samples::names(table), &keys, &mut Allowance::unlimited()).await.unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn applied_writes_are_what_a_plain_model_holds(batches in proptest::collection::vec(samples::writes(40), 1..5)) {
        block_on(async {
            let table = samples::table();
            let mut conn = store(&table).await;
            let mut model = Model::default();
            for batch in &batches {
                sqlite::apply(&mut conn, &table, &samples::held(batch)).await.unwrap();
                model.apply(batch);
                prop_assert_eq!(all(&mut conn, &table).await, model.rows());
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_call_reads_what_it_would_read_after_its_commit(before in samples::writes(30), own in samples::writes(12)) {
        block_on(async {
            let table = samples::table();
            let columns: Vec<String> = ["note", "id", "mean"].map(str::to_owned).to_vec();
            let mut conn = store(&table).await;
            sqlite::apply(&mut conn, &table, &samples::held(&before)).await.unwrap();
            let held = samples::held(&own);
            let keys: Vec<Row> = own.iter().chain(&before).take(15).map(|w| match w {
                Write::Upsert(key, _) | Write::Delete(key) => key.clone(),
            }).collect();
            let stored = sqlite::get(&mut conn, &table, &columns, &keys, &mut Allowance::unlimited()).await.unwrap();
            let seen_by_key = sorted(get(&table, &columns, stored, &held, &keys));
            let mut seen_by_range = Vec::new();
            for range in ranges() {
                let stored = sqlite::scan(&mut conn, &table, &columns, &range, &mut Allowance::unlimited()).await.unwrap();
                seen_by_range.push(scan(&table, &columns, stored, &held, &range));
            }
            sqlite::apply(&mut conn, &table, &held).await.unwrap();
            prop_assert_eq!(seen_by_key, sorted(sqlite::get(&mut conn, &table, &columns, &keys, &mut Allowance::unlimited()).await.unwrap()));
            for (range, seen) in ranges().iter().zip(seen_by_range) {
                prop_assert_eq!(seen, sqlite::scan(&mut conn, &table, &columns, range, &mut Allowance::unlimited()).await.unwrap());
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn many_rows_cross_every_shape_of_statement() {
    let table = samples::table();
    let mut conn = store(&table).await;
    let mut held = HeldTable::default();
    let mut model = Model::default();
    for day in 0..300 {
        let key = vec![Value::Text("a".into()), Value::Int(day)];
        let mut cells: Vec<Option<Value>> = vec![None; table.columns.len()];
        cells[4] = Some(Value::Int(day));
        held.upsert(key.clone(), cells.clone());
        cells[0] = Some(key[0].clone());
        cells[2] = Some(key[1].clone());
        model.apply(&[Write::Upsert(key, cells)]);
    }
    sqlite::apply(&mut conn, &table, &held).await.unwrap();
    let keys: Vec<Row> = held.rows.values().map(|r| r.key.clone()).collect();
    let found =
        sqlite::get(&mut conn, &table, &samples::names(&table), &keys, &mut Allowance::unlimited()).await.unwrap();
    assert_eq!(sorted(found), model.rows());
    let mut gone = HeldTable::default();
    // All but the first.
    keys.iter().skip(1).for_each(|k| gone.delete(k.clone()));
    sqlite::apply(&mut conn, &table, &gone).await.unwrap();
    let range = Range { partition: Value::Text("a".into()), first: Value::Int(-9), last: Value::Int(999) };
    let left =
        sqlite::scan(&mut conn, &table, &["count".to_owned()], &range, &mut Allowance::unlimited()).await.unwrap();
    assert_eq!(left, vec![StoredRow { key: keys[0].clone(), cells: vec![Value::Int(0)] }]);
}

#[tokio::test]
async fn a_write_without_a_column_that_may_not_be_null_is_the_functions_mistake() {
    let table = samples::table();
    let mut conn = store(&table).await;
    let mut held = HeldTable::default();
    held.upsert(vec![Value::Text("a".into()), Value::Int(1)], vec![None; table.columns.len()]);
    let error = sqlite::apply(&mut conn, &table, &held).await.unwrap_err();
    assert!(matches!(error, TableError::Incomplete { .. }));
    assert_eq!(
        error.to_string(),
        "a write to table `daily` leaves out column `count`, which may not be null: write it with every row"
    );
}
