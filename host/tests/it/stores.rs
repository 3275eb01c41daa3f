//! The same of every store of tables: SQLite in the data folder, Cassandra, Postgres.

mod lines;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt as _;
use isobar::bindings::tables::{Range, StoredRow, domain, schema, sqlite};
use isobar::config;
use isobar::delivery::{Allowance, HeldTable, Row, Value};
use isobar::manifest::{Application, Table, parse};
use isobar::stores::{Batch, Connection, StoreError, Stores, Writer};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use local_services::{Services, services};

/// One table with every kind of column, kept in `store`, and one whose key is a single column.
fn manifest(store: &str) -> String {
    format!(
        r#"
spin_manifest_version = 2
[application]
name = "conformance"
version = "0.1.0"
[application.trigger.isobar.tables.every_kind]
store = "{store}"
key = ["name", "day"]
[application.trigger.isobar.tables.every_kind.columns]
name = "text"
day = "date"
words = "text?"
instant = "timestamp?"
double = "double?"
int = "int?"
bigint = "bigint?"
boolean = "boolean?"
count = "int"
[application.trigger.isobar.tables.plain]
store = "{store}"
key = ["id"]
columns = {{ id = "bigint", "select" = "text?" }}
[[trigger.isobar]]
component = "writes"
cron_expression = "0 0 0 1 1 *"
[application.trigger.isobar.grants.writes]
tables.every_kind = ["upsert", "delete"]
[component.writes]
source = "writes.wasm"
"#
    )
}

/// What rows are called where their names do not matter.
const NAMES: [&str; 4] = ["a", "b", "B", "ä"];

/// A store of tables.
enum Subject {
    Sqlite(SqlitePool),
    Stored(Arc<Connection>, Writer),
}

/// One store with its tables empty.
struct Bench {
    name: &'static str,
    application: Application,
    subject: Subject,
}

fn writer(lineage: &str) -> Writer {
    Writer { function: "writes".into(), partition: 3, lineage: lineage.into() }
}

fn settings(cassandra: &str, postgres: &str, space: &str) -> config::Config {
    let text = format!(
        "[stores.cassandra]\nnodes = [\"{cassandra}\"]\nkeyspace = \"{space}\"\n\
         [stores.postgres]\naddress = \"{postgres}\"\ndatabase = \"postgres\"\nschema = \"{space}\"\nuser = \"postgres\"\n"
    );
    config::parse(&text).unwrap()
}

/// The connection that serves the tables of `store`, in a place of its own.
fn connection(store: &str, services: &Services, space: &str, text: &str) -> (Application, Arc<Connection>) {
    served(store, &settings(&services.cassandra(), &services.postgres(), space), text)
}

fn served(store: &str, config: &config::Config, text: &str) -> (Application, Arc<Connection>) {
    let mut application = parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    config.place(&mut application).unwrap();
    let stores = Stores::new(&application, &config.stores).unwrap();
    let connection = Arc::clone(stores.all().find(|c| c.name.as_ref() == store).unwrap());
    (application, connection)
}

/// A name that no earlier test has used.
fn space() -> String {
    format!("t{:016x}", rand::random::<u64>())
}

async fn sqlite_bench() -> Bench {
    let application = parse(&manifest("embedded")).unwrap();
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(SqliteConnectOptions::new().in_memory(true)).await.unwrap();
    schema::prepare(&mut pool.acquire().await.unwrap(), &application.tables).await.unwrap();
    Bench { name: "sqlite", application, subject: Subject::Sqlite(pool) }
}

async fn benches(services: &Services) -> Vec<Bench> {
    let mut benches = vec![sqlite_bench().await];
    for name in ["cassandra", "postgres"] {
        let (application, connection) = connection(name, services, &space(), &manifest(name));
        benches.push(Bench { name, application, subject: Subject::Stored(connection, writer("first")) });
    }
    benches
}

impl Bench {
    fn table(&self, name: &str) -> &Table {
        &self.application.tables[name]
    }

    async fn apply(&self, offset: i64, table: &str, held: &HeldTable) {
        match &self.subject {
            Subject::Sqlite(pool) => {
                sqlite::apply(&mut pool.acquire().await.unwrap(), self.table(table), held).await.unwrap();
            }
            Subject::Stored(connection, writer) => {
                let batch = Batch { offset, tables: BTreeMap::from([(table.to_owned(), held.clone())]) };
                connection.apply(writer, &batch).await.unwrap();
            }
        }
    }

