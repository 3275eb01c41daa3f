//! Reads messages of exactly the canonical form, byte by byte, several times faster than a JSON parser. Whatever
//! deviates, be it valid or not, gives `None` and is the fallback's to judge.

use crate::source::{MAX_QUALITY, MAX_REVISION};
use crate::{Others, Product, Range, Source, Stamp, StationId, Temperature, Tenths};

pub(crate) fn temperature(message: &[u8]) -> Option<Temperature> {
    let mut rest = Rest(message);
    let (stamp, station) = rest.head()?;
    rest.literal(b",\"temperature\":")?;
    let temperature = rest.value(Range::TEMPERATURE)?;
    let quality = rest.quality()?;
    let temperature_5cm = match rest.literal(b",\"temperature_5cm\":") {
        Some(()) => rest.value(Range::TEMPERATURE_5CM)?,
        None => None,
    };
    let source = rest.source()?;
    Some(Temperature { station, stamp, temperature, temperature_5cm, quality, source })
}

pub(crate) fn others(message: &[u8]) -> Option<Others> {
    let mut rest = Rest(message);
    let (stamp, station) = rest.head()?;
    rest.literal(b",\"pressure\":")?;
    let pressure = rest.value(Range::PRESSURE)?;
    rest.literal(b",\"humidity\":")?;
    let humidity = rest.value(Range::HUMIDITY)?;
    rest.literal(b",\"dewpoint\":")?;
    let dewpoint = rest.value(Range::DEWPOINT)?;
    let quality = rest.quality()?;
    let source = rest.source()?;
    Some(Others { station, stamp, pressure, humidity, dewpoint, quality, source })
}

/// What of the message has not been read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn literal(&mut self, expected: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    fn head(&mut self) -> Option<(Stamp, StationId)> {
        self.literal(b"{\"measurement_date\":")?;
        let stamp = self.stamp()?;
        self.literal(b",\"station_id\":\"")?;
        let (station, rest) = self.0.split_first_chunk::<5>()?;
        self.0 = rest;
        self.literal(b"\"")?;
        Some((stamp, StationId::parse(station)?))
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let (digits, rest) = self.0.split_first_chunk::<12>()?;
        self.0 = rest;
        let [y1, y2, y3, y4, m1, m2, d1, d2, h1, h2, n1, n2] = digits.map(|digit| u32::from(digit.wrapping_sub(b'0')));
        if digits.iter().any(|digit| !digit.is_ascii_digit()) {
            return None;
        }
        let year = ((y1 * 10 + y2) * 10 + y3) * 10 + y4;
        Stamp::new(year as i32, m1 * 10 + m2, d1 * 10 + d2, h1 * 10 + h2, n1 * 10 + n2)
    }

    /// A number with exactly one decimal, of the range or -999.0.
    fn value(&mut self, range: Range) -> Option<Option<Tenths>> {
        let negative = self.literal(b"-").is_some();
        let whole = self.integer(4)? as i32;
        let [b'.', tenth @ b'0'..=b'9', rest @ ..] = self.0 else {
            return None;
        };
        self.0 = rest;
        let tenths = whole * 10 + i32::from(tenth - b'0');
        range.check(if negative { -tenths } else { tenths })
    }

    /// Digits as JSON allows them: at least one, no needless zero in front, at most `longest`.
    fn integer(&mut self, longest: usize) -> Option<u64> {
        let mut number = 0;
        let mut length = 0;
        for &byte in self.0.iter().take(longest) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            number = number * 10 + u64::from(digit);
            length += 1;
        }
        let (digits, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        match digits {
            [] | [b'0', _, ..] => None,
            _ => Some(number),
        }
    }

    fn quality(&mut self) -> Option<Option<u8>> {
        if self.literal(b",\"quality\":").is_none() {
            return Some(None);
        }
        let quality = self.integer(2)? as u8;
        (quality <= MAX_QUALITY).then_some(Some(quality))
    }

    /// The product, the revision and the end of the message.
    fn source(&mut self) -> Option<Source> {
        let mut source = Source::default();
        if self.literal(b",\"product\":\"").is_some() {
            let product = Product::NAMED.into_iter().find(|product| self.0.starts_with(product.name().as_bytes()))?;
            self.literal(product.name().as_bytes())?;
            self.literal(b"\"")?;
            source.product = product;
        }
        if self.literal(b",\"revision\":").is_some() {
            source.revision = self.integer(12).filter(|&revision| revision <= MAX_REVISION)?;
        }
        (self.0 == b"}").then_some(source)
    }
}
