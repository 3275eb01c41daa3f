//! Hosts that deploy together: a version takes over on all of them or on none, whoever is killed, and whoever comes later has it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use local_services::{Services, campaign, say, services};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tempfile::TempDir;

use super::{Host, PARTITIONS, RECORDS, assert_counted, build, config, read};
use crate::shadows::otherwise;
use crate::swaps::another_build;

/// Swaps of one run; where `ISOBAR_ROUNDS` wants more, there are more runs.
const SWAPS: u32 = 30;
/// Hosts that are killed while they deploy.
const KILLS: u32 = 4;
const KEY: &str = "0123456789abcdef0123456789abcdef";
const LIMIT: &str = "[application.trigger.isobar.limits.counting]\nmemory_mb = 200\n[component.counting]\n";
pub(super) const FUNCTION: &str = "counting";

/// A manifest whose counting function is another build, and otherwise `changed`.
fn manifest(dir: &Path, number: u8, changed: impl Fn(String) -> String) -> PathBuf {
    let component = fs::read(built().join("wasm32-wasip2/release/guest_counting.wasm")).unwrap();
    manifest_with(dir, number, &another_build(&component, number), changed)
}

/// Where components are.
fn built() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").canonicalize().unwrap()
}

/// A manifest whose counting function has this component.
pub(super) fn manifest_with(dir: &Path, number: u8, component: &[u8], changed: impl Fn(String) -> String) -> PathBuf {
    let built = built();
    let text = fs::read_to_string(crate::crash::application()).unwrap();
    let text = text.replace("../../../target", built.to_str().unwrap());
    let usual = built.join("wasm32-wasip2/release/guest_counting.wasm");
    let other = dir.join(format!("counting-{number}.wasm"));
    fs::write(&other, component).unwrap();
    let path = dir.join(format!("spin-{number}.toml"));
    fs::write(&path, changed(text.replace(usual.to_str().unwrap(), other.to_str().unwrap()))).unwrap();
    path
}

/// The operator's file with a key for deploys, and `more`.
fn keyed(config: &Path, name: &str, key: &str, more: &str) -> PathBuf {
    let dir = config.parent().unwrap();
    let key_file = dir.join(format!("{name}.key"));
    fs::write(&key_file, key).unwrap();
    let text = fs::read_to_string(config).unwrap();
    let text = text.replace("[kafka]\n", &format!("[kafka]\ncontrol_key_file = {key_file:?}\n"));
    let path = dir.join(format!("{name}.toml"));
    fs::write(&path, format!("{text}{more}")).unwrap();
    path
}

/// A Kafka that holds nothing, a folder, and an operator's file with the key; the schema of the table, too.
pub(super) fn begin(services: &Services) -> (TempDir, PathBuf, String) {
    services.new_kafka(1);
    let dir = tempfile::tempdir().unwrap();
    let (unkeyed, schema) = config(services, dir.path());
    (dir, keyed(&unkeyed, "all", KEY, ""), schema)
}

/// A host that knows nothing finishes what is left with the version that was deployed last, and everything was counted once.
fn end(services: &Services, last: &Host<'_>, runs: &str, schema: &str) {
    last.until_idle();
    assert_eq!(last.runs(), runs);
    assert_counted(services, last, schema);
}

impl Host<'_> {
    fn deploy(&self, manifest: &Path) -> Output {
        self.deploy_function(FUNCTION, manifest)
    }

    fn deploy_function(&self, function: &str, manifest: &Path) -> Output {
        let mut deploy = Command::new(env!("CARGO_BIN_EXE_isobar"));
        deploy.args(["deploy", function, "--manifest"]).arg(manifest).arg("--data-dir").arg(&self.data_dir);
        deploy.output().unwrap()
    }

    /// The version in charge here.
    fn runs(&self) -> String {
        let versions: serde_json::Value = serde_json::from_str(&self.json(&["versions", FUNCTION])).unwrap();
        let running = versions.as_array().unwrap().iter().find(|version| version["running"] == true).unwrap();
        running["version"].as_str().unwrap().to_owned()
    }

    fn json(&self, words: &[&str]) -> String {
        let said = self.isobar(&[words, &["--json"]].concat()).output().unwrap();
        assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap()
    }

    /// Returns once the host can be reached.
    pub(super) fn reached(&mut self) -> &Self {
        self.start();
        self.wait_for(0);
        self
    }
}

