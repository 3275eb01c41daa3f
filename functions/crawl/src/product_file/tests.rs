//! Product files as a user's station may have them: both formats, both zones, and whatever bytes there are.

use super::*;
use crate::rows::tests::any_row;
use proptest::prelude::*;

const NEW: &str = "STATIONS_ID;MESS_DATUM;  QN;PP_10;TT_10;TM5_10;RF_10;TD_10;eor\r\n";
const OLD: &str = "STATIONS_ID;MESS_DATUM;QN;PP_10;TT_10;TM5_10;RF_10;TD_10\r\n";

#[derive(Default)]
struct Kept {
    rows: Vec<Row>,
    bad: Vec<String>,
}

impl Sink for Kept {
    fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    fn bad(&mut self, bad: BadLine) {
        self.bad.push(bad.to_string());
    }
}

fn station() -> StationId {
    StationId::new(3).unwrap()
}

fn last_day(year: i32) -> Option<Day> {
    Day::from_date(year, 12, 31)
}

fn read_in_blocks(text: &[u8], last: Option<Day>, block: usize) -> (Kept, Result<(), UnknownHeader>) {
    let mut kept = Kept::default();
    let mut reader = Reader::new(station(), last);
    let mut read = || {
        text.chunks(block.max(1)).try_for_each(|part| reader.read(part, &mut kept))?;
        reader.finish(&mut kept)
    };
    let result = read();
    (kept, result)
}

fn read(text: &str, last: Option<Day>) -> Kept {
    let (kept, result) = read_in_blocks(text.as_bytes(), last, 64);
    result.unwrap();
    kept
}

fn stamps(kept: &Kept) -> Vec<u64> {
    kept.rows.iter().map(|row| row.stamp.number()).collect()
}

fn field(tenths: i16) -> String {
    match Tenths::new(i32::from(tenths)) {
        Some(value) if tenths != Row::MISSING => value.to_string(),
        _ => "-999".to_owned(),
    }
}

fn written(row: &Row) -> String {
    let [p, t, g, h, d] = [row.pressure, row.temperature, row.temperature_5cm, row.humidity, row.dewpoint].map(field);
    format!("{:>11};{};{:>5};{p:>7};{t:>6};{g:>6};{h:>6};{d:>6};eor\r\n", 3, row.stamp.number(), row.quality)
}

#[test]
fn a_line_of_the_present_format_is_read_in_utc() {
    let kept = read(&format!("{NEW}          3;202401311450;    3;   -999;  -3.2;  -4.1;  88.6;  -4.8;eor\r\n"), None);
    let row = kept.rows.first().unwrap();
    assert_eq!((row.stamp.number(), row.quality), (202_401_311_450, 3));
    let values = (row.pressure, row.temperature, row.temperature_5cm, row.humidity, row.dewpoint);
    assert_eq!(values, (Row::MISSING, -32, -41, 886, -48), "-999 concerns its own field alone");
    assert_eq!(kept.bad, [""; 0]);
}

#[test]
fn a_file_that_ends_in_1999_is_in_mez_and_crosses_midnight() {
    let text =
        format!("{OLD}3;199304280000;1;1000.0;9.0;-999;90.0;7.4\r\n3;199304280100;1;1000.0;9.0;-999;90.0;7.4\r\n");
    assert_eq!(stamps(&read(&text, last_day(1999))), [199_304_272_300, 199_304_280_000]);
    assert_eq!(stamps(&read(&text, None)), [199_304_272_300, 199_304_280_000], "no `eor` column says the same");
    let with_end = format!("{NEW}3;199304280000;1;1000.0;9.0;-999;90.0;7.4;eor\r\n");
    assert_eq!(stamps(&read(&with_end, last_day(1999))), [199_304_272_300], "the name alone says it too");
}

#[test]
fn a_file_of_the_2000s_is_in_utc_even_where_its_rows_are_of_1999() {
    let text = format!("{NEW}          3;199912312300;    1; 1000.0;   2.0;   1.8;  99.0;   1.9;eor\r\n");
    assert_eq!(stamps(&read(&text, last_day(2009))), [199_912_312_300]);
}

