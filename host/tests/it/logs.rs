//! One conformance suite for the seams of log and state: the same commits to the data folder and to Kafka have the same effects.

mod errors;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use isobar::config::kafka::KafkaConfig;
use isobar::delivery::{Allowance, Effects, Header, Interval, Records, Trial};
use isobar::embedded::{Attempt, Commit, Folder, Frame, Kind, Note, Store, WriteError};
use isobar::kafka::{Cluster, Event, Group, Owned};
use isobar::manifest::{self, Application};
use local_services::{Services, services};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::config::ClientConfig;

const MANIFEST: &str = r#"
    spin_manifest_version = 2
    application.name = "shop"
    component.total.source = "total.wasm"
    [[trigger.isobar]]
    component = "total"
    topic = "orders"
    [application.trigger.isobar.topics.orders]
    partitions = 2
    [application.trigger.isobar.topics.sums]
    partitions = 2
    [application.trigger.isobar.grants.total]
    state = true
    publish = ["sums"]
"#;
/// No partition is assigned so late.
const LONGEST_JOIN: Duration = Duration::from_secs(30);

/// The function's part in Kafka: its partitions are all here.
type Member = (Arc<Cluster>, Group, BTreeMap<u32, Arc<Owned>>);
/// A record's key and value.
type Item<'i> = (Option<&'i [u8]>, Option<&'i [u8]>);

/// A log with the state of one function, in the data folder or in Kafka.
struct Log {
    store: Arc<Store>,
    kafka: Option<Member>,
}

fn application() -> Application {
    manifest::parse(MANIFEST).unwrap()
}

fn note(partition: u32) -> Note {
    Note { function: "total".into(), source: "orders".into(), partition }
}

impl Log {
    async fn embedded(data_dir: &Path) -> Self {
        let folder = Folder::take(data_dir, Kind::Real).unwrap();
        let store = Arc::new(Store::open(folder, Arc::new(application())).await.unwrap());
        for partition in 0..2 {
            store.position(&note(partition)).await.unwrap();
        }
        Log { store, kafka: None }
    }

    async fn on_kafka(data_dir: &Path, brokers: &str) -> Self {
        let folder = Folder::take(data_dir, Kind::Real).unwrap();
        let brokers = brokers.split(',').map(str::to_owned).collect();
        let (settings, certificates, login) = (BTreeMap::new(), None, None);
        let config =
            KafkaConfig { brokers, replication: None, tls: false, certificates, login, control_key: None, settings };
        let cluster = Arc::new(Cluster::new(&config, &folder).unwrap());
        let mut application = application();
        let found = cluster.topics().await.unwrap();
        Cluster::fit(&mut application, &found).unwrap();
        cluster.make(&application, &found).await.unwrap();
        let store = Arc::new(Store::open(folder, Arc::new(application)).await.unwrap());
        let mut group = Group::join(&cluster, &store, &store.application().functions["total"]).unwrap();
        let mut owned = BTreeMap::new();
        while owned.len() < 2 {
            match tokio::time::timeout(LONGEST_JOIN, group.events.recv()).await.unwrap().unwrap() {
                Event::Assigned(partitions) => owned.extend(partitions.into_iter().map(|p| (p.partition(), p))),
                Event::Revoked(..) | Event::Ended(_) => panic!("the partitions went away"),
            }
        }
        for partition in owned.values() {
            partition.restore(&"orders".into()).await.unwrap();
        }
        Log { store, kafka: Some((cluster, group, owned)) }
    }

    async fn commit(&self, commit: Commit) -> Result<(), WriteError> {
        match &self.kafka {
            None => self.store.commit(commit).await,
            Some((_, _, owned)) => owned[&commit.note.partition].queue_commit(commit).await?.await,
        }
    }

    async fn keep(&self, attempt: Attempt) {
        match &self.kafka {
            None => self.store.keep_attempt(attempt).await.unwrap(),
            Some((_, _, owned)) => owned[&attempt.note.partition].keep_attempt(attempt).await.unwrap(),
        }
    }

    /// Everything that a partition holds.
    async fn read(&self, topic: &str, partition: u32) -> Records {
        let mut all = Records::default();
        loop {
            let from = all.offsets.last().map_or(0, |last| last + 1);
            let records = match &self.kafka {
                None => self.store.read(topic, partition, from, 1 << 20).await.unwrap(),
                Some((cluster, ..)) => cluster.read(topic, partition, from, 1 << 20).await.unwrap(),
            };
            let at = records.index_of(from);
            if at == records.len() {
                return all;
            }
            all.append(&records.slice(at, records.len()));
        }
    }

