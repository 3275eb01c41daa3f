//! The two messages of a row. Their text is written by `observation`.

use crate::rows::Row;
use observation::{Others, Source, StationId, Temperature, Tenths};

/// What the topic `temperature` is told.
#[must_use]
pub fn temperature(station: StationId, source: Source, row: &Row) -> Temperature {
    Temperature {
        station,
        stamp: row.stamp,
        temperature: value(row.temperature),
        temperature_5cm: value(row.temperature_5cm),
        quality: Some(row.quality),
        source,
    }
}

/// What the topic `others` is told.
#[must_use]
pub fn others(station: StationId, source: Source, row: &Row) -> Others {
    Others {
        station,
        stamp: row.stamp,
        pressure: value(row.pressure),
        humidity: value(row.humidity),
        dewpoint: value(row.dewpoint),
        quality: Some(row.quality),
        source,
    }
}

fn value(tenths: i16) -> Option<Tenths> {
    if tenths == Row::MISSING { None } else { Tenths::new(i32::from(tenths)) }
}
