//! Values as text and back: dates as `2019-04-24`, timestamps as RFC 3339 in UTC with `Z`, doubles in the shortest form
//! that reads back as the same number, booleans as `true` and `false`. Pure; what may stand where is `domain`'s.

use jiff::civil::{Date, DateTime};

use super::domain::{self, DAY_MS};
use crate::delivery::Value;
use crate::manifest::ColumnKind;

/// `value` as text; null as the empty text, which a reader must keep apart by other means.
#[must_use]
pub fn cell(kind: ColumnKind, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (_, Value::Text(text)) => text.clone(),
        (ColumnKind::Date, Value::Int(days)) => date(*days),
        (ColumnKind::Timestamp, Value::Int(ms)) => timestamp(*ms),
        (_, Value::Int(i)) => i.to_string(),
        (_, Value::Double(number)) => double(*number),
        (_, Value::Bool(b)) => b.to_string(),
    }
}

/// Days since 1970-01-01 as `2019-04-24`; what lies outside the years 1 to 9999 as the plain number.
fn date(days: i64) -> String {
    day(days).map_or_else(|| days.to_string(), |d| d.to_string())
}

/// Milliseconds since the Unix epoch as `2019-04-24T10:00:00Z`, with a fraction only where there is one.
fn timestamp(ms: i64) -> String {
    let (days, rest) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let Some(day) = day(days) else { return ms.to_string() };
    let (seconds, fraction) = (rest / 1000, rest % 1000);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:03}") };
    format!("{day}T{:02}:{:02}:{:02}{fraction}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn day(days: i64) -> Option<Date> {
    if !(domain::FIRST_DAY..=domain::LAST_DAY).contains(&days) {
        return None;
    }
    let span = jiff::Span::new().try_days(days).ok()?;
    Date::constant(1970, 1, 1).checked_add(span).ok()
}

fn double(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    format!("{number:?}")
}

/// Reads a cell of that kind. Text is taken as it stands, the empty text included.
///
/// # Errors
/// What is expected instead, with the text as far as it is short; the caller names the column, and leaves the error's
/// text out where the column is sensitive.
pub fn parse_cell(kind: ColumnKind, text: &str) -> Result<Value, String> {
    let parsed = match kind {
        ColumnKind::Text => (!text.contains('\0')).then(|| Value::Text(text.to_owned())),
        ColumnKind::Date => parse_date(text).map(Value::Int),
        ColumnKind::Timestamp => parse_timestamp(text).map(Value::Int),
        ColumnKind::Double => parse_double(text).map(Value::Double),
        ColumnKind::Int => text.parse::<i32>().ok().map(|i| Value::Int(i64::from(i))),
        ColumnKind::Bigint => text.parse::<i64>().ok().map(Value::Int),
        ColumnKind::Boolean => text.parse::<bool>().ok().map(Value::Bool),
    };
    parsed.ok_or_else(|| format!("`{}` is not {}", shortened(text), form(kind)))
}

/// What a cell of that kind looks like, for people.
#[must_use]
pub fn form(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "text without NUL",
        ColumnKind::Date => "a date such as 2019-04-24",
        ColumnKind::Timestamp => "a timestamp such as 2019-04-24T10:00:00Z",
        ColumnKind::Double => "a number such as 9.5",
        ColumnKind::Int => "an integer of 32 bits",
        ColumnKind::Bigint => "an integer of 64 bits",
        ColumnKind::Boolean => "true or false",
    }
}

/// Longest piece of foreign text that an error repeats.
const MOST_SHOWN: usize = 40;

/// `text` fit to stand in an error: short, and without control characters.
#[must_use]
pub fn shortened(text: &str) -> String {
    cut(text, MOST_SHOWN)
}

/// The same with at most so many characters of `text`.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    let mut shown: String = text
        .chars()
        .take(most)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

fn parse_date(text: &str) -> Option<i64> {
    // Exactly this form: the library would also take a time of day after it, and drop it.
    let plain = text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    let date: Date = if plain { text.parse().ok()? } else { return None };
    (date.year() >= 1).then(|| days_of(date))
}

fn days_of(date: Date) -> i64 {
    let epoch = Date::constant(1970, 1, 1);
    i64::from((date - epoch).get_days())
}

