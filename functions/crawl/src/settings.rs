//! What the operator sets: the variables of `spin.toml`, read and checked once per run. No variable is fetched here.

use observation::{Product, StationId};
use std::collections::BTreeSet;

/// Beyond this the pacing is finer than the host's millisecond and pointless: use 0, which is as fast as it goes.
const FASTEST_PACE: f64 = 100_000.0;

/// The variables as text, as the host gives them.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'a> {
    /// The folder that holds historical/, recent/ and now/.
    pub dwd_url: &'a str,
    /// Station numbers, separated by commas, or `all`.
    pub station_ids: &'a str,
    /// Days of data a second; 0 is as fast as it goes.
    pub streaming_speed: &'a str,
    /// Names of products, separated by commas.
    pub products: &'a str,
}

/// Which stations are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stations {
    /// All that the server has.
    All,
    /// These, never none.
    Listed(BTreeSet<StationId>),
}

impl Stations {
    /// Whether `station` is to be read.
    #[must_use]
    pub fn includes(&self, station: StationId) -> bool {
        match self {
            Stations::All => true,
            Stations::Listed(listed) => listed.contains(&station),
        }
    }
}

/// Checked settings of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Ends with a slash.
    pub base: String,
    /// Which stations are read.
    pub stations: Stations,
    /// Days of data a second and station; `None` is as fast as it goes.
    pub speed: Option<f64>,
    /// In the order in which they are read: now, recent, historical.
    pub products: Vec<Product>,
}

/// A variable that cannot be used, and what to write instead.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("variable `{name}` is `{value}`: {remedy}")]
pub struct Unusable {
    name: &'static str,
    value: String,
    remedy: &'static str,
}

impl Settings {
    /// Reads and checks the variables.
    ///
    /// # Errors
    /// The first variable that cannot be used.
    pub fn parse(variables: Variables<'_>) -> Result<Self, Unusable> {
        Ok(Settings {
            base: base(variables.dwd_url)?,
            stations: stations(variables.station_ids)?,
            speed: speed(variables.streaming_speed)?,
            products: products(variables.products)?,
        })
    }

    /// The address of a product's folder.
    #[must_use]
    pub fn folder(&self, product: Product) -> String {
        format!("{}{}/", self.base, product.name())
    }

    /// What decides which archives are read: when it changes, a round under way means something else and is begun anew.
    #[must_use]
    pub fn selection(&self) -> String {
        let stations = match &self.stations {
            Stations::All => "all".to_owned(),
            Stations::Listed(listed) => listed.iter().map(StationId::to_string).collect::<Vec<_>>().join(","),
        };
        let products = self.products.iter().map(|product| product.name()).collect::<Vec<_>>().join(",");
        format!("{} {products} {stations}", self.base)
    }
}

fn base(text: &str) -> Result<String, Unusable> {
    let value = text.trim();
    let host = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"));
    let host_is_there = host.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if !host_is_there || value.contains(|c: char| c.is_whitespace() || c == '?' || c == '#') {
        let remedy = "write the http or https address of the folder that holds historical/, recent/ and now/";
        return Err(Unusable { name: "dwd_url", value: text.to_owned(), remedy });
    }
    Ok(if value.ends_with('/') { value.to_owned() } else { format!("{value}/") })
}

fn stations(text: &str) -> Result<Stations, Unusable> {
    if text.trim() == "all" {
        return Ok(Stations::All);
    }
    let listed: Option<BTreeSet<_>> = text.split(',').map(|id| StationId::parse(id.trim().as_bytes())).collect();
    listed.map(Stations::Listed).ok_or_else(|| Unusable {
        name: "station_ids",
        value: text.to_owned(),
        remedy: "write station numbers of five digits, separated by commas, as `00433,03379`, or `all`",
    })
}

fn speed(text: &str) -> Result<Option<f64>, Unusable> {
    match text.trim().parse::<f64>() {
        Ok(0.0) => Ok(None),
        Ok(speed) if speed > 0.0 && speed <= FASTEST_PACE => Ok(Some(speed)),
        _ => Err(Unusable {
            name: "streaming_speed",
            value: text.to_owned(),
            remedy: "write the days of data a second, above 0 and at most 100000, or 0 for as fast as it goes",
        }),
    }
}

fn products(text: &str) -> Result<Vec<Product>, Unusable> {
    let mut products: Vec<Product> =
        text.split(',').map(|name| Product::from_name(name.trim().as_bytes())).collect::<Option<_>>().ok_or_else(
            || {
                let remedy = "write one or more of `now`, `recent` and `historical`, separated by commas";
                Unusable { name: "products", value: text.to_owned(), remedy }
            },
        )?;
    products.sort_unstable();
    products.dedup();
    Ok(products)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Variables<'static> = Variables {
        dwd_url: "https://example.org/air_temperature",
        station_ids: "03379, 00433",
        streaming_speed: "0",
        products: "historical,now",
    };

    #[test]
    fn good_variables_are_read_and_put_in_order() {
        let settings = Settings::parse(GOOD).unwrap();
        assert_eq!(settings.folder(Product::Recent), "https://example.org/air_temperature/recent/");
        assert_eq!(settings.products, [Product::Now, Product::Historical]);
        assert_eq!(settings.speed, None);
        assert_eq!(settings.selection(), "https://example.org/air_temperature/ now,historical 00433,03379");
        assert!(!settings.stations.includes(StationId::new(3).unwrap()));
        let all = Settings::parse(Variables { station_ids: " all ", streaming_speed: "0.5", ..GOOD }).unwrap();
        assert!(all.stations.includes(StationId::new(3).unwrap()));
        assert_eq!(all.speed, Some(0.5));
    }

    #[test]
    fn each_wrong_variable_is_named_with_its_remedy() {
        let wrong = [
            (Variables { dwd_url: "ftp://example.org/", ..GOOD }, "`dwd_url`"),
            (Variables { dwd_url: "https://", ..GOOD }, "`dwd_url`"),
            (Variables { dwd_url: "https://example.org/?a", ..GOOD }, "`dwd_url`"),
            (Variables { station_ids: "433", ..GOOD }, "`station_ids`"),
            (Variables { station_ids: "", ..GOOD }, "`station_ids`"),
            (Variables { station_ids: "00433,", ..GOOD }, "`station_ids`"),
            (Variables { streaming_speed: "-1", ..GOOD }, "`streaming_speed`"),
            (Variables { streaming_speed: "NaN", ..GOOD }, "`streaming_speed`"),
            (Variables { streaming_speed: "fast", ..GOOD }, "`streaming_speed`"),
            (Variables { products: "now,future", ..GOOD }, "`products`"),
            (Variables { products: "", ..GOOD }, "`products`"),
        ];
        for (variables, name) in wrong {
            let error = Settings::parse(variables).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("write"), "{error}");
        }
    }
}
