//! The thin part that speaks to the host: variables, HTTP, state and topics into the shapes that the round works with.

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "grants",
        with: { "isobar:platform/types@0.1.1": isobar_guest::types },
        generate_all,
    });
}

use crate::outside::{Outside, Request, Response, Topic};
use crate::round::{self, Due};
use crate::settings::{Settings, Variables};
use bindings::weather::topics::{others, temperature};
use http_body_util::BodyExt;
use isobar_guest::Scheduled;
use isobar_guest::events::{Failure, Next, Tick};
use isobar_guest::types::{Error, Packed};
use observation::{HostState, State};
use spin_sdk::http::{EmptyBody, HeaderMap};
use spin_sdk::wasip3::http::types::{ErrorCode, RequestOptions};
use spin_sdk::wasip3::http_compat::RequestOptionsExtension;

/// Who asks, and how.
const USER_AGENT: &str =
    concat!("isobar-weather-crawl/", env!("CARGO_PKG_VERSION"), " (one file at a time, only when it changed)");
const SECOND_NS: u64 = 1_000_000_000;
/// Waits for a server, shorter than a run may take, so that the trouble is told by name instead of by the run's timeout.
const CONNECT_NS: u64 = 10 * SECOND_NS;
const FIRST_BYTE_NS: u64 = 30 * SECOND_NS;
const BETWEEN_BYTES_NS: u64 = 20 * SECOND_NS;

struct Crawl;

isobar_guest::scheduled!(Crawl);

impl Scheduled for Crawl {
    async fn run(tick: Tick) -> Result<Next, Failure> {
        crawl(tick).await.map_err(Failure::Retry)
    }
}

async fn crawl(tick: Tick) -> Result<Next, String> {
    let settings = Settings::parse(Variables {
        dwd_url: &variable("dwd_url").await?,
        station_ids: &variable("station_ids").await?,
        streaming_speed: &variable("streaming_speed").await?,
        products: &variable("products").await?,
    })
    .map_err(|unusable| unusable.to_string())?;
    let due = Due { ms: tick.due_ms, attempt: tick.attempt };
    Ok(match round::run(due, &settings, &mut Host(HostState)).await? {
        round::Next::Done => Next::Done,
        round::Next::Again(ms) => Next::Again(ms),
    })
}

async fn variable(name: &str) -> Result<String, String> {
    spin_sdk::variables::get(name).await.map_err(|error| {
        format!("variable `{name}` cannot be read: {error}; set it under `[component.crawl.variables]` in spin.toml")
    })
}

struct Host(HostState);

impl State for Host {
    fn get_many(&mut self, keys: &Packed) -> Packed {
        self.0.get_many(keys)
    }

    fn put_many(&mut self, keys: &Packed, values: &Packed) {
        self.0.put_many(keys, values);
    }
}

impl Outside for Host {
    async fn get(&mut self, request: Request) -> Result<Response, String> {
        let response = spin_sdk::http::send(asked(&request)?).await.map_err(|code| in_words(&code))?;
        let (head, mut body) = response.into_parts();
        let content_length = text(&head.headers, "content-length").and_then(|length| length.parse().ok());
        let mut bytes = Vec::with_capacity(content_length.unwrap_or(0).min(request.limit as u64) as usize);
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|code| format!("its body broke off after {} bytes: {}", bytes.len(), in_words(&code)))?;
            let data = frame.into_data().unwrap_or_default();
            if bytes.len() + data.len() > request.limit {
                return Err(format!("its body is longer than {} bytes", request.limit));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Response {
            status: head.status.as_u16(),
            etag: text(&head.headers, "etag"),
            last_modified: text(&head.headers, "last-modified"),
            content_length,
            body: bytes,
        })
    }

    fn send(&mut self, topic: Topic, keys: &Packed, values: &Packed) -> Result<(), String> {
        let sent = match topic {
            Topic::Temperature => temperature::send(keys, values),
            Topic::Others => others::send(keys, values),
        };
        sent.map_err(|(Error::Unavailable(reason) | Error::Invalid(reason))| reason)
    }

    fn say(&mut self, line: &str) {
        eprintln!("{line}");
    }
}

fn asked(request: &Request) -> Result<spin_sdk::http::Request<EmptyBody>, String> {
    let options = RequestOptions::new();
    let waits = options
        .set_connect_timeout(Some(CONNECT_NS))
        .and_then(|()| options.set_first_byte_timeout(Some(FIRST_BYTE_NS)))
        .and_then(|()| options.set_between_bytes_timeout(Some(BETWEEN_BYTES_NS)));
    waits.map_err(|error| format!("the host cannot bound the wait for an answer: {error:?}"))?;
    let mut asked = spin_sdk::http::Request::new(EmptyBody::new());
    *asked.uri_mut() = request.url.parse().map_err(|error| format!("the address is wrong: {error}"))?;
    asked.extensions_mut().insert(RequestOptionsExtension(options));
    let headers = [
        ("user-agent", Some(USER_AGENT)),
        ("if-none-match", request.etag.as_deref()),
        ("if-modified-since", request.modified_since.as_deref()),
    ];
    for (name, value) in headers {
        if let Some(value) = value {
            let value = value.parse().map_err(|error| format!("header `{name}` is wrong: {error}"))?;
            asked.headers_mut().insert(name, value);
        }
    }
    Ok(asked)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// What an operator can make something of; the rest by its name in the standard.
fn in_words(code: &ErrorCode) -> String {
    let words = match code {
        ErrorCode::ConnectionRefused => "the server refuses the connection",
        ErrorCode::ConnectionTerminated => "the server closed the connection",
        ErrorCode::ConnectionTimeout => "no connection came about in time",
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => "the server did not answer in time",
        ErrorCode::DestinationUnavailable | ErrorCode::DestinationNotFound => "the server cannot be reached",
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) => "the server's name cannot be resolved",
        ErrorCode::HttpRequestDenied => {
            "the host does not allow it: name the server in `allowed_outbound_hosts` of component `crawl` in spin.toml"
        }
        ErrorCode::DestinationIpProhibited => {
            "its name leads to an address that names may not lead to: if that was meant, give the address itself"
        }
        ErrorCode::TlsCertificateError => "the server's certificate is not valid",
        other => return format!("{other:?}"),
    };
    words.to_owned()
}
