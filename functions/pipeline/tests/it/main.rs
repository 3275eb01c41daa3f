//! The whole pipeline, from archives over HTTP to tables, through the built components and the program itself.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails is what it is for")]

mod away;
mod guests;
mod host;
mod hostile;
mod kafka;
mod killed;
mod official;
mod pages;
mod readme;
mod stores;
mod swaps;
mod traitor;
mod troubled;
