//! Isobar, the platform: WebAssembly components as functions on event streams, a batch being a transaction.
//!
//! Layers, arrows downward only (`tests/it/layers.rs` holds them): shell (`cli`, `commands`, `ui`, `console`, `app`,
//! `demo`, `program`, `spin`), flow (`deploys`, `dispatch`, `triggers`, `registry`), tools (`bindings`, `embedded`, `engine`,
//! `kafka`, `stores`), pure (`manifest`, `config`, `delivery`, `clock`).

pub mod app;
pub mod bindings;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod console;
pub mod delivery;
pub mod demo;
pub mod deploys;
pub mod dispatch;
pub mod embedded;
pub mod engine;
pub mod kafka;
pub mod manifest;
pub mod program;
pub mod registry;
pub mod rehearsal;
pub mod shadows;
pub mod spin;
pub mod stores;
pub mod triggers;
pub mod ui;
