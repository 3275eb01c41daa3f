//! What open pages cost the application: they listen to what happens, and fetch what changed of what they show.

use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dwd_mirror::{Mirror, Options};
use isobar::console::events::{Change, ChangedRows};
use isobar::console::token::Access;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::host::Host;

/// Pages that are open.
const PAGES: usize = 200;
/// What each of them shows of a station, with the columns that it asks for.
const SHOWN: [(&str, &str, &str); 5] = [
    ("daily_temp_data", "measurement_date", "measurement_date,mean_temp,min_temp,max_temp,readings,completeness"),
    (
        "daily_othe_data",
        "measurement_date",
        "measurement_date,max_pressure,min_pressure,mean_pressure,mean_humidity,mean_dewpoint",
    ),
    ("yearly_data_temp", "year", "year,mean_temp,min_temp,max_temp,days,expected_days"),
    ("overall_temp", "measurement_date", "measurement_date,min_temperature,max_temperature"),
    ("meta_data", "station_id", "station_id,max_date,entry_count"),
];
/// As the page does it: what was fetched is not fetched again for so long, nor before so many times as long as it took.
const LEAST_WAIT: Duration = Duration::from_secs(1);
const REST: u32 = 9;
/// How often it is looked whether something can be fetched.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Changes that a page has been told and not looked at.
const MOST_TOLD: usize = 64;
const LONGEST_START: Duration = Duration::from_secs(30);
/// Fewer pairs of runs are noise.
const MOST_NOISE: usize = 5;
/// How much longer the application may take.
const MOST: f64 = 1.1;

/// What pages have done.
#[derive(Default)]
struct Done {
    changes: AtomicU64,
    fetched: AtomicU64,
    bytes: AtomicU64,
}

