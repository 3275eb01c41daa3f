//! What speaks to the host: one look-up and one write per batch.

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "grants",
        with: { "isobar:platform/types@0.1.1": isobar_guest::types },
        generate_all,
    });
}

use std::collections::BTreeMap;

use bindings::{{app}}::tables::{{snake}}_totals as totals;
use isobar_guest::events::{Batch, Failure, Rejection};
use isobar_guest::{Handler, Items, PackedBuilder, state};

use crate::{Summary, number};

struct Function;

isobar_guest::handler!(Function);

impl Handler for Function {
    async fn handle(batch: Batch) -> Result<(), Failure> {
        let keys: Vec<String> = Items::of(&batch.keys).map(|key| text(key.unwrap_or_default())).collect();
        let mut summaries: BTreeMap<&str, Option<Summary>> = known(&keys);
        let mut refused = Vec::new();
        for (at, (key, value)) in keys.iter().zip(Items::of(&batch.values)).enumerate() {
            let summary = summaries.entry(key).or_default();
            let added = number(value.unwrap_or_default())
                .and_then(|number| Summary::with(*summary, number).ok_or_else(|| "the sum is too large".to_owned()));
            match added {
                Ok(added) => *summary = Some(added),
                Err(reason) => refused.push(Rejection { at: at as u32, reason }),
            }
        }
        let changed: Vec<(&str, Summary)> = summaries.into_iter().filter_map(|(key, s)| Some((key, s?))).collect();
        keep(&changed);
        let row = |(key, s): &(&str, Summary)| totals::Row {
            key: (*key).to_owned(),
            count: s.count,
            sum: s.sum,
            least: s.least,
            greatest: s.greatest,
        };
        totals::upsert(&changed.iter().map(row).collect::<Vec<_>>())?;
        if refused.is_empty() { Ok(()) } else { Err(Failure::Reject(refused)) }
    }
}

/// What state has of these keys.
fn known(keys: &[String]) -> BTreeMap<&str, Option<Summary>> {
    let mut summaries: BTreeMap<&str, Option<Summary>> = keys.iter().map(|key| (key.as_str(), None)).collect();
    let mut asked = PackedBuilder::default();
    summaries.keys().for_each(|key| asked.push(key.as_bytes()));
    let found = state::get_many(&asked.build());
    for (summary, found) in summaries.values_mut().zip(Items::of(&found)) {
        *summary = found.and_then(Summary::from_bytes);
    }
    summaries
}

fn keep(summaries: &[(&str, Summary)]) {
    let (mut keys, mut values) = (PackedBuilder::default(), PackedBuilder::default());
    for (key, summary) in summaries {
        keys.push(key.as_bytes());
        values.push(&summary.to_bytes());
    }
    state::put_many(&keys.build(), &values.build());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
