//! What speaks to the host: one look-up and one message per batch.

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "grants",
        with: { "isobar:platform/types@0.1.1": isobar_guest::types },
        generate_all,
    });
}

use std::collections::{BTreeMap, BTreeSet};

use bindings::{{app}}::tables::{{snake}}_names as names;
use bindings::{{app}}::topics::{{snake}}_out as out;
use isobar_guest::events::{Batch, Failure, Rejection};
use isobar_guest::{Handler, Items, PackedBuilder};

use crate::enriched;

struct Function;

isobar_guest::handler!(Function);

impl Handler for Function {
    async fn handle(batch: Batch) -> Result<(), Failure> {
        let ids: Vec<String> = Items::of(&batch.keys).map(|key| text(key.unwrap_or_default())).collect();
        let asked: BTreeSet<&String> = ids.iter().collect();
        let keys: Vec<names::Key> = asked.into_iter().map(|id| names::Key { id: id.clone() }).collect();
        let known: BTreeMap<String, String> = names::get(&keys)?.into_iter().map(|row| (row.id, row.name)).collect();
        let (mut keys, mut values, mut refused) = (PackedBuilder::default(), PackedBuilder::default(), Vec::new());
        for (at, (id, value)) in ids.iter().zip(Items::of(&batch.values)).enumerate() {
            match known.get(id) {
                Some(name) => {
                    keys.push(id.as_bytes());
                    values.push(enriched(name, &text(value.unwrap_or_default())).as_bytes());
                }
                None => refused.push(Rejection { at: at as u32, reason: format!("nothing is called `{id}`") }),
            }
        }
        out::send(&keys.build(), &values.build())?;
        if refused.is_empty() { Ok(()) } else { Err(Failure::Reject(refused)) }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
