//! Versions in the shadow of those in charge: compared on the same batches, put in charge with their state, dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use isobar::app::App;
use isobar::console::answers::{DeployAsk, DeployWay};
use isobar::console::client::Client;
use isobar::delivery::{Allowance, Value};
use isobar::deploys::{Course, DeployError, Taken};
use isobar::embedded::past::{Mark, Part};
use isobar::manifest;
use isobar::shadows::{Comparison, RowDifference};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::task::JoinHandle;

use crate::crash::{RECORDS, check_all, read, up};
use crate::deploys::{alone, ask, component, count, deploy, idle, runs, start, whole};
use crate::swaps::{another_build, publish};

/// How often the host is killed beside a shadow.
const KILLS: u32 = 6;

const FUNCTION: &str = "counting";
const LONGEST: Duration = Duration::from_secs(120);
/// Numbers of a flow.
const FLOW: i64 = 200_000;

/// The counting function with another formula: `k7` counts twice, and half of what cannot be counted is.
pub(crate) fn otherwise() -> Arc<[u8]> {
    beside("otherwise")
}

/// A counting function that the manifest does not name.
pub(crate) fn beside(name: &str) -> Arc<[u8]> {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let build = || {
        let mut built = BUILT.lock().unwrap();
        if built.insert(name.to_owned()) {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--release", "--locked", "--target", "wasm32-wasip2", "--package"]);
            let done = cargo.arg(format!("guest-{name}")).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    };
    tokio::task::block_in_place(build);
    component(name)
}

async fn follow(app: &App, component: Arc<[u8]>) -> Result<Taken, DeployError> {
    app.deploys.begin_shadow(ask(&alone(), &[(FUNCTION, component)]), Course::Beside, "tester").await
}

async fn compare(app: &App) -> Comparison {
    app.deploys.compare_shadow(FUNCTION, 10, false).await.unwrap()
}

/// Waits until everything is counted and compared.
pub(crate) async fn compared(app: &App) -> Comparison {
    idle(app).await;
    let started = Instant::now();
    loop {
        let comparison = compare(app).await;
        assert_eq!(comparison.ended, None);
        if comparison.behind == 0 {
            return comparison;
        }
        assert!(started.elapsed() < LONGEST, "the shadow does not come to its end: {comparison:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn differing(comparison: &Comparison, table: &str) -> (u64, u64, Vec<RowDifference>) {
    let table = comparison.tables.iter().find(|found| found.table == table).unwrap();
    (table.rows, table.differing, table.first.clone())
}

async fn total(app: &App, key: &str) -> i64 {
    let table = &app.store.application().tables["totals"];
    let (columns, keys) = (["records".to_owned()], [vec![Value::Text(key.to_owned())]]);
    let rows = app.store.rows(table, &columns, &keys, &mut Allowance::unlimited()).await.unwrap();
    let Value::Int(total) = rows[0].cells[0] else { panic!("{rows:?}") };
    total
}

/// Publishes numbers from `first` on until it is enough; gives how many there are in all.
pub(crate) fn flow(app: &App, first: i64) -> (JoinHandle<i64>, Arc<AtomicBool>) {
    let (store, enough) = (Arc::clone(&app.store), Arc::new(AtomicBool::new(false)));
    let told = Arc::clone(&enough);
    let publishing = tokio::spawn(async move {
        let mut next = first;
        while !told.load(Ordering::Relaxed) {
            publish(&store, next..next + 2_500).await;
            next += 2_500;
        }
        next
    });
    (publishing, enough)
}

pub(crate) async fn ended(publishing: JoinHandle<i64>, enough: &AtomicBool) -> i64 {
    enough.store(true, Ordering::Relaxed);
    publishing.await.unwrap()
}

fn folders(data_dir: &Path) -> usize {
    std::fs::read_dir(data_dir.join("shadows")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_code_makes_the_same_and_takes_over_within_the_flow() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    publish(&app.store, 0..FLOW / 4).await;
    idle(&app).await;
    let charge = runs(&app.store).await;
    let (publishing, enough) = flow(&app, FLOW / 4);
    let taken = follow(&app, another_build(&component(FUNCTION), 1)).await.unwrap();
    assert_eq!((taken.before.as_ref(), runs(&app.store).await), (Some(&charge), charge.clone()), "it is not in charge");
    let twice = follow(&app, another_build(&component(FUNCTION), 2)).await.unwrap_err().to_string();
    assert!(twice.contains("has a shadow already"), "{twice}");
    let promoted = app.deploys.promote(FUNCTION, Some(0), "tester").await.unwrap();
    assert_eq!((promoted.version, promoted.before), (taken.version, Some(charge)));
    let total = ended(publishing, &enough).await;
    idle(&app).await;
    check_all(&app.store, total).await;
    assert_eq!((app.store.shadows().await.unwrap(), folders(dir.path())), (vec![], 0), "nothing of it is left");
    let audit = app.store.audit_log(10).await.unwrap();
    let audit: Vec<_> = audit.iter().map(|e| (e.action.as_str(), e.refused.is_some(), e.who.as_str())).collect();
    let tester = |action, refused| (action, refused, "tester");
    let told = [tester("promote", false), tester("shadow", true), tester("shadow", false), ("up", false, "operator")];
    assert_eq!(audit, told);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_formula_shows_in_rows_records_and_refusals_and_promotion_makes_up_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    publish(&app.store, 0..23_000).await;
    idle(&app).await;
    follow(&app, otherwise()).await.unwrap();
    publish(&app.store, 23_000..69_000).await;
    let comparison = compared(&app).await;
    assert_eq!((comparison.records, comparison.failure.as_deref()), (46_000, None));
    assert!(comparison.shadow_micros > 0 && comparison.charge_micros > 0 && comparison.batches > 300);
    // 1,000 numbers of each key in the beginning, 2,000 later; 49,999 is one of `k20`, and the shadow counts it.
    let (rows, different, first) = differing(&comparison, "totals");
    assert_eq!((rows, different), (23, 2));
    let cells = |row: &RowDifference| -> Vec<_> {
        row.cells.iter().map(|c| (c.column.clone(), c.charge.clone().unwrap(), c.shadow.clone().unwrap())).collect()
    };
    let records = |charge: &str, shadow: &str| vec![("records".to_owned(), charge.to_owned(), shadow.to_owned())];
    let name = |key: &str| vec![("name".to_owned(), key.to_owned())];
    assert_eq!((first[0].key.clone(), cells(&first[0])), (name("k20"), records("2999", "3000")));
    assert_eq!((first[1].key.clone(), cells(&first[1])), (name("k7"), records("3000", "5000")));
    let (_, different, first) = differing(&comparison, "published records");
    let text = |value: &Option<String>| value.clone().unwrap();
    let values: Vec<_> = first.iter().map(|row| (text(&row.cells[0].charge), text(&row.cells[0].shadow))).collect();
    let pair = |charge: &str, shadow: &str| (format!("text:{charge}"), format!("text:{shadow}"));
    assert_eq!((different, values), (2, vec![pair("2999", "3000"), pair("3000", "5000")]));
    let (rows, different, first) = differing(&comparison, "refused records");
    assert_eq!((rows, different, first[0].in_charge, first[0].in_shadow), (1, 1, true, false));
    assert_eq!(comparison.differing, 5);

    let refused = app.deploys.promote(FUNCTION, Some(4), "tester").await.unwrap_err().to_string();
    assert!(refused.contains("differs in 5 rows and records, and 4 are allowed"), "{refused}");
    assert_eq!(total(&app, "k7").await, 3000, "nothing was written");
    app.deploys.promote(FUNCTION, Some(5), "tester").await.unwrap();
    assert_eq!((total(&app, "k7").await, total(&app, "k20").await, total(&app, "k1").await), (5000, 3000, 3000));
    let output = read(&app.store, "output", 2).await;
    let last = |key: &str| output[key].last().unwrap().1.clone();
    assert_eq!((last("k7"), last("k20")), ("5000".to_owned(), "3000".to_owned()));
    publish(&app.store, 69_000..92_000).await;
    idle(&app).await;
    // It goes on from the shadow's state; 99,999 lies beyond.
    assert_eq!((total(&app, "k7").await, total(&app, "k20").await, total(&app, "k1").await), (7000, 4000, 4000));
    assert_eq!(app.store.verify().await.unwrap().findings, vec![]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_goes_on_after_a_restart_and_leaves_nothing_when_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    publish(&app.store, 0..FLOW / 4).await;
    follow(&app, otherwise()).await.unwrap();
    app.stop().await;
    let app = start(dir.path(), &alone()).await;
    publish(&app.store, FLOW / 4..FLOW / 2).await;
    let comparison = compared(&app).await;
    let (_, different, rows) = differing(&comparison, "totals");
    assert!(different >= 1 && rows.last().unwrap().key[0].1 == "k7", "{comparison:?}");
    let charge = total(&app, "k7").await.to_string();
    let cell = rows.last().unwrap().cells.iter().find(|cell| cell.column == "records").unwrap().clone();
    assert_eq!(cell.charge, Some(charge), "what is shown of the version in charge is what stands in the table");
    app.deploys.drop_shadow(FUNCTION, "tester").await.unwrap();
    assert_eq!((app.store.shadows().await.unwrap(), folders(dir.path())), (vec![], 0));
    let none = app.deploys.compare_shadow(FUNCTION, 1, false).await.unwrap_err().to_string();
    assert!(none.contains("has no shadow"), "{none}");
    check_all(&app.store, FLOW / 2).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_refused_and_a_deploy_ends_the_shadow() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &whole()).await;
    let refused = |done: Result<Taken, DeployError>| done.unwrap_err().to_string();
    let said = refused(follow(&app, component(FUNCTION)).await);
    assert!(said.contains("is in charge already"), "{said}");
    let source = ask(&whole(), &[("source", another_build(&component("source"), 1))]);
    let said = refused(app.deploys.begin_shadow(source, Course::Beside, "tester").await);
    assert!(said.contains("`source` runs on a schedule"), "{said}");
    let both = ask(&whole(), &[("source", component("source")), (FUNCTION, otherwise())]);
    let said = refused(app.deploys.begin_shadow(both, Course::Beside, "tester").await);
    assert!(said.contains("2 functions"), "{said}");
    let other = alone().replace("state = true", "state = true\nstate_version = 2");
    let said =
        refused(app.deploys.begin_shadow(ask(&other, &[(FUNCTION, otherwise())]), Course::Beside, "tester").await);
    assert!(said.contains("of another version"), "{said}");
    let said = app.deploys.promote(FUNCTION, Some(0), "tester").await.unwrap_err().to_string();
    assert!(said.contains("has no shadow"), "{said}");
    follow(&app, otherwise()).await.unwrap();
    deploy(&app, &whole(), another_build(&component(FUNCTION), 3)).await.unwrap();
    assert_eq!((app.store.shadows().await.unwrap(), folders(dir.path())), (vec![], 0));
    app.stop().await;
}

async fn replay(app: &App, component: Option<Arc<[u8]>>, text: &str) -> Taken {
    match component {
        Some(component) => app.deploys.begin_shadow(ask(text, &[(FUNCTION, component)]), Course::Past, "tester").await,
        None => app.deploys.replay(FUNCTION, None, Course::Past, "tester").await,
    }
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_the_same_again_whoever_handled_it_and_in_the_middle_of_a_flow() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    publish(&app.store, 0..FLOW / 4).await;
    idle(&app).await;
    replay(&app, None, "").await;
    let comparison = compared(&app).await;
    assert_eq!((comparison.records as i64, comparison.differing), (FLOW / 4, 0), "{comparison:?}");
    assert!(comparison.replays && comparison.same_version && !comparison.reads_others);
    let rows: Vec<(&str, u64)> = comparison.tables.iter().map(|t| (t.table.as_str(), t.rows)).collect();
    assert_eq!(rows, [("published records", 23), ("refused records", 1), ("totals", 23)]);
    app.deploys.drop_shadow(FUNCTION, "tester").await.unwrap();

    deploy(&app, &whole(), another_build(&component(FUNCTION), 1)).await.unwrap();
    let (publishing, enough) = flow(&app, FLOW / 4);
    replay(&app, None, "").await;
    let total = ended(publishing, &enough).await;
    // Another process goes on with it.
    app.stop().await;
    let app = start(dir.path(), &alone()).await;
    let comparison = compared(&app).await;
    assert_eq!((comparison.records as i64, comparison.differing), (total, 0), "{comparison:?}");
    assert!(!comparison.same_version);
    app.deploys.promote(FUNCTION, Some(0), "tester").await.unwrap();
    check_all(&app.store, total).await;
    let (entry, kept) = (app.store.audit_log(1).await.unwrap().remove(0), app.store.versions(FUNCTION).await.unwrap());
    assert_eq!((entry.action.as_str(), entry.at_ms), ("promote", kept[0].at_ms), "what was written again is told");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_formula_that_was_mended_changes_the_past_at_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    publish(&app.store, 0..69_000).await;
    count(&app, "input", &["gone", "gone"]).await;
    // What is stored of state is of another version, and nothing of it is needed.
    let mended = alone().replace("state = true", "state = true\nstate_version = 2");
    let taken = replay(&app, Some(otherwise()), &mended).await;
    let comparison = compared(&app).await;
    let totals = comparison.tables.iter().find(|table| table.table == "totals").unwrap();
    assert_eq!((totals.rows, totals.differing, totals.only_charge, totals.only_shadow), (24, 3, 1, 0));
    assert_eq!(total(&app, "k7").await, 3000, "nothing is written yet");
    app.deploys.promote(FUNCTION, None, "tester").await.unwrap();
    assert_eq!(runs(&app.store).await, taken.version);
    assert_eq!((total(&app, "k7").await, total(&app, "k20").await, total(&app, "k1").await), (6000, 3000, 3000));
    let table = &app.store.application().tables["totals"];
    let gone = [vec![Value::Text("gone".to_owned())]];
    let rows = app.store.rows(table, &["records".to_owned()], &gone, &mut Allowance::unlimited()).await.unwrap();
    assert_eq!(rows, vec![], "the mended version makes no such row");
    publish(&app.store, 69_000..92_000).await;
    idle(&app).await;
    assert_eq!((total(&app, "k7").await, total(&app, "k20").await, total(&app, "k1").await), (8000, 4000, 4000));
    assert_eq!(app.store.verify().await.unwrap().findings, vec![]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_from_the_log_cannot_be_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    publish(&app.store, 0..23_000).await;
    idle(&app).await;
    let mut file = SqliteConnectOptions::new().filename(dir.path().join("isobar.sqlite")).connect().await.unwrap();
    sqlx::query("DELETE FROM log WHERE topic = 'input' AND base = 0").execute(&mut file).await.unwrap();
    file.close().await.unwrap();
    let refused = app.deploys.replay(FUNCTION, None, Course::Past, "tester").await.unwrap_err().to_string();
    assert!(refused.contains("begins at") && refused.contains("is gone, and cannot be replayed"), "{refused}");
    // What is left can.
    let last = app.store.topics().await.unwrap().iter().map(|topic| topic.first).max().unwrap();
    let part = Part { from: Some(Mark::Position(last)), to: None };
    app.deploys.replay(FUNCTION, None, Course::Compared(part), "tester").await.unwrap();
    assert!(compared(&app).await.records > 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sensitive_is_shown_to_those_who_ask_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let secret = alone().replace("partitions = 2", "partitions = 2\nsensitive = true");
    assert_ne!(secret, alone());
    let app = start(dir.path(), &secret).await;
    app.deploys.begin_shadow(ask(&secret, &[(FUNCTION, otherwise())]), Course::Beside, "tester").await.unwrap();
    count(&app, "input", &["k7"]).await;
    let told = compared(&app).await;
    let records = told.tables.iter().find(|table| table.table == "published records").unwrap();
    assert_eq!((records.differing, records.hidden, records.first.len()), (1, true, 0));
    assert!(!serde_json::to_string(&told).unwrap().contains("text:"), "{told:?}");
    let told = app.deploys.compare_shadow(FUNCTION, 10, true).await.unwrap();
    let (_, _, first) = differing(&told, "published records");
    assert_eq!(first[0].cells[0].shadow.as_deref(), Some("text:2"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_exact_however_often_the_host_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), &whole()).await.stop().await;
    let part = manifest::part(&whole(), &BTreeSet::from([FUNCTION.to_owned()])).unwrap();
    let mut random = StdRng::seed_from_u64(9);
    let mut begun = 0;
    for kill in 0..KILLS {
        let mut host = up(dir.path(), &[]);
        let client = loop {
            assert!(host.try_wait().unwrap().is_none(), "the host does not start");
            if let Some(client) = Client::find(dir.path()).await {
                break client;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let build = another_build(&component(FUNCTION), 1).to_vec();
        let ask = DeployAsk::new(part.clone(), &BTreeMap::from([(FUNCTION.to_owned(), build)]));
        let way = if kill % 2 == 0 { DeployWay::Shadow } else { DeployWay::Replay };
        // One that there is goes on; one that is killed while it begins begins again.
        begun += u32::from(client.deploy(&DeployAsk { way, ..ask }).await.is_ok());
        tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
        host.kill().unwrap();
        tokio::task::block_in_place(|| host.wait()).unwrap();
    }
    assert!(begun >= 1);
    let app = start(dir.path(), &whole()).await;
    if app.store.shadows().await.unwrap().iter().all(|shadow| shadow.ended.is_some()) {
        follow(&app, another_build(&component(FUNCTION), 1)).await.unwrap();
    }
    let comparison = compared(&app).await;
    assert_eq!(comparison.differing, 0, "{comparison:?}");
    assert!(comparison.records > 0);
    app.deploys.promote(FUNCTION, Some(0), "tester").await.unwrap();
    check_all(&app.store, RECORDS).await;
    app.stop().await;
}
