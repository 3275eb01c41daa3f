//! Replays of a part of the past.

use isobar::app::App;
use isobar::delivery::partitioner::partition_of;
use isobar::delivery::{Interval, Records};
use isobar::embedded::past::{Mark, Part};
use isobar::embedded::{Commit, Frame, Note};
use isobar::shadows::Comparison;

use crate::deploys::{FUNCTION, alone, component, deploy, idle, start};
use crate::shadows::compared;
use crate::swaps::another_build;

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
    app.deploys.replay(FUNCTION, None, Some(Part { from, to }), "tester").await.unwrap();
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
    for (from, to, records, wanted) in [
        // Everything.
        (Some(Mark::Position(0)), None, 116, (3, 0)),
        // Batches that begin in it.
        (Some(Mark::Position(100)), Some(Mark::Position(111)), 15, (2, 0)),
        (Some(Mark::Time(1_500)), Some(Mark::Time(3_000)), 10, (1, 0)),
        // A count that began before it.
        (Some(Mark::Time(3_000)), None, 6, (2, 1)),
        (None, Some(Mark::Time(1_500)), 100, (1, 1)),
        (Some(Mark::Time(9_000)), None, 0, (0, 0)),
        (Some(Mark::Position(100)), Some(Mark::Position(50)), 0, (0, 0)),
    ] {
        let comparison = replay(&app, from, to).await;
        assert_eq!((comparison.records, rows(&comparison)), (records, wanted), "{from:?} to {to:?}: {comparison:?}");
        // What comes later is none of its business.
        let refused = app.deploys.promote(FUNCTION, None, "tester").await.unwrap_err().to_string();
        assert!(refused.contains("only a part of the past"), "{refused}");
        app.deploys.drop_shadow(FUNCTION, "tester").await.unwrap();
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