    async fn state(&self, partition: u32, keys: &[&str]) -> BTreeMap<String, Vec<u8>> {
        let found = self.store.state("total", partition, keys, &mut Allowance::unlimited()).await.unwrap();
        found.into_iter().collect()
    }

    /// Where the function stands, as who begins anew finds it.
    async fn position(&self, partition: u32) -> i64 {
        self.store.position(&note(partition)).await.unwrap()
    }

    async fn close(self) {
        if let Some((_, group, owned)) = self.kafka {
            group.end(owned.keys().copied().collect()).await;
            drop(owned);
            group.leave().await;
        }
        self.store.close().await;
    }
}

/// Records of each kind: with and without key and value, empty, with headers, and one of a megabyte.
fn varied() -> Records {
    let large = vec![7; 1 << 20];
    let items: [Item<'_>; 7] = [
        (Some(b"a"), Some(b"1")),
        (None, Some(b"2")),
        (Some(b"a"), None),
        (Some(b""), Some(b"")),
        (None, None),
        (Some(b"\x00\xff"), Some(&large)),
        (Some(b"a"), Some(b"last")),
    ];
    let header = |at, name: &str, value: &[u8]| Header { at, name: name.to_owned(), value: value.to_vec() };
    Records {
        keys: items.iter().map(|(key, _)| *key).collect(),
        values: items.iter().map(|(_, value)| *value).collect(),
        offsets: (0..7).collect(),
        timestamps: (1_000..1_007).collect(),
        headers: vec![header(0, "one", b"1"), header(0, "one", b""), header(4, "é", b"\x00"), header(6, "", b"x")],
    }
}

fn commit(partition: u32, first: i64, next: i64) -> Commit {
    Commit {
        note: note(partition),
        interval: Some(Interval { first, next }),
        records: (next - first) as u32,
        attempt: 1,
        ..Commit::default()
    }
}

fn publishing(commit: Commit, topic: &str, partition: u32, records: Records) -> Commit {
    Commit { frames: vec![Frame::encode(topic.into(), partition, records).unwrap()], ..commit }
}

fn keeping(commit: Commit, entries: &[(&str, Option<&[u8]>)]) -> Commit {
    let state = entries.iter().map(|(key, value)| ((*key).to_owned(), value.map(<[u8]>::to_vec))).collect();
    Commit { effects: Arc::new(Effects { state, ..Effects::default() }), ..commit }
}

async fn records_come_back_as_they_were(log: &Log) {
    log.commit(publishing(commit(0, 0, 3), "sums", 1, varied())).await.unwrap();
    log.commit(publishing(commit(0, 3, 4), "sums", 1, varied())).await.unwrap();
    let found = log.read("sums", 1).await;
    assert!(found.offsets.is_sorted_by(|a, b| a < b) && found.len() == 14, "{:?}", found.offsets);
    for half in [found.slice(0, 7), found.slice(7, 14)] {
        assert_eq!(Records { offsets: (0..7).collect(), ..half }, varied());
    }
    assert_eq!(log.read("sums", 0).await.len(), 0);
}

async fn a_commit_that_does_not_follow_leaves_nothing(log: &Log) {
    let before = (log.read("sums", 0).await.len(), log.position(0).await);
    for first in [0, 3, 5, 9] {
        let refused =
            log.commit(publishing(keeping(commit(0, first, 12), &[("k", Some(b"1"))]), "sums", 0, varied())).await;
        assert!(matches!(refused, Err(WriteError::Position { .. })), "{first}: {refused:?}");
    }
    assert_eq!((log.read("sums", 0).await.len(), log.position(0).await), before);
    assert_eq!(log.state(0, &["k"]).await, BTreeMap::new());
}

async fn state_is_of_its_partition(log: &Log) {
    let large = vec![3; 900 << 10];
    let all: [(&str, Option<&[u8]>); 4] =
        [("", Some(b"empty key")), ("a\0b", Some(b"")), ("big", Some(&large)), ("gone", Some(b"1"))];
    log.commit(keeping(commit(1, 0, 1), &all)).await.unwrap();
    log.commit(keeping(commit(1, 1, 1), &[("gone", None), ("a\0b", Some(b"2"))])).await.unwrap();
    log.commit(keeping(commit(0, 4, 5), &[("big", Some(b"other"))])).await.unwrap();
    assert_kept(log).await;
}

