//! What stands behind a path: a folder's entries or a file's bytes, from a folder of real archives or from made-up
//! stations. It knows nothing of HTTP.

mod made_up;
mod tree;

use crate::clock::{Published, Schedule};
use crate::options::{Options, Source};
use anyhow::Result;
use axum::body::Bytes;
use std::path::PathBuf;

pub(crate) use made_up::MadeUpShelf;
pub(crate) use tree::Tree;

/// Where DWD's folder of 10-minute air temperature lies below the server's root.
pub(crate) const BASE: &str = "/10_minutes/air_temperature/";

/// A line of a listing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Folders end with a slash.
    pub(crate) name: String,
    /// None for folders.
    pub(crate) size: Option<u64>,
    /// Seconds since 1970.
    pub(crate) modified: i64,
}

/// A file that is there, not yet read or made.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) size: u64,
    pub(crate) modified: i64,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Disk(PathBuf),
    Archive(Box<crate::catalogue::ArchiveFile>),
    Text(Bytes),
}

#[derive(Debug)]
pub(crate) enum Found {
    Folder(Vec<Entry>),
    File(File),
    Nothing,
}

/// One of the two sources.
#[derive(Debug)]
pub(crate) enum Shelf {
    Tree(Tree),
    MadeUp(MadeUpShelf),
}

impl Shelf {
    pub(crate) fn open(options: &Options) -> Result<(Self, Schedule)> {
        options.check()?;
        let shelf = match &options.source {
            Source::Tree { folder, modified } => Self::Tree(Tree::open(folder, *modified)?),
            Source::MadeUp(_) => Self::MadeUp(MadeUpShelf::new(options)?),
        };
        Ok((shelf, Schedule::new(options)))
    }

    /// What is at a path, given by its parts. Parts are plain names: the server lets nothing else through.
    pub(crate) async fn find(&self, parts: &[&str], at: Published) -> Result<Found> {
        match self {
            Self::Tree(tree) => tree.find(parts).await,
            Self::MadeUp(shelf) => Ok(shelf.find(parts, at)),
        }
    }

    /// The file's bytes: exactly as many as `size` said.
    pub(crate) async fn load(&self, file: File) -> Result<Bytes> {
        match (file.content, self) {
            (Content::Text(bytes), _) => Ok(bytes),
            (Content::Disk(path), _) => tree::load(&path, file.size).await,
            (Content::Archive(archive), Self::MadeUp(shelf)) => shelf.load(*archive).await,
            (Content::Archive(archive), Self::Tree(_)) => {
                anyhow::bail!("`{}` is made up, but this mirror serves a folder", archive.name)
            }
        }
    }
}
