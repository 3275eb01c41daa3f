//! The weather of made-up stations: a pure function of seed, station and time, so that any ten minutes can be made
//! without those before. Seasons, days, fronts, clouds, a slight warming; the dew point follows from temperature and
//! humidity. It also decides what is missing, what is revised, and the quality level. It writes no text.

use crate::calendar::SLOTS_PER_DAY;
use crate::chance::Chance;
use crate::magnus::Magnus;
use crate::stations::Station;
use std::f64::consts::TAU;
use std::sync::LazyLock;

/// A field without a value: the file's -999, in tenths.
pub const MISSING: i32 = -9990;

/// The three folders, from the best to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Product {
    Historical,
    Recent,
    Now,
}

/// One row: fields in tenths of their unit, [`MISSING`] where the file has -999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Ten-minute slots since 1970-01-01 00:00 UTC; times 600 it is the instant in seconds.
    pub slot: i64,
    /// Quality level, 1 to 3.
    pub quality: u8,
    /// hPa at station height.
    pub pressure: i32,
    /// °C at 2 m.
    pub temperature: i32,
    /// °C at 5 cm.
    pub ground: i32,
    /// Relative humidity in %.
    pub humidity: i32,
    /// °C, by Magnus from `temperature` and `humidity`.
    pub dew_point: i32,
}

/// Days at the end of `recent` that are still to be checked: quality 2.
const UNCHECKED_DAYS: i64 = 5;
/// Slot of 2000-01-01 00:00 UTC. Older readings have had a formal check only: quality 1.
const YEAR_2000: i64 = 10_957 * SLOTS_PER_DAY;
const SLOTS: usize = SLOTS_PER_DAY as usize;
const SLOTS_PER_HOUR: i64 = 6;
const YEAR_DAYS: f64 = 365.2425;
/// The warmest day of the year, counted from 0.
const WARMEST: f64 = 197.0;

/// The course of a day, 1 at 14:00 UTC and -1 at 02:00.
static COURSE: LazyLock<[f64; SLOTS]> =
    LazyLock::new(|| std::array::from_fn(|slot| ((slot as f64 - 84.0) / SLOTS as f64 * TAU).cos()));

/// What chance is asked for; each purpose has its own numbers.
#[derive(Clone, Copy)]
enum For {
    Front = 1,
    Shower,
    Cloud,
    Depression,
    Trough,
    Gust,
    Row,
    Revision,
    Closure,
    Gap,
    Fault,
}

/// The weather at one station.
#[derive(Debug)]
pub(crate) struct Weather<'a> {
    station: &'a Station,
    magnus: &'static Magnus,
    revised_per_mille: u64,
}

/// State of the air at a midnight; between two of them everything runs straight.
#[derive(Clone, Copy)]
struct Air {
    temperature: f64,
    swing: f64,
    pressure: f64,
    humidity: f64,
}

impl Air {
    fn towards(self, other: Self, share: f64) -> Self {
        let mix = |from: f64, to: f64| from + (to - from) * share;
        Self {
            temperature: mix(self.temperature, other.temperature),
            swing: mix(self.swing, other.swing),
            pressure: mix(self.pressure, other.pressure),
            humidity: mix(self.humidity, other.humidity),
        }
    }
}

/// What one day lacks: whole rows, and spans of single fields.
struct Losses {
    rows: Option<(i64, i64)>,
    fields: [Option<(i64, i64)>; 4],
}

impl<'a> Weather<'a> {
    pub(crate) fn new(station: &'a Station, revised_per_mille: u32) -> Self {
        Self { station, magnus: Magnus::tables(), revised_per_mille: u64::from(revised_per_mille) }
    }

