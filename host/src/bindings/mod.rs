//! What a function may import, a file or folder per interface, and the state of one call that they share.
//!
//! Linked is what was granted and nothing else; whether a component asks for more is `registry`'s business.

mod budget;
pub mod call;
mod http;
mod state;
pub mod system;
mod table_imports;
pub mod tables;
mod topics;
mod variables;
mod waits;
mod wire;

use std::sync::Arc;

use wasmtime::component::{Component, Linker};

pub use budget::MOST_KEY_BYTES;
pub use call::{CallContext, CallState};
pub use http::Requests;
pub use waits::Waits;
pub use wire::{WireBatch, WireFailure, WireHeader, WireNext, WirePacked, WirePackedRef, WireTick};

use crate::engine::{Engine, clock, from_wasmtime};
use crate::manifest::{Application, Function};

/// A linker that holds what `function` was granted.
///
/// # Errors
/// When a table that the component imports has a shape that cannot be served; the gate refuses those before.
pub fn linker(
    engine: &Engine,
    application: &Arc<Application>,
    function: &Function,
    component: &Component,
) -> anyhow::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine.wasmtime());
    link(&mut linker, application, function, component).map_err(from_wasmtime)?;
    Ok(linker)
}

fn link(
    linker: &mut Linker<CallState>,
    application: &Arc<Application>,
    function: &Function,
    component: &Component,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    link_system(linker)?;
    if !function.allowed_outbound_hosts.is_empty() {
        http::link(linker)?;
    }
    if !function.variables.is_empty() {
        variables::link(linker)?;
    }
    if function.grants.state {
        state::link(linker)?;
    }
    for topic in &function.grants.publish {
        topics::link(linker, &application.name, topic, application.comes_back(&function.name, topic))?;
    }
    table_imports::link(linker, application, function, component)
}

/// What every function is linked with; [`system`] has the names.
fn link_system(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    clock::link(linker)
}
