//! Which archives of made-up stations are on the server at an instant, under which names, and what is in them. It
//! knows nothing of HTTP.

use crate::calendar::{DAY_SECONDS, SLOT_SECONDS, SLOTS_PER_DAY, Zone, compact, date_of, day_of, new_year};
use crate::clock::{Published, Schedule};
use crate::options::{MadeUp, Options, Source};
use crate::rows::{ROW_BYTES, RowWriter};
use crate::stations::{Station, number_of, station_list};
use crate::weather::{Product, Reading, Weather};
use crate::zip::{self, MAX_SLOTS, Packer};
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

/// Days that `recent` reaches back.
pub const RECENT_DAYS: i64 = 550;
/// `historical` gains the past year on the 91st day after New Year, about 1 April, 06:15.
const HISTORICAL_DAY: i64 = 90;
const HISTORICAL_TIME: i64 = 6 * 3600 + 15 * 60;

impl Product {
    pub const ALL: [Product; 3] = [Product::Historical, Product::Recent, Product::Now];

    /// The folder's name.
    pub fn folder(self) -> &'static str {
        match self {
            Product::Historical => "historical",
            Product::Recent => "recent",
            Product::Now => "now",
        }
    }

    /// The name of the station list in that folder.
    pub(crate) fn list_name(self) -> &'static str {
        match self {
            Product::Historical | Product::Recent => "zehn_min_tu_Beschreibung_Stationen.txt",
            Product::Now => "zehn_now_tu_Beschreibung_Stationen.txt",
        }
    }
}

/// One archive of a made-up station.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchiveFile {
    pub product: Product,
    pub station: Station,
    /// The archive's name, without folder.
    pub name: String,
    /// The name of the text file in it.
    pub member: String,
    /// First slot (ten minutes since 1970, UTC).
    pub from: i64,
    /// The slot after the last.
    pub until: i64,
    /// How its stamps are written.
    pub zone: Zone,
    /// Last-Modified, in seconds since 1970.
    pub modified: i64,
}

impl ArchiveFile {
    /// Bytes of the archive, known without making it.
    pub fn size(&self) -> u64 {
        zip::size(&self.member, self.until - self.from)
    }

    /// `recent/10minutenwerte_TU_00011_akt.zip`
    pub fn path(&self) -> String {
        format!("{}/{}", self.product.folder(), self.name)
    }
}

/// Made-up stations and the schedule of their files.
#[derive(Clone, Debug)]
pub struct Catalogue {
    made_up: MadeUp,
    schedule: Schedule,
    first_day: i64,
}

impl Catalogue {
    /// Errors when the options are wrong or name a folder of real archives.
    pub fn new(options: &Options) -> Result<Self> {
        options.check()?;
        let Source::MadeUp(made_up) = &options.source else {
            anyhow::bail!("a folder of real archives has no made-up stations: use `Options::made_up`");
        };
        let schedule = Schedule::new(options);
        let days = (made_up.years * 365.25).round().max(1.0) as i64;
        let first_day = day_of(schedule.start()) - days;
        Ok(Self { made_up: made_up.clone(), schedule, first_day })
    }

    /// What is on the server when its clock shows this instant; before the clock's start, what is there at the start.
    pub fn published(&self, at: Timestamp) -> Published {
        self.schedule.published(at.as_second())
    }

    /// What is on the server at the start of its clock.
    pub fn at_start(&self) -> Published {
        self.schedule.published(self.schedule.start())
    }

