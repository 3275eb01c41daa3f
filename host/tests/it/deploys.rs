//! Deploys into a running host: what takes over, what is refused and leaves everything as it was, what a restart finds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use isobar::app::{self, App, Plan, Prepared};
use isobar::console::answers::{Payload, StateAsk};
use isobar::console::view::View;
use isobar::delivery::Records;
use isobar::delivery::partitioner::partition_of;
use isobar::deploys::{self, Ask, Course, DeployError, Settings, Taken};
use isobar::embedded::{Commit, Frame, Kind, Note, Store};
use isobar::manifest;

use crate::crash::{application, build, read};
use crate::migration::take_back_to_5;
use crate::shadows::otherwise;
use crate::swaps::another_build;

pub(crate) const FUNCTION: &str = "counting";
pub(crate) const LONGEST: Duration = Duration::from_secs(60);
/// A table that nobody may read.
const PEOPLE: &str = "\n[application.trigger.isobar.tables.people]\nstore = \"postgres\"\nkey = [\"id\"]\n\
    columns = { id = \"text\", name = \"text?\" }\nsensitive = true\n";

/// The whole manifest of the counting functions.
pub(crate) fn whole() -> String {
    std::fs::read_to_string(application()).unwrap()
}

/// What of it concerns the one that counts.
pub(crate) fn alone() -> String {
    part(&whole(), FUNCTION)
}

pub(crate) fn part(text: &str, function: &str) -> String {
    manifest::part(text, &BTreeSet::from([function.to_owned()])).unwrap_or_else(|problems| panic!("{problems:?}"))
}

pub(crate) fn component(name: &str) -> Arc<[u8]> {
    let file = format!("../target/wasm32-wasip2/release/guest_{name}.wasm");
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap().into()
}

pub(crate) async fn prepare(data_dir: &Path, text: &str) -> Prepared {
    try_prepare(data_dir, text).await.unwrap()
}

async fn try_prepare(data_dir: &Path, text: &str) -> anyhow::Result<Prepared> {
    prepare_under(data_dir, text, "").await
}

/// The same with what an operator says in isobar.toml.
pub(crate) async fn prepare_under(data_dir: &Path, text: &str, config: &str) -> anyhow::Result<Prepared> {
    tokio::task::block_in_place(build);
    let root = application().parent().unwrap().to_owned();
    let (manifest, data_dir) = (text.to_owned(), data_dir.to_owned());
    let settings = Settings { config: isobar::config::parse(config).unwrap(), ..Settings::default() };
    app::prepare(Plan { manifest, root, data_dir, kind: Kind::Real, settings }).await
}

pub(crate) async fn start(data_dir: &Path, text: &str) -> App {
    prepare(data_dir, text).await.start().await.unwrap()
}

pub(crate) fn ask(text: &str, components: &[(&str, Arc<[u8]>)]) -> Ask {
    let names = components.iter().map(|(name, _)| (*name).to_owned()).collect();
    let part = manifest::part(text, &names).unwrap_or_else(|problems| panic!("{problems:?}"));
    let components = components.iter().map(|(name, bytes)| ((*name).to_owned(), Arc::clone(bytes))).collect();
    Ask { part, components, ..Ask::default() }
}

pub(crate) async fn deploy(app: &App, text: &str, component: Arc<[u8]>) -> Result<Taken, DeployError> {
    let taken = app.deploys.deploy(ask(text, &[(FUNCTION, component)]), "tester").await?;
    Ok(taken.into_iter().next().unwrap())
}

/// The version that runs.
pub(crate) async fn runs(store: &Store) -> String {
    store.deployed().await.unwrap().unwrap().running[FUNCTION].clone()
}

async fn refused(app: &App, text: &str, component: Arc<[u8]>) -> String {
    let before = runs(&app.store).await;
    let error = deploy(app, text, component).await.unwrap_err().to_string();
    assert_eq!(runs(&app.store).await, before, "{error}");
    let audit = app.store.audit_log(1).await.unwrap().remove(0);
    assert_eq!((audit.refused.as_ref(), audit.who.as_str()), (Some(&error), "tester"));
    error
}

