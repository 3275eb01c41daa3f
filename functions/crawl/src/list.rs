//! Listing a folder: what is new in it goes into the plan, and what has vanished from it is a trouble. A folder that is
//! missing or empty from the start has nothing to give and is only reported.

use crate::kept::{self, Drained, Folder, Planned};
use crate::listing::{self, Entry};
use crate::outside::{Outside, Request, Response};
use crate::round::Run;
use crate::settings::Stations;
use crate::trouble::Trouble;
use observation::{Product, StationId};
use std::collections::BTreeSet;

/// The page of the whole network has 260 KB.
const LONGEST_PAGE: usize = 4 << 20;
/// Series that are named when they have vanished.
const MOST_NAMED: usize = 5;
/// A series that stays away so long is no longer expected: DWD does close stations, and its folders have been stale or
/// empty for days, not weeks.
const FORGOTTEN_AFTER_MS: i64 = 14 * 86_400_000;

impl<O: Outside> Run<'_, O> {
    /// Lists a folder. The last one of a round also says whether every station was found.
    pub(crate) async fn list(&mut self, product: Product) -> Result<(), String> {
        let url = self.settings.folder(product);
        match self.page(&url).await {
            Ok(page) => {
                if let Err(trouble) = self.take_page(product, &url, page)? {
                    self.trouble(&trouble);
                }
            }
            Err(trouble) => {
                self.spent.failed = true;
                self.trouble(&trouble);
            }
        }
        self.round.listed_ms = self.due.ms;
        if self.round.to_list.is_empty() && self.round.troubles.is_empty() {
            self.look_for_stations().await;
        }
        Ok(())
    }

    /// The page's text; `None` when there is no such folder.
    async fn page(&mut self, url: &str) -> Result<Option<String>, Trouble> {
        let Response { status, body, content_length, .. } = self.ask(url).await?;
        match status {
            200 => {}
            404 => return Ok(None),
            status => return Err(Trouble::Status { url: url.to_owned(), status }),
        }
        let got = body.len() as u64;
        if let Some(expected) = content_length.filter(|&expected| expected != got) {
            return Err(Trouble::Size { file: url.to_owned(), got, expected, who: "Content-Length" });
        }
        Ok(Some(String::from_utf8_lossy(&body).into_owned()))
    }

    async fn ask(&mut self, url: &str) -> Result<Response, Trouble> {
        self.spent.requests += 1;
        let request = Request { url: url.to_owned(), limit: LONGEST_PAGE, ..Request::default() };
        let answer = self.outside.get(request).await;
        answer.map_err(|reason| Trouble::Unreachable { url: url.to_owned(), reason })
    }

    fn take_page(&mut self, product: Product, url: &str, page: Option<String>) -> Result<Result<(), Trouble>, String> {
        let state = if page.is_some() { "empty" } else { "missing" };
        let entries = match page.as_deref().map_or(Ok(Vec::new()), |page| listing::archives(product, page)) {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(Trouble::NoListing { url: url.to_owned(), reason: error.to_string() })),
        };
        let key = kept::folder_key(product);
        let known: Option<Folder> = kept::load(self.outside, &key);
        if entries.is_empty() {
            match known {
                Some(known) if known.archives > 0 => {
                    return Ok(Err(Trouble::Emptied { url: url.to_owned(), state, before: known.archives }));
                }
                Some(_) => {}
                None => {
                    self.outside.say(&format!("`{url}` is {state}: nothing is read from it"));
                    kept::store(self.outside, &key, &Folder::default())?;
                }
            }
            return Ok(Ok(()));
        }
        let archives = entries.len();
        let watched: Vec<Entry> =
            entries.into_iter().filter(|entry| self.settings.stations.includes(entry.name.station)).collect();
        let (folder, missing) = self.compare(known.as_ref(), archives, &watched);
        if known.as_ref() != Some(&folder) {
            kept::store(self.outside, &key, &folder)?;
        }
        self.plan_news(product, watched);
        Ok(missing.map_or(Ok(()), |missing| Err(Trouble::Shrunk { url: url.to_owned(), missing })))
    }

    /// What is known of the folder from now on, and the series that have vanished.
    fn compare(&mut self, known: Option<&Folder>, archives: usize, watched: &[Entry]) -> (Folder, Option<String>) {
        let mut folder = Folder { archives, series: watched.iter().map(|entry| (entry.name.series(), None)).collect() };
        let mut vanished = Vec::new();
        for (series, missing) in known.map(|known| &known.series).into_iter().flatten() {
            if folder.series.contains_key(series) || !self.is_watched(series) {
                continue;
            }
            let since = missing.unwrap_or(self.due.ms);
            if self.due.ms - since >= FORGOTTEN_AFTER_MS {
                self.outside.say(&format!("series `{series}` was not listed for two weeks and is no longer expected"));
                continue;
            }
            folder.series.insert(series.clone(), Some(since));
            vanished.push(series.as_str());
        }
        let more = vanished.len().saturating_sub(MOST_NAMED);
        let named = vanished.iter().take(MOST_NAMED).map(|series| format!("`{series}`")).collect::<Vec<_>>().join(", ");
        let missing = match (vanished.is_empty(), more) {
            (true, _) => None,
            (false, 0) => Some(named),
            (false, more) => Some(format!("{named} and {more} more")),
        };
        (folder, missing)
    }

    fn is_watched(&self, series: &str) -> bool {
        station_of(series).is_some_and(|station| self.settings.stations.includes(station))
    }

    /// Adds to the plan what is new: by station, and of `historical/` the newest first.
    fn plan_news(&mut self, product: Product, mut entries: Vec<Entry>) {
        let keys: Vec<String> = entries.iter().map(|entry| kept::file_key(product, &entry.name.file)).collect();
        let known = kept::read_many(self.outside, &keys).into_iter();
        let mut drained = known.map(|bytes| serde_json::from_slice::<Drained>(&bytes?).ok());
        entries.retain(|entry| drained.next().flatten().is_none_or(|drained| drained.is_outdated_by(entry)));
        entries.sort_by_key(|entry| {
            let last = entry.name.days.map(|(_, last)| last.number());
            (std::cmp::Reverse(last), entry.name.station)
        });
        let planned = entries.into_iter().map(|entry| {
            let Entry { name, size, modified } = entry;
            Planned { product, file: name.file, size, modified }
        });
        self.add_to_plan(planned.collect());
    }

    /// A mistake in `station_ids` or `dwd_url` must not look like a server without news.
    async fn look_for_stations(&mut self) {
        let keys: Vec<String> = self.settings.products.iter().map(|&product| kept::folder_key(product)).collect();
        let known = kept::read_many(self.outside, &keys).into_iter();
        let folders: Vec<Folder> = known.filter_map(|bytes| serde_json::from_slice(&bytes?).ok()).collect();
        if folders.iter().all(|folder| folder.archives == 0) {
            let url = self.settings.base.clone();
            match self.ask(&url).await {
                Ok(Response { status: 404, .. }) => self.trouble(&Trouble::Nothing { url }),
                Ok(_) => {}
                Err(trouble) => self.trouble(&trouble),
            }
            return;
        }
        let found: BTreeSet<StationId> =
            folders.iter().flat_map(|folder| folder.series.keys()).filter_map(|series| station_of(series)).collect();
        if let Stations::Listed(listed) = &self.settings.stations {
            for station in listed.difference(&found) {
                self.trouble(&Trouble::UnknownStation { station: station.to_string() });
            }
        }
    }
}

fn station_of(series: &str) -> Option<StationId> {
    StationId::parse(series.as_bytes().get(..5)?)
}
