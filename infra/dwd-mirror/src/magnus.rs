//! The dew point by Magnus over water with 17.62 and 243.12 °C, the constants that DWD's own files agree with. The
//! logarithms come from tables, because tenths leave few values and a mirror makes millions of rows a second.

use std::sync::LazyLock;

const A: f64 = 17.62;
const B: f64 = 243.12;
/// Tenths of °C and of % that the tables cover: more than the weather makes.
const COLDEST: i32 = -800;
const WARMEST: i32 = 800;
const WETTEST: i32 = 1000;

#[derive(Debug)]
pub(crate) struct Magnus {
    /// `A t / (B + t)` from COLDEST on.
    exponent: Vec<f64>,
    /// `ln(humidity / 100 %)` from 0.1 % on.
    dryness: Vec<f64>,
}

static TABLES: LazyLock<Magnus> = LazyLock::new(|| Magnus {
    exponent: (COLDEST..=WARMEST).map(|tenths| exponent(f64::from(tenths) / 10.0)).collect(),
    dryness: (1..=WETTEST).map(|tenths| (f64::from(tenths) / 1000.0).ln()).collect(),
});

fn exponent(celsius: f64) -> f64 {
    A * celsius / (B + celsius)
}

impl Magnus {
    pub(crate) fn tables() -> &'static Self {
        &TABLES
    }

    /// Dew point in tenths of °C of temperature and humidity in tenths; values outside the tables count as their ends.
    pub(crate) fn dew_point(&self, temperature: i32, humidity: i32) -> i32 {
        let exponent = self.exponent.get((temperature.clamp(COLDEST, WARMEST) - COLDEST) as usize);
        let dryness = self.dryness.get((humidity.clamp(1, WETTEST) - 1) as usize);
        let sum = exponent.zip(dryness).map_or(0.0, |(exponent, dryness)| exponent + dryness);
        (B * sum / (A - sum) * 10.0 + 10_000.5) as i32 - 10_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_tables_give_what_the_formula_gives(temperature in -400..=450_i32, humidity in 50..=1000_i32) {
            let celsius = f64::from(temperature) / 10.0;
            let sum = exponent(celsius) + (f64::from(humidity) / 1000.0).ln();
            let dew_point = B * sum / (A - sum);
            let from_tables = f64::from(Magnus::tables().dew_point(temperature, humidity)) / 10.0;
            prop_assert!((from_tables - dew_point).abs() <= 0.05 + 1e-9);
            prop_assert!(from_tables <= celsius);
        }
    }

    #[test]
    fn known_points() {
        assert_eq!(Magnus::tables().dew_point(200, 1000), 200);
        assert_eq!(Magnus::tables().dew_point(200, 500), 93);
        assert_eq!(Magnus::tables().dew_point(92, 929), 81, "a row of a real file");
    }
}
