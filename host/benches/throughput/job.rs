//! The whole job, archives to tables: the program with its log, state and components, against the native twin.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dwd_mirror::{Mirror, Options};
use observation::Product;

use crate::native::{self, Archive};
use crate::{median, meter, root};

const STATIONS: u32 = 19;
/// So many years of 19 stations are 1.5 million observations; with what `recent` repeats of them, 2.6 million rows.
const YEARS: f64 = 1.51;
const ROUNDS: usize = 4;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// No start takes so long.
const LONGEST_START: Duration = Duration::from_secs(60);
/// Where the program says how it can be reached.
const ADDRESS: &str = "api.json";

struct Run {
    wall: f64,
    cpu: f64,
    peak_mb: f64,
}

/// Measures and prints the ratio, and the peak memory with one station and with all.
pub(crate) fn run(runtime: &tokio::runtime::Runtime) {
    let text = std::fs::read_to_string(root().join("spin.toml")).unwrap();
    let application = isobar::manifest::parse(&text).unwrap();
    let tree = tempfile::tempdir().unwrap();
    let archives = archives(STATIONS, tree.path());
    let mirror = runtime.block_on(Mirror::start(Options::tree(tree.path()))).unwrap();
    let data = tempfile::tempdir().unwrap();
    let threads = std::thread::available_parallelism().unwrap().get();
    let (mut ours, mut natives) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(isobar(data.path(), &mirror.url(), "all"));
        let (started, (before, _)) = (Instant::now(), meter::cpu());
        let days = native::job(&application, &archives, threads);
        natives.push(Run { wall: started.elapsed().as_secs_f64(), cpu: meter::cpu().0 - before, peak_mb: 0.0 });
        assert!(days > 0);
    }
    // The first round compiles the components.
    let of = |runs: &[Run], figure: fn(&Run) -> f64| median(runs.iter().skip(1).map(figure).collect());
    let (wall, cpu) = (of(&ours, |r| r.wall), of(&ours, |r| r.cpu));
    let (native_wall, native_cpu) = (of(&natives, |r| r.wall), of(&natives, |r| r.cpu));
    println!("(b) the whole job, {STATIONS} made-up stations, {} archives; seconds, medians", archives.len());
    println!("    isobar: wall {wall:.2}, CPU {cpu:.2}    native: wall {native_wall:.2}, CPU {native_cpu:.2}");
    println!("    ratio: wall {:.2}, CPU {:.2}", wall / native_wall, cpu / native_cpu);
    let first = archives[0].1.split('_').nth(2).unwrap().to_owned();
    let one = isobar(data.path(), &mirror.url(), &first).peak_mb;
    println!("    peak memory: {one:.0} MB with 1 station, {:.0} MB with {STATIONS}", of(&ours, |r| r.peak_mb));
    let first: Vec<f64> = (0..ROUNDS).map(|_| first_event(data.path(), &mirror.url())).collect();
    println!(
        "(c) from process start, components cached, until a function's first batch is committed: {:.2} s",
        median(first)
    );
    runtime.block_on(mirror.stop()).unwrap();
}

/// Seconds from the start of the program on an empty data folder until a function that reads a topic has committed its
/// first batch, as another process sees it. The looking itself takes some hundredths.
fn first_event(data: &Path, url: &str) -> f64 {
    let started = Instant::now();
    let mut child = up(data, url, "all").spawn().unwrap();
    // Before it can be reached, a look would take the folder away from it.
    while !data.join(ADDRESS).exists() || !has_handled(data) {
        assert!(started.elapsed() < LONGEST_START, "nothing was handled");
        assert!(child.try_wait().unwrap().is_none(), "isobar ended before it handled anything");
    }
    let seconds = started.elapsed().as_secs_f64();
    child.kill().unwrap();
    child.wait().unwrap();
    seconds
}

fn has_handled(data: &Path) -> bool {
    let mut status = Command::new(env!("CARGO_BIN_EXE_isobar"));
    let said = status.args(["status", "--json", "--data-dir"]).arg(data).current_dir(root()).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap_or_default();
    let handled =
        |source: &serde_json::Value| !source["scheduled"].as_bool().unwrap() && source["records"].as_u64().unwrap() > 0;
    said["sources"].as_array().is_some_and(|sources| sources.iter().any(handled))
}

/// Makes the archives once, writes them where the mirror serves them from, and keeps them for the native side.
fn archives(stations: u32, tree: &Path) -> Vec<Archive> {
    let mut kept = Vec::new();
    for archive in dwd_mirror::archives(&Options::made_up(stations, YEARS)).unwrap() {
        let (path, bytes) = archive.unwrap();
        let file = tree.join("10_minutes/air_temperature").join(&path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &bytes).unwrap();
        let (folder, name) = path.split_once('/').unwrap();
        let product = match folder {
            "historical" => Product::Historical,
            "recent" => Product::Recent,
            _ => Product::Now,
        };
        kept.push((product, name.to_owned(), bytes));
    }
    kept
}

/// One run of the program on an empty data folder, from process start to exit. Compiled components stay in the
/// folder's cache from round to round.
fn isobar(data: &Path, url: &str, station_ids: &str) -> Run {
    let (started, (_, before)) = (Instant::now(), meter::cpu());
    let mut child: Child = up(data, url, station_ids).arg("--until-idle").spawn().unwrap();
    let mut peak_mb = 0.0_f64;
    let status = loop {
        peak_mb = peak_mb.max(meter::peak_mb(child.id()).unwrap_or_default());
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    assert!(status.success(), "isobar ended with {status}");
    Run { wall: started.elapsed().as_secs_f64(), cpu: meter::cpu().1 - before, peak_mb }
}

/// The program on an emptied data folder.
fn up(data: &Path, url: &str, station_ids: &str) -> Command {
    for old in ["isobar.sqlite", "isobar.sqlite-wal", "isobar.sqlite-shm", ADDRESS] {
        // The first round finds nothing to remove.
        let _ = std::fs::remove_file(data.join(old));
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_isobar"));
    command
        .args(["up", "--listen", "127.0.0.1:0"])
        .args(["--variable", &format!("dwd_url={url}"), "--variable", &format!("station_ids={station_ids}")])
        .arg("--data-dir")
        .arg(data)
        .current_dir(root())
        .env("ISOBAR_LOG", "error")
        .stderr(Stdio::null());
    command
}
