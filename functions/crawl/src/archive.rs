//! Reading a zipped archive: its one product file, inflated block by block, its checksum verified. Where the bytes came
//! from and what becomes of the rows is not known here.

use crate::product_file::{Reader, Sink, UnknownHeader, Zone};
use observation::{Day, StationId};
use std::io::{Cursor, Read};
use zip::ZipArchive;
use zip::result::ZipError;

/// Text of one archive: ten years of lines have 38 MB, and a zip may claim anything.
const MOST_TEXT: u64 = 128 << 20;
/// Inflated at a time: small beside a function's memory, large beside a line.
const BLOCK: usize = 64 << 10;
/// Members that are looked at: DWD's archives have one.
const MOST_MEMBERS: usize = 64;

/// Why an archive cannot be used. Nothing of such an archive is published.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// Not a whole zip, or its checksum is wrong.
    #[error("the zip is damaged: {0}")]
    Zip(#[from] ZipError),
    /// Inflating it failed, or its checksum is wrong.
    #[error("the zip is damaged: {0}")]
    Inflate(#[from] std::io::Error),
    /// Not one product file.
    #[error("it holds {0} product files instead of one")]
    Members(usize),
    /// Some other file.
    #[error(transparent)]
    Header(#[from] UnknownHeader),
    /// A bomb, or no file of this data set.
    #[error("its text is longer than {MOST_TEXT} bytes")]
    TooLong,
}

/// Gives every row and every bad line of an archive to `sink`, and says which zone its stamps were in.
///
/// `last_day` is the one in the archive's name, if there is one. Rows may have been given before an error is found, since
/// the checksum stands at the end.
///
/// # Errors
/// When the archive is damaged or is none of this data set.
pub fn read(zip: &[u8], station: StationId, last_day: Option<Day>, sink: &mut impl Sink) -> Result<Zone, Damaged> {
    let mut archive = ZipArchive::new(Cursor::new(zip))?;
    let member = product_member(&archive)?;
    let mut text = archive.by_index(member)?.take(MOST_TEXT + 1);
    let mut reader = Reader::new(station, last_day);
    let mut block = vec![0; BLOCK];
    let mut length = 0;
    loop {
        let read = text.read(&mut block)?;
        length += read as u64;
        if length > MOST_TEXT {
            return Err(Damaged::TooLong);
        }
        match block.get(..read) {
            Some(part) if !part.is_empty() => reader.read(part, sink)?,
            _ => break,
        }
    }
    reader.finish(sink)?;
    reader.zone().ok_or(Damaged::Members(0))
}

fn product_member(archive: &ZipArchive<Cursor<&[u8]>>) -> Result<usize, Damaged> {
    if archive.len() > MOST_MEMBERS {
        return Err(Damaged::Members(archive.len()));
    }
    let names = archive.file_names_raw().enumerate();
    let products: Vec<usize> =
        names.filter(|(_, name)| name.starts_with(b"produkt_") && name.ends_with(b".txt")).map(|(at, _)| at).collect();
    match products.as_slice() {
        [one] => Ok(*one),
        several => Err(Damaged::Members(several.len())),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::product_file::BadLine;
    use crate::rows::Row;
    use proptest::prelude::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    const REAL: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/dwd/tree/10_minutes/air_temperature/recent/10minutenwerte_TU_03379_akt.zip"
    );
    const TEXT: &str = "STATIONS_ID;MESS_DATUM;  QN;PP_10;TT_10;TM5_10;RF_10;TD_10;eor\r\n          3;202401011450;    3;  966.3;   9.2;   8.6;  92.9;   8.1;eor\r\n";

    /// A zip of these members.
    pub(crate) fn zipped(members: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in members {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[derive(Default)]
    struct Kept {
        rows: Vec<Row>,
        bad: usize,
    }

    impl Sink for Kept {
        fn row(&mut self, row: Row) {
            self.rows.push(row);
        }

        fn bad(&mut self, _: BadLine) {
            self.bad += 1;
        }
    }

    fn read_station(zip: &[u8], station: u32) -> (Kept, Result<Zone, Damaged>) {
        let mut kept = Kept::default();
        let result = read(zip, StationId::new(station).unwrap(), None, &mut kept);
        (kept, result)
    }

    #[test]
    fn dwds_real_archive_is_read_whole() {
        let Ok(real) = std::fs::read(REAL) else {
            eprintln!("SKIPPED: {REAL} is missing, so DWD's real archive was not tried");
            return;
        };
        let (kept, zone) = read_station(&real, 3379);
        assert_eq!(zone.unwrap(), Zone::Utc);
        assert_eq!((kept.rows.len(), kept.bad), (79_200, 0));
        let stamps = [kept.rows.first().unwrap().stamp.number(), kept.rows.last().unwrap().stamp.number()];
        assert_eq!(stamps, [201_810_040_000, 202_004_052_350]);
    }

    #[test]
    fn members_other_than_the_product_file_are_passed_over() {
        let zip = zipped(&[("Metadaten.html", "<html>"), ("produkt_zehn_now_tu_20240101_20240101_00003.txt", TEXT)]);
        let (kept, zone) = read_station(&zip, 3);
        assert_eq!((kept.rows.len(), zone.unwrap()), (1, Zone::Utc));
        let two = zipped(&[("produkt_a.txt", TEXT), ("produkt_b.txt", TEXT)]);
        let reason = read_station(&two, 3).1.unwrap_err().to_string();
        assert_eq!(reason, "it holds 2 product files instead of one");
    }

    #[test]
    fn a_cut_zip_and_a_wrong_checksum_are_damage() {
        let whole = zipped(&[("produkt_a.txt", &TEXT.repeat(20))]);
        for cut in [0, 10, whole.len() / 2, whole.len() - 1] {
            assert!(read_station(&whole[..cut], 3).1.is_err(), "cut at {cut} of {}", whole.len());
        }
        let mut wrong = whole.clone();
        let checksum = wrong.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap() + 16;
        wrong[checksum] ^= 1;
        let reason = read_station(&wrong, 3).1.unwrap_err().to_string();
        assert!(reason.starts_with("the zip is damaged"), "{reason}");
    }

    #[test]
    fn another_file_is_refused_by_its_header() {
        let zip = zipped(&[("produkt_a.txt", "STATIONS_ID;MESS_DATUM;QN;RWS_10;eor\r\n")]);
        let reason = read_station(&zip, 3).1.unwrap_err().to_string();
        assert!(reason.contains("RWS_10"), "{reason}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>()) {
            prop_assert!(read_station(&bytes, 3).1.is_err());
            let mut damaged = zipped(&[("produkt_a.txt", TEXT)]);
            let at = at.index(damaged.len());
            damaged.splice(at..at, bytes.drain(..));
            let (kept, _) = read_station(&damaged, 3);
            prop_assert!(kept.rows.len() <= 1);
        }
    }
}
