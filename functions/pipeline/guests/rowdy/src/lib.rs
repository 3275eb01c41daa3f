//! Reads what the application's functions read, and answers each batch with another trick.

#[cfg(target_arch = "wasm32")]
mod component;
