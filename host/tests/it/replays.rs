//! Replays of a part of the past.

use std::time::Duration;

use isobar::app::App;
use isobar::delivery::partitioner::partition_of;
use isobar::delivery::{Interval, Records};
use isobar::deploys::Course;
use isobar::embedded::past::{Mark, Part};
use isobar::embedded::{Commit, Frame, Note};
use isobar::shadows::Comparison;
use local_services::services;

use crate::deploys::{FUNCTION, alone, ask, component, deploy, idle, prepare_under, start};
use crate::shadows::{compared, ended, flow, otherwise};
use crate::swaps::{another_build, publish as publish_numbers};

/// Publishes so many records of a key at a time, and waits until they are counted.
async fn publish(app: &App, key: &str, count: usize, time_ms: i64) {
    let mut records = Records::default();
    for at in 0..count as i64 {
        records.offsets.push(at);
        records.keys.push(Some(key.as_bytes()));
        records.values.push(Some(b"1"));
        records.timestamps.push(time_ms);
    }
    let note = Note { function: "test".into(), source: "test".into(), partition: 0 };
    let first = app.store.position(&note).await.unwrap();
    let frames = vec![Frame::encode("input".into(), partition_of(key.as_bytes(), 3), records).unwrap()];
    let interval = Some(Interval { first, next: first + 1 });
    app.store.commit(Commit { note, interval, records: 1, frames, attempt: 1, ..Commit::default() }).await.unwrap();
    idle(app).await;
}

async fn replay(app: &App, from: Option<Mark>, to: Option<Mark>) -> Comparison {
    app.deploys.replay(FUNCTION, None, Course::Compared(Part { from, to }), "tester").await.unwrap();
    let comparison = compared(app).await;
    assert!(comparison.replays && comparison.of_part);
    comparison
}

