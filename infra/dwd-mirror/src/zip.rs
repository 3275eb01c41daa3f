//! A zip archive of one deflated member whose size is known before it is made, so that a listing names exact sizes
//! without making the archives it names. The deflate stream is filled up with empty stored blocks, which the format
//! allows anywhere, and what is left of less than one such block goes into the archive's comment. It is not a zip
//! library: one member, no reading, no zip64.

use crate::calendar::{DAY_SECONDS, SLOTS_PER_DAY, date_of, day_of};
use crate::rows::ROW_BYTES;
use anyhow::{Result, bail, ensure};
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Room in the archive for one slot's row. The rows of a station with every instrument take about 11.4 at the
/// level below; a tenth is kept in reserve. DWD's own archives take 8.7 to 11.1.
const BYTES_PER_SLOT: u64 = 40;
/// Room for what does not grow with the rows: the header line, code tables, block ends.
const BYTES_BESIDE: u64 = 512;
/// The fastest: the archives are made while a client waits.
const LEVEL: u32 = 1;
/// An empty stored block that ends on a byte border.
const EMPTY_BLOCK: [u8; 5] = [0, 0, 0, 0xff, 0xff];
/// An empty block with fixed codes, marked as the last.
const LAST_BLOCK: [u8; 2] = [3, 0];
const LOCAL_HEADER: usize = 30;
const CENTRAL_HEADER: usize = 46;
const END: usize = 22;
/// Version 2.0, no flags, deflate.
const KIND: [u8; 6] = [20, 0, 0, 0, 8, 0];

/// Bytes of the archive that holds `slots` slots under this member name.
pub(crate) fn size(member: &str, slots: i64) -> u64 {
    (LOCAL_HEADER + CENTRAL_HEADER + END + 2 * member.len()) as u64 + room(slots)
}

fn room(slots: i64) -> u64 {
    slots.unsigned_abs() * BYTES_PER_SLOT + BYTES_BESIDE
}

/// The most text that fits what `size` is told: every slot a row, and a header line.
const fn text_limit(slots: i64) -> u64 {
    slots.unsigned_abs() * ROW_BYTES as u64 + ROW_BYTES as u64
}

/// Packs one member, piece by piece.
pub(crate) struct Packer {
    bytes: Vec<u8>,
    member: String,
    dos_time: [u8; 4],
    room: u64,
    text_limit: u64,
    crc: Crc,
    deflate: Compress,
}

impl Packer {
    pub(crate) fn new(member: &str, modified: i64, slots: i64) -> Self {
        let size = usize::try_from(size(member, slots)).unwrap_or(usize::MAX / 2);
        let mut bytes = Vec::with_capacity(size);
        bytes.resize(LOCAL_HEADER + member.len(), 0);
        Self {
            bytes,
            member: member.to_owned(),
            dos_time: dos_time(modified),
            room: room(slots),
            text_limit: text_limit(slots),
            crc: Crc::new(),
            deflate: Compress::new(Compression::new(LEVEL), false),
        }
    }

    pub(crate) fn add(&mut self, text: &[u8]) -> Result<()> {
        self.crc.update(text);
        self.run(text, FlushCompress::None)
    }

    fn run(&mut self, mut text: &[u8], flush: FlushCompress) -> Result<()> {
        loop {
            let before = (self.deflate.total_in(), self.bytes.len());
            let status = self.deflate.compress_vec(text, &mut self.bytes, flush)?;
            let taken = self.deflate.total_in() - before.0;
            text = text.get(taken as usize..).unwrap_or_default();
            let full = self.bytes.len() == self.bytes.capacity();
            if text.is_empty() && !full {
                return Ok(());
            }
            if full || status == Status::BufError || (taken == 0 && self.bytes.len() == before.1) {
                bail!("`{}` does not pack into the {} bytes kept for it", self.member, self.room);
            }
        }
    }

    /// The archive, of exactly the size that [`size`] named.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        self.run(&[], FlushCompress::Sync)?;
        ensure!(self.deflate.total_in() <= self.text_limit, "`{}` got more rows than it has slots", self.member);
        let start = LOCAL_HEADER + self.member.len();
        let used = (self.bytes.len() - start + LAST_BLOCK.len()) as u64;
        let Some(spare) = self.room.checked_sub(used) else {
            bail!("`{}` does not pack into the {} bytes kept for it", self.member, self.room);
        };
        for _ in 0..spare / EMPTY_BLOCK.len() as u64 {
            self.bytes.extend_from_slice(&EMPTY_BLOCK);
        }
        self.bytes.extend_from_slice(&LAST_BLOCK);
        let comment = spare % EMPTY_BLOCK.len() as u64;
        self.headers(start, comment as u16)
    }

    fn headers(mut self, start: usize, comment: u16) -> Result<Vec<u8>> {
        let end_of_data = self.bytes.len();
        let packed = u32::try_from(end_of_data - start)?;
        let text = u32::try_from(self.deflate.total_in())?;
        let name_length = u16::try_from(self.member.len())?.to_le_bytes();

        let mut description = Vec::new();
        description.extend_from_slice(&KIND);
        description.extend_from_slice(&self.dos_time);
        for number in [self.crc.sum(), packed, text] {
            description.extend_from_slice(&number.to_le_bytes());
        }
        description.extend_from_slice(&name_length);
        description.extend_from_slice(&[0, 0]);

        let local = [b"PK\x03\x04".as_slice(), &description, self.member.as_bytes()].concat();
        for (byte, header) in self.bytes.iter_mut().zip(local) {
            *byte = header;
        }
        self.bytes.extend_from_slice(b"PK\x01\x02\x14\x00");
        self.bytes.extend_from_slice(&description);
        // No comment, disk 0, no attributes, the member at offset 0.
        self.bytes.extend_from_slice(&[0; 14]);
        self.bytes.extend_from_slice(self.member.as_bytes());
        let central = u32::try_from(self.bytes.len() - end_of_data)?;

        self.bytes.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00");
        self.bytes.extend_from_slice(&central.to_le_bytes());
        self.bytes.extend_from_slice(&u32::try_from(end_of_data)?.to_le_bytes());
        self.bytes.extend_from_slice(&comment.to_le_bytes());
        self.bytes.resize(self.bytes.len() + usize::from(comment), b' ');
        Ok(self.bytes)
    }
}

/// MS-DOS time and date, UTC; years before 1980 count as 1980.
fn dos_time(seconds: i64) -> [u8; 4] {
    let date = date_of(day_of(seconds));
    let second = seconds.rem_euclid(DAY_SECONDS);
    let time = (second / 3600) << 11 | (second / 60 % 60) << 5 | (second % 60 / 2);
    let year = i64::from(date.year() - 1980).max(0);
    let day = year << 9 | i64::from(date.month()) << 5 | i64::from(date.day());
    let [t0, t1] = (time as u16).to_le_bytes();
    let [d0, d1] = (day as u16).to_le_bytes();
    [t0, t1, d0, d1]
}

/// The most slots of one archive: its text must stay within the 32 bits of a zip without zip64.
pub(crate) const MAX_SLOTS: i64 = 11 * 366 * SLOTS_PER_DAY;
const _: () = assert!(text_limit(MAX_SLOTS) < u32::MAX as u64);
