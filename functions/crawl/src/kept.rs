//! What crawl keeps between two runs, beside the tables of `published`: the round under way, its plan, its pieces, and
//! what is known of each archive and folder. A value that cannot be read counts as absent: the worst that follows is that
//! an archive is fetched, or a day published, once more, which changes nothing downstream.

use crate::listing::Entry;
use crate::trouble::Troubles;
use isobar_guest::{Items, PackedBuilder};
use observation::{Product, State};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of the round under way.
pub(crate) const ROUND: &str = "round";
/// The key of the round's plan.
pub(crate) const PLAN: &str = "plan";

/// A walk over the folders and the archives that are new in them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Round {
    /// The settings that the plan was made for.
    pub(crate) selection: String,
    /// Folders still to be listed.
    #[serde(with = "names")]
    pub(crate) to_list: Vec<Product>,
    /// When the last folder was listed, by the tick.
    pub(crate) listed_ms: i64,
    /// How many archives the plan has, and which is next.
    pub(crate) planned: usize,
    pub(crate) next: usize,
    /// The archive whose pieces are being published.
    pub(crate) draining: Option<Draining>,
    /// What went wrong and is to be tried again.
    pub(crate) troubles: Troubles,
    /// When the round ended in trouble.
    pub(crate) troubled_ms: Option<i64>,
    /// Rounds in a row that ended in trouble, before this one.
    pub(crate) failures: u32,
    pub(crate) tally: Tally,
}

/// What a round has done.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) archives: u64,
    pub(crate) rows: u64,
    pub(crate) bad_lines: u64,
}

/// An archive to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Planned {
    #[serde(with = "name")]
    pub(crate) product: Product,
    pub(crate) file: String,
    /// As the folder page says them.
    pub(crate) size: Option<u64>,
    pub(crate) modified: Option<u64>,
}

/// An archive that is cut into pieces, and how far they are published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Draining {
    pub(crate) planned: Planned,
    pub(crate) drained: Drained,
    /// Seconds since the Unix epoch.
    pub(crate) revision: u64,
    pub(crate) pieces: usize,
    pub(crate) piece: usize,
    /// Rows of that piece that are published.
    pub(crate) row: usize,
}

/// The version of an archive that was published to the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Drained {
    pub(crate) size: u64,
    /// The stamp of the folder page, and that of the archive itself, in seconds since the Unix epoch.
    pub(crate) listed: Option<u64>,
    pub(crate) modified: Option<u64>,
    /// `Last-Modified` and `ETag` as the server wrote them.
    pub(crate) last_modified: Option<String>,
    pub(crate) etag: Option<String>,
}

impl Drained {
    /// Whether the folder page shows another version than this one. A page with older stamps is a page of a server that
    /// lags behind, not news.
    pub(crate) fn is_outdated_by(&self, entry: &Entry) -> bool {
        let Some(modified) = entry.modified else {
            return true;
        };
        let same_size = entry.size.is_none_or(|size| size == self.size);
        let known = self.listed == Some(modified)
            || self.modified.is_some_and(|own| modified == own || modified == own - own % 60);
        if known {
            return !same_size;
        }
        self.modified.or(self.listed).is_none_or(|own| modified > own)
    }
}

/// What is known of a folder of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Folder {
    /// Archives of any station on its page.
    pub(crate) archives: usize,
    /// The series of the stations that are read, and since when (by the tick) each has been missing.
    pub(crate) series: BTreeMap<String, Option<i64>>,
}

pub(crate) fn file_key(product: Product, file: &str) -> String {
    format!("file/{}/{file}", product.name())
}

pub(crate) fn folder_key(product: Product) -> String {
    format!("folder/{}", product.name())
}

pub(crate) fn piece_key(piece: usize) -> String {
    format!("piece/{piece:05}")
}

/// The bytes kept under each key.
pub(crate) fn read_many(state: &mut impl State, keys: &[String]) -> Vec<Option<Vec<u8>>> {
    let mut asked = PackedBuilder::default();
    keys.iter().for_each(|key| asked.push(key.as_bytes()));
    let values = state.get_many(&asked.build());
    Items::of(&values).map(|value| value.map(<[u8]>::to_vec)).collect()
}

/// The bytes kept under a key.
pub(crate) fn read(state: &mut impl State, key: &str) -> Option<Vec<u8>> {
    let mut asked = PackedBuilder::default();
    asked.push(key.as_bytes());
    let mut values = state.get_many(&asked.build());
    (!values.ends.is_empty() && values.nulls.is_empty()).then(|| std::mem::take(&mut values.data))
}

/// Keeps bytes under a key; `None` removes it.
pub(crate) fn write(state: &mut impl State, key: &str, value: Option<&[u8]>) {
    let (mut keys, mut values) = (PackedBuilder::default(), PackedBuilder::default());
    keys.push(key.as_bytes());
    match value {
        Some(value) => values.push(value),
        None => values.push_null(),
    }
    state.put_many(&keys.build(), &values.build());
}

/// The value kept under a key, if it is there and can be read.
pub(crate) fn load<T: DeserializeOwned>(state: &mut impl State, key: &str) -> Option<T> {
    serde_json::from_slice(&read(state, key)?).ok()
}

/// Keeps a value under a key.
pub(crate) fn store<T: Serialize>(state: &mut impl State, key: &str, value: &T) -> Result<(), String> {
    let bytes = serde_json::to_vec(value).map_err(|error| format!("state `{key}` cannot be written: {error}"))?;
    write(state, key, Some(&bytes));
    Ok(())
}

/// A product as its name.
mod name {
    use observation::Product;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(product: &Product, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(product.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Product, D::Error> {
        let name = String::deserialize(deserializer)?;
        Product::from_name(name.as_bytes()).ok_or_else(|| D::Error::custom("unknown product"))
    }
}

/// Products as their names.
mod names {
    use observation::Product;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(products: &[Product], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(products.iter().map(|product| product.name()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Product>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let products = names.iter().map(|name| Product::from_name(name.as_bytes()));
        products.collect::<Option<_>>().ok_or_else(|| D::Error::custom("unknown product"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::ArchiveName;

    fn entry(size: u64, modified: u64) -> Entry {
        let name = ArchiveName::parse(Product::Now, "10minutenwerte_TU_00433_now.zip").unwrap();
        Entry { name, size: Some(size), modified: Some(modified) }
    }

    #[test]
    fn a_page_brings_news_by_size_or_by_a_later_stamp() {
        let drained = Drained { size: 100, listed: Some(6_000), modified: Some(6_030), ..Drained::default() };
        assert!(!drained.is_outdated_by(&entry(100, 6_000)), "the same stamp");
        assert!(!drained.is_outdated_by(&entry(100, 6_030)), "the archive's own stamp");
        assert!(drained.is_outdated_by(&entry(101, 6_000)), "another size under the same stamp");
        assert!(drained.is_outdated_by(&entry(100, 6_031)), "a later stamp");
        assert!(!drained.is_outdated_by(&entry(90, 5_000)), "a page of a server that lags behind");
        assert!(drained.is_outdated_by(&Entry { modified: None, ..entry(100, 0) }), "only the archive can say");
    }
}
