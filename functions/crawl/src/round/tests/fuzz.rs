//! A server that answers anything at all for one address: what the others have is published, and what that one has once
//! it is well again.

use mutate::Target;

use super::server::{Fault, World, days, slots};
use super::{JUNE, NEWER, NOW, RECENT};
use crate::outside::Response;

const ADDRESSES: [&str; 6] = ["now/", "recent/", "historical/", NOW, RECENT, NEWER];

fn small() -> World {
    let mut world = World::default();
    world.serve(NOW, JUNE, &slots((2024, 6, 1), 3));
    world.serve(RECENT, JUNE - 1_000, &days((2024, 5, 31), 1, 0));
    world.serve(NEWER, JUNE - 9_000, &days((2023, 12, 31), 1, 0));
    world
}

/// An answer as text: address, status, length, `ETag` and `Last-Modified` a line each, then the body. An empty line is
/// none.
fn answer(text: &[u8]) -> Option<(&'static str, Response)> {
    let mut parts = text.splitn(6, |byte| *byte == b'\n');
    let mut line = || parts.next().map(|part| String::from_utf8_lossy(part).into_owned());
    let (address, status, length, etag, modified) = (line()?, line()?, line()?, line()?, line()?);
    let address = ADDRESSES.into_iter().find(|known| *known == address)?;
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let body = parts.next().unwrap_or_default().to_vec();
    let response = Response {
        status: status.parse().unwrap_or(200),
        etag: some(etag),
        last_modified: some(modified),
        content_length: match length.as_str() {
            "" => Some(body.len() as u64),
            length => length.parse().ok(),
        },
        body,
    };
    Some((address, response))
}

/// What was published, without the revisions, which differ.
fn published(world: &World) -> impl Iterator<Item = &str> {
    world.sent.iter().map(|(_, message)| message.split(",\"product\"").next().unwrap())
}

#[test]
fn whatever_a_server_answers() {
    let mut well = small();
    well.drain();
    let expected: Vec<String> = published(&well).map(str::to_owned).collect();
    let seeds = ADDRESSES.map(|address| {
        let body = match well.files.get(address) {
            Some(file) => file.body.clone(),
            None => format!(
                "<h1>Index of /{address}</h1><pre><a href=\"{0}\">{0}</a> 01-Jun-2024 00:00:00 700\n</pre>",
                address.split('/').next_back().unwrap()
            )
            .into_bytes(),
        };
        [format!("{address}\n200\n\n\"a-1\"\nSat, 01 Jun 2024 00:00:00 GMT\n").as_bytes(), &body].concat()
    });
    let words = ["304", "404", "500", "10minutenwerte_TU_00003_", "_hist.zip", "Index of ", "</pre>", "GMT", "1e9"];
    Target::new("server").seeds(seeds).words(words).longest(8 * 1024).run(|text| {
        let (address, response) = answer(text)?;
        let mut world = small();
        world.faults.insert(address.to_owned(), Fault::Answers(response));
        let reasons = world.drain();
        world.faults.clear();
        world.files.values_mut().for_each(|file| file.modified += 100_000_000);
        // A rest after trouble may be longer than the time from one schedule to the next.
        for _ in 0..4 {
            world.drain();
        }
        let sent: std::collections::BTreeSet<&str> = published(&world).collect();
        let lost: Vec<_> = expected.iter().filter(|message| !sent.contains(message.as_str())).collect();
        assert!(lost.is_empty(), "{} messages were never published, such as {}", lost.len(), lost[0]);
        let kind = |reason: &String| reason.split('`').step_by(2).collect::<String>();
        Some((address, reasons.first().map(kind), world.sent.len() / 20))
    });
}
