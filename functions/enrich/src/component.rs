//! The thin part that speaks to the host: one look-up and one write per batch.

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "grants",
        with: { "isobar:platform/types@0.1.1": isobar_guest::types },
        generate_all,
    });
}

use std::collections::BTreeMap;

use bindings::weather::tables::{meta_data, station_metadata};
use isobar_guest::events::{Batch, Failure};
use isobar_guest::{Handler, Items};
use observation::Refusal;

use crate::{EnrichedRow, Metadata, join, latest};

struct Enrich;

isobar_guest::handler!(Enrich);

impl Handler for Enrich {
    async fn handle(batch: Batch) -> Result<(), Failure> {
        let keys = Items::of(&batch.keys).map(Option::unwrap_or_default);
        let values = Items::of(&batch.values).map(Option::unwrap_or_default);
        let (summaries, refusals) = latest(keys.zip(values));
        if !summaries.is_empty() {
            let key = |station: &observation::StationId| station_metadata::Key { station_id: station.to_string() };
            let found = station_metadata::get(&summaries.keys().map(key).collect::<Vec<_>>())?;
            let metadata: BTreeMap<_, _> = found.into_iter().map(metadata).collect();
            meta_data::upsert(&join(&summaries, metadata).into_iter().map(row).collect::<Vec<_>>())?;
        }
        Refusal::reject(refusals)
    }
}

fn metadata(row: station_metadata::Row) -> (String, Metadata) {
    let metadata = Metadata {
        icao_code: row.icao_code,
        station_name: row.station_name,
        station_height: row.station_height,
        latitude: row.latitude,
        longitude: row.longitude,
        state: row.state,
    };
    (row.station_id, metadata)
}

fn row(row: EnrichedRow) -> meta_data::Row {
    meta_data::Row {
        station_id: row.station_id,
        max_date: row.max_date,
        min_date: row.min_date,
        entry_count: row.entry_count,
        min_temperature: row.min_temperature,
        max_temperature: row.max_temperature,
        icao_code: row.metadata.icao_code,
        station_name: row.metadata.station_name,
        station_height: row.metadata.station_height,
        latitude: row.metadata.latitude,
        longitude: row.metadata.longitude,
        state: row.metadata.state,
    }
}
