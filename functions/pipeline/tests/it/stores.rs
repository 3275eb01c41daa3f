//! Tables in Cassandra and Postgres are those of the data folder, to the bit: after an undisturbed run, and after one in which
//! host and stores were killed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dwd_mirror::{Mirror, Options};
use local_services::{Services, campaign, say, services};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::host::{Host, TABLES, root};

/// Faults of one run; where `ISOBAR_ROUNDS` wants more, there are more runs.
pub(crate) const ROUNDS: u32 = 10;
/// No start takes so long.
const LONGEST_START: Duration = Duration::from_secs(30);
/// What the stations' metadata are in made-up archives.
pub(crate) const METADATA: &str = "station_id,icao_code,station_name,station_height,latitude,longitude,state\n\
    00001,,Erfunden,4.5,47.25,8.5,Hessen\n00002,EDXX,\"Auch, erfunden\",-1.0,54.0,13.0,\n";

/// A certificate that nobody here has the key of, valid for a hundred years.
const STRANGER: &str = "-----BEGIN CERTIFICATE-----\n\
    MIIBPTCB5aADAgECAghjqgHj8yCRRzAKBggqhkjOPQQDAjATMREwDwYDVQQDEwhz\n\
    dHJhbmdlcjAgFw0yNjExMzAwNDE5MjdaGA8yMTI2MTEwNjA0MTkyN1owEzERMA8G\n\
    A1UEAxMIc3RyYW5nZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARhSE5cJa3w\n\
    lq7aC6IDXBcEzRfFwAF9quAePq8c9+2fvUxxV3y59cNWhi/R3KBWG7kOihnpK4WB\n\
    YkhasGOfjlb6oyEwHzAdBgNVHQ4EFgQU8bUMtoeDzaoV4gFTQOccJfePt2swCgYI\n\
    KoZIzj0EAwIDRwAwRAIgaxMxMau9RZygblWYYsfHpkrHv896oM3crwgEE+q8imwC\n\
    IAEBUuAWcW4U0VYZzj4Wd9XW/eZ+4g6D/T9qErdhMKcl\n\
    -----END CERTIFICATE-----\n";

/// An operator's file with the services, tables in the schema and keyspace `place`, and logins for the tables and for the
/// sensitive one.
fn config(services: &Services, dir: &Path, place: &str, [user, metadata]: [&str; 2]) -> std::path::PathBuf {
    let text = format!(
        "[stores.cassandra]\nnodes = [\"{}\"]\nkeyspace = \"{place}\"\ntls = true\ncertificates = {:?}\n\
         [stores.postgres]\naddress = \"{}\"\ndatabase = \"postgres\"\nschema = \"{place}\"\nuser = \"{user}\"\n\
         [stores.postgres.connections.metadata]\ntables = [\"station_metadata\"]\nuser = \"{metadata}\"\n",
        services.cassandra(),
        services.certificate(),
        services.postgres()
    );
    let path = dir.join("isobar.toml");
    fs::write(&path, text).unwrap();
    path
}

/// A place that no other test uses.
pub(crate) fn place() -> String {
    format!("w{:016x}", rand::random::<u64>())
}

/// Makes the roles of `infra/roles`, which can be done once in the life of the services.
fn make_roles(services: &Services, place: &str) -> [&'static str; 2] {
    let (roles, schema) = (root().join("infra/roles/postgres.sql"), format!("schema={place}"));
    let (made, told) = services.psql("postgres", &["-v", &schema, "-f", &roles.display().to_string()]);
    assert!(made, "{told}");
    ["isobar", "isobar_metadata"]
}

/// Neither of the two logins reads what is the other's, and both read what is theirs.
fn assert_apart(services: &Services, place: &str, [user, metadata]: [&str; 2]) {
    for (login, table, reads) in [
        (user, "meta_data", true),
        (user, "station_metadata", false),
        (metadata, "station_metadata", true),
        (metadata, "meta_data", false),
    ] {
        let (read, told) = services.psql(login, &["-c", &format!("SELECT count(*) FROM {place}.{table}")]);
        assert!(read == reads && (reads || told.contains("permission denied")), "{login} on {table}: {told}");
    }
}

/// A Cassandra that somebody else has certified is not talked to.
fn assert_strangers_are_not_believed(host: &Host<'_>, config: &Path) {
    let (file, authority) = (config.with_file_name("strange.toml"), config.with_file_name("strange.pem"));
    fs::write(&authority, STRANGER).unwrap();
    let text = fs::read_to_string(config).unwrap();
    let strange = |line: &str| match line.starts_with("certificates") {
        true => format!("certificates = {authority:?}\n"),
        false => format!("{line}\n"),
    };
    fs::write(&file, text.lines().map(strange).collect::<String>()).unwrap();
    let refused = Host { config: Some(&file), ..host.clone() }.check();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("certificate verify failed"), "{told}");
}

/// Runs to the end, loads the metadata, and lets what reads them read its input again.
pub(crate) fn run(host: &Host<'_>, metadata: &Path) {
    host.until_idle();
    load(host, metadata);
    host.until_idle();
}