    async fn get(&self, table: &str, keys: &[Row]) -> Vec<StoredRow> {
        let (table, mut allowance) = (self.table(table), Allowance::unlimited());
        let columns: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
        let mut rows = match &self.subject {
            Subject::Sqlite(pool) => {
                sqlite::get(&mut pool.acquire().await.unwrap(), table, &columns, keys, &mut allowance).await.unwrap()
            }
            Subject::Stored(connection, _) => connection.get(table, &columns, keys, &mut allowance).await.unwrap(),
        };
        rows.sort_by(|a, b| compare(&a.key, &b.key));
        rows
    }

    async fn scan(&self, range: &Range) -> Vec<StoredRow> {
        let (table, mut allowance) = (self.table("every_kind"), Allowance::unlimited());
        let columns = ["count".to_owned()];
        match &self.subject {
            Subject::Sqlite(pool) => {
                sqlite::scan(&mut pool.acquire().await.unwrap(), table, &columns, range, &mut allowance).await.unwrap()
            }
            Subject::Stored(connection, _) => connection.scan(table, &columns, range, &mut allowance).await.unwrap(),
        }
    }
}

fn compare(a: &Row, b: &Row) -> std::cmp::Ordering {
    let cells = a.iter().zip(b).map(|(a, b)| domain::compare(a, b));
    cells.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
}

fn key(name: &str, day: i64) -> Row {
    vec![Value::Text(name.to_owned()), Value::Int(day)]
}

/// A whole row, its cells besides the key those of `cells` and a count.
fn row(key: &Row, cells: [Value; 6], count: i64) -> Vec<Option<Value>> {
    key.iter().cloned().chain(cells).chain([Value::Int(count)]).map(Some).collect()
}

const NULLS: [Value; 6] = [Value::Null, Value::Null, Value::Null, Value::Null, Value::Null, Value::Null];

#[tokio::test(flavor = "multi_thread")]
async fn every_value_of_the_domain_comes_back_as_it_was() {
    let Some(services) = services("values at their limits in every store") else { return };
    let long = "ü".repeat(domain::MOST_TEXT_BYTES / 2);
    let cells = [
        NULLS,
        [
            Value::Text(String::new()),
            Value::Int(domain::FIRST_MS),
            Value::Double(-0.0),
            Value::Int(i32::MIN.into()),
            Value::Int(i64::MIN),
            Value::Bool(false),
        ],
        [
            Value::Text("a'b\"c\\d\n\t\u{1}\u{feff}🌩 é".to_owned()),
            Value::Int(domain::LAST_MS),
            Value::Double(f64::INFINITY),
            Value::Int(i32::MAX.into()),
            Value::Int(i64::MAX),
            Value::Bool(true),
        ],
        [
            Value::Text(long),
            Value::Int(-1),
            Value::Double(f64::MIN_POSITIVE / 2.0),
            Value::Int(0),
            Value::Int(0),
            Value::Null,
        ],
        [Value::Null, Value::Int(0), Value::Double(0.1 + 0.2), Value::Null, Value::Null, Value::Null],
        [Value::Null, Value::Null, Value::Double(f64::NEG_INFINITY), Value::Null, Value::Null, Value::Null],
    ];
    let days = [domain::FIRST_DAY, -1, 0, 1, domain::LAST_DAY, 10_957];
    for bench in benches(services).await {
        let mut held = HeldTable::default();
        let keys: Vec<Row> = days.iter().map(|day| key("ключ 'quoted'", *day)).collect();
        for ((at, key), cells) in keys.iter().enumerate().zip(cells.clone()) {
            held.upsert(key.clone(), row(key, cells, at as i64));
        }
        bench.apply(0, "every_kind", &held).await;
        let found = bench.get("every_kind", &keys).await;
        let mut wanted: Vec<Row> =
            held.rows.values().map(|r| r.cells.iter().flatten().flatten().cloned().collect()).collect();
        // Not every store keeps negative zero apart, so none does.
        let zero = |cell: &mut Value| {
            if let Value::Double(number) = cell {
                *number += 0.0;
            }
        };
        wanted.iter_mut().flatten().for_each(zero);
        wanted.sort_by(|a, b| compare(&a[..2].to_vec(), &b[..2].to_vec()));
        let cells: Vec<Row> = found.into_iter().map(|row| row.cells).collect();
        assert_eq!(cells.len(), wanted.len(), "{}", bench.name);
        for (found, wanted) in cells.iter().zip(&wanted) {
            // As text, because -0.0 equals 0.0.
            assert_eq!(format!("{found:?}"), format!("{wanted:?}"), "{}", bench.name);
        }
    }
}

