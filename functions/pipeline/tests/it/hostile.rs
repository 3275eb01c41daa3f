//! A function that misbehaves in every way, beside the application's: it costs them time, its own share and no more, and
//! changes nothing in their tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use dwd_mirror::{Mirror, Options};

use crate::guests::{with_rowdy, written};
use crate::host::{Host, TABLES};
use crate::troubled::post;
use local_services::say;

const FUNCTIONS: [&str; 4] = ["crawl", "aggregate-temperature", "aggregate-others", "enrich"];
/// No run takes so long.
const LONGEST: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Rounds where times are held against the bound.
const ROUNDS: u32 = 4;
/// Reasons for which it loses records at the least: how many it comes to depends on how long the application takes.
const DIFFERENT: usize = 3;
/// How much longer than by the share of the processors that the other takes a batch may be.
const SLACK: f64 = 1.2;
/// The clock ticks in which processes are charged, per second.
const TICKS: f64 = 100.0;

/// What the application's functions did.
struct Run {
    /// Records that the aggregates handled.
    records: u64,
    /// Microseconds of calls per record, by function.
    micros: BTreeMap<&'static str, f64>,
    /// Seconds that the process computed, and that it ran.
    cpu: f64,
    wall: f64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_misbehaves_costs_the_others_its_share_of_time_and_nothing_else() {
    let mirror = Mirror::start(Options::made_up(4, 12.0)).await.unwrap();
    let slow = Mirror::start(Options::made_up(1, 1.0)).await.unwrap();
    post(&format!("{}/_misbehave?kind=slow&count=1000000&ms=60000", slow.root())).await;
    let dir = tempfile::tempdir().unwrap();
    let hold = std::env::var_os("ISOBAR_HOLD_TIMES").is_some();
    let manifest = written(dir.path(), &with_rowdy().replace("http://127.0.0.1:1", &slow.root()));
    tokio::task::block_in_place(|| {
        let mut runs = Vec::new();
        for round in 0..if hold { ROUNDS } else { 1 } {
            let folder = |name: &str| dir.path().join(format!("{name}-{round}"));
            let (calm_dir, beside_dir) = (folder("calm"), folder("beside"));
            let calm =
                Host { manifest: None, config: None, data_dir: &calm_dir, url: mirror.url(), station_ids: "all" };
            let beside = Host { manifest: Some(&manifest), data_dir: &beside_dir, ..calm.clone() };
            let alone = run(&calm, 0, &folder("calm.log"));
            let together = run(&beside, alone.records, &folder("beside.log"));
            assert_eq!(together.records, alone.records);
            compare(&calm, &beside);
            runs.push((alone, together));
        }
        // Compiling its components slows the first round down.
        let grown: Vec<f64> =
            runs.iter().skip(usize::from(hold)).flat_map(|(alone, beside)| tell(alone, beside)).collect();
        let mut sorted = grown.clone();
        sorted.sort_by(f64::total_cmp);
        // Figures of a machine that others use too are held against the bound only where somebody looks at them.
        let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        say!("in the middle, a batch takes {middle:.2} of the time that the share of the processors allows");
        assert!(
            !hold || middle < SLACK,
            "batches take {grown:.2?} of the time that the share of the processors allows"
        );
    });
    mirror.stop().await.unwrap();
    slow.stop().await.unwrap();
}

/// The tables of both are the same to the byte, the ledger of the second is clean, and something did misbehave.
fn compare(calm: &Host<'_>, beside: &Host<'_>) {
    for table in TABLES {
        let expected = calm.export(table);
        assert!(beside.export(table) == expected, "`{table}` differs from that of an undisturbed run");
        assert!(expected.lines().count() > 1 || table == "station_metadata", "`{table}` is empty");
    }
    let verified = beside.command(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let letters = beside.command(&["dead-letters", "list", "rowdy", "--json", "--limit", "1000"]);
    let letters: serde_json::Value = serde_json::from_slice(&letters.stdout).unwrap();
    let reasons = letters["letters"].as_array().unwrap().iter().map(|letter| letter["reason"].to_string());
    let reasons: BTreeSet<String> = reasons.collect();
    say!("one that misbehaves lost records for {} reasons", reasons.len());
    assert!(reasons.len() >= DIFFERENT, "it did not misbehave much: {reasons:#?}");
}

/// By how much more than its share of the processors explains batches took longer beside one that misbehaves, by function.
fn tell(alone: &Run, together: &Run) -> Vec<f64> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
    let taken = (together.cpu - alone.cpu).max(0.0) / (together.wall * cores);
    say!(
        "alone {:.1} s, {:.1} s of CPU; beside one that misbehaves {:.1} s, {:.1} s of CPU: it took {:.0} % of {cores} cores",
        alone.wall,
        alone.cpu,
        together.wall,
        together.cpu,
        100.0 * taken
    );
    let grown = |(function, micros): (&&str, &f64)| {
        let beside = together.micros[function];
        say!("{function}: {micros:.2} µs a record alone, {beside:.2} beside: {:.2} times", beside / micros);
        beside / micros * (1.0 - taken)
    };
    alone.micros.iter().map(grown).collect()
}

/// Runs until the aggregates have handled `records` (0: as many as there are) and everything but the guest has caught up.
fn run(host: &Host<'_>, records: u64, log: &Path) -> Run {
    let mut child = host.up_with(&[], &[], File::create(log).unwrap());
    let started = Instant::now();
    let (sources, wall, cpu) = loop {
        std::thread::sleep(LOOK_EVERY);
        let late = started.elapsed() > LONGEST || child.try_wait().unwrap().is_some();
        assert!(!late, "the run does not end: {}", fs::read_to_string(log).unwrap());
        if !host.data_dir.join("api.json").exists() {
            continue;
        }
        let cpu = cpu_seconds(&child);
        let status = host.command(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        let sources = status["sources"].as_array().cloned().unwrap_or_default();
        let ours = |s: &&serde_json::Value| FUNCTIONS.contains(&s["function"].as_str().unwrap_or_default());
        let sources: Vec<_> = sources.iter().filter(ours).cloned().collect();
        let rests = |s: &serde_json::Value| s["lag"] == 0 && s["standing"]["state"] == "idle";
        let crawled = |s: &serde_json::Value| s["scheduled"] != true || is_later(&s["due_ms"]);
        let done = !sources.is_empty() && sources.iter().all(|s| rests(s) && crawled(s));
        if done && handled(&sources) >= records.max(1) {
            break (sources, started.elapsed().as_secs_f64(), cpu);
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    Run { records: handled(&sources), micros: micros(&sources), cpu, wall }
}

/// Whether a schedule's next run is the one that its expression says, and not one that was asked for at once.
fn is_later(due_ms: &serde_json::Value) -> bool {
    due_ms.as_i64().is_some_and(|due| due > isobar::clock::now_ms() + 1_000)
}

fn handled(sources: &[serde_json::Value]) -> u64 {
    let aggregates = sources.iter().filter(|s| s["function"].as_str().is_some_and(|f| f.starts_with("aggregate")));
    aggregates.map(|s| s["position"].as_u64().unwrap_or_default()).sum()
}

fn micros(sources: &[serde_json::Value]) -> BTreeMap<&'static str, f64> {
    let sum = |function: &str, field: &str| -> f64 {
        sources.iter().filter(|s| s["function"] == function).filter_map(|s| s[field].as_f64()).sum()
    };
    let aggregates = ["aggregate-temperature", "aggregate-others"];
    aggregates.into_iter().map(|f| (f, sum(f, "call_micros") / sum(f, "records"))).collect()
}

/// Seconds that a process has computed so far: fields 14 and 15 of `/proc/…/stat`, counted behind the name.
fn cpu_seconds(child: &Child) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}
