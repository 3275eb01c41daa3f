//! Connections that are slow, cut or silent: what was to be written is written in the end, and nobody waits for ever.

use std::time::{Duration, Instant};

use local_services::{Line, Proxy};

use super::*;

/// How long a store may take for an answer here.
const PATIENCE: Duration = Duration::from_millis(500);
/// The longest that any request took, with a connection made anew before it and tries within it.
const LONGEST: Duration = Duration::from_secs(10);
const BATCHES: i64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_slow_cut_or_silent_lose_nothing_and_hold_up_nobody_for_ever() {
    let Some(services) = services("connections to stores that are slow, cut or silent") else { return };
    let seed = seed();
    for (store, service) in [("cassandra", services.cassandra()), ("postgres", services.postgres())] {
        let mut random = StdRng::seed_from_u64(seed);
        let (proxy, begun) = (Proxy::start(&service), Instant::now());
        let mut config = settings(&proxy.address(), &proxy.address(), &space());
        config.stores.iter_mut().for_each(|connection| connection.timeout = PATIENCE);
        let (application, connection) = served(store, &config, &manifest(store));
        let subject = Subject::Stored(Arc::clone(&connection), writer("first"));
        let benches = [sqlite_bench().await, Bench { name: store, application, subject }];
        let mut failed = 0;
        for offset in 0..BATCHES {
            let tables = BTreeMap::from([("every_kind".to_owned(), some_writes(&mut random))]);
            let batch = Batch { offset, tables };
            benches[0].apply(offset, "every_kind", &batch.tables["every_kind"]).await;
            proxy.set(some_line(&mut random));
            let mut tries = 0;
            while let Err(error) = within(connection.apply(&writer("first"), &batch)).await {
                assert!(matches!(error, StoreError::Away { .. }), "{store}: {error}");
                tries += 1;
                // Good in the end, for as long as it takes to connect anew.
                proxy.set(if tries > 1 { Line::Good } else { some_line(&mut random) });
                tokio::time::sleep(PATIENCE / 2).await;
            }
            failed += tries;
            let asked = within(connection.count(benches[1].table("every_kind"))).await;
            assert!(matches!(asked, Ok(_) | Err(StoreError::Away { .. })), "{store}: {asked:?}");
        }
        proxy.set(Line::Good);
        let all: Vec<Row> = NAMES.iter().flat_map(|name| (-3..4).map(|day| key(name, day))).collect();
        while let Err(error) = within(connection.count(benches[1].table("every_kind"))).await {
            assert!(matches!(error, StoreError::Away { .. }), "{store}: {error}");
            tokio::time::sleep(PATIENCE).await;
        }
        assert_eq!(benches[1].get("every_kind", &all).await, benches[0].get("every_kind", &all).await, "{store}");
        println!("{store}: {failed} tries failed for {BATCHES} batches in {:?}", begun.elapsed());
        assert!(failed > BATCHES / 10, "{store}: the lines were too good");
    }
}

fn some_line(random: &mut StdRng) -> Line {
    match random.random_range(0..5) {
        0 => Line::Cut,
        1 => Line::Silent,
        2 => Line::Slow(Duration::from_millis(random.random_range(1..2 * PATIENCE.as_millis() as u64))),
        _ => Line::Good,
    }
}

/// What is asked of a store has an answer in time, whatever the answer.
async fn within<T>(asked: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let answer = tokio::time::timeout(LONGEST, asked).await;
    answer.unwrap_or_else(|_| panic!("no answer after {:?}", begun.elapsed()))
}
