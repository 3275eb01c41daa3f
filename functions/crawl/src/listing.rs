//! Reading a folder page of the server (nginx autoindex). Names are taken from `href` alone: the shown name may be cut.

use observation::{Day, Product, StationId};

/// A line of a folder page that names an archive of 10-minute air temperature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the file name says.
    pub name: ArchiveName,
    /// In bytes; `None` when the page does not say it exactly.
    pub size: Option<u64>,
    /// In seconds since the Unix epoch, exact to the second or the minute; `None` when the page does not say it.
    pub modified: Option<u64>,
}

/// The file name of an archive, `10minutenwerte_TU_<station>_...zip`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveName {
    /// The whole name.
    pub file: String,
    /// Whose readings it holds.
    pub station: StationId,
    /// First and last day, which only archives of `historical/` name.
    pub days: Option<(Day, Day)>,
}

impl ArchiveName {
    /// Reads the name of an archive of `product`; `None` for any other file.
    #[must_use]
    pub fn parse(product: Product, file: &str) -> Option<Self> {
        let rest = file.strip_prefix("10minutenwerte_TU_")?.strip_suffix(".zip")?;
        let (station, rest) = rest.split_once('_')?;
        let station = StationId::parse(station.as_bytes())?;
        let days = match (product, rest) {
            (Product::Now, "now") | (Product::Recent, "akt") => None,
            (Product::Historical, rest) => {
                let (first, last) = rest.strip_suffix("_hist")?.split_once('_')?;
                Some((day(first)?, day(last)?))
            }
            _ => return None,
        };
        Some(ArchiveName { file: file.to_owned(), station, days })
    }

    /// What stays the same when the archive is continued under a new name: the last day in the name moves every year.
    #[must_use]
    pub fn series(&self) -> String {
        match self.days {
            Some((first, _)) => format!("{}_{first}", self.station),
            None => self.station.to_string(),
        }
    }
}

/// The archives of `product` that a folder page lists, in the page's order.
///
/// # Errors
/// When the text is no folder page, so that an error page is never taken for an empty folder.
pub fn archives(product: Product, page: &str) -> Result<Vec<Entry>, NoListing> {
    if !page.contains("Index of ") || !page.contains("</pre>") {
        return Err(NoListing);
    }
    Ok(page.lines().filter_map(|line| entry(product, line)).collect())
}

/// The page is not (or not wholly) what a folder of the server looks like.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the page is not a whole folder listing")]
pub struct NoListing;

fn entry(product: Product, line: &str) -> Option<Entry> {
    let (href, rest) = line.split_once("<a href=\"")?.1.split_once('"')?;
    let name = ArchiveName::parse(product, href)?;
    let mut words = rest.split_once("</a>").map_or("", |(_, after)| after).split_whitespace();
    let (date, time, size) = (words.next(), words.next(), words.next());
    Some(Entry {
        name,
        size: size.and_then(|size| size.parse().ok()),
        modified: date.zip(time).and_then(|(date, time)| seconds(date, time)),
    })
}

/// `YYYYMMDD`.
fn day(text: &str) -> Option<Day> {
    let number = text.parse::<u32>().ok().filter(|_| text.len() == 8)?;
    Day::from_date((number / 10_000) as i32, number / 100 % 100, number % 100)
}

