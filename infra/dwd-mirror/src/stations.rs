//! Made-up stations: ids, names, places and instruments, and the two lists that name them (the operator's CSV and
//! DWD's fixed-width station list). None of these stations exists; their names say so.

use crate::calendar::{compact, day_of};
use crate::chance::Chance;
use crate::options::MadeUp;
use std::fmt::Write;

/// What the name of every made-up station ends with.
pub const MARK: &str = " (erfunden)";

/// A made-up station.
#[derive(Clone, Debug, PartialEq)]
pub struct Station {
    /// 1 to 99,990; five digits with zeros in names, none in rows.
    pub id: u32,
    pub name: String,
    /// A made-up code; about half the stations have none.
    pub icao: Option<String>,
    /// Metres above sea level.
    pub height: f64,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    pub state: &'static str,
    /// Without one, pressure is missing in every row, as at about 60 % of DWD's stations.
    pub barometer: bool,
    /// Without one, the 5 cm temperature is missing in every row.
    pub ground_thermometer: bool,
    pub(crate) chance: Chance,
}

struct Region {
    state: &'static str,
    latitude: f64,
    longitude: f64,
    low: f64,
    high: f64,
}

const fn region(state: &'static str, latitude: f64, longitude: f64, low: f64, high: f64) -> Region {
    Region { state, latitude, longitude, low, high }
}

/// A point well inside each of twelve states, with heights that fit; a station lies within 0.3 degrees of it.
const REGIONS: [Region; 12] = [
    region("Schleswig-Holstein", 54.2, 9.7, 2.0, 60.0),
    region("Bayern", 48.6, 11.8, 340.0, 900.0),
    region("Niedersachsen", 52.7, 9.0, 10.0, 120.0),
    region("Sachsen", 51.0, 13.3, 110.0, 620.0),
    region("Hessen", 50.6, 9.0, 120.0, 560.0),
    region("Baden-Württemberg", 48.5, 9.0, 200.0, 1000.0),
    region("Brandenburg", 52.3, 13.4, 20.0, 110.0),
    region("Nordrhein-Westfalen", 51.5, 7.6, 30.0, 480.0),
    region("Thüringen", 50.9, 11.0, 160.0, 760.0),
    region("Mecklenburg-Vorpommern", 53.8, 12.4, 2.0, 110.0),
    region("Rheinland-Pfalz", 49.9, 7.4, 90.0, 540.0),
    region("Sachsen-Anhalt", 51.9, 11.7, 50.0, 260.0),
];

const FIRST: [&str; 16] = [
    "Alder", "Birken", "Dorn", "Eber", "Falken", "Grün", "Hasel", "Ilmen", "Krähen", "Linden", "Mühl", "Otter", "Rauh",
    "Schön", "Tannen", "Wald",
];
const LAST: [&str; 12] =
    ["bach", "berg", "brück", "feld", "furt", "hagen", "hausen", "heim", "kirchen", "ried", "stedt", "walde"];

/// The prime below 100,000, and a step that it does not divide: every number gets its own id, well spread.
const IDS: u64 = 99_991;
const ID_STEP: u64 = 53;

impl Station {
    /// The id as names hold it: `00433`.
    pub fn id5(&self) -> String {
        format!("{:05}", self.id)
    }

    /// The station with this number, from 0.
    pub(crate) fn made_up(number: u32, seed: u64) -> Self {
        let chance = Chance::new(seed).of(u64::from(number));
        let mut draw = chance.draws();
        let region = &draw.pick(&REGIONS);
        let first = draw.pick(&FIRST);
        let last = draw.pick(&LAST);
        Self {
            id: id_of(number),
            name: format!("{first}{last}{MARK}"),
            icao: draw.happens(0.5).then(|| format!("X{:03}", number % 1000)),
            height: (region.low + draw.unit() * (region.high - region.low)).round(),
            latitude: places4(region.latitude + 0.6 * draw.unit() - 0.3),
            longitude: places4(region.longitude + 0.6 * draw.unit() - 0.3),
            state: region.state,
            // By number, not by chance: a handful of stations already holds both kinds.
            barometer: matches!(number % 5, 0 | 2),
            ground_thermometer: number % 7 != 3,
            chance: chance.of(1),
        }
    }
}

fn places4(degrees: f64) -> f64 {
    (degrees * 1e4).round() / 1e4
}

fn id_of(number: u32) -> u32 {
    1 + ((10 + ID_STEP * u64::from(number)) % IDS) as u32
}

