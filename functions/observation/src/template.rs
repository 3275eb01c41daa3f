//! Reads messages of exactly the canonical form, byte by byte, several times faster than a JSON parser; and of the form that the
//! original pipeline's producer writes, which differs by a space behind each colon and comma. Whatever deviates, be it valid
//! or not, gives `None` and is the fallback's to judge.

use crate::source::{MAX_QUALITY, MAX_REVISION};
use crate::{Others, Product, Range, Source, Stamp, StationId, Temperature, Tenths};

/// Where a message is spaced, its first space is here.
const FIRST_SPACE: usize = b"{\"measurement_date\":".len();

pub(crate) fn temperature(message: &[u8]) -> Option<Temperature> {
    match is_spaced(message) {
        false => temperature_in::<false>(message),
        true => temperature_in::<true>(message),
    }
}

pub(crate) fn others(message: &[u8]) -> Option<Others> {
    match is_spaced(message) {
        false => others_in::<false>(message),
        true => others_in::<true>(message),
    }
}

fn is_spaced(message: &[u8]) -> bool {
    message.get(FIRST_SPACE) == Some(&b' ')
}

fn temperature_in<const SPACED: bool>(message: &[u8]) -> Option<Temperature> {
    let mut rest = Rest::<SPACED>(message);
    let (stamp, station) = rest.head()?;
    rest.either(b",\"temperature\":", b", \"temperature\": ")?;
    let temperature = rest.value(Range::TEMPERATURE)?;
    let quality = rest.quality()?;
    let temperature_5cm = match rest.either(b",\"temperature_5cm\":", b", \"temperature_5cm\": ") {
        Some(()) => rest.value(Range::TEMPERATURE_5CM)?,
        None => None,
    };
    let source = rest.source()?;
    Some(Temperature { station, stamp, temperature, temperature_5cm, quality, source })
}

fn others_in<const SPACED: bool>(message: &[u8]) -> Option<Others> {
    let mut rest = Rest::<SPACED>(message);
    let (stamp, station) = rest.head()?;
    rest.either(b",\"pressure\":", b", \"pressure\": ")?;
    let pressure = rest.value(Range::PRESSURE)?;
    rest.either(b",\"humidity\":", b", \"humidity\": ")?;
    let humidity = rest.value(Range::HUMIDITY)?;
    rest.either(b",\"dewpoint\":", b", \"dewpoint\": ")?;
    let dewpoint = rest.value(Range::DEWPOINT)?;
    let quality = rest.quality()?;
    let source = rest.source()?;
    Some(Others { station, stamp, pressure, humidity, dewpoint, quality, source })
}

/// What of the message has not been read yet.
struct Rest<'a, const SPACED: bool>(&'a [u8]);

impl<const SPACED: bool> Rest<'_, SPACED> {
    /// Takes what stands between two values.
    fn either<const N: usize, const M: usize>(&mut self, compact: &[u8; N], spaced: &[u8; M]) -> Option<()> {
        if SPACED { self.literal(spaced) } else { self.literal(compact) }
    }

    /// Takes `expected`, compared by words: this is most of what is done with a message.
    fn literal<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        let (found, rest) = self.0.split_first_chunk::<N>()?;
        let (found_words, found_bytes) = found.as_chunks::<8>();
        let (words, bytes) = expected.as_chunks::<8>();
        let mut differs = 0;
        for (found, word) in found_words.iter().zip(words) {
            differs |= u64::from_ne_bytes(*found) ^ u64::from_ne_bytes(*word);
        }
        for (found, byte) in found_bytes.iter().zip(bytes) {
            differs |= u64::from(found ^ byte);
        }
        self.0 = if differs == 0 { rest } else { return None };
        Some(())
    }

    fn head(&mut self) -> Option<(Stamp, StationId)> {
        self.either(b"{\"measurement_date\":", b"{\"measurement_date\": ")?;
        let stamp = self.stamp()?;
        self.either(b",\"station_id\":\"", b", \"station_id\": \"")?;
        let (station, rest) = self.0.split_first_chunk::<5>()?;
        self.0 = rest;
        self.literal(b"\"")?;
        Some((stamp, StationId::parse(station)?))
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let (date, rest) = self.0.split_first_chunk::<8>()?;
        let (time, rest) = rest.split_first_chunk::<4>()?;
        self.0 = rest;
        let [h1, h2, n1, n2] = time.map(|digit| u32::from(digit.wrapping_sub(b'0')));
        if h1.max(h2).max(n1).max(n2) > 9 {
            return None;
        }
        let date = eight_digits(*date)?;
        Stamp::new((date / 10_000) as i32, date / 100 % 100, date % 100, h1 * 10 + h2, n1 * 10 + n2)
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
        if longest > 8
            && let Some(first) = self.0.first_chunk::<8>().and_then(|digits| eight_digits(*digits))
        {
            (number, length) = (u64::from(first), 8);
        }
        for &byte in self.0.get(length..)?.iter().take(longest - length) {
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
        if self.either(b",\"quality\":", b", \"quality\": ").is_none() {
            return Some(None);
        }
        let quality = self.integer(2)? as u8;
        (quality <= MAX_QUALITY).then_some(Some(quality))
    }

    /// The product, the revision and the end of the message.
    fn source(&mut self) -> Option<Source> {
        let mut source = Source::default();
        if self.either(b",\"product\":\"", b", \"product\": \"").is_some() {
            source.product = self.product()?;
        }
        if self.either(b",\"revision\":", b", \"revision\": ").is_some() {
            source.revision = self.integer(12).filter(|&revision| revision <= MAX_REVISION)?;
        }
        (self.0 == b"}").then_some(source)
    }

    fn product(&mut self) -> Option<Product> {
        match self.0.first()? {
            b'h' => self.literal(b"historical\"").map(|()| Product::Historical),
            b'r' => self.literal(b"recent\"").map(|()| Product::Recent),
            _ => self.literal(b"now\"").map(|()| Product::Now),
        }
    }
}

/// The number of eight ASCII digits, all at once: the bytes of a word are joined to pairs, fours and the whole.
fn eight_digits(digits: [u8; 8]) -> Option<u32> {
    let word = u64::from_le_bytes(digits);
    let high_halves = 0xF0F0_F0F0_F0F0_F0F0;
    let all_digits = word & high_halves == 0x3030_3030_3030_3030
        && word.wrapping_add(0x0606_0606_0606_0606) & high_halves == 0x3030_3030_3030_3030;
    let word = word.wrapping_sub(0x3030_3030_3030_3030);
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let low = 0x0000_00FF_0000_00FF;
    let first_and_third = (pairs & low).wrapping_mul(0x000F_4240_0000_0064);
    let second_and_fourth = (pairs >> 16 & low).wrapping_mul(0x0000_2710_0000_0001);
    all_digits.then_some((first_and_third.wrapping_add(second_and_fourth) >> 32) as u32)
}