pub(super) fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// The versions that the ledger names.
fn handled_by(services: &Services) -> BTreeSet<String> {
    let lines = read(services, "counts.counting.ledger", PARTITIONS);
    let version = |line: &String| -> String {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["version"].as_str().unwrap().to_owned()
    };
    lines.values().flatten().map(|(_, line)| version(line)).collect()
}

#[test]
fn versions_take_over_on_all_hosts_while_records_flow() {
    let Some(services) = services("two hosts on Kafka that deploy while records flow") else { return };
    build();
    let _undisturbed = services.undisturbed();
    campaign(SWAPS, |seed| swapped(services, seed));
}

fn swapped(services: &Services, seed: u64) {
    let (dir, config, schema) = begin(services);
    let host = |name: &str| Host { config: &config, data_dir: dir.path().join(name), process: None };
    let mut hosts = [host("one"), host("two")];
    hosts.iter_mut().for_each(Host::start);
    for host in &hosts {
        host.wait_for(1);
    }
    let mut random = StdRng::seed_from_u64(seed);
    let mut in_the_middle = 0;
    let mut passing = host("passing");
    for number in 0..SWAPS as u8 {
        // One comes and goes meanwhile, whatever is under way.
        match number {
            6 | 18 => passing.start(),
            12 | 24 => passing.end(number == 12),
            _ => {}
        }
        let done = hosts[random.random_range(0..2)].deploy(&manifest(dir.path(), number, |text| text));
        assert!(done.status.success(), "{}\n{}", told(&done), hosts[0].what_it_says());
        in_the_middle += u32::from(hosts[0].counted().is_some_and(|counted| counted < RECORDS));
    }
    say!("{in_the_middle} of {SWAPS} versions took over before everything was counted");
    assert!(in_the_middle * 6 >= SWAPS, "only {in_the_middle} came while records flowed: the run is too short");
    hosts[0].wait_for(RECORDS);
    let runs = hosts[0].runs();
    assert_eq!(runs, hosts[1].runs(), "who deploys is told when all hosts have followed");
    let versions = handled_by(services);
    assert!(versions.len() as u32 > in_the_middle / 2, "{} versions handled batches", versions.len());
    hosts.iter_mut().for_each(|host| host.end(false));
    end(services, &host("three"), &runs, &schema);
}

