//! Tables that came by way of Kafka, Cassandra and Postgres are those of the data folder, to the bit: of one host, of one that
//! lost its data folder, and of several while everything is killed that can be.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dwd_mirror::{Mirror, Options};
use local_services::{Process, Services, campaign, say, services};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::host::{Host, root};
use crate::stores::{METADATA, ROUNDS, assert_same, load, place, run};

/// The shortest time that brokers let pass before they miss a host.
const SESSION_MS: u64 = 6_000;

/// No start takes so long.
const LONGEST_BEGIN: Duration = Duration::from_secs(60);

/// An operator's file with all services, for an application that nobody else runs there.
fn config(services: &Services, dir: &Path, place: &str) -> PathBuf {
    config_of(services, dir, place, "")
}

/// The same, with a login to Kafka.
fn config_for(services: &Services, dir: &Path, place: &str, login: &str) -> PathBuf {
    let password = dir.join(login).with_extension("password");
    fs::write(&password, Services::password(login)).unwrap();
    config_of(
        services,
        dir,
        place,
        &format!("user = \"{login}\"\nmechanism = \"PLAIN\"\npassword_file = {password:?}\n"),
    )
}

fn config_of(services: &Services, dir: &Path, place: &str, login: &str) -> PathBuf {
    let text = format!(
        "[kafka]\n{login}brokers = [\"{}\"]\nsettings = {{ \"session.timeout.ms\" = {SESSION_MS} }}\n\
         [stores.cassandra]\nnodes = [\"{}\"]\nkeyspace = \"{place}\"\n\
         [stores.postgres]\naddress = \"{}\"\ndatabase = \"postgres\"\nschema = \"{place}\"\nuser = \"postgres\"\n\
         [stores.postgres.connections.metadata]\ntables = [\"station_metadata\"]\nuser = \"postgres\"\n",
        services.kafka(),
        services.cassandra(),
        services.postgres()
    );
    let path = dir.join(format!("{place}.toml"));
    fs::write(&path, text).unwrap();
    path
}

/// Records that the aggregates have handled, by all hosts together.
fn handled(host: &Host<'_>) -> i64 {
    let said = host.command(&["status", "--json"]).stdout;
    // Nothing is said before there is a data folder.
    let status: serde_json::Value = serde_json::from_slice(&said).unwrap_or_default();
    let sources = status["sources"].as_array();
    let aggregates =
        sources.into_iter().flatten().filter(|source| source["function"].as_str().unwrap().starts_with("aggregate"));
    aggregates.map(|source| source["position"].as_i64().unwrap()).sum()
}

