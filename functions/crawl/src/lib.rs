//! Crawls DWD's archives of 10-minute air temperature: what is new or changed in them becomes records of the topics
//! `temperature` and `others`. A round of work is cut into runs, each a transaction; between runs all is in state.
//!
//! [`settings`], [`listing`], [`product_file`], [`archive`], [`rows`] and [`messages`] are pure. [`round`] works against
//! [`outside`], which the component fills in with the host's imports and the tests with a made-up server.

pub mod archive;
mod fetch;
mod kept;
mod list;
pub mod listing;
pub mod messages;
pub mod outside;
mod pieces;
pub mod product_file;
mod publish;
mod published;
pub mod round;
pub mod rows;
pub mod settings;
mod trouble;

#[cfg(test)]
mod fuzz;

#[cfg(target_arch = "wasm32")]
mod component;
