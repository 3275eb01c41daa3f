//! Made-up stations as folders and files. Archives are made when they are asked for and kept as long as there is
//! room; what was dropped is made again, to the same bytes.

use super::{Content, Entry, File, Found};
use crate::calendar::DAY_SECONDS;
use crate::catalogue::{ArchiveFile, Catalogue};
use crate::clock::Published;
use crate::options::Options;
use crate::weather::Product;
use anyhow::Result;
use axum::body::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Archives kept after they were sent: about 60 of `recent`, so that a range or a second reader costs nothing.
const CACHE_BYTES: usize = 64 << 20;
/// Archives made at a time: each takes a core, and up to 7 MB.
const MAKERS: usize = 4;

#[derive(Debug)]
pub(crate) struct MadeUpShelf {
    catalogue: Arc<Catalogue>,
    cache: Mutex<Cache>,
    makers: Arc<Semaphore>,
}

impl MadeUpShelf {
    pub(super) fn new(options: &Options) -> Result<Self> {
        Ok(Self {
            catalogue: Arc::new(Catalogue::new(options)?),
            cache: Mutex::default(),
            makers: Arc::new(Semaphore::new(MAKERS)),
        })
    }

    pub(super) fn find(&self, parts: &[&str], at: Published) -> Found {
        let folders = |names: &[&str]| {
            let modified = at.recent_until * DAY_SECONDS;
            Found::Folder(names.iter().map(|name| Entry { name: format!("{name}/"), size: None, modified }).collect())
        };
        match parts {
            [] => folders(&["10_minutes"]),
            ["10_minutes"] => folders(&["air_temperature"]),
            ["10_minutes", "air_temperature"] => folders(&["historical", "now", "recent"]),
            ["10_minutes", "air_temperature", folder, file @ ..] => {
                let Some(product) = Product::ALL.into_iter().find(|product| product.folder() == *folder) else {
                    return Found::Nothing;
                };
                match file {
                    [] => Found::Folder(self.list(product, at)),
                    [name] => self.file(product, name, at).map_or(Found::Nothing, Found::File),
                    _ => Found::Nothing,
                }
            }
            _ => Found::Nothing,
        }
    }

    fn list(&self, product: Product, at: Published) -> Vec<Entry> {
        let archives = self.catalogue.files(product, at);
        let mut entries: Vec<Entry> =
            archives.map(|file| Entry { size: Some(file.size()), modified: file.modified, name: file.name }).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let (list, modified) = self.catalogue.station_list(at);
        entries.push(Entry { name: product.list_name().to_owned(), size: Some(list.len() as u64), modified });
        entries
    }

    fn file(&self, product: Product, name: &str, at: Published) -> Option<File> {
        if name == product.list_name() {
            let (list, modified) = self.catalogue.station_list(at);
            return Some(File { size: list.len() as u64, modified, content: Content::Text(list.into()) });
        }
        let archive = self.catalogue.find(product, name, at)?;
        Some(File { size: archive.size(), modified: archive.modified, content: Content::Archive(Box::new(archive)) })
    }

    pub(super) async fn load(&self, file: ArchiveFile) -> Result<Bytes> {
        if let Some(bytes) = self.cache().get(&file) {
            return Ok(bytes);
        }
        let _permit = self.makers.acquire().await?;
        let (catalogue, wanted) = (self.catalogue.clone(), file.clone());
        let bytes = Bytes::from(tokio::task::spawn_blocking(move || catalogue.archive(&wanted)).await??);
        self.cache().put(&file, bytes.clone());
        Ok(bytes)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        // A cache is whole after every statement: a panic elsewhere does no harm to it.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The archives made last, oldest first. Few enough to be looked through one by one.
#[derive(Debug, Default)]
struct Cache {
    kept: VecDeque<(String, i64, Bytes)>,
    bytes: usize,
}

impl Cache {
    fn get(&self, file: &ArchiveFile) -> Option<Bytes> {
        let is_wanted = |(name, modified, _): &&(String, i64, Bytes)| *name == file.name && *modified == file.modified;
        self.kept.iter().find(is_wanted).map(|(_, _, bytes)| bytes.clone())
    }

    /// Keeps an archive, dropping its older version and, oldest first, what there is no room for.
    fn put(&mut self, file: &ArchiveFile, bytes: Bytes) {
        self.kept.retain(|(name, _, _)| *name != file.name);
        self.kept.push_back((file.name.clone(), file.modified, bytes));
        self.bytes = self.kept.iter().map(|(_, _, bytes)| bytes.len()).sum();
        while self.bytes > CACHE_BYTES {
            let Some((_, _, dropped)) = self.kept.pop_front() else { break };
            self.bytes -= dropped.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_cache_keeps_one_version_of_a_file_and_never_more_than_its_bound() {
        let options = Options::made_up(100, 1.5);
        let shelf = MadeUpShelf::new(&options).unwrap();
        let files: Vec<_> = shelf.catalogue.files(Product::Recent, shelf.catalogue.at_start()).collect();
        for mut file in files.into_iter().take(3) {
            file.modified += 1;
            let first = shelf.load(file.clone()).await.unwrap();
            assert_eq!(shelf.load(file.clone()).await.unwrap().as_ptr(), first.as_ptr(), "made twice");
            file.modified += 1;
            shelf.load(file).await.unwrap();
        }
        assert_eq!(shelf.cache().kept.len(), 3);
        let mut cache = Cache::default();
        let mut file = shelf.catalogue.files(Product::Now, shelf.catalogue.at_start()).next().unwrap();
        for number in 0..200 {
            file.name = format!("{number}");
            cache.put(&file, vec![0; 1 << 20].into());
            assert!(cache.bytes <= CACHE_BYTES);
        }
        assert_eq!(cache.kept.len(), 64);
        assert!(cache.get(&file).is_some(), "the newest is kept");
    }
}