/// What random writes follow from.
fn seed() -> u64 {
    let seed = std::env::var("ISOBAR_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("seed {seed}: `ISOBAR_SEED={seed}` makes the same writes");
    seed
}

/// Writes of one batch, as a function may hold them.
fn some_writes(random: &mut StdRng) -> HeldTable {
    let mut held = HeldTable::default();
    for _ in 0..random.random_range(1..40) {
        let key = key(NAMES[random.random_range(0..4)], random.random_range(-3..4));
        match random.random_range(0..6) {
            0 => held.delete(key),
            1 => {
                held.delete(key.clone());
                let cells = row(&key, NULLS, random.random_range(0..9));
                held.upsert(key, cells.into_iter().enumerate().map(|(at, cell)| cell.filter(|_| at != 3)).collect());
            }
            _ => {
                let cells = [
                    Value::Text(random.random_range(0..99).to_string()),
                    Value::Int(random.random_range(-9..9)),
                    Value::Double(random.random_range(-9..9).into()),
                    Value::Int(random.random_range(-9..9)),
                    Value::Null,
                    Value::Bool(random.random()),
                ];
                let keep = random.random_range(0..64);
                let some = |(at, cell): (usize, Option<Value>)| {
                    cell.filter(|_| !(2..8).contains(&at) || keep >> (at - 2) & 1 == 1)
                };
                held.upsert(key.clone(), row(&key, cells, 1).into_iter().enumerate().map(some).collect());
            }
        }
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_writes_leave_the_same_rows_and_ranges() {
    let Some(services) = services("random writes to every store") else { return };
    let mut random = StdRng::seed_from_u64(seed());
    let benches = benches(services).await;
    let all: Vec<Row> = NAMES.iter().flat_map(|name| (-3..4).map(|day| key(name, day))).collect();
    for offset in 0..60 {
        let held = some_writes(&mut random);
        let range = Range {
            partition: Value::Text(NAMES[random.random_range(0..4)].to_owned()),
            first: Value::Int(random.random_range(-4..4)),
            last: Value::Int(random.random_range(-4..4)),
        };
        let mut first: Option<(Vec<StoredRow>, Vec<StoredRow>)> = None;
        for bench in &benches {
            bench.apply(offset, "every_kind", &held).await;
            let found = (bench.get("every_kind", &all).await, bench.scan(&range).await);
            match &first {
                None => first = Some(found),
                Some(first) => assert_eq!(&found, first, "{} differs from sqlite after batch {offset}", bench.name),
            }
        }
    }
    for bench in &benches {
        let Subject::Stored(connection, _) = &bench.subject else { continue };
        let table = bench.table("every_kind");
        let count = bench.get("every_kind", &all).await.len();
        assert_eq!(connection.count(table).await.unwrap(), count as u64);
        let rows: Vec<Row> = connection.rows(table, None).try_collect().await.unwrap();
        assert_eq!(rows.len(), count, "{}", bench.name);
        let of_a: Vec<Row> = connection.rows(table, Some(Value::Text("a".to_owned()))).try_collect().await.unwrap();
        assert_eq!(of_a.len(), rows.iter().filter(|row| row[0] == Value::Text("a".to_owned())).count());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_or_again_changes_nothing() {
    let Some(services) = services("zombies' writes to every store") else { return };
    for bench in benches(services).await {
        let Subject::Stored(connection, mine) = &bench.subject else { continue };
        let (written, deleted) = (key("a", 1), key("a", 2));
        let upsert = |key: &Row, count| {
            let mut held = HeldTable::default();
            held.upsert(key.clone(), row(key, NULLS, count));
            held
        };
        let counts = async || -> Vec<Value> {
            let found = bench.get("every_kind", &[written.clone(), deleted.clone()]).await;
            found.into_iter().map(|row| row.cells[8].clone()).collect()
        };
        bench.apply(5, "every_kind", &upsert(&written, 5)).await;
        bench.apply(6, "every_kind", &upsert(&deleted, 6)).await;
        let mut gone = HeldTable::default();
        gone.delete(deleted.clone());
        bench.apply(7, "every_kind", &gone).await;
        assert_eq!(counts().await, [Value::Int(5)], "{}", bench.name);
        // A host that was thought dead sends what it had, older and the same.
        for (offset, key, count) in [(3, &written, 3), (4, &deleted, 4), (6, &deleted, 6), (5, &written, 5)] {
            bench.apply(offset, "every_kind", &upsert(key, count)).await;
            assert_eq!(counts().await, [Value::Int(5)], "{} at {offset}", bench.name);
        }
        // Another outbox takes over, as of a folder that was restored: its offsets begin anew, and its writes count.
        let (_, other) = connection_again(&bench, services, connection);
        let anew = Batch { offset: 0, tables: BTreeMap::from([("every_kind".to_owned(), upsert(&deleted, 70))]) };
        other.apply(&writer("second"), &anew).await.unwrap();
        assert_eq!(counts().await, [Value::Int(5), Value::Int(70)], "{}", bench.name);
        let late = Batch { offset: 900, tables: BTreeMap::from([("every_kind".to_owned(), upsert(&deleted, 9))]) };
        let answer = connection.apply(mine, &late).await;
        assert_eq!(counts().await, [Value::Int(5), Value::Int(70)], "{}: {answer:?}", bench.name);
        if bench.name == "postgres" {
            let refused = answer.unwrap_err().to_string();
            assert!(refused.contains("another data folder has taken over the tables of `writes`"), "{refused}");
        }
        // Nor does it take them back by being started again.
        let (_, again) = connection_again(&bench, services, connection);
        let refused = again.apply(mine, &late).await.unwrap_err().to_string();
        assert!(refused.contains("taken over") && refused.contains("delete `lineage`"), "{}: {refused}", bench.name);
        assert_eq!(counts().await, [Value::Int(5), Value::Int(70)], "{}", bench.name);
        // A function that has another name now writes after what it wrote under the old one.
        let renamed = Writer { function: "renamed".into(), ..writer("second") };
        let first = Batch { offset: 0, tables: BTreeMap::from([("every_kind".to_owned(), upsert(&deleted, 71))]) };
        again.apply(&renamed, &first).await.unwrap();
        assert_eq!(counts().await, [Value::Int(5), Value::Int(71)], "{}", bench.name);
        // Loads come one after the other, without an outbox.
        for count in [1, 2, 3] {
            let mut rows = HeldTable::default();
            let id = vec![Value::Int(1)];
            rows.upsert(id.clone(), vec![Some(Value::Int(1)), Some(Value::Text(count.to_string()))]);
            connection.load(bench.table("plain"), &rows).await.unwrap();
            assert_eq!(bench.get("plain", &[id]).await[0].cells[1], Value::Text(count.to_string()), "{}", bench.name);
        }
    }
}

/// A second connection to the same tables.
fn connection_again(bench: &Bench, services: &Services, first: &Connection) -> (Application, Arc<Connection>) {
    connection(bench.name, services, first.space(), &manifest(bench.name))
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_grow_by_columns_that_may_be_null_and_other_changes_are_refused() {
    let Some(services) = services("changes of tables in every store") else { return };
    for store in ["cassandra", "postgres"] {
        let (space, text) = (space(), manifest(store));
        let (_, before) = connection(store, services, &space, &text);
        before.prepare().await.unwrap();
        let grown = text.replace("boolean = \"boolean?\"", "boolean = \"boolean?\"\nadded = \"timestamp?\"");
        for _ in 0..2 {
            let (application, after) = connection(store, services, &space, &grown);
            after.prepare().await.unwrap();
            let columns = ["added".to_owned()];
            let table = &application.tables["every_kind"];
            assert_eq!(after.get(table, &columns, &[key("a", 1)], &mut Allowance::unlimited()).await.unwrap(), []);
        }
        let changed = text.replace("double = \"double?\"", "double = \"int?\"").replace("words = \"text?\"\n", "");
        let (_, after) = connection(store, services, &space, &changed);
        let Err(StoreError::Schema(told)) = after.prepare().await else { panic!("{store} took a change") };
        assert!(
            told.contains("table `every_kind` is stored with column `double` as `double?`, and declared with `int?`"),
            "{told}"
        );
        assert!(told.contains("`words`, which is no longer declared"), "{told}");
        assert!(told.contains("DROP TABLE"), "{told}");
    }
}