#[test]
fn a_deploy_that_one_host_refuses_takes_place_on_none() {
    let Some(services) = services("hosts on Kafka that refuse a deploy, come later, or have no key") else { return };
    build();
    let _undisturbed = services.undisturbed();
    services.new_kafka(1);
    let dir = tempfile::tempdir().unwrap();
    let (unkeyed, _) = config(services, dir.path());
    let (loose, strict) =
        (keyed(&unkeyed, "loose", KEY, ""), keyed(&unkeyed, "strict", KEY, "[policy.limits]\nmemory_mb = 100\n"));
    let host = |name: &str, config| Host { config, data_dir: dir.path().join(name), process: None };
    let (mut one, mut two) = (host("one", &loose), host("two", &strict));
    one.reached();
    two.reached();
    let before = one.runs();
    assert_eq!(before, two.runs());

    let done = one.deploy(&manifest(dir.path(), 1, |text| text.replace("[component.counting]\n", LIMIT)));
    let said = told(&done);
    assert!(!done.status.success() && said.contains("memory_mb") && said.contains("at host isobar-"), "{said}");
    assert_eq!([one.runs(), two.runs()], [before.clone(), before.clone()]);
    let audit = one.told(&["audit"]);
    assert!(audit.contains("memory_mb"), "{audit}");

    // What no host could follow is refused before any does.
    let counted = |text: String| {
        text.replace("state = true\n\n[component.counting]", "state = true\nstate_version = 2\n\n[component.counting]")
    };
    let done = two.deploy(&manifest(dir.path(), 3, counted));
    assert!(!done.status.success() && told(&done).contains("state_version = 1"), "{}", told(&done));

    // What they agree on takes over on both, by whichever of them.
    let done = two.deploy(&manifest(dir.path(), 2, |text| text));
    assert!(done.status.success(), "{}", told(&done));
    let after = one.runs();
    assert!(after == two.runs() && after != before);
    let said = one.told(&["rollback", FUNCTION]);
    assert!(said.contains(&before[..8]), "{said}");
    assert_eq!([one.runs(), two.runs()], [before.clone(), before]);
    let done = two.deploy(&manifest(dir.path(), 2, |text| text));
    assert!(done.status.success(), "{}", told(&done));

    a_new_function_runs_on_one_of_them(&one, &two, dir.path());
    foreign_records_are_audited(services, &one);
    for (config, wanted) in [
        (&unkeyed, "names no key"),
        (&keyed(&unkeyed, "other", &KEY.replace('0', "f"), ""), "give this host the key of the others"),
    ] {
        let stranger = Host { config, data_dir: dir.path().join("stranger"), process: None };
        let said = stranger.isobar(&["up", "--listen", "127.0.0.1:0", "--until-idle"]).output().unwrap();
        assert!(!said.status.success() && told(&said).contains(wanted), "{}", told(&said));
    }
    // Who comes while others run, and who begins anew when all are gone, has what was deployed.
    assert_eq!(host("three", &loose).reached().runs(), after);
    drop((one, two));
    assert_eq!(host("four", &loose).reached().runs(), after);
}

#[test]
fn a_version_that_loses_records_is_rolled_back_on_all_hosts() {
    let Some(services) = services("hosts on Kafka that roll back by themselves") else { return };
    build();
    let _undisturbed = services.undisturbed();
    let (dir, config, schema) = begin(services);
    let host = |name: &str| Host { config: &config, data_dir: dir.path().join(name), process: None };
    let mut hosts = [host("one"), host("two")];
    for host in &mut hosts {
        host.reached();
    }
    hosts[0].wait_for(RECORDS);
    let before = hosts[0].runs();
    let lost = read(services, "counts.counting.dead-letters", 1);
    let careful = |text: String| text.replace("max_attempts = 2", "max_attempts = 1\non_failure = \"rollback\"");
    let done = hosts[0].deploy(&manifest_with(dir.path(), 1, &otherwise(), careful));
    assert!(done.status.success() && hosts[1].runs() != before, "{}", told(&done));
    // Each host has some of the partitions, and finds the same.
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", services.kafka()).create().unwrap();
    for partition in 0..PARTITIONS {
        producer.send(BaseRecord::to("input").key("bad").payload("1").partition(partition)).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
    within("the version before runs again", || hosts.iter().all(|host| host.runs() == before));
    within("what was lost is counted", || super::rows(services, &schema).contains_key("bad"));
    for host in &mut hosts {
        host.end(false);
    }
    host("three").until_idle();
    assert!(hosts.iter().any(|host| host.told(&["audit"]).contains("isobar")));
    assert_eq!(read(services, "counts.counting.dead-letters", 1), lost, "nothing more is lost");
    let verified = hosts[1].json(&["verify"]);
    assert!(verified.contains("\"finding_count\": 0"), "{verified}");
}

/// It brings a topic of its own, and another host may have its schedule.
fn a_new_function_runs_on_one_of_them(host: &Host<'_>, other: &Host<'_>, dir: &Path) {
    let more = "\n[application.trigger.isobar.topics.more]\n[[trigger.isobar]]\nid = \"more-numbers\"\ncomponent = \"more\"\n\
        cron_expression = \"0 0 0 1 1 *\"\n[application.trigger.isobar.grants.more]\npublish = [\"input\", \"more\"]\nstate = true\n\
        [component.more]\nsource = \"SOURCE\"\n";
    let source = built().join("wasm32-wasip2/release/guest_source.wasm");
    let with_more = |text: String| text + &more.replace("SOURCE", source.to_str().unwrap());
    let done = host.deploy_function("more", &manifest(dir, 2, with_more));
    assert!(done.status.success(), "{}", told(&done));
    let position = |host: &Host<'_>| {
        let status: serde_json::Value = serde_json::from_str(&host.json(&["status"])).unwrap();
        let mut sources = status["sources"].as_array().unwrap().iter();
        sources.find(|source| source["function"] == "more").map(|source| source["position"].as_i64().unwrap())
    };
    within("the new function has run", || position(host) > Some(10));
    let renamed = |text: String| with_more(text).replace("more-numbers", "other-numbers");
    let done = host.deploy_function("more", &manifest(dir, 2, renamed));
    assert!(!done.status.success() && told(&done).contains("schedule of another `id`"), "{}", told(&done));
    // Whichever host has it lets go of it.
    let said = other.told(&["remove", "more"]);
    assert!(said.contains("`more` does not run any more"), "{said}");
    for host in [host, other] {
        assert_eq!(position(host), None, "{}", host.what_it_says());
    }
}

