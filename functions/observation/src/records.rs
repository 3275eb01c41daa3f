//! From a batch's records to readings: each record is taken or refused on its own. What is done with either is the
//! caller's.

use isobar_guest::events::{Failure, Rejection};

use crate::{Invalid, Others, Provenance, Reading, Source, StationId, Temperature};

/// A record that a function refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its index in the batch.
    pub at: u32,
    /// Why.
    pub reason: String,
}

impl Refusal {
    /// What a function answers: nothing was refused, or these records go to the dead letters.
    ///
    /// # Errors
    /// The rejection of these records.
    pub fn reject(refusals: Vec<Refusal>) -> Result<(), Failure> {
        if refusals.is_empty() {
            return Ok(());
        }
        let rejection = |refusal: Refusal| Rejection { at: refusal.at, reason: refusal.reason };
        Err(Failure::Reject(refusals.into_iter().map(rejection).collect()))
    }
}

/// A reading of the topic `temperature`: at 2 m, then at 5 cm.
impl From<Temperature> for Reading<2> {
    fn from(message: Temperature) -> Self {
        Reading {
            station: message.station,
            stamp: message.stamp,
            values: [message.temperature, message.temperature_5cm],
            provenance: provenance(message.source, message.quality),
        }
    }
}

/// A reading of the topic `others`: pressure, humidity, dew point.
impl From<Others> for Reading<3> {
    fn from(message: Others) -> Self {
        Reading {
            station: message.station,
            stamp: message.stamp,
            values: [message.pressure, message.humidity, message.dewpoint],
            provenance: provenance(message.source, message.quality),
        }
    }
}

fn provenance(source: Source, quality: Option<u8>) -> Provenance {
    Provenance { source, quality }
}

/// Reads the records, pairs of key and value, by `parse`. Refused are messages that `parse` refuses, and those whose
/// key is not their station's five digits: they could lie in a partition that another one's tables belong to.
pub fn read<'a, M: Into<Reading<N>>, const N: usize>(
    records: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    parse: impl Fn(&[u8]) -> Result<M, Invalid>,
) -> (Vec<Reading<N>>, Vec<Refusal>) {
    let mut readings = Vec::with_capacity(records.size_hint().0);
    let mut refusals = Vec::new();
    for ((key, value), at) in records.zip(0..) {
        let reading = parse(value).and_then(|message| with_key(message.into(), key));
        match reading {
            Ok(reading) => readings.push(reading),
            Err(invalid) => refusals.push(Refusal { at, reason: invalid.to_string() }),
        }
    }
    (readings, refusals)
}

fn with_key<const N: usize>(reading: Reading<N>, key: &[u8]) -> Result<Reading<N>, Invalid> {
    check_key(key, reading.station)?;
    Ok(reading)
}

/// Checks that a record's key is its station's five digits.
///
/// # Errors
/// An error about the field `key`.
pub fn check_key(key: &[u8], station: StationId) -> Result<(), Invalid> {
    if key == station.digits() {
        return Ok(());
    }
    Err(Invalid::new("key", String::from_utf8_lossy(key), format!("the message's station_id `{station}`")))
}