pub(crate) fn load(host: &Host<'_>, metadata: &Path) {
    let loaded = host.command(&["table", "load", "station_metadata", &metadata.display().to_string()]);
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
}

/// Runs until there is a data folder.
fn begin(host: &Host<'_>) {
    let mut begun = host.up(&[]);
    let tried = Instant::now();
    while !host.command(&["status"]).status.success() {
        assert!(tried.elapsed() < LONGEST_START, "no data folder after {LONGEST_START:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    begun.kill().unwrap();
    begun.wait().unwrap();
}

pub(crate) fn assert_same(found: &Host<'_>, expected: &Host<'_>) {
    for table in TABLES {
        let (found, expected) = (found.export(table), expected.export(table));
        let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
        let lines = (found.lines().count(), expected.lines().count());
        assert!(found == expected, "`{table}` differs from that of the data folder: {lines:?} lines, {differs:?}");
        assert!(expected.lines().count() > 1, "`{table}` is empty");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_in_stores_are_those_of_the_data_folder() {
    let Some(services) = services("the application's tables in Cassandra and Postgres") else { return };
    let tree = root().join("../shared/dwd/tree");
    let real = tree.exists();
    if !real {
        say!("SKIPPED: no real DWD files in `../shared/dwd`, so the stores were tried with made-up ones");
    }
    let options = if real { Options::tree(tree) } else { Options::made_up(4, 12.0) };
    let mirror = Mirror::start(options).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (place, metadata) = (place(), dir.path().join("metadata.csv"));
    let logins = make_roles(services, &place);
    let config = config(services, dir.path(), &place, logins);
    let ids = if real { "00433\n03379" } else { "00001\n00002" };
    let rows = METADATA.replace("00001", ids.lines().next().unwrap()).replace("00002", ids.lines().last().unwrap());
    fs::write(&metadata, rows).unwrap();
    let (one, two) = (dir.path().join("embedded"), dir.path().join("stored"));
    let embedded = Host { manifest: None, config: None, data_dir: &one, url: mirror.url(), station_ids: "all" };
    let stored = Host { manifest: None, config: Some(&config), data_dir: &two, url: mirror.url(), station_ids: "all" };
    tokio::task::block_in_place(|| {
        let _undisturbed = services.undisturbed();
        run(&embedded, &metadata);
        run(&stored, &metadata);
        assert_same(&stored, &embedded);
        assert_apart(services, &place, logins);
        assert_strangers_are_not_believed(&stored, &config);
        let forgotten = Host { config: None, ..stored.clone() }.command(&["table", "list"]);
        let told = String::from_utf8_lossy(&forgotten.stderr).into_owned();
        assert!(!forgotten.status.success() && told.contains("has written to tables in"), "{told}");
        let checked = stored.check();
        let told = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success() && told.contains("`cassandra`: it answers, 3 tables as declared"), "{told}");
        assert!(told.contains("`postgres.metadata`: it answers, 1 table as declared"), "{told}");
    });
    mirror.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_host_and_stores_change_nothing() {
    let Some(services) = services("kills of the host, of Cassandra and of Postgres") else { return };
    let mirror = Mirror::start(Options::made_up(14, 12.0)).await.unwrap();
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
    let dir = tempfile::tempdir().unwrap();
    let config = config(services, dir.path(), &place(), ["postgres"; 2]);
    let stored = Host { config: Some(&config), data_dir: &dir.path().join("stored"), ..embedded.clone() };
    begin(&stored);
    load(&stored, metadata);
    let mut random = StdRng::seed_from_u64(seed);
    let (mut through, mut away) = (0, 0);
    for round in 0..ROUNDS {
        let mut host = stored.up(&["--until-idle"]);
        std::thread::sleep(Duration::from_millis(random.random_range(100..1500)));
        let store = ["cassandra", "postgres"][random.random_range(0..2)];
        // One in three, and the first in any case.
        let kill_store = random.random_range(0..3) == 0 || round == 0;
        if kill_store {
            services.down(store, random.random());
            std::thread::sleep(Duration::from_millis(random.random_range(0..1500)));
            away += 1;
        }
        through += u32::from(host.try_wait().unwrap().is_some());
        host.kill().unwrap();
        host.wait().unwrap();
        if kill_store && random.random() {
            // The next host finds the store away.
            let mut host = stored.up(&["--until-idle"]);
            std::thread::sleep(Duration::from_millis(random.random_range(300..1500)));
            if let Some(ended) = host.try_wait().unwrap() {
                // Nothing was left that needed the store.
                assert!(ended.success(), "the host ended badly while `{store}` was away");
            }
            services.up(&[store]);
            host.kill().unwrap();
            host.wait().unwrap();
        }
        services.up(&[store]);
    }
    say!("{through} of {ROUNDS} runs were through before they were killed; a store was away in {away}");
    assert!(
        through * 2 <= ROUNDS,
        "the runs are too short: {through} of {ROUNDS} were through before they were killed"
    );
    stored.until_idle();
    assert_same(&stored, embedded);
    let verified = stored.command(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
