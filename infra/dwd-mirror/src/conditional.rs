//! What a client already has, and which part it wants: If-None-Match, If-Modified-Since, Range, If-Range. Pure.

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use std::ops::Range;

/// One version of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Version {
    /// With its quotes, as nginx makes it: time and size in hexadecimal.
    pub(crate) etag: String,
    /// Seconds since 1970.
    pub(crate) modified: i64,
    pub(crate) size: u64,
}

/// What to send.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    NotModified,
    Whole,
    Bytes(Range<u64>),
    /// A range that begins beyond the end.
    OutOfRange,
}

impl Version {
    pub(crate) fn new(modified: i64, size: u64) -> Self {
        Self { etag: format!("\"{modified:x}-{size:x}\""), modified, size }
    }

    /// `Mon, 22 Nov 2021 16:18:02 GMT`
    pub(crate) fn last_modified(&self) -> String {
        let at = crate::calendar::instant(self.modified);
        rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap_or_default()
    }

    pub(crate) fn part(&self, headers: &HeaderMap) -> Part {
        if self.is_known(headers) {
            return Part::NotModified;
        }
        let fits = text(headers, IF_RANGE)
            .is_none_or(|wanted| wanted == self.etag || seconds(wanted).is_some_and(|wanted| wanted == self.modified));
        text(headers, RANGE).filter(|_| fits).map_or(Part::Whole, |range| self.range(range))
    }

    /// With an ETag the date does not count, by RFC 9110.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        if let Some(tags) = text(headers, IF_NONE_MATCH) {
            return tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.etag);
        }
        text(headers, IF_MODIFIED_SINCE).and_then(seconds).is_some_and(|since| self.modified <= since)
    }

    /// One range of bytes. Several at once, or what is not understood, give the whole file, as RFC 9110 allows.
    fn range(&self, range: &str) -> Part {
        let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
            return Part::Whole;
        };
        let (from, past) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
            (Ok(from), Ok(last)) if from <= last => (from, last.saturating_add(1).min(self.size)),
            (Ok(from), Err(_)) if last.trim().is_empty() => (from, self.size),
            (Err(_), Ok(count)) if first.trim().is_empty() && count > 0 => (self.size.saturating_sub(count), self.size),
            _ => return Part::Whole,
        };
        if from >= self.size { Part::OutOfRange } else { Part::Bytes(from..past) }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn seconds(date: &str) -> Option<i64> {
    rfc2822::DateTimeParser::new().parse_timestamp(date).ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(headers: &[(HeaderName, &str)]) -> Part {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        Version::new(1_637_597_882, 1000).part(&headers)
    }

    #[test]
    fn a_version_is_known_by_its_tag_or_else_by_its_date() {
        let version = Version::new(1_637_597_882, 1000);
        assert_eq!(version.last_modified(), "Mon, 22 Nov 2021 16:18:02 GMT");
        assert_eq!(part(&[(IF_NONE_MATCH, &version.etag)]), Part::NotModified);
        assert_eq!(part(&[(IF_NONE_MATCH, &format!("\"x\", W/{}", version.etag))]), Part::NotModified);
        assert_eq!(part(&[(IF_MODIFIED_SINCE, "Mon, 22 Nov 2021 16:18:02 GMT")]), Part::NotModified);
        assert_eq!(part(&[(IF_MODIFIED_SINCE, "Mon, 22 Nov 2021 16:18:01 GMT")]), Part::Whole);
        let both = [(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, "Mon, 22 Nov 2021 16:18:02 GMT")];
        assert_eq!(part(&both), Part::Whole, "the tag decides");
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        for (range, wanted) in [
            ("bytes=0-0", Part::Bytes(0..1)),
            ("bytes=10-", Part::Bytes(10..1000)),
            ("bytes=990-5000", Part::Bytes(990..1000)),
            ("bytes=-22", Part::Bytes(978..1000)),
            ("bytes=-5000", Part::Bytes(0..1000)),
            ("bytes=1000-", Part::OutOfRange),
            ("bytes=0-1,5-6", Part::Whole),
            ("bytes=5-4", Part::Whole),
            ("bytes=-0", Part::Whole),
            ("lines=1-2", Part::Whole),
        ] {
            assert_eq!(part(&[(RANGE, range)]), wanted, "{range}");
        }
    }

    #[test]
    fn a_range_of_another_version_gives_the_whole_file() {
        let range = (RANGE, "bytes=0-9");
        assert_eq!(part(&[range.clone(), (IF_RANGE, "\"x\"")]), Part::Whole);
        assert_eq!(part(&[range.clone(), (IF_RANGE, "Mon, 22 Nov 2021 16:18:02 GMT")]), Part::Bytes(0..10));
        assert_eq!(part(&[range, (IF_RANGE, &Version::new(1_637_597_882, 1000).etag)]), Part::Bytes(0..10));
    }
}