/// `22-Nov-2021` and `16:18:02` or `16:18`, taken as UTC.
fn seconds(date: &str, time: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = date.split('-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? as u32 + 1;
    let days = Day::from_date(year.parse().ok()?, month, day.parse().ok()?)?.number();
    let mut parts = time.split(':').map(str::parse::<u64>);
    let (hour, minute) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let second = parts.next().unwrap_or(Ok(0)).ok()?;
    let within = hour < 24 && minute < 60 && second < 60;
    let days = u64::try_from(days).ok().filter(|_| within)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/dwd/listings/historical_2025.html");

    fn page(lines: &str) -> String {
        format!("<html><h1>Index of /x/</h1><hr><pre><a href=\"../\">../</a>\n{lines}</pre><hr></body></html>")
    }

    #[test]
    fn the_servers_real_page_is_read_whole() {
        let Ok(real) = std::fs::read_to_string(REAL) else {
            eprintln!("SKIPPED: {REAL} is missing, so DWD's real folder page was not tried");
            return;
        };
        let entries = archives(Product::Historical, &real).unwrap();
        assert_eq!(entries.len(), 10);
        let first = entries.first().unwrap();
        assert_eq!(first.name.file, "10minutenwerte_TU_00003_19930428_19991231_hist.zip");
        assert_eq!((first.size, first.modified), (Some(2_948_612), Some(1_637_597_882)));
        assert_eq!(first.name.series(), "00003_1993-04-28");
        let stations: Vec<u32> = entries.iter().map(|entry| entry.name.station.number()).collect();
        assert_eq!(stations, [3, 3, 3, 44, 44, 44, 71, 73, 73, 73]);
        assert!(entries.iter().all(|entry| entry.size.is_some() && entry.modified.is_some()));
    }

    #[test]
    fn old_pages_with_cut_names_and_no_seconds_are_read_by_href() {
        let old = page(
            "<a href=\"10minutenwerte_TU_00003_19930428_19991231_hist.zip\">10minutenwerte_TU_00003_19930428_19991231_hi\
             ..&gt;</a> 22-Nov-2021 16:18             2948612\n",
        );
        let entries = archives(Product::Historical, &old).unwrap();
        assert_eq!(entries.first().unwrap().modified, Some(1_637_597_880));
        assert_eq!(entries.first().unwrap().size, Some(2_948_612));
    }

    #[test]
    fn a_time_that_is_none_is_not_known() {
        for time in ["24:00:00", "23:60", "23:59:60", "18446744073709551615:00:00", "1", "a:b", ":"] {
            assert_eq!(seconds("22-Nov-2021", time), None, "{time}");
        }
        for date in ["31-Feb-2021", "22-Nov", "22-nov-2021", "0-Jan-2021", "1-Jan-99999999999"] {
            assert_eq!(seconds(date, "16:18"), None, "{date}");
        }
    }

    #[test]
    fn other_files_are_passed_over() {
        let listed = page(
            "<a href=\"zehn_min_tu_Beschreibung_Stationen.txt\">z</a> 22-Nov-2021 16:18:00 5\n\
             <a href=\"10minutenwerte_TU_00433_now.zip\">n</a> 22-Nov-2021 16:18:00 5\n\
             <a href=\"10minutenwerte_TU_00433_akt.zip\">n</a> 22-Nov-2021 16:18:00 -\n",
        );
        let names = |product| archives(product, &listed).unwrap().into_iter().map(|e| e.name.file).collect::<Vec<_>>();
        assert_eq!(names(Product::Now), ["10minutenwerte_TU_00433_now.zip"]);
        assert_eq!(names(Product::Recent), ["10minutenwerte_TU_00433_akt.zip"]);
        assert_eq!(names(Product::Historical), [""; 0]);
        assert_eq!(archives(Product::Recent, &listed).unwrap().first().unwrap().size, None);
    }

    #[test]
    fn an_error_page_and_a_cut_page_are_no_empty_folders() {
        assert_eq!(archives(Product::Now, "<html><h1>503 Service Unavailable</h1></html>"), Err(NoListing));
        assert_eq!(archives(Product::Now, "<h1>Index of /now/</h1><pre>"), Err(NoListing));
        assert_eq!(archives(Product::Now, &page("")), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,300}") {
            let line = format!("<a href=\"10minutenwerte_TU_{text}.zip\">x</a> {text}\n");
            prop_assert!(archives(Product::Historical, &page(&line)).is_ok());
            let line = format!("<a href=\"10minutenwerte_TU_00003_now.zip\">x</a> {text}\n");
            prop_assert!(archives(Product::Now, &page(&line)).is_ok());
        }
    }
}