/// RFC 3339 with `Z` or an offset, or a bare date, which is its midnight; nothing finer than milliseconds.
fn parse_timestamp(text: &str) -> Option<i64> {
    if let Some(days) = parse_date(text) {
        return Some(days * DAY_MS);
    }
    let (civil, offset_seconds) = match text.strip_suffix(['Z', 'z']) {
        Some(civil) => (civil, 0),
        None => {
            let at = text.len().checked_sub(6)?;
            (text.get(..at)?, offset(text.get(at..)?)?)
        }
    };
    // Only then is what is left a date and a time, without zones or annotations of the library's own.
    let plain = civil.get(10..11).is_some_and(|t| matches!(t, "T" | "t" | " "))
        && civil.bytes().skip(11).all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'))
        && parse_date(civil.get(..10)?).is_some();
    let civil: DateTime = if plain { civil.parse().ok()? } else { return None };
    if civil.subsec_nanosecond() % 1_000_000 != 0 {
        return None;
    }
    let seconds = i64::from(civil.hour()) * 3600 + i64::from(civil.minute()) * 60 + i64::from(civil.second());
    let ms = days_of(civil.date()) * DAY_MS
        + (seconds - offset_seconds) * 1000
        + i64::from(civil.subsec_nanosecond() / 1_000_000);
    (domain::FIRST_MS..=domain::LAST_MS).contains(&ms).then_some(ms)
}

/// `+02:00` in seconds.
fn offset(text: &str) -> Option<i64> {
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let two = |t: &str, most: i64| {
        (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit()))
            .then(|| t.parse().ok())
            .flatten()
            .filter(|n: &i64| *n <= most)
    };
    Some(sign * (two(hours, 23)? * 3600 + two(minutes, 59)? * 60))
}

fn parse_double(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|d| !d.is_nan())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples;
    use super::*;

    #[test]
    fn the_forms_are_those_that_people_and_programs_read() {
        let shown = |kind, value| cell(kind, &value);
        assert_eq!(shown(ColumnKind::Date, Value::Int(18_010)), "2019-04-24");
        assert_eq!(shown(ColumnKind::Timestamp, Value::Int(18_010 * DAY_MS + 36_000_000)), "2019-04-24T10:00:00Z");
        assert_eq!(shown(ColumnKind::Timestamp, Value::Int(-1)), "1969-12-31T23:59:59.999Z");
        assert_eq!(shown(ColumnKind::Date, Value::Int(domain::FIRST_DAY)), "0001-01-01");
        assert_eq!(shown(ColumnKind::Timestamp, Value::Int(domain::LAST_MS)), "9999-12-31T23:59:59.999Z");
        assert_eq!(shown(ColumnKind::Double, Value::Double(0.1)), "0.1");
        assert_eq!(shown(ColumnKind::Double, Value::Double(1e300)), "1e300");
        assert_eq!(shown(ColumnKind::Boolean, Value::Bool(true)), "true");
        assert_eq!(shown(ColumnKind::Bigint, Value::Null), "");
    }

    #[test]
    fn other_ways_to_write_an_instant_are_the_same_instant() {
        let at = |text| parse_cell(ColumnKind::Timestamp, text).unwrap();
        let noon = at("2019-04-24T12:00:00Z");
        assert_eq!(at("2019-04-24T14:00:00+02:00"), noon);
        assert_eq!(at("2019-04-24 12:00:00.000z"), noon);
        assert_eq!(at("2019-04-24"), Value::Int(18_010 * DAY_MS));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (kind, text) in [
            (ColumnKind::Date, "2019-02-30"),
            (ColumnKind::Date, "2019-04-24T10:00"),
            (ColumnKind::Date, "20190424"),
            (ColumnKind::Date, "0000-01-01"),
            (ColumnKind::Timestamp, "2019-04-24T10:00:00"),
            (ColumnKind::Timestamp, "2019-04-24T10:00:00.0001Z"),
            (ColumnKind::Timestamp, "2019-04-24T10:00:00[Europe/Berlin]Z"),
            (ColumnKind::Timestamp, "0001-01-01T00:00:00+01:00"),
            (ColumnKind::Double, "NaN"),
            (ColumnKind::Double, "1,5"),
            (ColumnKind::Int, "2147483648"),
            (ColumnKind::Bigint, "1.0"),
            (ColumnKind::Boolean, "yes"),
            (ColumnKind::Text, "a\0"),
        ] {
            assert!(parse_cell(kind, text).is_err(), "{kind:?} {text}");
        }
        assert_eq!(
            parse_cell(ColumnKind::Date, "24.4.2019").unwrap_err(),
            "`24.4.2019` is not a date such as 2019-04-24"
        );
        assert_eq!(shortened("a\nb"), "a\\nb");
    }

    proptest! {
        #[test]
        fn every_value_reads_back_as_itself(row in samples::table().columns.iter().map(samples::cell).collect::<Vec<_>>()) {
            for (column, value) in samples::table().columns.iter().zip(row) {
                if value != Value::Null {
                    prop_assert_eq!(parse_cell(column.kind, &cell(column.kind, &value)), Ok(value));
                }
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            for kind in ColumnKind::ALL {
                let _ = parse_cell(kind, &text);
            }
        }
    }
}