async fn access(data_dir: &Path, host: &mut Child) -> Access {
    let started = Instant::now();
    loop {
        assert!(host.try_wait().unwrap().is_none() && started.elapsed() < LONGEST_START, "the host does not start");
        if let Some(access) = Access::read(data_dir) {
            return access;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn send(access: &Access, path: &str, stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    let Access { address, token } = access;
    let request = format!("GET /api/v1{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await
}

/// The length of an answer's body, behind its head.
async fn head(stream: &mut BufReader<TcpStream>) -> std::io::Result<usize> {
    let (mut line, mut length, mut is_well) = (String::new(), 0, false);
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        is_well |= line.starts_with("HTTP/1.1 200");
        if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = told.trim().parse().unwrap_or_default();
        }
        match line.as_str() {
            "\r\n" if is_well => return Ok(length),
            "\r\n" | "" => return Err(std::io::Error::other("the host refuses, or is gone")),
            _ => {}
        }
    }
}

/// What is to be fetched anew of what a page shows of a station, if anything.
fn condition(station: &str, when: &str, changed: &ChangedRows) -> Option<String> {
    let Some((first, last)) = changed.first.as_deref().zip(changed.last.as_deref()) else {
        return Some(format!("station_id = '{station}'"));
    };
    let is_in = first.first().map(String::as_str) <= Some(station) && Some(station) <= last.first().map(String::as_str);
    let from = first.get(1).filter(|_| first[0] == station).map(|from| format!(" and {when} >= '{from}'"));
    let to = last.get(1).filter(|_| last[0] == station).map(|to| format!(" and {when} <= '{to}'"));
    let quoted = |bound: Option<String>| match when {
        "year" => bound.unwrap_or_default().replace('\'', ""),
        _ => bound.unwrap_or_default(),
    };
    is_in.then(|| format!("station_id = '{station}'{}{}", quoted(from), quoted(to)))
}

/// Two changes as one, or one of any row.
fn both(owed: Option<ChangedRows>, changed: &ChangedRows) -> ChangedRows {
    let Some(ChangedRows { rows, first, last }) = owed else { return changed.clone() };
    let first = first.zip(changed.first.clone()).map(|(a, b)| a.min(b));
    let last = last.zip(changed.last.clone()).map(|(a, b)| a.max(b));
    ChangedRows { rows: rows + changed.rows, first, last }
}

/// Asks for rows, and reads them; gives how many bytes they were.
async fn fetch(access: &Access, path: &str, rows: &mut BufReader<TcpStream>) -> std::io::Result<u64> {
    let escaped = path.replace(' ', "%20").replace('\'', "%27").replace('>', "%3E").replace('<', "%3C");
    send(access, &escaped, rows).await?;
    let mut body = vec![0; head(rows).await?];
    rows.read_exact(&mut body).await?;
    Ok(body.len() as u64)
}

/// The changes that a page is told, until the host ends.
async fn changes(access: &Access) -> std::io::Result<mpsc::Receiver<Change>> {
    let mut stream = BufReader::new(TcpStream::connect(access.address).await?);
    send(access, "/events", &mut stream).await?;
    head(&mut stream).await?;
    let (tell, told) = mpsc::channel(MOST_TOLD);
    tokio::spawn(async move {
        let mut line = String::new();
        while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            let change = line.strip_prefix("data: ").and_then(|told| serde_json::from_str::<Change>(told).ok());
            if let Some(change) = change
                && tell.send(change).await.is_err()
            {
                return;
            }
            line.clear();
        }
    });
    Ok(told)
}

/// Looks at a station until the host ends: fetches all once, then what has changed.
async fn page(access: Arc<Access>, station: String, done: Arc<Done>) -> std::io::Result<()> {
    let mut rows = BufReader::new(TcpStream::connect(access.address).await?);
    let mut changes = changes(&access).await?;
    let any = || Some(ChangedRows { rows: 0, first: None, last: None });
    let (mut free, mut owed) = ([Instant::now(); SHOWN.len()], SHOWN.map(|_| any()));
    loop {
        for (((table, when, columns), free), owed) in SHOWN.iter().zip(&mut free).zip(&mut owed) {
            let Some(changed) = owed.take_if(|_| *free <= Instant::now()) else { continue };
            let Some(condition) = condition(&station, when, &changed) else { continue };
            let path = format!("/tables/{table}/rows?shared=true&limit=10000&columns={columns}&where={condition}");
            let began = Instant::now();
            done.bytes.fetch_add(fetch(&access, &path, &mut rows).await?, Ordering::Relaxed);
            done.fetched.fetch_add(1, Ordering::Relaxed);
            *free = Instant::now() + LEAST_WAIT.max(began.elapsed() * REST);
        }
        // What is owed is fetched when its time has come, whatever is told meanwhile.
        let change = match timeout(LOOK_EVERY, changes.recv()).await {
            Err(_) => continue,
            Ok(None) => return Ok(()),
            Ok(Some(change)) => change,
        };
        done.changes.fetch_add(1, Ordering::Relaxed);
        for ((table, ..), owed) in SHOWN.iter().zip(&mut owed) {
            if let Some(changed) = change.tables.get(*table) {
                *owed = Some(both(owed.take(), changed));
            }
        }
    }
}

/// The stations that are in a table.
fn stations(host: &Host<'_>) -> Vec<String> {
    let exported = host.export("yearly_data_temp");
    let mut rows = csv::Reader::from_reader(exported.as_bytes());
    let mut stations: Vec<String> = rows.records().map(|row| row.unwrap()[0].to_owned()).collect();
    stations.dedup();
    stations
}

/// How long the application takes for everything while so many pages are open, each with one of the stations; gives those there are.
async fn run(mirror: &Mirror, pages: usize, chosen: &[String], done: &Arc<Done>) -> (Duration, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let host = Host { manifest: None, config: None, data_dir: dir.path(), url: mirror.url(), station_ids: "all" };
    let mut running = tokio::task::block_in_place(|| host.up(&["--until-idle"]));
    let access = Arc::new(access(dir.path(), &mut running).await);
    let began = Instant::now();
    let open: Vec<_> = (0..pages)
        .map(|at| tokio::spawn(page(Arc::clone(&access), chosen[at % chosen.len()].clone(), Arc::clone(done))))
        .collect();
    let ended = tokio::task::spawn_blocking(move || running.wait().unwrap()).await.unwrap();
    let took = began.elapsed();
    assert!(ended.success());
    for page in open {
        // It ends with the host, in the middle of an answer, maybe.
        let _ = timeout(LONGEST_START, page).await.expect("a page ends with its host").unwrap();
    }
    (took, tokio::task::block_in_place(|| stations(&host)))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_open_pages_cost_little() {
    let Ok(pairs) = std::env::var("ISOBAR_PAIRS") else {
        println!("skipped: beside other tests its times tell nothing; `ISOBAR_PAIRS=5` measures");
        return;
    };
    let pairs: usize = pairs.parse().unwrap();
    let mirror = Mirror::start(Options::made_up(4, 12.0)).await.unwrap();
    let mut ratios = Vec::new();
    for pair in 0..pairs {
        let done = Arc::default();
        let (without, stations) = run(&mirror, 0, &[], &done).await;
        let (with, _) = run(&mirror, PAGES, &stations, &done).await;
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        let [changes, fetched, bytes] =
            [&done.changes, &done.fetched, &done.bytes].map(|count| count.load(Ordering::Relaxed));
        println!(
            "pair {pair}: {without:.2?} without pages, {with:.2?} with {PAGES}: {ratio:.2} times; they heard of {changes} changes and fetched {fetched} times, {} MiB",
            bytes >> 20
        );
        assert!(changes >= PAGES as u64 && fetched >= PAGES as u64, "they were not told what happens");
        ratios.push(ratio);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!("median of {pairs}: {median:.2} times");
    assert!(pairs < MOST_NOISE || median <= MOST, "open pages make the application take {median:.2} times as long");
}
