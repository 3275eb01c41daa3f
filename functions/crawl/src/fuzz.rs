//! What servers, archives and operators may send instead of what they should.

use std::time::Duration;

use mutate::Target;
use observation::{Day, Product, StationId};

use crate::archive::{self, tests::zipped};
use crate::listing::{ArchiveName, archives};
use crate::product_file::{BadLine, Reader, Sink};
use crate::rows::{Row, decode_all};
use crate::settings::{Settings, Variables};

/// For `mutate` to bound memory by.
#[global_allocator]
static ALLOCATOR: mutate::Counting = mutate::Counting;

const PRODUCT: &str = "STATIONS_ID;MESS_DATUM;  QN;PP_10;TT_10;TM5_10;RF_10;TD_10;eor\r\n          3;202401311450;    3; 1005.2;  -3.2;  -4.1;  88.6;  -4.8;eor\r\n          3;202401311500;    3;   -999;  -999;  -999;  -999;  -999;eor\r\n          3;202402291510;   10; 1005.2;   9.0;   9.1; 100.0;   9.0;eor\r\n";
const OLD: &str = "STATIONS_ID;MESS_DATUM;QN;PP_10;TT_10;TM5_10;RF_10;TD_10\r\n3;199304280000;1;1000.0;9.0;-999;90.0;7.4\r\n3;199912312350;1;400.0;-90.0;80.0;0.0;-150.0\r\n";
const FIELDS: [&str; 14] = [
    "          3;202401311450;    3;",
    ";eor\r\n",
    ";-999;",
    ";  -999;",
    ";   9.0;",
    "202402301450",
    "199912312350",
    "200001010000",
    "219912312350",
    "\n",
    "\r",
    " ",
    ";",
    "          3;",
];

/// As many rows or bad lines as a test looks at: an archive may have any number.
const MOST_KEPT: usize = 2_000;

#[derive(Debug, Default, PartialEq)]
struct Kept {
    rows: Vec<Row>,
    bad: Vec<BadLine>,
    /// Whether the file was refused.
    refused: bool,
}

impl Sink for Kept {
    fn row(&mut self, row: Row) {
        if self.rows.len() < MOST_KEPT {
            self.rows.push(row);
        }
    }

    fn bad(&mut self, bad: BadLine) {
        if self.bad.len() < MOST_KEPT {
            self.bad.push(bad);
        }
    }
}

fn station() -> StationId {
    StationId::new(3).unwrap()
}

fn read(text: &[u8], last_day: Option<Day>, block: usize) -> Kept {
    let mut kept = Kept::default();
    let mut reader = Reader::new(station(), last_day);
    let mut read = || {
        text.chunks(block).try_for_each(|part| reader.read(part, &mut kept))?;
        reader.finish(&mut kept)
    };
    kept.refused = read().is_err();
    kept
}

/// Rows are what a message can say: everything else must have been called bad.
fn check(rows: &[Row]) {
    for row in rows {
        let encoded = row.encode();
        assert_eq!(decode_all(&encoded).collect::<Vec<_>>(), [*row]);
        assert!(row.quality <= 10 && (1899..=2199).contains(&row.stamp.day().year()), "{row:?}");
        let mut message = Vec::new();
        observation::write_temperature(&mut message, &crate::messages::temperature(station(), Default::default(), row));
        assert!(observation::parse_temperature(&message).is_ok(), "{}", message.escape_ascii());
        message.clear();
        observation::write_others(&mut message, &crate::messages::others(station(), Default::default(), row));
        assert!(observation::parse_others(&message).is_ok(), "{}", message.escape_ascii());
    }
}

#[test]
fn product_files() {
    Target::new("product-file").seeds([PRODUCT, OLD]).words(FIELDS).run(|text| {
        let whole = read(text, None, text.len().max(1));
        assert_eq!(read(text, None, 7), whole, "blocks leave no trace");
        check(&whole.rows);
        assert!(whole.bad.iter().all(|bad| bad.to_string().len() < 400));
        // A space in front makes a line unusual, and changes nothing else.
        if text.split(|byte| *byte == b'\n').all(|line| line.len() < 1000) {
            let unusual: Vec<u8> =
                text.iter().flat_map(|b| if *b == b'\n' { vec![b'\n', b' '] } else { vec![*b] }).collect();
            assert_eq!(read(&unusual, None, 64).rows, whole.rows, "a line has one meaning");
        }
        let old = read(text, Day::from_date(1999, 12, 31), 64);
        assert_eq!(old.refused, whole.refused);
        (whole.refused, whole.rows.len().min(9), whole.bad.len().min(9))
    });
}

