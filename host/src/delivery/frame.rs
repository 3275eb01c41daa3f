//! How the embedded log stores records: whole batches as one compressed, checksummed frame.
//!
//! Layout, integers little-endian: magic `IBF1`, CRC-32 of the compressed part (4), decoded length (4), the compressed part.
//! Inside (zstd): record count (4), then for keys and values: data length (4), null count (4), ends (4 each), nulls
//! (4 each), data; offsets relative to the frame's base (8 each); timestamps (8 each); header count (4), each with
//! record index (4), name length (4), value length (4), name, value. Offsets are relative because the writer that
//! numbers records runs after compression.

use std::cell::RefCell;

use zstd::bulk::Compressor;

use super::{Header, Packed, Records};

const MAGIC: &[u8; 4] = b"IBF1";
/// Fast level: the log is written once and read a few times, on the same cores as the functions.
const COMPRESSION_LEVEL: i32 = 1;
thread_local! {
    /// A context is large, and made clean for each frame faster than anew; `None` where there was no memory for it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(COMPRESSION_LEVEL).ok());
}
/// Larger than any frame that the host writes (published bytes of a call are bounded far below); a frame that says
/// more is damaged.
pub const MAX_DECODED_BYTES: usize = 256 * 1024 * 1024;

/// Why a frame cannot be trusted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// It does not begin as a frame does.
    #[error("it is not a frame")]
    Magic,
    /// Its bytes changed.
    #[error("its checksum is wrong")]
    Checksum,
    /// It cannot be inflated.
    #[error("it cannot be decompressed: {0}")]
    Compression(String),
    /// Its parts contradict each other.
    #[error("its parts contradict each other")]
    Shape,
    /// More was to be written into one frame than is read of one.
    #[error("a frame of {0} bytes is larger than any that is read")]
    TooLarge(usize),
    /// Others stand before and after it.
    #[error("it is missing")]
    Missing,
}

/// Encodes records; their offsets are stored relative to the first.
///
/// # Errors
/// [`FrameError::TooLarge`]; [`FrameError::Compression`] when zstd fails, which it does only without memory.
pub fn encode(records: &Records) -> Result<Vec<u8>, FrameError> {
    let base = records.offsets.first().copied().unwrap_or_default();
    let mut raw = Vec::with_capacity(records.bytes() + records.len() * 24 + 64);
    put_u32(&mut raw, records.len());
    put_packed(&mut raw, &records.keys);
    put_packed(&mut raw, &records.values);
    records.offsets.iter().for_each(|o| raw.extend_from_slice(&(o - base).to_le_bytes()));
    records.timestamps.iter().for_each(|t| raw.extend_from_slice(&t.to_le_bytes()));
    put_u32(&mut raw, records.headers.len());
    for header in &records.headers {
        put_u32(&mut raw, header.at as usize);
        put_u32(&mut raw, header.name.len());
        put_u32(&mut raw, header.value.len());
        raw.extend_from_slice(header.name.as_bytes());
        raw.extend_from_slice(&header.value);
    }
    if raw.len() > MAX_DECODED_BYTES {
        return Err(FrameError::TooLarge(raw.len()));
    }
    let compressed = COMPRESSOR
        .with_borrow_mut(|compressor| compressor.as_mut().map(|c| c.compress(&raw)))
        .unwrap_or_else(|| zstd::bulk::compress(&raw, COMPRESSION_LEVEL))
        .map_err(|e| FrameError::Compression(e.to_string()))?;
    let mut frame = Vec::with_capacity(compressed.len() + 12);
    frame.extend_from_slice(MAGIC);
    frame.extend_from_slice(&crc32fast::hash(&compressed).to_le_bytes());
    frame.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    frame.extend_from_slice(&compressed);
    Ok(frame)
}

/// Decodes a frame whose first record has offset `base`.
///
/// # Errors
/// [`FrameError`] for anything that [`encode`] did not write.
pub fn decode(frame: &[u8], base: i64) -> Result<Records, FrameError> {
    let mut outer = Reader { bytes: frame };
    if outer.take(MAGIC.len()) != Some(MAGIC) {
        return Err(FrameError::Magic);
    }
    let checksum = outer.u32().ok_or(FrameError::Magic)?;
    let decoded_bytes = outer.u32().ok_or(FrameError::Magic)? as usize;
    if crc32fast::hash(outer.bytes) != checksum {
        return Err(FrameError::Checksum);
    }
    if decoded_bytes > MAX_DECODED_BYTES {
        return Err(FrameError::Shape);
    }
    let raw = zstd::bulk::decompress(outer.bytes, decoded_bytes).map_err(|e| FrameError::Compression(e.to_string()))?;
    let mut reader = Reader { bytes: &raw };
    let records = read_records(&mut reader, base).ok_or(FrameError::Shape)?;
    let complete = reader.bytes.is_empty()
        && records.keys.len() == records.offsets.len()
        && records.values.len() == records.offsets.len();
    if complete { Ok(records) } else { Err(FrameError::Shape) }
}

