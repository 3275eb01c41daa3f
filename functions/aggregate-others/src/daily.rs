//! The figures of one station and day, each from the valid readings of its own quantity: a station without barometer
//! keeps its humidity. Nothing here depends on other days.
//!
//! The mean pressure is DWD's: of the 24 hourly readings (hour 0 is 23:50 of the day before, hour `h` is `h-1`:50 UTC)
//! when no more than three are missing, else there is none.

use observation::{Column, Day, DayReadings, HOUR_ZERO, StationId, rounded};

/// A row of `daily_othe_data`. Figures without a note are of the day's own valid readings.
#[derive(Clone, Debug, PartialEq)]
pub struct DailyRow {
    /// Which station.
    pub station: StationId,
    /// Which day in UTC.
    pub day: Day,
    /// The highest pressure at station height in hPa.
    pub max_pressure: Option<f64>,
    /// The lowest pressure in hPa.
    pub min_pressure: Option<f64>,
    /// DWD's daily mean in hPa, rounded to 0.01, ties towards +∞.
    pub mean_pressure: Option<f64>,
    /// Mean of all readings in %, not rounded.
    pub mean_humidity: Option<f64>,
    /// Mean of all readings in °C, not rounded.
    pub mean_dewpoint: Option<f64>,
    /// How many, of 144.
    pub pressure_readings: i32,
    /// How many, of 144.
    pub humidity_readings: i32,
    /// How many, of 144.
    pub dewpoint_readings: i32,
    /// The lowest quality level of the readings, hour 0 included when the mean pressure takes it.
    pub min_quality: Option<i32>,
}

/// The row of a day; `None` while it has no reading of its own.
pub(crate) fn of(station: StationId, day: Day, readings: &DayReadings<3>) -> Option<DailyRow> {
    if !readings.has_own() {
        return None;
    }
    let columns = readings.columns();
    let [pressure, humidity, dewpoint] = columns.each_ref().map(Column::totals);
    let [barometer, _, _] = columns;
    let mean_pressure = mean_hundredths(barometer);
    let counts = |slot| match slot {
        HOUR_ZERO => mean_pressure.is_some() && barometer.at(slot).is_some(),
        slot => columns.iter().any(|column| column.at(slot).is_some()),
    };
    Some(DailyRow {
        station,
        day,
        max_pressure: pressure.highest().map(|tenths| f64::from(tenths) / 10.0),
        min_pressure: pressure.lowest().map(|tenths| f64::from(tenths) / 10.0),
        mean_pressure: mean_pressure.map(|hundredths| hundredths as f64 / 100.0),
        mean_humidity: humidity.mean(),
        mean_dewpoint: dewpoint.mean(),
        pressure_readings: pressure.count,
        humidity_readings: humidity.count,
        dewpoint_readings: dewpoint.count,
        min_quality: readings.lowest_quality(counts).map(i32::from),
    })
}

fn mean_hundredths(pressure: &Column) -> Option<i64> {
    let hours = pressure.hours();
    hours.suffice().then(|| rounded(i64::from(hours.sum) * 10, i64::from(hours.count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use observation::{Provenance, Source, Tenths};

    fn offer(readings: &mut DayReadings<3>, slot: usize, values: [Option<i32>; 3], quality: u8) {
        let provenance = Provenance { source: Source::default(), quality: Some(quality) };
        readings.offer(slot, &values.map(|value| value.and_then(Tenths::new)), provenance);
    }

    fn row(readings: &DayReadings<3>) -> DailyRow {
        of(StationId::new(191).unwrap(), Day::new(19_000), readings).unwrap()
    }

    #[test]
    fn a_station_without_barometer_keeps_its_humidity() {
        let mut readings = DayReadings::default();
        for slot in 0..144 {
            offer(&mut readings, slot, [None, Some(800 + slot as i32 % 2), Some(-5)], 3);
        }
        let row = row(&readings);
        assert_eq!((row.mean_pressure, row.max_pressure, row.pressure_readings), (None, None, 0));
        assert_eq!((row.mean_humidity, row.humidity_readings), (Some(80.05), 144));
        assert_eq!((row.mean_dewpoint, row.min_quality), (Some(-0.5), Some(3)));
    }

    #[test]
    fn mean_pressure_takes_hour_zero_and_at_least_21_hours() {
        let mut readings = DayReadings::default();
        offer(&mut readings, HOUR_ZERO, [Some(10_003), None, None], 1);
        assert_eq!(of(StationId::new(191).unwrap(), Day::new(19_000), &readings), None);
        for hour in 1..20 {
            offer(&mut readings, hour * 6 - 1, [Some(10_000), None, None], 3);
        }
        assert_eq!((row(&readings).mean_pressure, row(&readings).min_quality), (None, Some(3)));
        for hour in 20..24 {
            offer(&mut readings, hour * 6 - 1, [Some(10_000), None, None], 3);
        }
        // 1000.0125 hPa, and 1000.3 is not a reading of the day itself.
        let row = row(&readings);
        assert_eq!((row.mean_pressure, row.max_pressure, row.min_quality), (Some(1000.01), Some(1000.0), Some(1)));
    }

    #[test]
    fn a_tie_of_the_mean_pressure_goes_up() {
        let of_hour_zero = |tenths| {
            let mut readings = DayReadings::default();
            for hour in 1..24 {
                offer(&mut readings, hour * 6 - 1, [Some(10_000), None, None], 3);
            }
            offer(&mut readings, HOUR_ZERO, [Some(tenths), None, None], 3);
            offer(&mut readings, 0, [None, None, None], 3);
            row(&readings).mean_pressure
        };
        // 1000.025 and 999.975 hPa are ties, 1000.0208 is none.
        assert_eq!(of_hour_zero(10_006), Some(1000.03));
        assert_eq!(of_hour_zero(9_994), Some(999.98));
        assert_eq!(of_hour_zero(10_005), Some(1000.02));
    }
}
