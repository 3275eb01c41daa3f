//! Does what the value of each record says: counts it, or tries to hurt the host.

#[cfg(target_arch = "wasm32")]
mod component;
