//! The ways in which an input is changed.

use crate::random::Random;

/// Numbers at which arithmetic breaks.
const NUMBERS: [i64; 20] = [
    0,
    1,
    -1,
    7,
    127,
    128,
    255,
    256,
    -128,
    32_767,
    32_768,
    65_535,
    65_536,
    i32::MAX as i64,
    i32::MIN as i64,
    u32::MAX as i64,
    1 << 53,
    253_402_300_800,
    i64::MAX,
    i64::MIN,
];
/// Numbers that are none to some readers.
const TEXTS: [&str; 12] =
    ["-0", "00", "+1", "1e9", "1e-400", "1e400", "NaN", "Infinity", "0x10", "18446744073709551616", "0.1", "-999.0"];
/// Characters that are more or less than a byte, or end something.
const CHARACTERS: [&str; 16] = [
    "\0",
    "\n",
    "\r\n",
    "\"",
    "'",
    "\\",
    "{",
    "[",
    ";",
    ",",
    "\u{feff}",
    "ß",
    "\u{202e}",
    "\u{1b}[2J",
    "\u{10ffff}",
    "İ",
];
/// Repetitions of a part: enough for a limit to be passed, or for a quadratic to show.
const MOST_REPEATED: usize = 200;

/// `input`, changed in one way; `other` is another input that parts may come from.
pub(crate) fn mutated(mut input: Vec<u8>, other: &[u8], words: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let at = random.below(input.len());
    let range = random.range(input.len());
    match random.below(16) {
        0 => flip(&mut input, at, 1 << random.below(8)),
        1 => flip(&mut input, at, random.next() as u8),
        2 => drop(input.drain(range)),
        3 => input.truncate(at),
        4 => {
            let part = part(&input, range);
            insert(&mut input, at, &part);
        }
        5 => {
            let part = part(&input, range).repeat(random.below(MOST_REPEATED));
            insert(&mut input, at, &part);
        }
        6 => {
            let part = part(other, random.range(other.len()));
            insert(&mut input, at, &part);
        }
        7 => {
            input.truncate(at);
            input.extend_from_slice(other.get(random.below(other.len())..).unwrap_or_default());
        }
        8 => overwrite(&mut input, at, &binary(random)),
        9 => number(&mut input, at, random),
        10 => insert(&mut input, at, CHARACTERS.get(random.below(CHARACTERS.len())).unwrap_or(&"").as_bytes()),
        11 => insert(&mut input, at, &random.next().to_le_bytes()),
        12 | 13 => {
            let word = words.get(random.below(words.len())).cloned().unwrap_or_default();
            if random.below(3) == 0 { overwrite(&mut input, at, &word) } else { insert(&mut input, at, &word) }
        }
        14 => line(&mut input, at, random),
        _ => flip_case(&mut input, range),
    }
    input
}

fn flip(input: &mut [u8], at: usize, bits: u8) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= bits;
    }
}

fn flip_case(input: &mut [u8], range: std::ops::Range<usize>) {
    for byte in input.get_mut(range).unwrap_or_default().iter_mut().filter(|byte| byte.is_ascii_alphabetic()) {
        *byte ^= 0x20;
    }
}

fn part(of: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
    of.get(range).unwrap_or_default().to_vec()
}

fn insert(input: &mut Vec<u8>, at: usize, part: &[u8]) {
    input.splice(at..at, part.iter().copied());
}

fn overwrite(input: &mut Vec<u8>, at: usize, part: &[u8]) {
    let end = (at + part.len()).min(input.len());
    input.splice(at..end, part.iter().copied());
}

/// A number as some format may hold it.
fn binary(random: &mut Random) -> Vec<u8> {
    let number = NUMBERS.get(random.below(NUMBERS.len())).copied().unwrap_or_default();
    let mut bytes = number.to_le_bytes();
    let width = 1 << random.below(4);
    if random.below(2) == 0 {
        bytes.reverse();
        bytes.get(8 - width..).unwrap_or_default().to_vec()
    } else {
        bytes.get(..width).unwrap_or_default().to_vec()
    }
}

/// Puts another number in the place of the one that is written at `at` or after it.
fn number(input: &mut Vec<u8>, at: usize, random: &mut Random) {
    let after = input.get(at..).unwrap_or_default();
    let Some(start) = after.iter().position(u8::is_ascii_digit).map(|begin| at + begin) else { return };
    let digits = input.get(start..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = match random.below(3) {
        0 => TEXTS.get(random.below(TEXTS.len())).copied().unwrap_or_default().to_owned(),
        1 => NUMBERS.get(random.below(NUMBERS.len())).copied().unwrap_or_default().to_string(),
        _ => {
            let written = input.get(start..start + digits).unwrap_or_default();
            let written: u64 = std::str::from_utf8(written).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
            // A neighbour, of the same width: for what is laid out in columns.
            format!("{:0digits$}", written.wrapping_add(random.below(3) as u64).wrapping_sub(1))
        }
    };
    input.splice(start..start + digits, text.into_bytes());
}

/// Repeats, removes or moves the line around `at`.
fn line(input: &mut Vec<u8>, at: usize, random: &mut Random) {
    let before = input.get(..at).unwrap_or_default();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let after = input.get(at..).unwrap_or_default();
    let end = after.iter().position(|byte| *byte == b'\n').map_or(input.len(), |end| at + end + 1);
    let line = part(input, start..end);
    match random.below(3) {
        0 => insert(input, start, &line),
        1 => drop(input.drain(start..end)),
        _ => {
            input.drain(start..end);
            let to = random.below(input.len() + 1);
            insert(input, to, &line);
        }
    }
}
