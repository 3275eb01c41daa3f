//! Frames of the log: as they may lie in a data file that a disk, or somebody, has changed.

use isobar::delivery::frame::{MAX_DECODED_BYTES, decode, encode};
use isobar::delivery::{Header, Records, letters};
use mutate::Target;

/// From here the second of two records has the greatest number there is.
const LAST_BASE: i64 = i64::MAX - 2;

fn records(count: usize) -> Records {
    let mut records = Records::default();
    for at in 0..count {
        records.keys.push((at % 3 != 0).then_some(b"key".as_slice()));
        records.values.push((at % 5 != 0).then_some(b"{\"price\":2}".as_slice()));
        records.offsets.push(at as i64 * 2);
        records.timestamps.push(at as i64);
    }
    let told = [("isobar-redrive", "other"), ("isobar-function", "total"), ("isobar-topic", "orders")];
    let more = [("isobar-partition", "0"), ("isobar-offset", "7"), ("h", "\u{1}"), ("isobar-redrive", "third")];
    // Against the order of the records, as no host writes them.
    let header = |(at, (name, value)): (usize, (&str, &str))| Header {
        at: (count - 1 - at % count) as u32,
        name: name.to_owned(),
        value: value.into(),
    };
    records.headers.extend(told.into_iter().chain(more).enumerate().filter(|_| count > 0).map(header));
    records
}

/// The frame of inner bytes, with all that protects them made right.
fn framed(inner: &[u8]) -> Vec<u8> {
    let compressed = zstd::bulk::compress(inner, 1).expect("there is memory");
    let length = (inner.len() as u32).to_le_bytes();
    [b"IBF1".as_slice(), &crc32fast::hash(&compressed).to_le_bytes(), &length, &compressed].concat()
}

/// What decodes is consistent, and is what its encoding decodes to.
fn check(frame: &[u8], base: i64) -> Result<[usize; 3], String> {
    let records = decode(frame, base).map_err(|error| super::kind(&error.to_string()))?;
    let count = records.len();
    assert!(records.keys.iter().count() == count && records.values.iter().count() == count);
    assert!(records.timestamps.len() == count && records.headers.iter().all(|h| (h.at as usize) < count));
    assert!(records.offsets.is_sorted_by(|a, b| a < b) && records.offsets.last().is_none_or(|last| *last < i64::MAX));
    let letters = letters_of(&records);
    let headers = records.headers.len();
    if count > 0 {
        let again = decode(&encode(&records).expect("there is memory"), records.offsets[0]);
        assert_eq!(again, Ok(records));
    }
    Ok([count, headers, letters].map(|count| count.min(9)))
}

/// Whatever headers say, each record is met at most once, and one that is sent back is the record that it was.
fn letters_of(records: &Records) -> usize {
    let meant = letters::meant_for(records, "total").unwrap_or_else(|| records.clone());
    assert!(meant.offsets.is_sorted_by(|a, b| a < b), "{:?}", meant.offsets);
    let letters: Vec<usize> = (0..records.len()).filter(|at| letters::Letter::of(records, *at).is_some()).collect();
    for at in letters.iter().copied() {
        let mut back = Records::default();
        letters::redrive(&mut back, records, at, "total", 0);
        assert_eq!((back.keys.get(0), back.values.get(0)), (records.keys.get(at), records.values.get(at)));
        assert!(letters::meant_for(&back, "total").is_none(), "it is not for the function that failed");
    }
    letters.len()
}

#[test]
fn frames() {
    let seeds = [0, 1, 2, 20, 300].map(|count| encode(&records(count)).expect("there is memory"));
    // One may say that it holds as much as the largest. What is set aside for that is given back when it does not.
    let target = Target::new("frame").seeds(seeds).memory(MAX_DECODED_BYTES + (1 << 20), 100);
    target.run(|frame| {
        let mut signed = frame.to_vec();
        if let Some((head, compressed)) = signed.split_at_mut_checked(12) {
            head[..4].copy_from_slice(b"IBF1");
            head[4..8].copy_from_slice(&crc32fast::hash(compressed).to_le_bytes());
        }
        (check(frame, 0), check(&signed, LAST_BASE))
    });
}

#[test]
fn contents_of_frames() {
    let inner = |count| {
        let frame = encode(&records(count)).expect("there is memory");
        zstd::bulk::decompress(&frame[12..], 1 << 20).expect("it is a frame")
    };
    Target::new("frame-contents").seeds([0, 1, 20].map(inner)).run(|inner| check(&framed(inner), 5));
}