/// Publishes records with these keys, and waits until they are counted.
pub(crate) async fn count(app: &App, topic: &str, keys: &[&str]) {
    let store = &app.store;
    let mut partitions: BTreeMap<u32, Records> = BTreeMap::new();
    for key in keys {
        let records = partitions.entry(partition_of(key.as_bytes(), store.ends().partitions(topic))).or_default();
        records.offsets.push(records.offsets.len() as i64);
        records.keys.push(Some(key.as_bytes()));
        records.values.push(Some(b"1"));
        records.timestamps.push(1);
    }
    let note = Note { function: "test".into(), source: "test".into(), partition: 0 };
    let first = store.position(&note).await.unwrap();
    let frame = |(partition, records)| Frame::encode(topic.into(), partition, records).unwrap();
    let frames = partitions.into_iter().map(frame).collect();
    let interval = Some(isobar::delivery::Interval { first, next: first + 1 });
    store.commit(Commit { note, interval, records: 1, frames, attempt: 1, ..Commit::default() }).await.unwrap();
    idle(app).await;
}

pub(crate) async fn idle(app: &App) {
    let idle = async {
        while !app.dispatcher.progress().idle() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONGEST, idle).await.expect("everything is counted");
}

/// Records of a key that were counted, by the last count that was published.
pub(crate) async fn counted(store: &Store, key: &str) -> i64 {
    let partition = partition_of(key.as_bytes(), 2);
    let records = store.read("output", partition, 0, 1 << 20).await.unwrap();
    let of_key = |at: &usize| records.keys.get(*at) == Some(key.as_bytes());
    let last = (0..records.len()).rfind(of_key);
    last.map_or(0, |at| String::from_utf8_lossy(records.values.get(at).unwrap()).parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_already_stays_and_another_build_takes_over() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    count(&app, "input", &["a", "a", "b"]).await;
    let same = deploy(&app, &whole(), component(FUNCTION)).await.unwrap();
    assert_eq!(same.before.as_ref(), Some(&same.version));
    assert_eq!(app.store.audit_log(10).await.unwrap().len(), 1, "nothing was done");

    let other = deploy(&app, &whole(), another_build(&component(FUNCTION), 1)).await.unwrap();
    assert_eq!(other.before.as_ref(), Some(&same.version));
    count(&app, "input", &["a"]).await;
    assert_eq!((counted(&app.store, "a").await, counted(&app.store, "b").await), (3, 1));
    let shown = app.dispatcher.progress().sources();
    assert!(shown.iter().all(|s| other.version.starts_with(&s.version)), "{shown:?}");
    let versions = deploys::versions(&app.store, FUNCTION).await.unwrap();
    let marks: Vec<_> = versions.iter().map(|v| (v.version.clone(), v.running, v.filed)).collect();
    assert_eq!(marks, [(other.version, true, false), (same.version, false, true)]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_is_refused_and_the_version_in_charge_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    let no_table = whole().replace("tables.totals = [\"upsert\"]\n", "");
    let told = refused(&app, &no_table, component(FUNCTION)).await;
    assert!(
        told.contains("`counting` imports `counts:tables/totals.upsert`, which spin.toml does not grant"),
        "{told}"
    );
    let told = refused(&app, &whole(), b"no component".as_slice().into()).await;
    assert!(told.contains("it is not a WebAssembly file"), "{told}");
    let small = whole() + "\n[application.trigger.isobar.limits.counting]\nmemory_mb = 1\n";
    let told = refused(&app, &small, component(FUNCTION)).await;
    assert!(told.contains("the component of `counting` cannot be instantiated"), "{told}");
    let stranger = whole().replace("name = \"counts\"", "name = \"others\"");
    let told = refused(&app, &stranger, component(FUNCTION)).await;
    assert!(told.contains("the application is `others`, and `counts` runs here"), "{told}");
    let wider = whole().replace("partitions = 3", "partitions = 4");
    let told = refused(&app, &wider, component(FUNCTION)).await;
    assert!(told.contains("topic `input` has 3 partitions and spin.toml declares 4"), "{told}");
    let other_state = whole().replacen(
        "state = true\n\n[component.counting]",
        "state = true\nstate_version = 2\n\n[component.counting]",
        1,
    );
    let told = refused(&app, &other_state, component(FUNCTION)).await;
    assert!(told.contains("the state of `counting` is of version 1"), "{told}");
    count(&app, "input", &["a"]).await;
    assert_eq!(counted(&app.store, "a").await, 1);
    app.stop().await;
    let error = try_prepare(dir.path(), &part(&other_state, FUNCTION)).await.err().unwrap().to_string();
    assert!(error.contains("the state of `counting` is of version 1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_functions_share_is_changed_with_both_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &whole()).await;
    let limited = whole().replace("partitions = 3", "partitions = 3\nmax_lag_records = 1000");
    let told = refused(&app, &limited, component(FUNCTION)).await;
    assert!(told.contains("it would change `source` too") && told.contains("--all"), "{told}");
    let both = ask(&limited, &[(FUNCTION, component(FUNCTION)), ("source", component("source"))]);
    let taken = app.deploys.deploy(both, "tester").await.unwrap();
    assert!(taken.iter().all(|t| t.before.is_some() && t.before.as_ref() != Some(&t.version)), "{taken:?}");
    assert_eq!(app.store.application().topics["input"].max_lag_records, Some(1000));
    let write = "tables.totals = [\"upsert\"]\n";
    let handed =
        limited.replace(write, "").replace("publish = [\"input\"]", &format!("publish = [\"input\"]\n{write}"));
    let both = ask(&handed, &[(FUNCTION, component(FUNCTION)), ("source", component("source"))]);
    let told = app.deploys.deploy(both, "tester").await.unwrap_err().to_string();
    assert!(told.contains("`source` would write to table `totals` in the place of `counting`"), "{told}");
    let missing = Ask { part: part(&whole(), "source"), ..ask(&whole(), &[(FUNCTION, component(FUNCTION))]) };
    let told = app.deploys.deploy(missing, "tester").await.unwrap_err().to_string();
    assert!(told.contains("the functions and the components of the deploy are not the same"), "{told}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_comes_to_another_topic_and_a_new_one_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    count(&app, "input", &["a", "a"]).await;
    let news = "[application.trigger.isobar.topics.news]\npartitions = 5\n[application.trigger.isobar.topics.output]";
    let elsewhere = whole()
        .replace("[application.trigger.isobar.topics.output]", news)
        .replace("topic = \"input\"", "topic = \"news\"");
    deploy(&app, &elsewhere, component(FUNCTION)).await.unwrap();
    let keys: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
    count(&app, "news", &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for key in &keys {
        assert_eq!(counted(&app.store, key).await, 1, "{key}");
    }
    let sources: BTreeSet<_> =
        app.dispatcher.progress().sources().into_iter().map(|s| (s.source, s.partition)).collect();
    assert_eq!(sources, (0..5).map(|partition| ("news".to_owned(), partition)).collect());

    let taken = app.deploys.deploy(ask(&whole(), &[("source", component("source"))]), "tester").await.unwrap();
    assert_eq!(taken[0].before, None);
    idle(&app).await;
    assert_eq!((0..3).map(|p| app.store.ends().of("input", p)).sum::<i64>(), 400_002);
    let report = app.store.verify().await.unwrap();
    assert_eq!(report.findings, vec![]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_runs_what_was_deployed_unless_the_file_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    let deployed = deploy(&app, &whole(), another_build(&component(FUNCTION), 1)).await.unwrap();
    count(&app, "input", &["a"]).await;
    app.stop().await;

    // An isobar that knew no shadows had what was deployed, too.
    take_back_to_5(dir.path()).await;
    let prepared = prepare(dir.path(), &alone()).await;
    let told = prepared.news.join("\n");
    assert!(
        told.contains("`counting` runs version") && told.contains("`isobar deploy counting` deploys that"),
        "{told}"
    );
    let app = prepared.start().await.unwrap();
    assert_eq!(runs(&app.store).await, deployed.version);
    count(&app, "input", &["a"]).await;
    assert_eq!(counted(&app.store, "a").await, 2);
    app.stop().await;

    let changed = alone().replace("batch_max_records = 150", "batch_max_records = 151");
    let prepared = prepare(dir.path(), &changed).await;
    let told = prepared.news.join("\n");
    assert!(told.contains("`counting` has changed in spin.toml"), "{told}");
    let app = prepared.start().await.unwrap();
    let version = &deploys::versions(&app.store, FUNCTION).await.unwrap()[0];
    assert!(version.running && version.filed && version.version != deployed.version);
    app.stop().await;

    let prepared = prepare(dir.path(), &changed).await;
    assert_eq!(prepared.news, Vec::<String>::new(), "nothing is new");
    prepared.store.close().await;
    drop(prepared);

    let prepared = prepare(dir.path(), &part(&whole(), "source")).await;
    let told = prepared.news.join("\n");
    assert!(told.contains("`counting` is gone from spin.toml and does not run any more"), "{told}");
    assert!(told.contains("`source` is new in spin.toml and is deployed"), "{told}");
    prepared.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_is_a_version_that_was_in_charge() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    let first = runs(&app.store).await;
    let told = app.deploys.roll_back(FUNCTION, None, "tester").await.unwrap_err().to_string();
    assert!(told.contains("no version but the one in charge"), "{told}");
    let smaller = whole().replace("batch_max_records = 150", "batch_max_records = 100");
    let second = deploy(&app, &smaller, another_build(&component(FUNCTION), 1)).await.unwrap().version;
    let third = deploy(&app, &smaller, another_build(&component(FUNCTION), 2)).await.unwrap().version;
    let differences = deploys::diff(&app.store, FUNCTION, &first, Some(&second)).await.unwrap();
    assert!(differences[0].starts_with("the component is another one: "), "{differences:?}");
    assert_eq!(differences[1..], ["`triggers.counting.batch_max_records` is 100 instead of 150"]);
    assert_eq!(deploys::diff(&app.store, FUNCTION, &third, None).await.unwrap(), Vec::<String>::new());

    let back = app.deploys.roll_back(FUNCTION, None, "tester").await.unwrap();
    assert_eq!((back.version.as_str(), back.before.as_ref()), (second.as_str(), Some(&third)));
    let back = app.deploys.roll_back(FUNCTION, Some(&first[..6]), "tester").await.unwrap();
    assert_eq!(back.version, first);
    let told = app.deploys.roll_back(FUNCTION, Some("0000"), "tester").await.unwrap_err().to_string();
    assert!(told.contains("`counting` has no version `0000`"), "{told}");
    count(&app, "input", &["a"]).await;
    let actions: Vec<_> = app.store.audit_log(10).await.unwrap().into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, ["rollback", "rollback", "deploy", "deploy", "up"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_go_and_those_that_run_or_stand_in_the_file_stay() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &alone()).await;
    let mut deployed = Vec::new();
    for limit in 200..225 {
        let other = whole().replace("batch_max_records = 150", &format!("batch_max_records = {limit}"));
        deployed.push(deploy(&app, &other, component(FUNCTION)).await.unwrap().version);
        // Versions go by when they were deployed.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let kept = deploys::versions(&app.store, FUNCTION).await.unwrap();
    assert_eq!(kept.len(), 21, "twenty, and the one of the file");
    let newest: Vec<&String> = deployed.iter().rev().take(20).collect();
    assert_eq!(kept.iter().map(|v| &v.version).take(20).collect::<Vec<_>>(), newest);
    assert!(kept[0].running && kept[20].filed);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_value_of_a_secret_is_kept_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let declared = "[variables]\ntoken = { default = \"hunter2\", secret = true }\n";
    let with =
        alone().replace("[variables]\n", declared) + "\n[component.counting.variables]\ntoken = \"{{ token }}\"\n";
    assert!(with.contains("hunter2"));
    let app = start(dir.path(), &alone()).await;
    let told = refused(&app, &with, component(FUNCTION)).await;
    assert!(told.contains("`counting` would have the value of variable `token`, which is secret"), "{told}");
    app.stop().await;

    let app = start(dir.path(), &with).await;
    // As somebody would send it who does not go by `isobar deploy`.
    let raw = with.replace("batch_max_records = 150", "batch_max_records = 151");
    let components = BTreeMap::from([(FUNCTION.to_owned(), component(FUNCTION))]);
    app.deploys
        .deploy(Ask { part: raw.clone(), components: components.clone(), ..Ask::default() }, "tester")
        .await
        .unwrap();
    let host =
        raw.replacen("[component.counting]\n", "[component.counting]\nallowed_outbound_hosts = [\"{{ token }}\"]\n", 1);
    let error =
        app.deploys.deploy(Ask { part: host, components, ..Ask::default() }, "tester").await.unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
    app.stop().await;
    for file in std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{}", file.display());
    }
    let app = start(dir.path(), &with).await;
    count(&app, "input", &["a"]).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_does_not_widen_access_to_what_is_sensitive_and_an_operator_may() {
    let dir = tempfile::tempdir().unwrap();
    let (base, peek) = (
        whole() + PEOPLE,
        "tables.people = [\"get\"]\ntables.totals = [\"upsert\"]\nreleases = [\"totals\", \"output\"]",
    );
    let peeping = base.replace("tables.totals = [\"upsert\"]", peek);
    let app = start(dir.path(), &base).await;
    let told = refused(&app, &peeping, component(FUNCTION)).await;
    assert!(told.contains("`counting` would get `name` of table `people`, which is sensitive"), "{told}");
    let unmarked = peeping.replace("sensitive = true", "");
    let told = refused(&app, &unmarked, component(FUNCTION)).await;
    assert!(told.contains("table `people` is sensitive, and would not be any more"), "{told}");
    app.stop().await;

    let app = start(dir.path(), &peeping).await;
    let narrow = deploy(&app, &base, component(FUNCTION)).await.unwrap();
    let wide = app.deploys.roll_back(FUNCTION, None, "tester").await.unwrap();
    assert_eq!(wide.before, Some(narrow.version), "what an operator started may be had again");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_says_who_deploys_what_and_who_holds_what_is_sensitive() {
    let policy = |holders: &str| {
        format!(
            "[policy.deploy]\ncounting = [\"tester\"]\n[policy.limits]\nmemory_mb = 64\n[policy.tables]\npeople = [{holders}]\n"
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let (base, peek) = (
        whole() + PEOPLE,
        "tables.people = [\"get\"]\ntables.totals = [\"upsert\"]\nreleases = [\"totals\", \"output\"]",
    );
    let peeping = base.replace("tables.totals = [\"upsert\"]", peek);
    let refused_start = prepare_under(dir.path(), &peeping, &policy("")).await.err().unwrap().to_string();
    assert!(refused_start.contains("`counting` would have table `people`"), "{refused_start}");
    let app = prepare_under(dir.path(), &base, &policy("")).await.unwrap().start().await.unwrap();
    let told = refused(&app, &peeping, component(FUNCTION)).await;
    assert!(
        told.contains("would have table `people`, which is sensitive, and [policy.tables] does not name"),
        "{told}"
    );
    let large = base.clone() + "[application.trigger.isobar.limits.counting]\nmemory_mb = 65\n";
    let told = refused(&app, &large, component(FUNCTION)).await;
    assert!(told.contains("`memory_mb` of `counting` is 65, and [policy.limits] allows 64"), "{told}");
    let unmarked = peeping.replace("sensitive = true", "");
    let told = refused(&app, &unmarked, component(FUNCTION)).await;
    assert!(told.contains("table `people` is sensitive, and would not be any more"), "{told}");
    let by_another = app.deploys.deploy(ask(&base, &[(FUNCTION, otherwise())]), "somebody").await.unwrap_err();
    assert!(by_another.to_string().contains("`somebody` may not deploy `counting`"), "{by_another}");
    let audit = app.store.audit_log(1).await.unwrap().remove(0);
    assert_eq!((audit.who.as_str(), audit.refused.is_some()), ("somebody", true));
    let by_another = app.deploys.begin_shadow(ask(&base, &[(FUNCTION, otherwise())]), Course::Beside, "somebody").await;
    assert!(by_another.is_err());
    deploy(&app, &base, otherwise()).await.unwrap();
    let by_another = app.deploys.roll_back(FUNCTION, None, "somebody").await.unwrap_err();
    assert!(by_another.to_string().contains("`somebody` may not deploy"), "{by_another}");
    app.stop().await;

    // Who is named may come to have it by a deploy, and what is in its state then goes only where it is released.
    let named = policy("\"counting\"") + "[policy.releases]\ncounting = [\"totals\", \"output\"]\n";
    let app = prepare_under(dir.path(), &base, &named).await.unwrap().start().await.unwrap();
    deploy(&app, &peeping, component(FUNCTION)).await.unwrap();
    let view = View::new(Arc::clone(&app.store), Some(app.running()));
    let hidden = view.state(FUNCTION, &StateAsk::default()).await.unwrap_err().to_string();
    assert!(hidden.contains("reads sensitive data"), "{hidden}");
    let news = base.replace("publish = [\"output\"]", "publish = [\"output\", \"news\"]")
        + "[application.trigger.isobar.topics.news]\n";
    let told = refused(&app, &news, component(FUNCTION)).await;
    assert!(told.contains("`counting` would bring what it read to topic `news`"), "{told}");
    deploy(&app, &base, component(FUNCTION)).await.unwrap();
    let hidden = view.state(FUNCTION, &StateAsk::default()).await.unwrap_err().to_string();
    assert!(hidden.contains("reads sensitive data"), "it may still be there: {hidden}");
    let told = refused(&app, &news, component(FUNCTION)).await;
    assert!(told.contains("`counting` would bring what it read to topic `news`"), "{told}");
    drop(view);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_remembers_is_shown_and_a_scheduled_one_runs_when_it_is_called() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path(), &whole()).await;
    idle(&app).await;
    let view = View::new(Arc::clone(&app.store), Some(app.running()));
    let page = view.state(FUNCTION, &StateAsk { prefix: Some("k1".to_owned()), ..StateAsk::default() }).await.unwrap();
    // Keys are `k0` to `k22`.
    assert_eq!((page.entries.len(), page.more), (11, false), "{page:?}");
    let one = view.state(FUNCTION, &StateAsk { key: Some("k1".to_owned()), ..StateAsk::default() }).await.unwrap();
    let value = match one.entries[0].value.clone().unwrap() {
        Payload::Text(text) => text.into_bytes(),
        Payload::Base64(text) => BASE64_STANDARD.decode(text).unwrap(),
    };
    assert_eq!(i64::from_le_bytes(value.try_into().unwrap()), read(&app.store, "output", 2).await["k1"].len() as i64);
    let few = view.state(FUNCTION, &StateAsk { limit: Some(2), ..StateAsk::default() }).await.unwrap();
    assert_eq!((few.entries.len(), few.more), (2, true));

    let runs = async || {
        app.store.position(&Note { function: "source".into(), source: "numbers".into(), partition: 0 }).await.unwrap()
    };
    let before = runs().await;
    view.run("source").await.unwrap();
    let started = std::time::Instant::now();
    while runs().await == before {
        assert!(started.elapsed() < LONGEST, "it does not run");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let refused = view.run(FUNCTION).await.unwrap_err().to_string();
    assert!(refused.contains("has no schedule"), "{refused}");
    app.stop().await;
}
