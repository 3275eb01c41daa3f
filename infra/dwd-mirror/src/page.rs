//! nginx's autoindex page, as DWD's server writes it.

use crate::calendar::{DAY_SECONDS, date_of, day_of};
use crate::shelf::Entry;
use std::fmt::Write;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The page of a folder. Names are plain ASCII without markup: the shelf serves no others.
pub(crate) fn listing(path: &str, entries: &[Entry]) -> String {
    let mut page = format!(
        "<html>\n<head><title>Index of {path}</title></head>\n<body>\n<h1>Index of {path}</h1><hr><pre><a href=\"../\">../</a>\n"
    );
    for Entry { name, size, modified } in entries {
        let pad = 50_usize.saturating_sub(name.chars().count());
        let size = size.map_or_else(|| "-".to_owned(), |size| size.to_string());
        // Writing to a string does not fail.
        let _ = writeln!(page, "<a href=\"{name}\">{name}</a>{:pad$} {} {size:>19}", "", time(*modified));
    }
    page.push_str("</pre><hr></body>\n</html>\n");
    page
}

/// `22-Nov-2021 16:18:02`
fn time(seconds: i64) -> String {
    let date = date_of(day_of(seconds));
    let second = seconds.rem_euclid(DAY_SECONDS);
    let month = MONTHS.get(usize::from(date.month().unsigned_abs()) - 1).copied().unwrap_or_default();
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{:02}-{month}-{:04} {hour:02}:{minute:02}:{second:02}", date.day(), date.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_equals_that_of_the_real_page() {
        let entries = [
            Entry {
                name: "10minutenwerte_TU_00003_19930428_19991231_hist.zip".into(),
                size: Some(2_948_612),
                modified: 1_637_597_882,
            },
            Entry { name: "now/".into(), size: None, modified: 0 },
        ];
        let page = listing("/a/", &entries);
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(
            lines[4],
            "<a href=\"10minutenwerte_TU_00003_19930428_19991231_hist.zip\">\
             10minutenwerte_TU_00003_19930428_19991231_hist.zip</a> 22-Nov-2021 16:18:02             2948612"
        );
        assert!(lines[5].ends_with("01-Jan-1970 00:00:00                   -"), "{}", lines[5]);
    }
}
