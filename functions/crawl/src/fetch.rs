//! Fetching an archive: asked for only if it changed, checked, read, compared with what was published, and cut into pieces.

use crate::archive;
use crate::kept::{self, Drained, Draining, Planned};
use crate::listing::ArchiveName;
use crate::outside::{Outside, Request, Response};
use crate::pieces;
use crate::product_file::{BadLine, Sink};
use crate::published::Published;
use crate::round::Run;
use crate::rows::Row;
use crate::trouble::Trouble;
use std::collections::BTreeSet;
use std::time::UNIX_EPOCH;

/// DWD's largest archives have 5 MB; a function has 64 MB for the archive and its rows.
const LARGEST_ARCHIVE: usize = 16 << 20;
/// Rows of an archive: a decade has 525,960.
const MOST_ROWS: usize = 1 << 20;
/// Bad lines that are told one by one; the others are counted.
const MOST_TOLD: usize = 10;

impl<O: Outside> Run<'_, O> {
    /// Fetches an archive and begins to drain it, or notes what was wrong with it and goes on.
    pub(crate) async fn fetch(&mut self, planned: Planned) -> Result<(), String> {
        let before: Option<Drained> = kept::load(self.outside, &kept::file_key(planned.product, &planned.file));
        match self.download(&planned, before).await {
            Ok(News::Unchanged(drained)) => self.remember(&planned, &drained),
            Ok(News::Archive { drained, revision, body }) => match self.unpack(&planned, &body) {
                Ok(pieces) => self.begin_draining(planned, drained, revision, pieces),
                Err(reason) => {
                    self.trouble(&Trouble::Damaged { file: path(&planned), reason });
                    Ok(())
                }
            },
            Err(trouble) => {
                self.spent.failed = true;
                self.trouble(&trouble);
                Ok(())
            }
        }
    }

    async fn download(&mut self, planned: &Planned, before: Option<Drained>) -> Result<News, Trouble> {
        let url = format!("{}{}", self.settings.folder(planned.product), planned.file);
        let known = before.clone().unwrap_or_default();
        let request =
            Request { url: url.clone(), etag: known.etag, modified_since: known.last_modified, limit: LARGEST_ARCHIVE };
        self.spent.requests += 1;
        let answer = self.outside.get(request).await;
        let response = answer.map_err(|reason| Trouble::Unreachable { url: url.clone(), reason })?;
        self.spent.bytes += response.body.len();
        match (response.status, before) {
            (200, before) => check(planned, before.as_ref(), response),
            (304, Some(before)) if planned.size.is_none_or(|size| size == before.size) => {
                Ok(News::Unchanged(Drained { listed: planned.modified, ..before }))
            }
            (304, Some(_)) => Err(Trouble::Unchanged { file: path(planned) }),
            (status, _) => Err(Trouble::Status { url, status }),
        }
    }

    /// The pieces of an archive that hold anything new.
    fn unpack(&mut self, planned: &Planned, zip: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let name = ArchiveName::parse(planned.product, &planned.file).ok_or("its name is unknown")?;
        let mut kept = Kept::default();
        archive::read(zip, name.station, name.days.map(|(_, last)| last), &mut kept)
            .map_err(|error| error.to_string())?;
        let Kept { mut rows, told, bad, crowded } = kept;
        if crowded {
            return Err(format!("it has more than {MOST_ROWS} lines"));
        }
        if bad > 0 {
            self.tell_bad_lines(planned, &told, bad, rows.len());
            if rows.is_empty() {
                return Err(format!("none of its {bad} lines can be read"));
            }
        }
        pieces::sort(&mut rows);
        let years: BTreeSet<i32> = pieces::days(&rows).map(|(day, _)| day.year()).collect();
        let published = Published::load(self.outside, name.station, planned.product, &years);
        rows.retain(|row| published.is_new_row(row));
        pieces::cut(&rows, |day, encoded| published.is_new_day(day, encoded)).map_err(|error| error.to_string())
    }

    fn tell_bad_lines(&mut self, planned: &Planned, told: &[BadLine], bad: u64, rows: usize) {
        let file = path(planned);
        for line in told {
            self.outside.say(&format!("`{file}`, {line}"));
        }
        self.outside.say(&format!("`{file}` has {bad} bad lines beside {rows} readings"));
        self.round.tally.bad_lines += bad;
    }

    fn begin_draining(
        &mut self,
        planned: Planned,
        drained: Drained,
        revision: u64,
        pieces: Vec<Vec<u8>>,
    ) -> Result<(), String> {
        self.round.tally.archives += 1;
        if pieces.is_empty() {
            return self.remember(&planned, &drained);
        }
        for (number, piece) in pieces.iter().enumerate() {
            kept::write(self.outside, &kept::piece_key(number), Some(piece));
        }
        let pieces = pieces.len();
        self.round.draining = Some(Draining { planned, drained, revision, pieces, piece: 0, row: 0 });
        Ok(())
    }

    /// Keeps that this version of an archive needs no more work.
    pub(crate) fn remember(&mut self, planned: &Planned, drained: &Drained) -> Result<(), String> {
        kept::store(self.outside, &kept::file_key(planned.product, &planned.file), drained)
    }
}

/// What the server says of an archive.
enum News {
    /// It is the one that was drained.
    Unchanged(Drained),
    /// It is new, and whole as far as sizes say.
    Archive { drained: Drained, revision: u64, body: Vec<u8> },
}

fn check(planned: &Planned, before: Option<&Drained>, response: Response) -> Result<News, Trouble> {
    let Response { etag, last_modified, content_length, body, .. } = response;
    let (file, got) = (path(planned), body.len() as u64);
    if let Some(expected) = content_length.filter(|&expected| expected != got) {
        return Err(Trouble::Size { file, got, expected, who: "Content-Length" });
    }
    let modified = last_modified.as_deref().and_then(seconds);
    let newer_than_listed = modified.zip(planned.modified).is_some_and(|(own, listed)| own > listed);
    if let Some(expected) = planned.size.filter(|&expected| expected != got && !newer_than_listed) {
        return Err(Trouble::Size { file, got, expected, who: "the folder page" });
    }
    let known = before.and_then(|before| before.modified);
    if modified.zip(known).is_some_and(|(modified, known)| modified < known) {
        return Err(Trouble::Older { file });
    }
    let revision = modified.or(planned.modified).unwrap_or_default();
    let drained = Drained { size: got, listed: planned.modified, modified, last_modified, etag };
    Ok(News::Archive { drained, revision, body })
}

/// An HTTP date in seconds since the Unix epoch.
fn seconds(date: &str) -> Option<u64> {
    Some(httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

fn path(planned: &Planned) -> String {
    format!("{}/{}", planned.product.name(), planned.file)
}

/// The rows and the bad lines of an archive, both bounded.
#[derive(Default)]
struct Kept {
    rows: Vec<Row>,
    told: Vec<BadLine>,
    bad: u64,
    crowded: bool,
}

impl Sink for Kept {
    fn row(&mut self, row: Row) {
        if self.rows.len() < MOST_ROWS {
            self.rows.push(row);
        } else {
            self.crowded = true;
        }
    }

    fn bad(&mut self, bad: BadLine) {
        self.bad += 1;
        if self.told.len() < MOST_TOLD {
            self.told.push(bad);
        }
    }
}