    /// Appends the readings of the slots `from..until`, which lie in one UTC day. `until_file` is where the file
    /// that they are for ends, on which quality depends.
    pub(crate) fn day(&self, (from, until): (i64, i64), product: Product, until_file: i64, into: &mut Vec<Reading>) {
        let day = from.div_euclid(SLOTS_PER_DAY);
        if self.closed(day) {
            return;
        }
        let (air, next) = (self.air(day), self.air(day + 1));
        let losses = self.losses(day);
        let first = day * SLOTS_PER_DAY;
        for (slot, course) in (first..).zip(COURSE.iter()) {
            if slot < from || slot >= until || within(losses.rows, slot - first) {
                continue;
            }
            let air = air.towards(next, (slot - first) as f64 / SLOTS as f64);
            into.push(self.reading(slot, *course, air, &losses, product, until_file));
        }
    }

    fn chance(&self, purpose: For) -> Chance {
        self.station.chance.of(purpose as u64)
    }

    fn air(&self, day: i64) -> Air {
        let season = (TAU * (day as f64 - WARMEST) / YEAR_DAYS).cos();
        let cloud = 0.5 + 0.5 * self.chance(For::Cloud).drift(day, 2);
        let fronts = 5.0 * self.chance(For::Front).drift(day, 8) + 2.5 * self.chance(For::Shower).drift(day, 3);
        let level = 1013.25 * (-self.station.height / 8400.0).exp();
        let lows = 13.0 * self.chance(For::Depression).drift(day, 6) + 5.0 * self.chance(For::Trough).drift(day, 2);
        let place = 11.0 - 0.0062 * self.station.height - 0.4 * (self.station.latitude - 51.0);
        Air {
            // 0.035 K a year since 1990.
            temperature: place + 9.2 * season + fronts + 0.035 * (day as f64 - 7305.0) / YEAR_DAYS,
            swing: (3.2 + 2.2 * season) * (1.25 - 0.9 * cloud),
            pressure: level + lows,
            humidity: 76.0 - 7.0 * season + 12.0 * (cloud - 0.5),
        }
    }

    fn reading(&self, slot: i64, course: f64, air: Air, losses: &Losses, product: Product, end: i64) -> Reading {
        let bits = self.chance(For::Row).bits(slot);
        let gust = self.chance(For::Gust).drift(slot, SLOTS_PER_HOUR);
        let degrees = air.temperature + air.swing * course + 0.5 * gust + jitter(bits, 0.12);
        let temperature = tenths(degrees) + self.revision(slot, product);
        let ground = tenths(degrees + 0.35 * air.swing * course - 0.4 + jitter(bits >> 8, 0.2));
        let wet = air.humidity - 4.5 * air.swing * course - 2.0 * gust + jitter(bits >> 16, 0.8);
        let humidity = tenths(wet.clamp(14.0, 100.0));
        let pressure = tenths(air.pressure + jitter(bits >> 24, 0.08));
        let mut reading = Reading {
            slot,
            quality: quality(slot, product, end),
            pressure: if self.station.barometer { pressure } else { MISSING },
            temperature,
            ground: if self.station.ground_thermometer { ground } else { MISSING },
            humidity,
            dew_point: self.magnus.dew_point(temperature, humidity),
        };
        losses.strike(&mut reading, bits >> 32);
        reading
    }

    /// Tenths by which a product's temperature differs from the final one.
    fn revision(&self, slot: i64, product: Product) -> i32 {
        let bits = self.chance(For::Revision).bits(slot);
        let revised = match product {
            Product::Historical => false,
            Product::Recent => (bits & 0xffff) * 4000 < self.revised_per_mille << 16,
            Product::Now => (bits & 0xffff) * 1000 < self.revised_per_mille << 16,
        };
        // Each product that differs has its own wrong value.
        match (revised, product) {
            (false, _) | (_, Product::Historical) => 0,
            (_, Product::Recent) => 3 + ((bits >> 16) % 9) as i32,
            (_, Product::Now) => -(3 + ((bits >> 24) % 9) as i32),
        }
    }

    /// Whether the whole day is missing: one to four days, in about every fifteenth span of 90.
    fn closed(&self, day: i64) -> bool {
        const SPAN: i64 = 90;
        let mut draw = self.chance(For::Closure).of(day.div_euclid(SPAN) as u64).draws();
        if !draw.happens(1.0 / 15.0) {
            return false;
        }
        let from = draw.between(10, SPAN - 10);
        let days = draw.between(1, 4);
        (from..from + days).contains(&day.rem_euclid(SPAN))
    }

