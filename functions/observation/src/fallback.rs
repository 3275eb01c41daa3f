//! Reads messages of any valid form through a JSON parser, and says what is wrong with the others. Slow beside the
//! template, and the only place that refuses.

use serde_json::{Map, Value};

use crate::source::{MAX_QUALITY, MAX_REVISION};
use crate::{Invalid, Others, Product, Range, Source, Stamp, StationId, Temperature, Tenths};

pub(crate) fn temperature(message: &[u8]) -> Result<Temperature, Invalid> {
    let fields = Fields::of(message)?;
    Ok(Temperature {
        stamp: fields.stamp("measurement_date")?.ok_or_else(|| absent("measurement_date", STAMP))?,
        station: fields.station()?,
        temperature: fields.value("temperature", Range::TEMPERATURE)?,
        temperature_5cm: match fields.get("temperature_5cm") {
            Some(_) => fields.value("temperature_5cm", Range::TEMPERATURE_5CM)?,
            None => None,
        },
        quality: fields.quality()?,
        source: fields.source()?,
    })
}

pub(crate) fn others(message: &[u8]) -> Result<Others, Invalid> {
    let fields = Fields::of(message)?;
    Ok(Others {
        stamp: fields.stamp("measurement_date")?.ok_or_else(|| absent("measurement_date", STAMP))?,
        station: fields.station()?,
        pressure: fields.value("pressure", Range::PRESSURE)?,
        humidity: fields.value("humidity", Range::HUMIDITY)?,
        dewpoint: fields.value("dewpoint", Range::DEWPOINT)?,
        quality: fields.quality()?,
        source: fields.source()?,
    })
}

const STAMP: &str = "a date and time YYYYMMDDHHMM in UTC on a 10-minute border";

fn absent(field: &'static str, expected: impl Into<String>) -> Invalid {
    Invalid::new(field, "absent", expected)
}

/// The fields of a message. A field that is null counts as absent, a field that comes twice has its last value.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn of(message: &[u8]) -> Result<Self, Invalid> {
        serde_json::from_slice(message).map(Fields).map_err(|error| {
            Invalid::new("message", String::from_utf8_lossy(message), format!("an object of JSON ({error})"))
        })
    }

    fn get(&self, name: &'static str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// An instant YYYYMMDDHHMM; `None` when it is absent or null.
    pub(crate) fn stamp(&self, name: &'static str) -> Result<Option<Stamp>, Invalid> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let stamp = value.as_u64().and_then(Stamp::from_number);
        stamp.map(Some).ok_or_else(|| Invalid::new(name, value, STAMP))
    }

    pub(crate) fn station(&self) -> Result<StationId, Invalid> {
        let expected = "five digits in quotes, 00001 to 99999";
        let value = self.get("station_id").ok_or_else(|| absent("station_id", expected))?;
        let station = value.as_str().and_then(|digits| StationId::parse(digits.as_bytes()));
        station.ok_or_else(|| Invalid::new("station_id", value, expected))
    }

    /// A value that must be there; `None` for -999 and null.
    pub(crate) fn value(&self, name: &'static str, range: Range) -> Result<Option<Tenths>, Invalid> {
        let expected = || format!("{range} with at most one decimal, or -999.0");
        match self.0.get(name) {
            None => Err(absent(name, expected())),
            Some(Value::Null) => Ok(None),
            Some(value) => {
                let tenths = value.as_f64().and_then(exact_tenths).and_then(|tenths| range.check(tenths));
                tenths.ok_or_else(|| Invalid::new(name, value, expected()))
            }
        }
    }

    /// A whole number from 0 to `highest`; `None` when it is absent or null.
    pub(crate) fn integer(&self, name: &'static str, highest: u64) -> Result<Option<u64>, Invalid> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value.as_u64().filter(|&number| number <= highest);
        number.map(Some).ok_or_else(|| Invalid::new(name, value, format!("a whole number from 0 to {highest}")))
    }

    fn quality(&self) -> Result<Option<u8>, Invalid> {
        Ok(self.integer("quality", u64::from(MAX_QUALITY))?.map(|quality| quality as u8))
    }

    fn source(&self) -> Result<Source, Invalid> {
        let product = match self.get("product") {
            None => Product::Unnamed,
            Some(value) => value
                .as_str()
                .and_then(|name| Product::from_name(name.as_bytes()))
                .ok_or_else(|| Invalid::new("product", value, "\"now\", \"recent\" or \"historical\""))?,
        };
        Ok(Source { product, revision: self.integer("revision", MAX_REVISION)?.unwrap_or(0) })
    }
}

/// The tenths that `value` is the nearest double of: a number with more decimals is the nearest double of none.
fn exact_tenths(value: f64) -> Option<i32> {
    let tenths = (value * 10.0).round();
    (tenths.abs() < f64::from(i32::MAX) && tenths / 10.0 == value).then_some(tenths as i32)
}
