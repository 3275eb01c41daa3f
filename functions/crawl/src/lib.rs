//! Crawls DWD's archives of 10-minute air temperature: what is new or changed in them becomes records of the topics
//! `temperature` and `others`. A round of work is cut into runs, each a transaction; between runs all is in state.
//!
//! Pure: [`settings`], [`listing`], [`product_file`], [`archive`], [`rows`]. The round itself works against
//! [`Outside`], which only the component fills in with a host.

pub mod archive;
pub mod listing;
pub mod product_file;
pub mod rows;
pub mod settings;