    fn losses(&self, day: i64) -> Losses {
        let mut gap = self.chance(For::Gap).of(day as u64).draws();
        let mut fault = self.chance(For::Fault).of(day as u64).draws();
        Losses {
            rows: span(&mut gap, 1.0 / 60.0, 24),
            fields: std::array::from_fn(|_| span(&mut fault, 1.0 / 150.0, 60)),
        }
    }
}

impl Losses {
    /// Takes away what is missing in this row. Without temperature or humidity there is no dew point.
    fn strike(&self, reading: &mut Reading, bits: u64) {
        let place = reading.slot.rem_euclid(SLOTS_PER_DAY);
        let fields = [&mut reading.pressure, &mut reading.temperature, &mut reading.ground, &mut reading.humidity];
        // Besides the spans, each field fails alone about once in 2,048 rows.
        let singles = [bits & 0x7ff, (bits >> 5) & 0x7ff, (bits >> 10) & 0x7ff, (bits >> 15) & 0x7ff];
        for ((field, lost), single) in fields.into_iter().zip(self.fields).zip(singles) {
            if single == 0 || within(lost, place) {
                *field = MISSING;
            }
        }
        if reading.temperature == MISSING || reading.humidity == MISSING {
            reading.dew_point = MISSING;
        }
    }
}

fn span(draw: &mut crate::chance::Draws, probability: f64, longest: i64) -> Option<(i64, i64)> {
    draw.happens(probability).then(|| {
        let from = draw.between(0, SLOTS_PER_DAY - 1);
        (from, from + draw.between(1, longest))
    })
}

fn within(span: Option<(i64, i64)>, place: i64) -> bool {
    span.is_some_and(|(from, until)| (from..until).contains(&place))
}

fn quality(slot: i64, product: Product, until_file: i64) -> u8 {
    match product {
        Product::Historical if slot < YEAR_2000 => 1,
        Product::Historical => 3,
        Product::Recent if slot < until_file - UNCHECKED_DAYS * SLOTS_PER_DAY => 3,
        Product::Recent => 2,
        Product::Now => 1,
    }
}

/// From `-width` to `width` by the lowest eight bits.
fn jitter(bits: u64, width: f64) -> f64 {
    ((bits & 0xff) as f64 - 127.5) / 127.5 * width
}

