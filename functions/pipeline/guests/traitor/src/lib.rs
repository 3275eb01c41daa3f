//! Stands in the place of `enrich`, with its grants, and tries each way out with what it reads of the stations.

#[cfg(target_arch = "wasm32")]
mod component;
