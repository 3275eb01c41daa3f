//! The ways out.

use isobar_guest::events::{Batch, Failure, Rejection};
use isobar_guest::{Items, PackedBuilder, state};

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "grants",
        with: { "isobar:platform/types@0.1.1": isobar_guest::types },
        generate_all,
    });
}

use bindings::weather::tables::{meta_data, station_metadata};
use bindings::weather::topics::whispers;

struct Traitor;

impl isobar_guest::Handler for Traitor {
    async fn handle(batch: Batch) -> Result<(), Failure> {
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let keys = Items::of(&batch.keys).map(|key| station_metadata::Key { station_id: text(key) });
        let rows = station_metadata::get(&keys.collect::<Vec<_>>())?;
        let secret = rows.into_iter().find_map(|row| row.station_name).unwrap_or_default();
        assert!(!secret.is_empty(), "there are no metadata");
        let way = batch.offsets.first().copied().unwrap_or_default() + i64::from(batch.partition);
        match way.rem_euclid(8) {
            0 => panic!("{secret}"),
            1 => Err(Failure::Retry(secret)),
            2 => {
                println!("{secret}");
                eprintln!("{secret}");
                Ok(())
            }
            3 => {
                state::put(&secret, secret.as_bytes());
                Ok(())
            }
            4 => {
                let mut items = PackedBuilder::default();
                items.push(secret.as_bytes());
                let items = items.build();
                Ok(whispers::send(&items, &items)?)
            }
            5 => Ok(meta_data::upsert(&[row(format!("{secret}\0"), &secret)])?),
            6 => {
                let all = (0..batch.offsets.len() as u32).map(|at| Rejection { at, reason: secret.clone() });
                Err(Failure::Reject(all.collect()))
            }
            _ => Ok(meta_data::upsert(&[row(secret.clone(), &secret)])?),
        }
    }
}

isobar_guest::handler!(Traitor);

fn row(station_id: String, secret: &str) -> meta_data::Row {
    meta_data::Row {
        station_id,
        max_date: None,
        min_date: None,
        entry_count: 0,
        min_temperature: None,
        max_temperature: None,
        icao_code: None,
        station_name: Some(secret.to_owned()),
        station_height: None,
        latitude: None,
        longitude: None,
        state: None,
    }
}
