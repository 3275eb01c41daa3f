//! Takes records as tricks to perform.

use isobar_guest::Items;
use isobar_guest::events::{Batch, Failure, Rejection};

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "grants",
        with: { "isobar:platform/types@0.1.1": isobar_guest::types },
        generate_all,
    });

    pub(super) use stage::{tables::seen, topics::echo};
}

mod tricks;

use tricks::perform;

struct Hostile;

impl isobar_guest::Handler for Hostile {
    async fn handle(batch: Batch) -> Result<(), Failure> {
        let mut rejected = Vec::new();
        for (at, (key, value)) in Items::of(&batch.keys).zip(Items::of(&batch.values)).enumerate() {
            let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
            match text(value).as_str() {
                "reject" => rejected.push(Rejection { at: at as u32, reason: "rejected".to_owned() }),
                trick => perform(&text(key), trick)?,
            }
        }
        if rejected.is_empty() { Ok(()) } else { Err(Failure::Reject(rejected)) }
    }
}

isobar_guest::handler!(Hostile);
