//! Cutting an archive's rows into pieces that are kept until they are published. A piece holds whole days, so that a day
//! and its fingerprint are committed together.

use crate::rows::{Row, WIDTH};
use observation::{Day, SLOTS};

/// Rows of a piece, which is also what one run publishes at full speed: enough that the commit is a small part of the
/// cost, and far below the host's limit of what a run may hold back (about 5 MB of messages).
pub(crate) const ROWS: usize = 16_384;
/// Rows of one day, counting several of one stamp: more is no file of 10-minute readings.
const MOST_OF_A_DAY: usize = 4 * SLOTS;

// 240 KB: well within the 512 KB that a piece may have.
const _: () = assert!((ROWS + MOST_OF_A_DAY) * WIDTH <= 512 << 10);

/// A day with more rows than ten-minute readings can have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{day} has {rows} readings instead of 144")]
pub(crate) struct Crowded {
    day: Day,
    rows: usize,
}

/// Puts rows into the order of time; rows that repeat one another become one.
pub(crate) fn sort(rows: &mut Vec<Row>) {
    if !rows.is_sorted_by_key(|row| row.stamp) {
        rows.sort_by_key(|row| row.stamp);
    }
    rows.dedup();
}

/// The encoded pieces of sorted rows, holding the days that are `wanted`.
pub(crate) fn cut(rows: &[Row], mut wanted: impl FnMut(Day, &[u8]) -> bool) -> Result<Vec<Vec<u8>>, Crowded> {
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    let mut encoded = Vec::with_capacity(SLOTS * WIDTH);
    for (day, rows) in days(rows) {
        if rows.len() > MOST_OF_A_DAY {
            return Err(Crowded { day, rows: rows.len() });
        }
        encoded.clear();
        rows.iter().for_each(|row| encoded.extend_from_slice(&row.encode()));
        if !wanted(day, &encoded) {
            continue;
        }
        if piece.len() + encoded.len() > ROWS * WIDTH {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.extend_from_slice(&encoded);
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    Ok(pieces)
}

/// Sorted rows, day by day.
pub(crate) fn days(rows: &[Row]) -> impl Iterator<Item = (Day, &[Row])> {
    rows.chunk_by(|one, other| one.stamp.day() == other.stamp.day())
        .filter_map(|rows| rows.first().map(|row| (row.stamp.day(), rows)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode_all, tests::any_row};
    use observation::Stamp;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_hold_every_wanted_day_whole_and_in_order(
            mut rows in proptest::collection::vec(any_row(), 0..400), days_between in 1i32..40,
        ) {
            for (number, row) in rows.iter_mut().enumerate() {
                let minutes = (number as i32 * 7919 % (days_between * 144)) * 10;
                row.stamp = Stamp::from_minutes(minutes).unwrap();
            }
            sort(&mut rows);
            let pieces = cut(&rows, |day, _| day.number() % 3 != 0).unwrap();
            let kept: Vec<Row> = pieces.iter().flat_map(|piece| decode_all(piece)).collect();
            let wanted: Vec<Row> = rows.into_iter().filter(|row| row.stamp.day().number() % 3 != 0).collect();
            prop_assert_eq!(kept, wanted);
        }
    }

    #[test]
    fn a_decade_is_cut_at_days_into_pieces_within_the_limit() {
        let row = Row { stamp: Stamp::from_minutes(0).unwrap(), quality: 3, ..blank() };
        let stamps = (0..525_960).map(|slot| Stamp::from_minutes(slot * 10).unwrap());
        let rows: Vec<Row> = stamps.map(|stamp| Row { stamp, ..row }).collect();
        let pieces = cut(&rows, |_, _| true).unwrap();
        assert_eq!(pieces.len(), 33);
        assert!(pieces.iter().all(|piece| piece.len() <= 512 << 10 && piece.len() % (SLOTS * WIDTH) <= 720 * WIDTH));
        let first_of_second = decode_all(pieces.get(1).unwrap()).next().unwrap();
        assert_eq!(first_of_second.stamp.slot(), 0);
    }

    #[test]
    fn a_day_of_too_many_readings_is_refused() {
        let row = blank();
        let rows: Vec<Row> = (0..=MOST_OF_A_DAY).map(|number| Row { temperature: number as i16, ..row }).collect();
        assert_eq!(cut(&rows, |_, _| true).unwrap_err().to_string(), "1970-01-01 has 577 readings instead of 144");
        let mut repeated = vec![row; 10_000];
        sort(&mut repeated);
        assert_eq!(repeated, [row]);
    }

    fn blank() -> Row {
        let missing = Row::MISSING;
        let (pressure, temperature, temperature_5cm) = (missing, missing, missing);
        let stamp = Stamp::from_minutes(0).unwrap();
        Row { stamp, pressure, temperature, temperature_5cm, humidity: missing, dewpoint: missing, quality: 1 }
    }
}
