//! Joins each station's summary with its metadata. The core ([`latest`] and [`join`]) is free of I/O; only the
//! component, which exists on wasm32 alone, reads and writes tables.

mod join;

#[cfg(target_arch = "wasm32")]
mod component;

#[cfg(test)]
mod fuzz;

pub use join::{EnrichedRow, Metadata, join, latest};
