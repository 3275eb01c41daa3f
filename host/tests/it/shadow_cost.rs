//! What a shadow costs the version in charge.

use std::time::{Duration, Instant};

use isobar::app::App;
use isobar::deploys::Course;

use crate::deploys::{FUNCTION, LONGEST, alone, ask, component, start};
use crate::swaps::{another_build, publish};

/// Records of a run.
const RECORDS: i64 = 200_000;
/// So many pairs of runs are more than noise.
const MOST_NOISE: usize = 5;
/// How much longer the version in charge may take: a shadow works a quarter of its time, and what it compares is written down.
const MOST: f64 = 1.35;

/// Records that the function has not handled.
fn lag(app: &App) -> i64 {
    app.dispatcher.progress().sources().iter().filter(|s| s.function == FUNCTION).map(|s| s.lag).sum()
}

/// How long the function takes for everything, with a shadow behind it or without.
async fn run(with_shadow: bool) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    app.dispatcher.pauses().pause(FUNCTION, "until everything is there".to_owned()).await.unwrap();
    publish(&app.store, 0..RECORDS).await;
    if with_shadow {
        let shadow = ask(&alone(), &[(FUNCTION, another_build(&component(FUNCTION), 1))]);
        app.deploys.begin_shadow(shadow, Course::Beside, "tester").await.unwrap();
    }
    let began = Instant::now();
    app.dispatcher.pauses().resume(FUNCTION).await.unwrap();
    while lag(&app) > 0 {
        assert!(began.elapsed() < LONGEST, "it does not come to its end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = began.elapsed();
    if with_shadow {
        let comparison = app.deploys.compare_shadow(FUNCTION, 1, false).await.unwrap();
        assert!(comparison.ended.is_none() && comparison.batches > 0, "it was in nobody's way: {comparison:?}");
    }
    app.stop().await;
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_costs_the_version_in_charge_no_more_than_its_share() {
    let pairs: usize = std::env::var("ISOBAR_PAIRS").map_or(1, |pairs| pairs.parse().unwrap());
    let mut ratios = Vec::new();
    for pair in 0..pairs {
        let (without, with) = (run(false).await, run(true).await);
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        println!("pair {pair}: {without:.2?} without a shadow, {with:.2?} with one: {ratio:.2} times");
        ratios.push(ratio);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!("median of {pairs}: {median:.2} times");
    // One pair tells only whether it is out of all bounds.
    let most = if pairs < MOST_NOISE { 2.0 * MOST } else { MOST };
    assert!(median <= most, "a shadow makes the version in charge take {median:.2} times as long");
}