#[test]
fn folder_pages() {
    let seed = "<html><h1>Index of /x/</h1><hr><pre><a href=\"../\">../</a>\n\
        <a href=\"10minutenwerte_TU_00003_19930428_19991231_hist.zip\">1..&gt;</a> 22-Nov-2021 16:18:02 2948612\n\
        <a href=\"10minutenwerte_TU_00433_now.zip\">n</a> 22-Nov-2021 16:18 -\n\
        <a href=\"10minutenwerte_TU_00433_akt.zip\">n</a> 29-Feb-2024 23:59:59 5\n</pre><hr></html>";
    let words =
        ["10minutenwerte_TU_", "_hist.zip", "<a href=\"", "\">", "</a>", "Index of ", "</pre>", "31-Dec-2199", "../"];
    Target::new("folder-page").seeds([seed]).words(words).run(|page| {
        let page = String::from_utf8_lossy(page);
        Product::NAMED.map(|product| {
            let entries = archives(product, &page).ok()?;
            for entry in &entries {
                let name = &entry.name;
                assert_eq!(ArchiveName::parse(product, &name.file).as_ref(), Some(name));
                // The name becomes part of an address and of a key of the state.
                let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
                assert!(name.file.bytes().all(plain), "`{}` could lead elsewhere", name.file);
                assert!(!name.series().is_empty());
            }
            Some((
                entries.len().min(9),
                entries.iter().filter(|e| e.size.is_some() && e.modified.is_some()).count().min(9),
            ))
        })
    });
}

#[test]
fn archive_files() {
    let seeds = [
        zipped(&[("produkt_a.txt", PRODUCT)]),
        zipped(&[("Metadaten.html", "<html>"), ("produkt_zehn_min_tu.txt", OLD)]),
        zipped(&[("produkt_a.txt", &PRODUCT.repeat(200))]),
    ];
    let words = ["PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "PK\x06\x06", "produkt_", ".txt"];
    // A zip may say that little is much: what that costs is bounded by its text, not by its own length.
    let target =
        Target::new("archive").seeds(seeds).words(words).time(Duration::from_secs(2), Duration::from_millis(20));
    target.memory(8 << 20, 200).run(|zip| {
        let mut kept = Kept::default();
        let read = archive::read(zip, station(), None, &mut kept);
        check(&kept.rows);
        let error = read.as_ref().err().map(ToString::to_string);
        assert!(error.as_ref().is_none_or(|error| error.len() < 400), "{error:?}");
        (
            error.map(|error| error.split('`').step_by(2).collect::<String>()),
            kept.rows.len().min(9),
            kept.bad.len().min(9),
        )
    });
}

#[test]
fn variables() {
    let seeds = ["https://example.org/a\n03379, 00433\n0\nhistorical,now", "http://127.0.0.1:8123/\nall\n0.5\nrecent"];
    let words = ["https://", "all", "00433", ",", "now", "1e-300", "100000", "-0", "?", "#", "\u{a0}"];
    Target::new("variables").seeds(seeds).words(words).longest(4096).run(|text| {
        let text = String::from_utf8_lossy(text);
        let mut lines = text.split('\n');
        let mut next = || lines.next().unwrap_or_default();
        let given = Variables { dwd_url: next(), station_ids: next(), streaming_speed: next(), products: next() };
        let settings =
            Settings::parse(given).map_err(|unusable| unusable.to_string().split('`').nth(1).map(str::to_owned))?;
        assert!(settings.base.ends_with('/') && settings.base.starts_with("http"));
        assert!(!settings.products.is_empty());
        assert!(settings.speed.is_none_or(|speed| speed > 0.0 && speed.is_finite()));
        Ok::<_, Option<String>>(settings.products.len())
    });
}