#[test]
fn bad_lines_are_named_with_their_number_and_the_others_stand() {
    let good = "3;202401010000;3;1000.0;1.0;1.0;90.0;0.0;eor\n";
    let text = format!(
        "{NEW}{good}3;202401010010;3;1000.0\n4;202401010020;3;1000.0;1.0;1.0;90.0;0.0;eor\n\
         3;202401010035;3;1000.0;1.0;1.0;90.0;0.0;eor\n3;202402300000;3;1000.0;1.0;1.0;90.0;0.0;eor\n\
         3;202401010040;x;1000.0;1.0;1.0;90.0;0.0;eor\n3;202401010050;3;1000.0;1,0;1.0;90.0;0.0;eor\n\
         3;202401010100;3;1000.0;1.0;1.0;90.0;0.0;eo\n3;202401010110;3;1000.0;1.0;1.0;90.0;0.0;eor;1\n\
         {}\n\n3;202401010120;3;1000.0;99.0;1.0;90.0;0.0;eor",
        "x".repeat(5000)
    );
    let kept = read(&text, None);
    assert_eq!(stamps(&kept), [202_401_010_000, 202_401_010_120]);
    assert_eq!(kept.rows.last().unwrap().temperature, Row::MISSING);
    assert_eq!(
        kept.bad,
        [
            "line 3: 4 fields instead of 9, left out",
            "line 4: `STATIONS_ID` is `4`, left out",
            "line 5: `MESS_DATUM` is `202401010035`, left out",
            "line 6: `MESS_DATUM` is `202402300000`, left out",
            "line 7: `QN` is `x`, left out",
            "line 8: `TT_10` is `1,0`, left out",
            "line 9: `eor` is `3;202401010100;3;1000.0;1.0;1.0;90.0;0.0`, left out",
            "line 10: 10 fields instead of 9, left out",
            "line 11: longer than 1024 bytes, left out",
            "line 13: `TT_10` is `99.0`, outside of -90.0 to 60.0: this field is taken as missing",
        ]
    );
}

#[test]
fn a_line_of_the_greatest_length_is_read_wherever_blocks_end() {
    let line = |spaces: usize| format!("{}3;202401010000;3;1000.0;1.0;1.0;90.0;0.0;eor", " ".repeat(spaces));
    let longest = LONGEST_LINE - line(0).len();
    for (spaces, rows) in [(longest, 1), (longest + 1, 0)] {
        for end in ["\n", "\r\n"] {
            for block in [1, 64, 10_000] {
                let (kept, _) = read_in_blocks(format!("{NEW}{}{end}", line(spaces)).as_bytes(), None, block);
                assert_eq!((kept.rows.len(), kept.bad.len()), (rows, 1 - rows), "{spaces} spaces, blocks of {block}");
            }
        }
    }
}

#[test]
fn a_file_without_the_known_header_is_refused() {
    for text in ["", "\n", "<html>\n", "STATIONS_ID;MESS_DATUM;QN;FF_10;DD_10;eor\n", &"x".repeat(3000)] {
        let (kept, result) = read_in_blocks(text.as_bytes(), None, 64);
        assert!(result.is_err() && kept.rows.is_empty(), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_whatever_the_blocks(rows in proptest::collection::vec(any_row(), 0..30), block in 1usize..200) {
        let text: String = std::iter::once(NEW.to_owned()).chain(rows.iter().map(written)).collect();
        let (kept, result) = read_in_blocks(text.as_bytes(), None, block);
        prop_assert!(result.is_ok());
        prop_assert_eq!(&kept.bad, &Vec::<String>::new());
        prop_assert_eq!(kept.rows, rows);
    }

    #[test]
    fn a_line_of_the_usual_form_means_what_any_line_means(
        row in any_row(), at in any::<prop::sample::Index>(),
        byte in prop_oneof![Just(b'-'), Just(b'.'), Just(b' '), Just(b';'), b'0'..=b'9', any::<u8>()],
    ) {
        let text = written(&row);
        let mut line = text.trim_end().as_bytes().to_vec();
        let mut reader = Reader::new(station(), None);
        prop_assert!(row.quality > 9 || reader.usual(&line, Zone::Utc) == Some(row));
        let at = at.index(line.len());
        line[at] = byte;
        if let Some(read) = reader.usual(&line, Zone::Utc) {
            let mut kept = Kept::default();
            let general = reader.row(&line, Layout { zone: Zone::Utc, has_end: true }, &mut kept);
            prop_assert_eq!(general, Ok(read));
            prop_assert!(kept.bad.is_empty());
        }
    }

    #[test]
    fn any_bytes_are_survived_and_every_line_is_accounted_for(
        lines in proptest::collection::vec("[ -~]{0,90}|[;0-9 .-]{0,90}(eor)?", 0..20), block in 1usize..100,
    ) {
        let text = format!("{NEW}{}", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        let (kept, result) = read_in_blocks(text.as_bytes(), None, block);
        prop_assert!(result.is_ok());
        let full = lines.iter().filter(|line| !line.trim_matches(' ').is_empty()).count();
        prop_assert!(kept.rows.len() + kept.bad.len() >= full);
    }

    #[test]
    fn any_file_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), block in 1usize..100) {
        let (kept, result) = read_in_blocks(&bytes, None, block);
        prop_assert!(result.is_err() || kept.rows.len() <= bytes.len());
    }
}
