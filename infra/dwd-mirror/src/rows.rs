//! The bytes of a file's rows. Format B: padded header, `eor`, 72 bytes a row. Format A (files that end before 2000):
//! unpadded header, no `eor`, 68 bytes a row, stamps in MEZ. Both end lines with CRLF.

use crate::calendar::{SLOTS_PER_DAY, Zone, compact};
use crate::weather::{MISSING, Reading};

/// Bytes of a row of format B, line end included.
pub const ROW_BYTES: usize = 72;
const HEADER_A: &str = "STATIONS_ID;MESS_DATUM;QN;PP_10;TT_10;TM5_10;RF_10;TD_10\r\n";
const HEADER_B: &str = "STATIONS_ID;MESS_DATUM;  QN;PP_10;TT_10;TM5_10;RF_10;TD_10;eor\r\n";
/// A row whose fields are still to be filled in.
const BLANK: &[u8; ROW_BYTES] = b"           ;            ;     ;       ;      ;      ;      ;      ;eor\r\n";
/// Where a row of format A ends its line: over `;eor`.
const SHORT: usize = ROW_BYTES - 6;

/// Writes the rows of one file.
#[derive(Debug)]
pub(crate) struct RowWriter {
    zone: Zone,
    blank: [u8; ROW_BYTES],
    /// The day that `date` stands for.
    day: i64,
}

impl RowWriter {
    pub(crate) fn new(station: u32, zone: Zone) -> Self {
        let mut blank = *BLANK;
        for (cell, digit) in blank.iter_mut().zip(format!("{station:>11}").bytes()) {
            *cell = digit;
        }
        Self { zone, blank, day: i64::MIN }
    }

    pub(crate) fn header(&self) -> &'static str {
        match self.zone {
            Zone::Mez => HEADER_A,
            Zone::Utc => HEADER_B,
        }
    }

    /// Appends one row.
    pub(crate) fn write(&mut self, reading: &Reading, into: &mut Vec<u8>) {
        let local = reading.slot + self.zone.shift();
        let (day, place) = (local.div_euclid(SLOTS_PER_DAY), local.rem_euclid(SLOTS_PER_DAY) as u8);
        if day != self.day {
            self.day = day;
            for (cell, digit) in self.blank.iter_mut().skip(12).zip(compact(day).bytes()) {
                *cell = digit;
            }
        }
        let mut row = self.blank;
        row[20..22].copy_from_slice(&two(place / 6));
        row[22..24].copy_from_slice(&two(place % 6 * 10));
        row[29] = b'0' + reading.quality;
        row[32..38].copy_from_slice(&field(reading.pressure));
        row[39..45].copy_from_slice(&field(reading.temperature));
        row[46..52].copy_from_slice(&field(reading.ground));
        row[53..59].copy_from_slice(&field(reading.humidity));
        row[60..66].copy_from_slice(&field(reading.dew_point));
        match self.zone {
            Zone::Utc => into.extend_from_slice(&row),
            Zone::Mez => {
                into.extend_from_slice(&row[..SHORT]);
                into.extend_from_slice(b"\r\n");
            }
        }
    }
}

fn two(number: u8) -> [u8; 2] {
    [b'0' + number / 10, b'0' + number % 10]
}

/// Six characters, right-aligned: `  -0.3`, ` 966.3`, `  -999`. Holds -999.9 to 9999.9.
fn field(tenths: i32) -> [u8; 6] {
    if tenths == MISSING {
        return *b"  -999";
    }
    let digit = |power: u32| b'0' + (tenths.unsigned_abs() / power % 10) as u8;
    let mut cell = [b' ', b' ', b' ', digit(10), b'.', digit(1)];
    let whole = tenths.unsigned_abs() / 10;
    if whole >= 10 {
        cell[2] = digit(100);
    }
    if whole >= 100 {
        cell[1] = digit(1000);
    }
    if whole >= 1000 {
        cell[0] = digit(10_000);
    }
    if tenths < 0 {
        let sign = if whole >= 100 {
            &mut cell[0]
        } else if whole >= 10 {
            &mut cell[1]
        } else {
            &mut cell[2]
        };
        *sign = b'-';
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2018-10-04 00:00 UTC.
    const SLOT: i64 = 17_808 * SLOTS_PER_DAY;

    fn row(zone: Zone) -> String {
        let reading = Reading {
            slot: SLOT,
            quality: 3,
            pressure: 9663,
            temperature: 92,
            ground: 86,
            humidity: 929,
            dew_point: 81,
        };
        let mut bytes = Vec::new();
        RowWriter::new(3379, zone).write(&reading, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_row_equals_that_of_a_real_file_byte_by_byte() {
        assert_eq!(row(Zone::Utc), "       3379;201810040000;    3;  966.3;   9.2;   8.6;  92.9;   8.1;eor\r\n");
        assert_eq!(row(Zone::Utc).len(), ROW_BYTES);
    }

    #[test]
    fn a_mez_row_is_an_hour_on_and_has_no_eor() {
        assert_eq!(row(Zone::Mez), "       3379;201810040100;    3;  966.3;   9.2;   8.6;  92.9;   8.1\r\n");
    }

    proptest! {
        #[test]
        fn a_field_reads_back_as_what_was_written(tenths in -9989..=99_999_i32) {
            let text = String::from_utf8(field(tenths).to_vec()).unwrap();
            let value: f64 = text.trim_start().parse().unwrap();
            prop_assert_eq!((value * 10.0).round() as i32, tenths);
        }
    }

    #[test]
    fn a_missing_field_has_no_decimals() {
        assert_eq!(&field(MISSING), b"  -999");
        assert_eq!(&field(-3), b"  -0.3");
    }
}
