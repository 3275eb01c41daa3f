//! Reading the text of a product file: lines of fields between semicolons, padded with spaces. By hand and without
//! allocation, because this is the hot path of the crawl. Archives and the network are not known here.

mod usual;

use crate::rows::Row;
use observation::{Day, Range, Stamp, StationId, Tenths};
use std::fmt;

/// A line that is longer is no line of a product file (they have 72 bytes); it is not kept in memory.
const LONGEST_LINE: usize = 1024;
/// How much of a wrong field a report repeats.
const LONGEST_QUOTE: usize = 40;
/// The highest quality level that a message may carry.
const HIGHEST_QUALITY: i32 = 10;

const COLUMNS: [&str; 8] = ["STATIONS_ID", "MESS_DATUM", "QN", "PP_10", "TT_10", "TM5_10", "RF_10", "TD_10"];
const END_OF_RECORD: &str = "eor";

/// The zone that the stamps of a whole file are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// UTC: every file that ends in 2000 or later.
    Utc,
    /// UTC+1 without summer time: files that end in 1999 or earlier.
    Mez,
}

impl Zone {
    /// The file decides, never the year of a row: a file of the 2000s may begin on 1999-12-31 23:00, in UTC.
    #[must_use]
    pub fn of_file(last_day: Option<Day>, has_end_of_record: bool) -> Self {
        let before_2000 = last_day.is_some_and(|day| day.year() < 2000);
        if before_2000 || !has_end_of_record { Zone::Mez } else { Zone::Utc }
    }
}

/// The file is no product file of 10-minute air temperature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its header is `{found}` instead of `STATIONS_ID;MESS_DATUM;QN;PP_10;TT_10;TM5_10;RF_10;TD_10;eor`")]
pub struct UnknownHeader {
    found: String,
}

/// What is wrong with a line, or with one field of a line whose other fields stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1, the header being 1.
    pub line: u32,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    TooLong,
    Fields { found: usize, expected: usize },
    Field { name: &'static str, text: String },
    OutOfRange { name: &'static str, text: String, range: Range },
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.reason {
            Reason::TooLong => write!(f, "longer than {LONGEST_LINE} bytes, left out"),
            Reason::Fields { found, expected } => write!(f, "{found} fields instead of {expected}, left out"),
            Reason::Field { name, text } => write!(f, "`{name}` is `{text}`, left out"),
            Reason::OutOfRange { name, text, range } => {
                write!(f, "`{name}` is `{text}`, outside of {range}: this field is taken as missing")
            }
        }
    }
}

/// Takes rows and bad lines as they are met.
pub trait Sink {
    /// A reading, in UTC.
    fn row(&mut self, row: Row);
    /// A line, or a field of it, that could not be used.
    fn bad(&mut self, bad: BadLine);
}

/// Reads a product file block by block.
#[derive(Debug)]
pub struct Reader {
    station: StationId,
    last_day: Option<Day>,
    layout: Option<Layout>,
    line: u32,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
    too_long: bool,
    /// The date that was read last and its day: rows of one day follow each other.
    date: (u32, Option<Day>),
    /// The same for lines of the usual form, and the station as such a line has it.
    usual_date: ([u8; 8], Option<Day>),
    usual_station: Option<[u8; 11]>,
}

#[derive(Clone, Copy, Debug)]
struct Layout {
    zone: Zone,
    has_end: bool,
}

impl Reader {
    /// A reader of the file of `station`; `last_day` as its name says it.
    #[must_use]
    pub fn new(station: StationId, last_day: Option<Day>) -> Self {
        let begun = Vec::with_capacity(LONGEST_LINE + 1);
        let padded = format!("{:>11}", station.number());
        Reader {
            station,
            last_day,
            layout: None,
            line: 0,
            begun,
            too_long: false,
            date: (0, None),
            usual_date: ([0; 8], None),
            usual_station: padded.as_bytes().first_chunk().copied(),
        }
    }

    /// The zone, once the header was read.
    #[must_use]
    pub fn zone(&self) -> Option<Zone> {
        self.layout.map(|layout| layout.zone)
    }