async fn assert_kept(log: &Log) {
    let keys = ["", "a\0b", "big", "gone", "never"];
    let found = log.state(1, &keys).await;
    assert_eq!(found.keys().collect::<Vec<_>>(), ["", "a\0b", "big"]);
    assert_eq!((found["a\0b"].as_slice(), found["big"].len()), (&b"2"[..], 900 << 10));
    assert_eq!(log.state(0, &keys).await, BTreeMap::from([("big".to_owned(), b"other".to_vec())]));
    assert_eq!((log.position(0).await, log.position(1).await), (5, 1));
}

async fn many_commits_of_both_partitions_keep_their_order(log: &Log) {
    let begin = [5, 1];
    let many = (0..2).map(|partition| async move {
        for at in 0..40 {
            let first = begin[partition as usize] + at;
            let mut records = Records::default();
            records.keys.push(Some(&[partition as u8]));
            records.values.push(Some(&(at as u8).to_le_bytes()));
            records.offsets.push(0);
            records.timestamps.push(0);
            log.commit(publishing(commit(partition, first, first + 1), "sums", 0, records)).await.unwrap();
        }
    });
    futures::future::join_all(many).await;
    let found = log.read("sums", 0).await;
    for partition in 0..2_u8 {
        let of = found.keys.iter().zip(found.values.iter()).filter(|(key, _)| *key == Some(&[partition]));
        assert!(of.map(|(_, value)| value.unwrap()[0]).eq(0..40), "partition {partition}");
    }
    assert_eq!((log.position(0).await, log.position(1).await), (45, 41));
}

async fn a_failed_delivery_is_kept_until_it_is_over(log: &Log) {
    let trial = Trial { attempts: 2, deliveries: 2, ..Trial::of(Interval { first: 41, next: 50 }) };
    let kept = Attempt { note: note(1), trial, code: "retry".into(), reason: "not yet".into(), at_ms: 5 };
    log.keep(kept).await;
    assert_trial(log).await;
}

async fn assert_trial(log: &Log) {
    let found = log.store.attempt(&note(1)).await.unwrap().unwrap();
    assert_eq!(
        (found.trial.range, found.trial.attempts, found.reason.as_str()),
        (Interval { first: 41, next: 50 }, 2, "not yet")
    );
    assert!(log.store.attempt(&note(0)).await.unwrap().is_none());
}

async fn all_of_it(log: &Log) {
    records_come_back_as_they_were(log).await;
    a_commit_that_does_not_follow_leaves_nothing(log).await;
    state_is_of_its_partition(log).await;
    many_commits_of_both_partitions_keep_their_order(log).await;
    a_failed_delivery_is_kept_until_it_is_over(log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_folder_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::embedded(dir.path()).await;
    all_of_it(&log).await;
    log.close().await;
}

#[test]
fn kafka_keeps_the_contract_and_a_new_folder_finds_all_of_it() {
    let Some(services) = services("the conformance of Kafka's log and state") else { return };
    let _undisturbed = services.undisturbed();
    services.new_kafka(1);
    tokio::runtime::Runtime::new().unwrap().block_on(on_kafka(services));
}

async fn forget_group(services: &Services) {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", services.kafka()).create().unwrap();
    let gone = admin.delete_groups(&["shop.total"], &AdminOptions::new()).await.unwrap();
    assert!(gone.iter().all(Result::is_ok), "{gone:?}");
}

async fn on_kafka(services: &Services) {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = Log::on_kafka(one.path(), &services.kafka()).await;
    all_of_it(&log).await;
    log.close().await;
    let restored = Log::on_kafka(two.path(), &services.kafka()).await;
    assert_trial(&restored).await;
    let large = restored.state(1, &["", "a\0b", "big", "gone"]).await;
    assert_eq!((large["a\0b"].as_slice(), large["big"].len(), large.len()), (&b"2"[..], 900 << 10, 3));
    assert_eq!((restored.position(0).await, restored.position(1).await), (45, 41));
    restored.commit(commit(1, 41, 50)).await.unwrap();
    restored.close().await;
    // The first folder is behind now, and goes on from what it knows.
    let again = Log::on_kafka(one.path(), &services.kafka()).await;
    assert_eq!((again.position(0).await, again.position(1).await), (45, 50));
    again.close().await;
    // Brokers forget groups that were away for a week; then the ledger says where the function stands.
    forget_group(services).await;
    let remembered = Log::on_kafka(two.path(), &services.kafka()).await;
    assert_eq!((remembered.position(0).await, remembered.position(1).await), (45, 50));
    remembered.commit(commit(0, 45, 46)).await.unwrap();
    remembered.close().await;
}
