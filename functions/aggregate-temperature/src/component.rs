//! The thin part that speaks to the host: rows and messages into the shapes of the contract.

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "grants",
        with: { "isobar:platform/types@0.1.1": isobar_guest::types },
        generate_all,
    });
}

use bindings::weather::tables::{daily_temp_data, overall_temp, yearly_data_temp};
use bindings::weather::topics::station_summary;
use isobar_guest::events::{Batch, Failure};
use isobar_guest::{Handler, Items, PackedBuilder};
use observation::{HostState, Refusal, StationSummary, write_summary};

use crate::{DailyRow, Outcome, OverallRow, YearlyRow, fold};

struct AggregateTemperature;

isobar_guest::handler!(AggregateTemperature);

impl Handler for AggregateTemperature {
    async fn handle(batch: Batch) -> Result<(), Failure> {
        let keys = Items::of(&batch.keys).map(Option::unwrap_or_default);
        let values = Items::of(&batch.values).map(Option::unwrap_or_default);
        let outcome = fold(keys.zip(values), &mut HostState).map_err(|error| Failure::Retry(error.to_string()))?;
        write_tables(&outcome)?;
        publish(&outcome.summaries)?;
        Refusal::reject(outcome.refusals)
    }
}

fn write_tables(outcome: &Outcome) -> Result<(), Failure> {
    if !outcome.daily.is_empty() {
        daily_temp_data::upsert(&outcome.daily.iter().map(daily_row).collect::<Vec<_>>())?;
    }
    if !outcome.yearly.is_empty() {
        yearly_data_temp::upsert(&outcome.yearly.iter().map(yearly_row).collect::<Vec<_>>())?;
    }
    if !outcome.overall.is_empty() {
        overall_temp::upsert(&outcome.overall.iter().map(overall_row).collect::<Vec<_>>())?;
    }
    if !outcome.overall_deleted.is_empty() {
        let key = |(station, day): &(observation::StationId, observation::Day)| overall_temp::Key {
            station_id: station.to_string(),
            measurement_date: day.number(),
        };
        overall_temp::delete(&outcome.overall_deleted.iter().map(key).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn publish(summaries: &[StationSummary]) -> Result<(), Failure> {
    if summaries.is_empty() {
        return Ok(());
    }
    let (mut keys, mut values) = (PackedBuilder::default(), PackedBuilder::default());
    for summary in summaries {
        keys.push(&summary.station.digits());
        values.push_with(|value| write_summary(value, summary));
    }
    Ok(station_summary::send(&keys.build(), &values.build())?)
}

fn daily_row(row: &DailyRow) -> daily_temp_data::Row {
    daily_temp_data::Row {
        station_id: row.station.to_string(),
        measurement_date: row.day.number(),
        mean_temp: row.mean_temp,
        mean_method: row.mean_method.map(|method| method.name().to_owned()),
        mean_temp_all: row.mean_temp_all,
        min_temp: row.min_temp,
        max_temp: row.max_temp,
        min_temp_5cm: row.min_temp_5cm,
        readings: row.readings,
        hours: row.hours,
        completeness: row.completeness,
        min_quality: row.min_quality,
        summer_day: row.summer_day,
        hot_day: row.hot_day,
        frost_day: row.frost_day,
        ice_day: row.ice_day,
        heating_degrees_20_15: row.heating_degrees_20_15,
        heating_degrees_15: row.heating_degrees_15,
    }
}

fn yearly_row(row: &YearlyRow) -> yearly_data_temp::Row {
    yearly_data_temp::Row {
        station_id: row.station.to_string(),
        year: row.year,
        mean_temp: row.mean_temp,
        mean_temp_all: row.mean_temp_all,
        mean_deviation: row.mean_deviation,
        daily_mean_deviation: row.daily_mean_deviation,
        min_temp: row.min_temp,
        max_temp: row.max_temp,
        quality: row.quality,
        days: row.days,
        expected_days: row.expected_days,
        readings: row.readings,
        completeness: row.completeness,
        summer_days: row.summer_days,
        hot_days: row.hot_days,
        frost_days: row.frost_days,
        ice_days: row.ice_days,
        heating_degrees_20_15: row.heating_degrees_20_15,
        heating_degrees_15: row.heating_degrees_15,
    }
}

fn overall_row(row: &OverallRow) -> overall_temp::Row {
    overall_temp::Row {
        station_id: row.station.to_string(),
        measurement_date: row.day.number(),
        min_temperature: row.min_temperature,
        max_temperature: row.max_temperature,
    }
}