    /// Reads the next block, which may end anywhere.
    ///
    /// # Errors
    /// When the file's first line is no known header.
    pub fn read(&mut self, mut block: &[u8], sink: &mut impl Sink) -> Result<(), UnknownHeader> {
        if !self.begun.is_empty() || self.too_long {
            let Some((rest, after)) = split_line(block) else {
                self.keep(block);
                return Ok(());
            };
            self.keep(rest);
            let begun = std::mem::take(&mut self.begun);
            let read = self.line(&begun, sink);
            self.begun = begun;
            self.begun.clear();
            read?;
            block = after;
        }
        while let Some((line, after)) = split_line(block) {
            self.line(line, sink)?;
            block = after;
        }
        self.keep(block);
        Ok(())
    }

    /// Reads what is left when the file has ended without a line end.
    ///
    /// # Errors
    /// As [`Reader::read`], also when there was no header at all.
    pub fn finish(&mut self, sink: &mut impl Sink) -> Result<(), UnknownHeader> {
        if !self.begun.is_empty() || self.too_long {
            self.read(b"\n", sink)?;
        }
        self.layout.map(|_| ()).ok_or_else(|| UnknownHeader { found: String::new() })
    }

    fn keep(&mut self, part: &[u8]) {
        // The carriage return that may end it is not counted, here as where a line comes whole.
        if self.begun.len() + part.len() > LONGEST_LINE + 1 {
            self.too_long = true;
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    fn line(&mut self, line: &[u8], sink: &mut impl Sink) -> Result<(), UnknownHeader> {
        self.line = self.line.saturating_add(1);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let too_long = std::mem::take(&mut self.too_long) || line.len() > LONGEST_LINE;
        let Some(layout) = self.layout else {
            let layout = if too_long { Err(unknown(b"")) } else { self.header(line) };
            self.layout = Some(layout?);
            return Ok(());
        };
        if too_long {
            sink.bad(BadLine { line: self.line, reason: Reason::TooLong });
        } else if !trim(line).is_empty() {
            let usual = if layout.has_end { self.usual(line, layout.zone) } else { None };
            match usual.map_or_else(|| self.row(line, layout, sink), Ok) {
                Ok(row) => sink.row(row),
                Err(reason) => sink.bad(BadLine { line: self.line, reason }),
            }
        }
        Ok(())
    }

    fn header(&self, line: &[u8]) -> Result<Layout, UnknownHeader> {
        let mut names = line.split(|&byte| byte == b';').map(trim);
        if !COLUMNS.iter().all(|column| names.next() == Some(column.as_bytes())) {
            return Err(unknown(line));
        }
        let has_end = match (names.next(), names.next()) {
            (None, None) => false,
            (Some(last), None) if last == END_OF_RECORD.as_bytes() => true,
            _ => return Err(unknown(line)),
        };
        Ok(Layout { zone: Zone::of_file(self.last_day, has_end), has_end })
    }

    /// The row of a line of the usual form whose values are all within their ranges; `None` leaves it to
    /// [`Reader::row`].
    fn usual(&mut self, line: &[u8], zone: Zone) -> Option<Row> {
        let fields = usual::read(line).filter(|fields| Some(*fields.station) == self.usual_station)?;
        if self.usual_date.0 != *fields.date {
            let date = whole(fields.date)? as u32;
            self.usual_date = (*fields.date, Day::from_date((date / 10_000) as i32, date / 100 % 100, date % 100));
        }
        let stamp = stamp_of(self.usual_date.1?, whole(fields.time)? as u32, zone)?;
        let value = |tenths, range: Range| Some(range.check(tenths)?.map_or(Row::MISSING, Tenths::get));
        let [pressure, temperature, temperature_5cm, humidity, dewpoint] = fields.values;
        Some(Row {
            stamp,
            pressure: value(pressure, Range::PRESSURE)?,
            temperature: value(temperature, Range::TEMPERATURE)?,
            temperature_5cm: value(temperature_5cm, Range::TEMPERATURE_5CM)?,
            humidity: value(humidity, Range::HUMIDITY)?,
            dewpoint: value(dewpoint, Range::DEWPOINT)?,
            quality: fields.quality,
        })
    }

    fn row(&mut self, line: &[u8], layout: Layout, sink: &mut impl Sink) -> Result<Row, Reason> {
        let expected = COLUMNS.len() + usize::from(layout.has_end);
        let mut fields = Fields { rest: Some(line) };
        let mut next = || fields.next().ok_or_else(|| wrong_count(line, expected));
        let (station, date, quality) = (next()?, next()?, next()?);
        let values = [next()?, next()?, next()?, next()?, next()?];
        if layout.has_end && next()? != END_OF_RECORD.as_bytes() {
            return Err(wrong(END_OF_RECORD, line));
        }
        if fields.rest.is_some() {
            return Err(wrong_count(line, expected));
        }
        if whole(station) != Some(u64::from(self.station.number())) {
            return Err(wrong("STATIONS_ID", station));
        }
        let stamp = self.stamp(date, layout.zone).ok_or_else(|| wrong("MESS_DATUM", date))?;
        let level = whole(quality).and_then(|level| u8::try_from(level).ok());
        let quality = level.filter(|&level| i32::from(level) <= HIGHEST_QUALITY).ok_or_else(|| wrong("QN", quality))?;
        let [pressure, temperature, temperature_5cm, humidity, dewpoint] = values;
        let mut value = |name, text, range| self.value(name, text, range, sink);
        Ok(Row {
            stamp,
            pressure: value("PP_10", pressure, Range::PRESSURE)?,
            temperature: value("TT_10", temperature, Range::TEMPERATURE)?,
            temperature_5cm: value("TM5_10", temperature_5cm, Range::TEMPERATURE_5CM)?,
            humidity: value("RF_10", humidity, Range::HUMIDITY)?,
            dewpoint: value("TD_10", dewpoint, Range::DEWPOINT)?,
            quality,
        })
    }

    /// `YYYYMMDDHHMM`, put into UTC.
    fn stamp(&mut self, text: &[u8], zone: Zone) -> Option<Stamp> {
        let number = whole(text).filter(|_| text.len() == 12)?;
        let (date, time) = ((number / 10_000) as u32, (number % 10_000) as u32);
        if self.date.0 != date {
            self.date = (date, Day::from_date((date / 10_000) as i32, date / 100 % 100, date % 100));
        }
        stamp_of(self.date.1?, time, zone)
    }

    fn value(&self, name: &'static str, text: &[u8], range: Range, sink: &mut impl Sink) -> Result<i16, Reason> {
        let tenths = Tenths::parse_decimal(text).ok_or_else(|| wrong(name, text))?;
        match range.check(tenths) {
            Some(value) => Ok(value.map_or(Row::MISSING, Tenths::get)),
            None => {
                let reason = Reason::OutOfRange { name, text: quote(text), range };
                sink.bad(BadLine { line: self.line, reason });
                Ok(Row::MISSING)
            }
        }
    }
}

/// The stamp of a day and a time HHMM, put into UTC.
fn stamp_of(day: Day, time: u32, zone: Zone) -> Option<Stamp> {
    let (hour, minute) = (time / 100, time % 100);
    if hour > 23 || minute > 50 || !minute.is_multiple_of(10) {
        return None;
    }
    let stamp = Stamp::of_slot(day, (hour * 6 + minute / 10) as u8);
    match zone {
        Zone::Utc => Some(stamp),
        Zone::Mez => Stamp::from_minutes(stamp.minutes() - 60),
    }
}

/// Fields between semicolons, without their padding.
struct Fields<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let end = rest.iter().position(|&byte| byte == b';');
        let (field, after) = match end.and_then(|at| rest.split_at_checked(at)) {
            Some((field, after)) => (field, after.get(1..)),
            None => (rest, None),
        };
        self.rest = after;
        Some(trim(field))
    }
}

fn split_line(block: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = block.split_at_checked(memchr::memchr(b'\n', block)?)?;
    Some((line, rest.get(1..)?))
}

fn trim(mut field: &[u8]) -> &[u8] {
    while let Some((b' ', rest)) = field.split_first() {
        field = rest;
    }
    while let Some((b' ', rest)) = field.split_last() {
        field = rest;
    }
    field
}

/// Digits only, few enough to fit.
fn whole(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 12 {
        return None;
    }
    text.iter().try_fold(0, |number, &byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| number * 10 + u64::from(digit))
    })
}

#[cold]
fn wrong(name: &'static str, text: &[u8]) -> Reason {
    Reason::Field { name, text: quote(text) }
}

#[cold]
fn wrong_count(line: &[u8], expected: usize) -> Reason {
    Reason::Fields { found: line.split(|&byte| byte == b';').count(), expected }
}

#[cold]
fn unknown(line: &[u8]) -> UnknownHeader {
    UnknownHeader { found: quote(line) }
}

fn quote(text: &[u8]) -> String {
    let shown = text.get(..LONGEST_QUOTE).unwrap_or(text);
    shown.escape_ascii().to_string()
}

#[cfg(test)]
mod tests;