/// Rounded to tenths, halves upwards. The offset makes every value of the weather positive, where `as` rounds down.
fn tenths(value: f64) -> i32 {
    (value * 10.0 + 10_000.5) as i32 - 10_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::new_year;

    fn year(number: u32, product: Product) -> Vec<Reading> {
        let station = Station::made_up(number, 1);
        let weather = Weather::new(&station, 4);
        let mut readings = Vec::new();
        for day in new_year(2023)..new_year(2024) {
            let from = day * SLOTS_PER_DAY;
            weather.day((from, from + SLOTS_PER_DAY), product, new_year(2024) * SLOTS_PER_DAY, &mut readings);
        }
        readings
    }

    fn mean(readings: &[Reading], of: impl Fn(&Reading) -> bool) -> f64 {
        let kept: Vec<i32> =
            readings.iter().filter(|r| of(r)).map(|r| r.temperature).filter(|t| *t != MISSING).collect();
        f64::from(kept.iter().sum::<i32>()) / kept.len() as f64 / 10.0
    }

    #[test]
    fn summers_are_warmer_than_winters_and_afternoons_than_nights() {
        for number in 0..12 {
            let readings = year(number, Product::Historical);
            let day = |r: &Reading| r.slot.div_euclid(SLOTS_PER_DAY) - new_year(2023);
            let (summer, winter) =
                (mean(&readings, |r| (152..244).contains(&day(r))), mean(&readings, |r| day(r) < 59));
            assert!(summer - winter > 8.0, "station {number}: {summer} against {winter}");
            let hour = |r: &Reading| r.slot.rem_euclid(SLOTS_PER_DAY) / SLOTS_PER_HOUR;
            let (noon, night) = (mean(&readings, |r| hour(r) == 14), mean(&readings, |r| hour(r) == 2));
            assert!(noon - night > 2.0, "station {number}: {noon} against {night}");
        }
    }

    #[test]
    fn every_value_is_one_that_could_be_measured_and_no_ten_minutes_leap() {
        for number in 0..12 {
            let mut before: Option<Reading> = None;
            for reading in year(number, Product::Historical) {
                let Reading { pressure, temperature, ground, humidity, dew_point, .. } = reading;
                assert!(pressure == MISSING || (8500..=10_700).contains(&pressure), "{reading:?}");
                assert!(temperature == MISSING || (-300..=420).contains(&temperature), "{reading:?}");
                assert!(ground == MISSING || (-350..=480).contains(&ground), "{reading:?}");
                assert!(humidity == MISSING || (140..=1000).contains(&humidity), "{reading:?}");
                assert!(dew_point == MISSING || dew_point <= temperature, "{reading:?}");
                if let Some(before) =
                    before.filter(|b| b.slot + 1 == reading.slot && b.temperature != MISSING && temperature != MISSING)
                {
                    assert!((temperature - before.temperature).abs() <= 25, "{before:?} then {reading:?}");
                }
                before = Some(reading);
            }
        }
    }

    #[test]
    fn rows_and_fields_are_missing_but_not_many() {
        let all = (0..20).map(|number| year(number, Product::Historical)).collect::<Vec<_>>();
        let rows: usize = all.iter().map(Vec::len).sum();
        let full = 20 * 365 * SLOTS;
        assert!(rows < full && rows > full * 98 / 100, "{rows} of {full}");
        let without = |field: fn(&Reading) -> i32| {
            all.iter().filter(|rows| rows.iter().all(|reading| field(reading) == MISSING)).count()
        };
        assert_eq!(without(|r| r.pressure), 12, "stations without barometer");
        assert_eq!(without(|r| r.temperature), 0);
        let lost = all.iter().flatten().filter(|r| r.temperature == MISSING).count();
        assert!(lost > 0 && lost < rows / 100, "{lost} of {rows}");
        let alone = all.iter().flatten().filter(|r| r.pressure == MISSING && r.humidity != MISSING).count();
        assert!(alone > rows / 2, "humidity survives without a barometer");
    }

    #[test]
    fn products_agree_but_for_revised_temperatures() {
        let (historical, recent, now) = (year(2, Product::Historical), year(2, Product::Recent), year(2, Product::Now));
        let differing = |other: &[Reading]| {
            assert_eq!(historical.len(), other.len());
            let pairs = historical.iter().zip(other);
            let mut revised = 0;
            for (a, b) in pairs {
                let of_temperature =
                    Reading { temperature: a.temperature, dew_point: a.dew_point, quality: a.quality, ..*b };
                assert_eq!(*a, of_temperature);
                revised += usize::from(a.temperature != b.temperature);
            }
            revised
        };
        let (of_recent, of_now) = (differing(&recent), differing(&now));
        assert!((30..=80).contains(&of_recent), "{of_recent}: one in a thousand of a year");
        assert!((150..=280).contains(&of_now), "{of_now}: four in a thousand of a year");
    }

    #[test]
    fn a_part_of_a_day_equals_that_part_of_the_whole() {
        let station = Station::made_up(3, 9);
        let weather = Weather::new(&station, 4);
        let from = 20_000 * SLOTS_PER_DAY;
        let (mut whole, mut part) = (Vec::new(), Vec::new());
        weather.day((from, from + SLOTS_PER_DAY), Product::Now, from + SLOTS_PER_DAY, &mut whole);
        weather.day((from + 17, from + 60), Product::Now, from + SLOTS_PER_DAY, &mut part);
        whole.retain(|reading| (from + 17..from + 60).contains(&reading.slot));
        assert_eq!(whole, part);
    }
}