fn assert_verified(host: &Host<'_>) {
    let verified = host.command(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_through_kafka_are_those_of_the_data_folder() {
    let Some(services) = services("the application on Kafka, Cassandra and Postgres") else { return };
    let tree = root().join("../shared/dwd/tree");
    let real = tree.exists();
    if !real {
        say!("SKIPPED: no real DWD files in `../shared/dwd`, so Kafka was tried with made-up ones");
    }
    let options = if real { Options::tree(tree) } else { Options::made_up(4, 12.0) };
    let mirror = Mirror::start(options).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = config_for(services, dir.path(), &place(), "isobar");
    let elsewhere = config_for(services, dir.path(), &place(), "other");
    let metadata = dir.path().join("metadata.csv");
    fs::write(&metadata, METADATA.replace("00002", if real { "03379" } else { "00002" })).unwrap();
    let [one, two] = ["embedded", "kafka"].map(|name| dir.path().join(name));
    let embedded = Host { manifest: None, config: None, data_dir: &one, url: mirror.url(), station_ids: "all" };
    let on_kafka = Host { config: Some(&config), data_dir: &two, ..embedded.clone() };
    tokio::task::block_in_place(|| {
        let _undisturbed = services.undisturbed();
        services.new_guarded_kafka(&["isobar", "other"]);
        services.give_rights("weather", &["temperature", "others", "station-summary"]);
        run(&embedded, &metadata);
        run(&on_kafka, &metadata);
        let other = Host { config: Some(&elsewhere), data_dir: &dir.path().join("other"), ..embedded.clone() };
        let refused = other.up(&["--until-idle"]).wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && told.contains("authorization failed"), "{told}");
        assert_same(&on_kafka, &embedded);
        assert_verified(&on_kafka);
        let without = Host { config: None, ..on_kafka.clone() }.command(&["table", "list"]);
        let told = String::from_utf8_lossy(&without.stderr).into_owned();
        assert!(!without.status.success() && told.contains("is in the Kafka cluster"), "{told}");
        let checked = on_kafka.check();
        let told = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success() && told.contains("`kafka`: it answers, all topics as declared"), "{told}");
    });
    mirror.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_data_folder_costs_nothing_but_a_restore() {
    let Some(services) = services("a data folder that is lost while the log is in Kafka") else { return };
    let mirror = Mirror::start(Options::made_up(4, 12.0)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = config(services, dir.path(), &place());
    let metadata = dir.path().join("metadata.csv");
    fs::write(&metadata, METADATA).unwrap();
    let [one, two, three] = ["embedded", "first", "second"].map(|name| dir.path().join(name));
    let all = Host { manifest: None, config: None, data_dir: &one, url: mirror.url(), station_ids: "all" };
    tokio::task::block_in_place(|| {
        let _undisturbed = services.undisturbed();
        services.new_kafka(1);
        run(&all, &metadata);
        let first = Host { config: Some(&config), data_dir: &two, ..all.clone() };
        let mut killed = first.up(&[]);
        let begun = Instant::now();
        while handled(&first) == 0 {
            assert!(begun.elapsed() < LONGEST_BEGIN, "nothing was handled in {LONGEST_BEGIN:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
        killed.kill().unwrap();
        killed.wait().unwrap();
        load(&first, &metadata);
        let handled = handled(&first);
        // Another folder knows nothing: what was kept comes from Kafka.
        let second = Host { data_dir: &three, ..first.clone() };
        second.until_idle();
        let all_handled = self::handled(&second);
        assert!(handled > 0 && handled < all_handled, "it was not killed in the middle: {handled} of {all_handled}");
        assert_same(&second, &all);
        assert_verified(&second);
    });
    mirror.stop().await.unwrap();
}

/// A host of several, while it runs.
struct Member<'d> {
    host: Host<'d>,
    log: PathBuf,
    process: Option<Process>,
}

impl Member<'_> {
    fn start(&mut self) {
        if self.process.is_none() {
            let log = File::options().create(true).append(true).open(&self.log).unwrap();
            self.process = Some(Process::of(self.host.up_with(&[], &[], log)));
        }
    }

    /// Ends it, as a fault would or in order.
    fn end(&mut self, kill: bool) {
        if let Some(process) = self.process.take() {
            process.end(kill);
        }
    }

    /// Stands still for longer than brokers wait, and goes on.
    fn freeze(&self) {
        if let Some(process) = &self.process {
            process.freeze(Duration::from_millis(SESSION_MS + 3_000));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_hosts_brokers_and_stores_change_nothing() {
    let Some(services) = services("kills of hosts, of Kafka, Cassandra and Postgres") else { return };
    let mirror = Mirror::start(Options::made_up(8, 12.0)).await.unwrap();
    tokio::task::block_in_place(|| {
        let _undisturbed = services.undisturbed();
        let dir = tempfile::tempdir().unwrap();
        let metadata = dir.path().join("metadata.csv");
        fs::write(&metadata, METADATA).unwrap();
        let data_dir = &dir.path().join("embedded");
        let embedded = Host { manifest: None, config: None, data_dir, url: mirror.url(), station_ids: "all" };
        run(&embedded, &metadata);
        campaign(ROUNDS, |seed| faults(services, &embedded, &metadata, seed));
    });
    mirror.stop().await.unwrap();
}

/// A run of [`ROUNDS`] faults, in the end of which all tables are those of `embedded`.
fn faults(services: &Services, embedded: &Host<'_>, metadata: &Path, seed: u64) {
    services.new_kafka(1);
    let dir = tempfile::tempdir().unwrap();
    let config = config(services, dir.path(), &place());
    let [one, two, three] = ["first", "second", "last"].map(|name| dir.path().join(name));
    let on_kafka = |data_dir| Host { config: Some(&config), data_dir, ..embedded.clone() };
    let member = |data_dir, log| Member { host: on_kafka(data_dir), log: dir.path().join(log), process: None };
    let mut members = [member(&one, "first.log"), member(&two, "second.log")];
    let mut random = StdRng::seed_from_u64(seed);
    let mut by_then = Vec::new();
    for round in 0..ROUNDS {
        members.iter_mut().for_each(Member::start);
        std::thread::sleep(Duration::from_millis(random.random_range(500..3000)));
        if round == 1 {
            load_into_running(&members[0].host, metadata);
        }
        let at = random.random_range(0..2);
        match random.random_range(0..8) {
            0..3 => members[at].end(true),
            3 => members[at].end(false),
            4 | 5 => fault(services, "kafka", &mut random),
            6 => fault(services, ["cassandra", "postgres"][at], &mut random),
            _ => members[at].freeze(),
        }
        // Before a host can be reached, a look would take the folder away from it.
        if members[0].process.is_none() || members[0].host.data_dir.join("api.json").exists() {
            by_then.push(handled(&members[0].host));
        }
    }
    members.iter_mut().for_each(|member| member.end(false));
    let last = on_kafka(&three);
    last.until_idle();
    let all = handled(&last);
    let in_the_middle = by_then.iter().filter(|handled| **handled < all).count();
    say!("{in_the_middle} of {ROUNDS} faults were over before everything was handled");
    assert!(in_the_middle * 3 >= ROUNDS as usize, "only {in_the_middle} faults came while records flowed");
    assert_same(&last, embedded);
    assert_verified(&last);
}

/// Loads by way of a host that may not answer yet.
fn load_into_running(host: &Host<'_>, metadata: &Path) {
    let tried = Instant::now();
    let words = ["table", "load", "station_metadata", &metadata.display().to_string()];
    loop {
        let loaded = host.command(&words);
        if loaded.status.success() {
            return;
        }
        assert!(tried.elapsed() < LONGEST_BEGIN, "{}", String::from_utf8_lossy(&loaded.stderr));
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Stops a service for a while, in order or not.
fn fault(services: &Services, name: &str, random: &mut StdRng) {
    services.down(name, random.random());
    std::thread::sleep(Duration::from_millis(random.random_range(0..4000)));
    services.up(&[name]);
}
