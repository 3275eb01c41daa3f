//! Writing messages in their canonical form: what messages of one station, source and day have in common is made once,
//! and the rest is laid into a line of a fixed size: in wasm a copy of a length that is not known before is a call of the
//! runtime.

use crate::{Day, Others, Source, Stamp, StationId, Temperature, Tenths};

/// Longer than the longest message, since copies of a fixed size reach beyond what counts of them.
const ROOM: usize = 256;
/// The longest of what follows the values: product and revision.
const TAIL: usize = 64;

/// Writes messages, fastest when those of one station, source and day follow each other.
pub struct MessageWriter {
    of: Option<(StationId, Source)>,
    day: Option<Day>,
    date: [u8; 8],
    station: [u8; 5],
    tail: [u8; TAIL],
    tail_length: usize,
    line: Line,
}

impl Default for MessageWriter {
    fn default() -> Self {
        MessageWriter {
            of: None,
            day: None,
            date: [0; 8],
            station: [0; 5],
            tail: [0; TAIL],
            tail_length: 0,
            line: Line { bytes: [0; ROOM], length: 0 },
        }
    }
}

impl MessageWriter {
    /// Appends a message of the topic `temperature`.
    pub fn temperature(&mut self, out: &mut Vec<u8>, reading: &Temperature) {
        self.begin(reading.station, reading.source, reading.stamp);
        self.line.put(b",\"temperature\":");
        self.line.value(reading.temperature);
        self.line.quality(reading.quality);
        self.line.put(b",\"temperature_5cm\":");
        self.line.value(reading.temperature_5cm);
        self.end(out);
    }

    /// Appends a message of the topic `others`.
    pub fn others(&mut self, out: &mut Vec<u8>, reading: &Others) {
        self.begin(reading.station, reading.source, reading.stamp);
        self.line.put(b",\"pressure\":");
        self.line.value(reading.pressure);
        self.line.put(b",\"humidity\":");
        self.line.value(reading.humidity);
        self.line.put(b",\"dewpoint\":");
        self.line.value(reading.dewpoint);
        self.line.quality(reading.quality);
        self.end(out);
    }

    fn begin(&mut self, station: StationId, source: Source, stamp: Stamp) {
        if self.of != Some((station, source)) {
            self.of = Some((station, source));
            self.station = station.digits();
            self.write_tail(source);
        }
        if self.day != Some(stamp.day()) {
            self.day = Some(stamp.day());
            self.date = stamp.day().digits();
        }
        self.line.length = 0;
        self.line.put(b"{\"measurement_date\":");
        self.line.put(&self.date);
        self.line.put(&stamp.time_digits());
        self.line.put(b",\"station_id\":\"");
        self.line.put(&self.station);
        self.line.put(b"\"");
    }

    fn write_tail(&mut self, source: Source) {
        let mut tail = String::with_capacity(TAIL);
        let product = source.product.name();
        if !product.is_empty() {
            tail.push_str(",\"product\":\"");
            tail.push_str(product);
            tail.push('"');
        }
        if source.revision != 0 {
            tail.push_str(",\"revision\":");
            tail.push_str(&source.revision.to_string());
        }
        tail.push('}');
        self.tail_length = tail.len().min(TAIL);
        self.tail.iter_mut().zip(tail.bytes()).for_each(|(place, byte)| *place = byte);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.line.put_part(&self.tail, self.tail_length);
        out.extend_from_slice(self.line.bytes.get(..self.line.length).unwrap_or_default());
    }
}

struct Line {
    bytes: [u8; ROOM],
    length: usize,
}

impl Line {
    fn put<const N: usize>(&mut self, text: &[u8; N]) {
        self.put_part(text, N);
    }

    /// Lays down all of `text`, of which the first `counts` bytes stay.
    fn put_part<const N: usize>(&mut self, text: &[u8; N], counts: usize) {
        if let Some(place) = self.bytes.get_mut(self.length..).and_then(|rest| rest.first_chunk_mut::<N>()) {
            *place = *text;
            self.length += counts;
        }
    }

    /// A value with one decimal, or -999.0.
    fn value(&mut self, value: Option<Tenths>) {
        let Some(value) = value else { return self.put(b"-999.0") };
        let tenths = u32::from(value.get().unsigned_abs());
        let digit = |place: u32| b'0' + (tenths / place % 10) as u8;
        let text = [digit(10_000), digit(1000), digit(100), digit(10), b'.', digit(1), 0, 0];
        let zeros = usize::from(tenths < 10_000) + usize::from(tenths < 1000) + usize::from(tenths < 100);
        let shown = u64::from_le_bytes(text) >> (8 * zeros);
        let negative = value.get() < 0;
        let signed = if negative { shown << 8 | u64::from(b'-') } else { shown };
        self.put_part(&signed.to_le_bytes(), 6 - zeros + usize::from(negative));
    }

    fn quality(&mut self, quality: Option<u8>) {
        let Some(quality) = quality else { return };
        self.put(b",\"quality\":");
        let (hundreds, tens, ones) = (quality / 100, quality / 10 % 10, quality % 10);
        let zeros = usize::from(quality < 100) + usize::from(quality < 10);
        let shown = u32::from_le_bytes([b'0' + hundreds, b'0' + tens, b'0' + ones, 0]) >> (8 * zeros);
        self.put_part(&shown.to_le_bytes(), 3 - zeros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Product;

    #[test]
    fn the_longest_message_has_room() {
        let mut writer = MessageWriter::default();
        let mut message = Vec::new();
        let value = Tenths::new(-32_767);
        writer.others(
            &mut message,
            &Others {
                station: StationId::new(99_999).unwrap(),
                stamp: Stamp::from_number(219_912_312_350).unwrap(),
                pressure: value,
                humidity: value,
                dewpoint: value,
                quality: Some(255),
                source: Source { product: Product::Historical, revision: u64::MAX },
            },
        );
        let text = String::from_utf8(message).unwrap();
        assert_eq!(
            text,
            "{\"measurement_date\":219912312350,\"station_id\":\"99999\",\"pressure\":-3276.7,\"humidity\":-3276.7,\
             \"dewpoint\":-3276.7,\"quality\":255,\"product\":\"historical\",\"revision\":18446744073709551615}"
        );
        assert!(text.len() + TAIL <= ROOM);
    }
}