fn foreign_records_are_audited(services: &Services, host: &Host<'_>) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", services.kafka()).create().unwrap();
    let word = br#"{"Activated":{"number":99}}"#;
    producer.send(BaseRecord::to("counts.control").key("activated/99").payload(&word[..])).unwrap();
    producer.flush(Duration::from_secs(10)).unwrap();
    within("the audit log says that somebody else wrote", || {
        let audit = host.told(&["audit"]);
        audit.contains("control_key") && audit.contains("unknown")
    });
}

fn within(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < super::LONGEST_START, "not within {:?}: {what}", super::LONGEST_START);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_host_that_is_killed_while_it_deploys_holds_up_nobody() {
    let Some(services) = services("hosts on Kafka that are killed while they deploy") else { return };
    build();
    let _undisturbed = services.undisturbed();
    campaign(KILLS, |seed| killed(services, seed));
}

fn killed(services: &Services, seed: u64) {
    let (dir, config, schema) = begin(services);
    let host = |name: &str| Host { config: &config, data_dir: dir.path().join(name), process: None };
    let mut hosts = [host("one"), host("two")];
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..KILLS as u8 {
        for host in &mut hosts {
            host.reached();
        }
        let manifest_of = |number| manifest(dir.path(), number, |text| text);
        let (theirs, ours) = (manifest_of(2 * round), manifest_of(2 * round + 1));
        let wait = Duration::from_millis(random.random_range(50..800));
        let [one, two] = &mut hosts;
        std::thread::scope(|scope| {
            let deploying =
                scope.spawn(|| Host { config: &config, data_dir: one.data_dir.clone(), process: None }.deploy(&theirs));
            std::thread::sleep(wait);
            say!("the host that deploys is killed after {wait:?}");
            one.process.take().unwrap().end(true);
            drop(deploying.join());
        });
        let done = (0..60).find_map(|_| {
            let done = two.deploy(&ours);
            std::thread::sleep(Duration::from_millis(500));
            done.status.success().then_some(()).ok_or(told(&done)).map_err(|said| say!("{said}")).ok()
        });
        assert!(done.is_some(), "no other host can deploy: {}", two.what_it_says());
    }
    let runs = hosts[1].runs();
    assert_eq!(hosts[0].reached().runs(), runs);
    hosts[0].wait_for(RECORDS);
    hosts.iter_mut().for_each(|host| host.end(false));
    end(services, &host("three"), &runs, &schema);
}
