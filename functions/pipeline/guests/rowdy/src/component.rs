//! The tricks of the host's own tests, one per batch, and those that need a server.

use http_body_util::BodyExt as _;
use isobar_guest::events::{Batch, Failure, Rejection};
use spin_sdk::http::EmptyBody;
use spin_sdk::wasip3::http::types::Fields;

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "grants",
        with: { "isobar:platform/types@0.1.1": isobar_guest::types },
        generate_all,
    });

    pub(super) use weather::{tables::rowdy as seen, topics::rowdy as echo};
}

#[path = "../../../../../host/tests/hostile/guest/src/component/tricks.rs"]
mod tricks;

/// The topic that it publishes to and reads.
const OWN_TOPIC: &str = "rowdy";

const TRICKS: [&str; 23] = [
    "loop",
    "panic",
    "memory",
    "sleep",
    "million records",
    "stack",
    "flood stderr",
    "many values",
    "slow server",
    "trap in the middle of a table write",
    "huge reason",
    "lying index",
    "many rows",
    "read many rows",
    "allocating stack",
    "read many values",
    "exit",
    "huge panic",
    "read one value often",
    "look around",
    "reject",
    "many headers",
    "broken ends",
];

struct Rowdy;

impl isobar_guest::Handler for Rowdy {
    async fn handle(batch: Batch) -> Result<(), Failure> {
        if batch.topic == OWN_TOPIC {
            match isobar_guest::Items::of(&batch.keys).next().flatten() {
                Some(b"ask") => return ask(&variable("slow_url").await?).await,
                Some(b"ask elsewhere") => return ask("http://127.0.0.2:9/").await,
                _ => {}
            }
            bindings::echo::send(&batch.keys, &batch.values)?;
            return Ok(());
        }
        // Another one with each delivery, so that a batch that is tried again meets many.
        let at = batch.offsets.first().copied().unwrap_or_default().unsigned_abs() as usize + batch.attempt as usize;
        match TRICKS[at % TRICKS.len()] {
            "slow server" => ask(&variable("slow_url").await?).await,
            "reject" => {
                let all = (0..batch.offsets.len() as u32).map(|at| Rejection { at, reason: "rowdy".to_owned() });
                Err(Failure::Reject(all.collect()))
            }
            "many headers" => hoard_headers(),
            trick => tricks::perform("rowdy", trick),
        }
    }
}

isobar_guest::handler!(Rowdy);

/// Makes the host hold more and more, and never lets go.
fn hoard_headers() -> Result<(), Failure> {
    for _ in 0..1_000_000 {
        let fields = Fields::new();
        let held = fields.append("x-hoard", &[b'h'; 60_000]);
        held.map_err(|error| Failure::Retry(format!("headers: {error:?}")))?;
        std::mem::forget(fields);
    }
    panic!("escaped: the host holds 60 GB of headers")
}

async fn variable(name: &str) -> Result<String, Failure> {
    spin_sdk::variables::get(name).await.map_err(|error| failed("variable", error))
}

/// Asks for a file, of a server that may drip for longer than a call may take.
async fn ask(url: &str) -> Result<(), Failure> {
    let mut request = spin_sdk::http::Request::new(EmptyBody::new());
    *request.uri_mut() = url.parse().map_err(|_| failed("address", url))?;
    let response = spin_sdk::http::send(request).await.map_err(|code| failed("request", format!("{code:?}")))?;
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(|code| failed("body", format!("{code:?}")))?;
    }
    Ok(())
}

fn failed(what: &str, why: impl std::fmt::Display) -> Failure {
    Failure::Retry(format!("{what}: {why}"))
}
