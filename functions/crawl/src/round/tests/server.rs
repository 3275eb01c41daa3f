//! A made-up server and host: folder pages that fit the files, faults on request, and runs that are transactions.

use crate::archive::tests::zipped;
use crate::outside::{Outside, Request, Response, Topic};
use crate::round::{Due, Next, run};
use crate::settings::{Settings, Variables};
use isobar_guest::Items;
use isobar_guest::types::Packed;
use observation::{Day, MemoryState, Stamp, State};
use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

pub(super) const BASE: &str = "http://dwd.test/air_temperature/";
const HEADER: &str = "STATIONS_ID;MESS_DATUM;  QN;PP_10;TT_10;TM5_10;RF_10;TD_10;eor\r\n";
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

pub(super) const VARIABLES: Variables<'static> =
    Variables { dwd_url: BASE, station_ids: "00003", streaming_speed: "0", products: "now,recent,historical" };

/// A file of the server.
#[derive(Clone)]
pub(super) struct File {
    pub(super) body: Vec<u8>,
    /// Seconds since the Unix epoch.
    pub(super) modified: u64,
    /// What the folder page says instead of the true size.
    pub(super) listed_size: Option<usize>,
}

/// What the server does wrong with one address.
#[derive(Clone)]
pub(super) enum Fault {
    Status(u16),
    Refuses(&'static str),
    /// A shorter body under the same Content-Length.
    Cuts(usize),
    Page(&'static str),
    /// Whatever it likes.
    Answers(Response),
}

#[derive(Clone, Default)]
pub(super) struct World {
    /// By address below the base, as `recent/10minutenwerte_TU_00003_akt.zip`.
    pub(super) files: BTreeMap<String, File>,
    pub(super) faults: BTreeMap<String, Fault>,
    pub(super) asked: Vec<String>,
    pub(super) state: MemoryState,
    pub(super) sent: Vec<(Topic, String)>,
    pub(super) said: Vec<String>,
    pub(super) now_ms: i64,
}

impl World {
    /// Puts a file on the server.
    pub(super) fn serve(&mut self, path: &str, modified: u64, text: &str) {
        self.put(path, modified, zipped(&[("produkt_zehn_min_tu.txt", text)]));
    }

    pub(super) fn put(&mut self, path: &str, modified: u64, body: Vec<u8>) {
        self.files.insert(path.to_owned(), File { body, modified, listed_size: None });
    }

    pub(super) fn archives_asked(&self) -> usize {
        self.asked.iter().filter(|path| path.ends_with(".zip")).count()
    }

    /// One run as a transaction.
    pub(super) fn run(&mut self, attempt: u32, variables: Variables<'_>) -> Result<Next, String> {
        let settings = Settings::parse(variables).unwrap();
        let before = (self.state.clone(), self.sent.len());
        let due = Due { ms: self.now_ms, attempt };
        let result = ready(run(due, &settings, self));
        if result.is_err() {
            self.state = before.0;
            self.sent.truncate(before.1);
        }
        result
    }

    /// Runs until nothing is left, the host's way: again when asked to, another attempt after a failure. Returns the
    /// reasons of the runs that failed. Ten minutes pass before it, as the schedule has it.
    pub(super) fn drain(&mut self) -> Vec<String> {
        self.drain_with(VARIABLES)
    }

    pub(super) fn drain_with(&mut self, variables: Variables<'_>) -> Vec<String> {
        self.now_ms += 600_000;
        let (mut reasons, mut attempt) = (Vec::new(), 1);
        for _ in 0..1000 {
            match self.run(attempt, variables) {
                Ok(Next::Done) => return reasons,
                Ok(Next::Again(ms)) => (self.now_ms, attempt) = (self.now_ms + i64::from(ms), 1),
                Err(reason) if attempt < 5 => {
                    attempt += 1;
                    reasons.push(reason);
                }
                // The host gives the run up, until the schedule comes again.
                Err(_) => return reasons,
            }
        }
        panic!("never done: {:?}", self.said);
    }

    /// What was published since, as `temperature` messages.
    pub(super) fn temperatures(&self, since: usize) -> Vec<&str> {
        let sent = self.sent.get(since..).unwrap();
        sent.iter().filter(|(topic, _)| *topic == Topic::Temperature).map(|(_, value)| value.as_str()).collect()
    }

    fn answer(&self, path: &str, request: &Request) -> Result<Response, String> {
        let fault = self.faults.get(path);
        match fault {
            Some(Fault::Status(status)) => return Ok(Response { status: *status, ..Response::default() }),
            Some(Fault::Refuses(reason)) => return Err((*reason).to_owned()),
            Some(Fault::Page(text)) => return Ok(page(text.as_bytes().to_vec())),
            Some(Fault::Answers(response)) => return Ok(response.clone()),
            Some(Fault::Cuts(_)) | None => {}
        }
        if path.is_empty() || path.ends_with('/') {
            return Ok(self.folder(path));
        }
        let Some(file) = self.files.get(path) else {
            return Ok(Response { status: 404, ..Response::default() });
        };
        let (etag, last_modified) = (format!("\"{}-{}\"", file.modified, file.body.len()), http_date(file.modified));
        let known = request.etag.as_deref() == Some(&etag);
        let mut body = if known { Vec::new() } else { file.body.clone() };
        let content_length = (!known).then_some(body.len() as u64);
        if let Some(Fault::Cuts(length)) = fault {
            body.truncate(*length);
        }
        let status = if known { 304 } else { 200 };
        Ok(Response { status, etag: Some(etag), last_modified: Some(last_modified), content_length, body })
    }

    fn folder(&self, path: &str) -> Response {
        let files: Vec<_> = self.files.iter().filter_map(|(at, file)| Some((at.strip_prefix(path)?, file))).collect();
        if files.is_empty() {
            return Response { status: 404, ..Response::default() };
        }
        let lines: String = files
            .iter()
            .map(|(name, file)| {
                let size = file.listed_size.unwrap_or(file.body.len());
                format!("<a href=\"{name}\">{name}</a> {}             {size}\n", listed_date(file.modified))
            })
            .collect();
        page(format!("<html><h1>Index of /{path}</h1><hr><pre>{lines}</pre><hr></html>").into_bytes())
    }
}

impl State for World {
    fn get_many(&mut self, keys: &Packed) -> Packed {
        self.state.get_many(keys)
    }

    fn put_many(&mut self, keys: &Packed, values: &Packed) {
        self.state.put_many(keys, values);
    }
}

impl Outside for World {
    async fn get(&mut self, request: Request) -> Result<Response, String> {
        let path = request.url.strip_prefix(BASE).ok_or("another server")?.to_owned();
        let answer = self.answer(&path, &request);
        self.asked.push(path);
        answer
    }

    fn send(&mut self, topic: Topic, keys: &Packed, values: &Packed) -> Result<(), String> {
        for (key, value) in Items::of(keys).zip(Items::of(values)) {
            let value = String::from_utf8(value.unwrap().to_vec()).unwrap();
            assert!(value.contains(&format!("\"station_id\":\"{}\"", str::from_utf8(key.unwrap()).unwrap())));
            self.sent.push((topic, value));
        }
        Ok(())
    }

    fn say(&mut self, line: &str) {
        self.said.push(line.to_owned());
    }
}

/// The text of a product file of station 3: `days` whole days from a date on, `change` added to every temperature.
pub(super) fn days(first: (i32, u32, u32), days: i32, change: i32) -> String {
    let first = Day::from_date(first.0, first.1, first.2).unwrap().number();
    let lines = (first * 144..(first + days) * 144).map(|slot| line(slot, change));
    std::iter::once(HEADER.to_owned()).chain(lines).collect()
}

/// The same, of a part of one day.
pub(super) fn slots(day: (i32, u32, u32), slots: i32) -> String {
    let first = Day::from_date(day.0, day.1, day.2).unwrap().number() * 144;
    std::iter::once(HEADER.to_owned()).chain((first..first + slots).map(|slot| line(slot, 0))).collect()
}

fn line(slot: i32, change: i32) -> String {
    let stamp = Stamp::from_minutes(slot * 10).unwrap();
    let tenths = slot % 300 - 100 + change;
    format!("{:>11};{};    3;   -999;{:>6.1};  -999;  80.0;   1.0;eor\r\n", 3, stamp.number(), f64::from(tenths) / 10.0)
}

fn page(body: Vec<u8>) -> Response {
    Response { status: 200, content_length: Some(body.len() as u64), body, ..Response::default() }
}

fn http_date(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn listed_date(seconds: u64) -> String {
    let (year, month, day) = Day::new((seconds / 86_400) as i32).date();
    let time = seconds % 86_400;
    let month = MONTHS.get(month as usize - 1).unwrap();
    format!("{day:02}-{month}-{year} {:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60)
}

/// The outcome of a future that waits for nothing.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the made-up server answers at once"),
    }
}