fn rows(comparison: &Comparison) -> (u64, u64) {
    let totals = comparison.tables.iter().find(|table| table.table == "totals").unwrap();
    (totals.rows, totals.differing)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_past_is_replayed_by_position_and_by_time() {
    // Three of one partition.
    let keys = (0..).map(|number| format!("k{number}")).filter(|key| partition_of(key.as_bytes(), 3) == 0);
    let keys: Vec<String> = keys.take(3).collect();
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    publish(&app, &keys[0], 100, 1_000).await;
    publish(&app, &keys[1], 10, 2_000).await;
    publish(&app, &keys[2], 5, 3_000).await;
    publish(&app, &keys[0], 1, 4_000).await;
    let mut whole_micros = 0;
    for (from, to, records, wanted) in [
        // Everything.
        (Some(Mark::Position(0)), None, 116, (3, 0)),
        // Batches that begin in it.
        (Some(Mark::Position(100)), Some(Mark::Position(111)), 15, (2, 0)),
        (Some(Mark::Time(1_500)), Some(Mark::Time(3_000)), 10, (1, 0)),
        // A count that began before it.
        (Some(Mark::Time(3_000)), None, 6, (2, 1)),
        (None, Some(Mark::Time(1_500)), 100, (1, 1)),
    ] {
        let comparison = replay(&app, from, to).await;
        assert_eq!((comparison.records, rows(&comparison)), (records, wanted), "{from:?} to {to:?}: {comparison:?}");
        if records == 116 {
            whole_micros = comparison.charge_micros;
        }
        let is_of_all = comparison.charge_micros == whole_micros;
        assert!(comparison.charge_micros > 0 && is_of_all == (records == 116), "{comparison:?}");
        // What comes later is none of its business.
        let refused = app.deploys.promote(FUNCTION, None, "tester").await.unwrap_err().to_string();
        assert!(refused.contains("is only for comparison"), "{refused}");
        app.deploys.drop_shadow(FUNCTION, "tester").await.unwrap();
    }
    for (from, to) in [(Mark::Time(9_000), Mark::Time(9_999)), (Mark::Position(100), Mark::Position(50))] {
        let course = Course::Compared(Part { from: Some(from), to: Some(to) });
        let refused = app.deploys.replay(FUNCTION, None, course, "tester").await.unwrap_err().to_string();
        assert!(refused.contains("has handled nothing that could be replayed there"), "{refused}");
    }
    replay(&app, Some(Mark::Time(2_000)), None).await;
    publish(&app, &keys[2], 1, 5_000).await;
    assert_eq!(compared(&app).await.records, 16);
    app.stop().await;

    // It is still there, and ends with another version in charge.
    let app = start(dir.path(), &alone()).await;
    publish(&app, &keys[2], 1, 6_000).await;
    assert_eq!(compared(&app).await.records, 16);
    deploy(&app, &alone(), another_build(&component(FUNCTION), 1)).await.unwrap();
    assert_eq!(app.store.shadows().await.unwrap(), []);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replay_is_compared_with_is_of_one_moment_in_the_middle_of_a_flow() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    publish_numbers(&app.store, 0..23_000).await;
    idle(&app).await;
    let mut next = 23_000;
    for _ in 0..4 {
        let (publishing, enough) = flow(&app, next);
        tokio::time::sleep(Duration::from_millis(100)).await;
        app.deploys.replay(FUNCTION, None, Course::Compared(Part::default()), "tester").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        next = ended(publishing, &enough).await;
        let comparison = compared(&app).await;
        let records = comparison.records as i64;
        assert!(comparison.differing == 0 && records > 0 && records < next, "of {next}: {comparison:?}");
        app.deploys.drop_shadow(FUNCTION, "tester").await.unwrap();
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_held_against_what_a_store_of_the_operators_has() {
    let Some(services) = tokio::task::block_in_place(|| services("a replay beside tables in Postgres")) else { return };
    let config = format!(
        "[stores.postgres]\naddress = \"{}\"\ndatabase = \"postgres\"\nschema = \"r{:016x}\"\nuser = \"postgres\"\n",
        services.postgres(),
        rand::random::<u64>()
    );
    let dir = tempfile::tempdir().unwrap();
    let app = prepare_under(dir.path(), &alone(), &config).await.unwrap().start().await.unwrap();
    publish_numbers(&app.store, 0..69_000).await;
    idle(&app).await;
    app.deploys.replay(FUNCTION, None, Course::Compared(Part::default()), "tester").await.unwrap();
    let comparison = compared(&app).await;
    assert!(!comparison.of_part && comparison.replays);
    assert_eq!((comparison.records, comparison.differing, rows(&comparison)), (69_000, 0, (23, 0)), "{comparison:?}");
    app.deploys.drop_shadow(FUNCTION, "tester").await.unwrap();

    // Another formula, which was never in charge: `k7` counts twice, and of `k20` one more can be counted.
    let candidate = ask(&alone(), &[(FUNCTION, otherwise())]);
    app.deploys.begin_shadow(candidate.clone(), Course::Compared(Part::default()), "tester").await.unwrap();
    let comparison = compared(&app).await;
    assert_eq!(rows(&comparison), (23, 2), "{comparison:?}");
    app.deploys.drop_shadow(FUNCTION, "tester").await.unwrap();
    // The function went on meanwhile, and its table is as it was.
    publish_numbers(&app.store, 69_000..92_000).await;
    idle(&app).await;
    app.deploys.replay(FUNCTION, None, Course::Compared(Part::default()), "tester").await.unwrap();
    assert_eq!(compared(&app).await.differing, 0);

    for course in [Course::Past, Course::Beside] {
        app.deploys.drop_shadow(FUNCTION, "tester").await.ok();
        let refused = app.deploys.begin_shadow(candidate.clone(), course, "tester").await.unwrap_err().to_string();
        assert!(
            refused.contains("`totals`, which is kept in `postgres`") && refused.contains("isobar replay"),
            "{refused}"
        );
    }
    app.stop().await;
}