fn read_records(reader: &mut Reader<'_>, base: i64) -> Option<Records> {
    let count = reader.u32()? as usize;
    let keys = reader.packed(count)?;
    let values = reader.packed(count)?;
    let offsets = reader.i64s(count)?.map(|o| base.checked_add(o)).collect::<Option<Vec<_>>>()?;
    // Readers look for an offset by halves, and go on behind the last.
    let ends = offsets.last() == Some(&i64::MAX);
    if ends || offsets.first().is_some_and(|first| *first != base) || !offsets.is_sorted_by(|a, b| a < b) {
        return None;
    }
    let timestamps = reader.i64s(count)?.collect();
    let headers = (0..reader.u32()?).map(|_| reader.header(count)).collect::<Option<Vec<_>>>()?;
    if !headers.is_sorted_by_key(|h| h.at) {
        return None;
    }
    Some(Records { keys, values, offsets, timestamps, headers })
}

fn put_u32(raw: &mut Vec<u8>, n: usize) {
    raw.extend_from_slice(&(n as u32).to_le_bytes());
}

fn put_packed(raw: &mut Vec<u8>, packed: &Packed) {
    put_u32(raw, packed.data().len());
    put_u32(raw, packed.nulls().len());
    packed.ends().iter().for_each(|e| raw.extend_from_slice(&e.to_le_bytes()));
    packed.nulls().iter().for_each(|n| raw.extend_from_slice(&n.to_le_bytes()));
    raw.extend_from_slice(packed.data());
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(n)?;
        self.bytes = tail;
        Some(head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u32s(&mut self, n: usize) -> Option<Vec<u32>> {
        let (words, _) = self.take(n.checked_mul(4)?)?.as_chunks::<4>();
        Some(words.iter().map(|w| u32::from_le_bytes(*w)).collect())
    }

    fn i64s(&mut self, n: usize) -> Option<impl Iterator<Item = i64> + use<'a>> {
        let (words, _) = self.take(n.checked_mul(8)?)?.as_chunks::<8>();
        Some(words.iter().map(|w| i64::from_le_bytes(*w)))
    }

    fn packed(&mut self, count: usize) -> Option<Packed> {
        let data = self.u32()? as usize;
        let nulls = self.u32()? as usize;
        let ends = self.u32s(count)?;
        let nulls = self.u32s(nulls)?;
        Packed::from_parts(self.take(data)?.to_vec(), ends, nulls).ok()
    }

    fn header(&mut self, count: usize) -> Option<Header> {
        let at = self.u32()?;
        let name = self.u32()? as usize;
        let value = self.u32()? as usize;
        let name = String::from_utf8(self.take(name)?.to_vec()).ok()?;
        let value = self.take(value)?.to_vec();
        ((at as usize) < count).then_some(Header { at, name, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn records()(items in proptest::collection::vec(
            (proptest::option::of(proptest::collection::vec(any::<u8>(), 0..6)),
             proptest::option::of(proptest::collection::vec(any::<u8>(), 0..30)), 1i64..4, any::<i64>()), 1..20),
             base in 0i64..1_000_000) -> Records {
            let mut records = Records::default();
            let mut offset = base;
            for (i, (key, value, step, timestamp)) in items.iter().enumerate() {
                records.keys.push(key.as_deref());
                records.values.push(value.as_deref());
                records.offsets.push(offset);
                records.timestamps.push(*timestamp);
                if i % 3 == 0 {
                    records.headers.push(Header { at: i as u32, name: "n".into(), value: vec![1, 2] });
                }
                offset += step;
            }
            records
        }
    }

    proptest! {
        #[test]
        fn decodes_what_it_encodes(records in records()) {
            let base = records.offsets[0];
            prop_assert_eq!(decode(&encode(&records).unwrap(), base).unwrap(), records);
        }

        #[test]
        fn a_damaged_frame_is_an_error(records in records(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut frame = encode(&records).unwrap();
            let at = at.index(frame.len());
            frame[at] ^= 1 << bit;
            let decoded = decode(&frame, records.offsets[0]);
            // The decoded length stands outside of the checksum; a changed one is either an error or harmless.
            prop_assert!(decoded.is_err() || ((8..12).contains(&at) && decoded == Ok(records)));
        }

        #[test]
        fn offsets_that_do_not_ascend_from_the_base_are_an_error(records in records(), at in any::<prop::sample::Index>()) {
            let base = records.offsets[0];
            let mut wrong = records.clone();
            let at = at.index(records.len());
            wrong.offsets[at] = if at == 0 { base + 1_000 } else { wrong.offsets[at - 1] };
            let frame = encode(&wrong).unwrap();
            prop_assert_eq!(decode(&frame, base), if records.len() == 1 { Ok(records) } else { Err(FrameError::Shape) });
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&bytes, 0).is_err());
        }
    }
}