    /// The archives of one folder, by station, then by period.
    pub fn files(&self, product: Product, at: Published) -> impl Iterator<Item = ArchiveFile> + '_ {
        crate::stations::stations(&self.made_up).flat_map(move |station| self.of_station(&station, product, at))
    }

    /// The archive with this name, if it is on the server.
    pub(crate) fn find(&self, product: Product, name: &str, at: Published) -> Option<ArchiveFile> {
        let id = name.strip_prefix("10minutenwerte_TU_")?.get(..5)?.parse().ok()?;
        let station = Station::made_up(number_of(id, self.made_up.stations)?, self.made_up.seed);
        self.of_station(&station, product, at).into_iter().find(|file| file.name == name)
    }

    /// The station list, and when it was written.
    pub(crate) fn station_list(&self, at: Published) -> (Vec<u8>, i64) {
        (station_list(&self.made_up, self.first_day, at.seconds), at.recent_until * DAY_SECONDS)
    }

    /// The readings in an archive, in the order of its rows.
    pub fn readings(&self, file: &ArchiveFile) -> impl Iterator<Item = Reading> + use<> {
        readings(&self.made_up, &file.station, file.product, file.from, file.until)
    }

    /// The archive itself.
    pub fn archive(&self, file: &ArchiveFile) -> Result<Vec<u8>> {
        let slots = file.until - file.from;
        ensure!((0..=MAX_SLOTS).contains(&slots), "`{}` spans {slots} slots, more than a decade", file.name);
        let weather = Weather::new(&file.station, self.made_up.revised_per_mille);
        let mut writer = RowWriter::new(file.station.id, file.zone);
        let mut packer = Packer::new(&file.member, file.modified, slots);
        packer.add(writer.header().as_bytes())?;
        let mut readings = Vec::with_capacity(SLOTS_PER_DAY as usize);
        let mut text = Vec::with_capacity(SLOTS_PER_DAY as usize * ROW_BYTES);
        for part in days(file.from, file.until) {
            readings.clear();
            text.clear();
            weather.day(part, file.product, file.until, &mut readings);
            for reading in &readings {
                writer.write(reading, &mut text);
            }
            packer.add(&text)?;
        }
        packer.finish().with_context(|| format!("cannot pack `{}`", file.name))
    }

    fn of_station(&self, station: &Station, product: Product, at: Published) -> Vec<ArchiveFile> {
        match product {
            Product::Historical => self.historical(station, at),
            Product::Recent => self.recent(station, at).into_iter().collect(),
            Product::Now => vec![self.now(station, at)],
        }
    }

    /// One file a decade; those that end before 2000 count MEZ days, and the next begins where they end.
    fn historical(&self, station: &Station, at: Published) -> Vec<ArchiveFile> {
        let year = date_of(day_of(at.seconds)).year();
        let is_out = at.seconds >= (new_year(year) + HISTORICAL_DAY) * DAY_SECONDS + HISTORICAL_TIME;
        let past_last = new_year(if is_out { year } else { year - 1 });
        let id = station.id5();
        let mut files = Vec::new();
        let mut from = self.first_day;
        while from < past_last {
            let decade = new_year((date_of(from).year() / 10 + 1) * 10);
            let until = decade.min(past_last);
            let zone = if until <= new_year(2000) { Zone::Mez } else { Zone::Utc };
            let starts_in = if from == new_year(2000) && self.first_day < from { Zone::Mez } else { zone };
            let period = format!("{}_{}", compact(from), compact(until - 1));
            files.push(ArchiveFile {
                product: Product::Historical,
                station: station.clone(),
                name: format!("10minutenwerte_TU_{id}_{period}_hist.zip"),
                member: format!("produkt_zehn_min_tu_{period}_{id}.txt"),
                from: from * SLOTS_PER_DAY - starts_in.shift(),
                until: until * SLOTS_PER_DAY - zone.shift(),
                zone,
                modified: (until + HISTORICAL_DAY) * DAY_SECONDS + HISTORICAL_TIME,
            });
            from = until;
        }
        files
    }

    fn recent(&self, station: &Station, at: Published) -> Option<ArchiveFile> {
        let (from, until) = (self.first_day.max(at.recent_until - RECENT_DAYS), at.recent_until);
        let id = station.id5();
        (from < until).then(|| ArchiveFile {
            product: Product::Recent,
            station: station.clone(),
            name: format!("10minutenwerte_TU_{id}_akt.zip"),
            member: format!("produkt_zehn_min_tu_{}_{}_{id}.txt", compact(from), compact(until - 1)),
            from: from * SLOTS_PER_DAY,
            until: until * SLOTS_PER_DAY,
            zone: Zone::Utc,
            modified: until * DAY_SECONDS,
        })
    }

    fn now(&self, station: &Station, at: Published) -> ArchiveFile {
        let id = station.id5();
        let (from, to) = (compact(at.recent_until), compact(day_of(at.seconds)));
        ArchiveFile {
            product: Product::Now,
            station: station.clone(),
            name: format!("10minutenwerte_TU_{id}_now.zip"),
            member: format!("produkt_zehn_now_tu_{from}_{to}_{id}.txt"),
            from: at.recent_until * SLOTS_PER_DAY,
            until: at.seconds.div_euclid(SLOT_SECONDS) + 1,
            zone: Zone::Utc,
            modified: at.seconds,
        }
    }
}

/// The readings that a product holds of a station for the slots `from..until` (ten minutes since 1970, UTC), in
/// order, as an archive of that period has them: the quality in `recent` depends on where it ends.
pub fn readings(
    made_up: &MadeUp,
    station: &Station,
    product: Product,
    from: i64,
    until: i64,
) -> impl Iterator<Item = Reading> + use<> {
    let (station, revised) = (station.clone(), made_up.revised_per_mille);
    days(from, until).flat_map(move |part| {
        let mut readings = Vec::with_capacity(SLOTS_PER_DAY as usize);
        Weather::new(&station, revised).day(part, product, until, &mut readings);
        readings
    })
}

/// Every archive on the server at the start of its clock, with its path below `air_temperature/`, made one at a
/// time. Errors when the options name a folder of real archives.
pub fn archives(options: &Options) -> Result<impl Iterator<Item = Result<(String, Vec<u8>)>>> {
    let catalogue = Catalogue::new(options)?;
    let at = catalogue.at_start();
    let files: Vec<ArchiveFile> =
        Product::ALL.into_iter().flat_map(|product| catalogue.files(product, at).collect::<Vec<_>>()).collect();
    Ok(files.into_iter().map(move |file| Ok((file.path(), catalogue.archive(&file)?))))
}

/// Cuts `from..until` at each midnight UTC.
fn days(from: i64, until: i64) -> impl Iterator<Item = (i64, i64)> {
    let first = from.div_euclid(SLOTS_PER_DAY);
    let past = if until > from { (until - 1).div_euclid(SLOTS_PER_DAY) + 1 } else { first };
    (first..past).map(move |day| (from.max(day * SLOTS_PER_DAY), until.min((day + 1) * SLOTS_PER_DAY)))
}