/// The number of the station with this id.
pub(crate) fn number_of(id: u32, stations: u32) -> Option<u32> {
    /// ID_STEP's inverse modulo IDS.
    const INVERSE: u64 = 15_093;
    const { assert!(ID_STEP * INVERSE % IDS == 1) };
    let number = (u64::from(id) + IDS - 11) % IDS * INVERSE % IDS;
    u32::try_from(number).ok().filter(|number| *number < stations && id_of(*number) == id)
}

/// All stations of a made-up source, in the order of their numbers.
pub fn stations(made_up: &MadeUp) -> impl Iterator<Item = Station> + use<> {
    let seed = made_up.seed;
    (0..made_up.stations).map(move |number| Station::made_up(number, seed))
}

/// The metadata file that operators load: header and one line a station, UTF-8.
pub fn stations_csv(made_up: &MadeUp) -> String {
    let mut text = String::from("station_id,icao_code,station_name,station_height,latitude,longitude,state\n");
    for station in stations(made_up) {
        let Station { name, height, latitude, longitude, state, .. } = &station;
        let icao = station.icao.as_deref().unwrap_or_default();
        let id = station.id5();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{id},{icao},{name},{height:.1},{latitude:.4},{longitude:.4},{state}");
    }
    text
}

/// DWD's station list, which lies beside the archives: fixed width, ISO-8859-1, CRLF.
pub(crate) fn station_list(made_up: &MadeUp, first_day: i64, now: i64) -> Vec<u8> {
    let mut text = String::from(
        "Stations_id von_datum bis_datum Stationshoehe geoBreite geoLaenge Stationsname Bundesland Abgabe\r\n\
         ----------- --------- --------- ------------- --------- --------- ---------------------------------------- \
         ---------- ------\r\n",
    );
    let (from, to) = (compact(first_day), compact(day_of(now)));
    for Station { id, name, height, latitude, longitude, state, .. } in stations(made_up) {
        let line =
            format!("{id:05} {from} {to} {height:>14.0} {latitude:>11.4} {longitude:>9.4} {name:<40} {state:<40} Frei");
        let _ = write!(text, "{line:<998}\r\n");
    }
    // Every character of the lists above is below 256, where Unicode and ISO-8859-1 agree.
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::options::Source;
    use std::collections::BTreeSet;

    fn made_up(stations: u32) -> MadeUp {
        match Options::made_up(stations, 1.0).source {
            Source::MadeUp(made_up) => made_up,
            Source::Tree { .. } => unreachable!("made_up makes stations up"),
        }
    }

    #[test]
    fn every_station_has_an_id_of_its_own_that_leads_back_to_it() {
        let all = crate::options::MAX_STATIONS;
        let ids: BTreeSet<u32> = (0..all).map(id_of).collect();
        assert_eq!(ids.len(), all as usize);
        assert!(ids.iter().all(|id| (1..100_000).contains(id)));
        for number in (0..all).step_by(997) {
            assert_eq!(number_of(id_of(number), all), Some(number));
        }
        assert_eq!(number_of(id_of(6), 6), None, "a station beyond those asked for");
        assert_eq!(number_of(0, all), None);
    }

    #[test]
    fn the_csv_names_every_station_once_within_germany_and_says_that_it_is_made_up() {
        let text = stations_csv(&made_up(50));
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("station_id,icao_code,station_name,station_height,latitude,longitude,state"));
        let mut ids = BTreeSet::new();
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!(cells.len(), 7, "{line}");
            assert_eq!(cells[0].len(), 5);
            assert!(ids.insert(cells[0].to_owned()), "{line} twice");
            assert!(cells[2].ends_with(MARK), "{line}");
            assert!((0.0..3000.0).contains(&cells[3].parse::<f64>().unwrap()), "{line}");
            assert!((47.2..55.1).contains(&cells[4].parse::<f64>().unwrap()), "{line}");
            assert!((5.8..15.1).contains(&cells[5].parse::<f64>().unwrap()), "{line}");
        }
        assert_eq!(ids.len(), 50);
        assert!(ids.contains("00011"), "ids with leading zeros are among them");
    }

    #[test]
    fn the_station_list_is_fixed_width_latin_1() {
        let list = station_list(&made_up(30), 10_000, 0);
        let lines: Vec<&[u8]> = list.split(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), 2 + 30 + 1);
        for line in &lines[2..32] {
            assert_eq!(line.len(), 999, "1,000 bytes with the line feed");
            assert!(std::str::from_utf8(&line[..5]).unwrap().parse::<u32>().is_ok());
        }
        assert!(list.contains(&0xfc), "u umlaut is one byte");
    }
}
