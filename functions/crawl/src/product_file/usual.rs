//! A line as the server writes nearly all of them: fields of fixed widths, right-aligned. Read without looking for
//! separators; a line of any other form is the general reading's, which decides in any case what is wrong.

use observation::Tenths;

/// Bytes of such a line, without its end.
const LENGTH: usize = 70;

/// The fields of a line that has the usual form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usual<'a> {
    pub(super) station: &'a [u8; 11],
    /// YYYYMMDD.
    pub(super) date: &'a [u8; 8],
    /// HHMM.
    pub(super) time: &'a [u8; 4],
    pub(super) quality: u8,
    /// Tenths, in the order of the columns.
    pub(super) values: [i32; 5],
}

/// The fields of `line`, where all of them have the usual form.
pub(super) fn read(line: &[u8]) -> Option<Usual<'_>> {
    let mut rest = Rest(line.first_chunk::<LENGTH>().filter(|_| line.len() == LENGTH)?);
    let station = rest.field::<11>()?;
    let (date, after) = rest.0.split_first_chunk::<8>()?;
    rest.0 = after;
    let time = rest.field::<4>()?;
    let quality = match rest.field::<5>()? {
        [b' ', b' ', b' ', b' ', digit @ b'0'..=b'9'] => digit - b'0',
        _ => return None,
    };
    let values = [
        tenths(rest.field::<7>()?)?,
        tenths(rest.field::<6>()?)?,
        tenths(rest.field::<6>()?)?,
        tenths(rest.field::<6>()?)?,
        tenths(rest.field::<6>()?)?,
    ];
    (rest.0 == b"eor").then_some(Usual { station, date, time, quality, values })
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// The next `N` bytes, which a semicolon follows.
    fn field<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        let ([b';'], rest) = rest.split_first_chunk::<1>()? else { return None };
        self.0 = rest;
        Some(field)
    }
}

/// A right-aligned number with one decimal, or -999.
fn tenths<const N: usize>(field: &[u8; N]) -> Option<i32> {
    let Some((head, [b'.', last @ b'0'..=b'9'])) = field.split_last_chunk::<2>() else {
        let (spaces, number) = field.split_last_chunk::<4>()?;
        return (number == b"-999" && spaces.iter().all(|&byte| byte == b' ')).then_some(Tenths::MISSING);
    };
    let (mut whole, mut negative, mut begun) = (0, false, false);
    for &byte in head {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            whole = whole * 10 + i32::from(digit);
            begun = true;
        } else if begun || negative {
            return None;
        } else if byte == b'-' {
            negative = true;
        } else if byte != b' ' {
            return None;
        }
    }
    let tenths = whole * 10 + i32::from(last - b'0');
    begun.then_some(if negative { -tenths } else { tenths })
}
