//! The thin part that speaks to the host: rows into the shapes of the contract.

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "grants",
        with: { "isobar:platform/types@0.1.1": isobar_guest::types },
        generate_all,
    });
}

use bindings::weather::tables::daily_othe_data;
use isobar_guest::events::{Batch, Failure};
use isobar_guest::{Handler, Items};
use observation::{HostState, Refusal};

use crate::{DailyRow, fold};

struct AggregateOthers;

isobar_guest::handler!(AggregateOthers);

impl Handler for AggregateOthers {
    async fn handle(batch: Batch) -> Result<(), Failure> {
        let keys = Items::of(&batch.keys).map(Option::unwrap_or_default);
        let values = Items::of(&batch.values).map(Option::unwrap_or_default);
        let outcome = fold(keys.zip(values), &mut HostState).map_err(|error| Failure::Retry(error.to_string()))?;
        if !outcome.daily.is_empty() {
            daily_othe_data::upsert(&outcome.daily.iter().map(row).collect::<Vec<_>>())?;
        }
        Refusal::reject(outcome.refusals)
    }
}

fn row(row: &DailyRow) -> daily_othe_data::Row {
    daily_othe_data::Row {
        station_id: row.station.to_string(),
        measurement_date: row.day.number(),
        max_pressure: row.max_pressure,
        min_pressure: row.min_pressure,
        mean_pressure: row.mean_pressure,
        mean_humidity: row.mean_humidity,
        mean_dewpoint: row.mean_dewpoint,
        pressure_readings: row.pressure_readings,
        humidity_readings: row.humidity_readings,
        dewpoint_readings: row.dewpoint_readings,
        min_quality: row.min_quality,
    }
}
