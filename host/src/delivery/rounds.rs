//! How often records went round, where what a function publishes comes back to it: kept in a header, so that an endless
//! loop ends. Pure.

use super::{Header, Records};

/// The header; where it is missing, a record has not gone round.
pub(super) const ROUND: &str = "isobar-round";

/// Notes on every record that it went round so often.
pub fn note(records: &mut Records, round: u32) {
    if round > 0 {
        let header =
            |at: usize| Header { at: at as u32, name: ROUND.to_owned(), value: round.to_string().into_bytes() };
        records.headers.extend((0..records.len()).map(header));
    }
}

/// How often the record that did so most went round. What cannot be read was not written by a host, and counts as nothing.
#[must_use]
pub fn of(records: &Records) -> u32 {
    let round = |h: &Header| std::str::from_utf8(&h.value).ok()?.parse().ok();
    records.headers.iter().filter(|h| h.name == ROUND).filter_map(round).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_read_as_they_were_noted() {
        let mut records = Records { offsets: vec![0, 1], ..Records::default() };
        note(&mut records, 0);
        assert_eq!((records.headers.len(), of(&records)), (0, 0));
        note(&mut records, 3);
        assert_eq!((records.headers.len(), of(&records)), (2, 3));
    }
}
