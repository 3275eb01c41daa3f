//! The state of one call: what the host holds while a function runs, a field per capability.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Uri;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::budget::Budget;
use super::http::{Outbound, Requests};
use super::waits::Waits;
use super::wire::WireError;
use crate::delivery::{Effects, HeldTable};
use crate::embedded::{Store, WriteError};
use crate::engine::clock::{CallClock, FixedWallClock, HasClock};
use crate::engine::output::Output;
use crate::manifest::outbound::OutboundHost;
use crate::manifest::{Application, Limits, Table};

/// Streams, requests, sets of headers and the like that a call may have at one time: the host holds each in its own memory.
const MOST_RESOURCES: usize = 1024;
/// Bytes of one set of headers, for the same reason; servers refuse more than some KiB.
const MOST_HEADER_BYTES: usize = 64 * 1024;

/// What is the same for all calls of a function's partition.
#[derive(Clone)]
pub struct CallContext {
    /// Where committed state and rows are read.
    pub store: Arc<Store>,
    /// Where its state is instead, and the rows of the tables that it writes, when it runs in the shadow of another version.
    pub aside: Option<Arc<Store>>,
    /// The application.
    pub application: Arc<Application>,
    /// The function.
    pub function: Arc<str>,
    /// The partition.
    pub partition: u32,
    /// Values of the function's variables.
    pub variables: Arc<BTreeMap<String, String>>,
    /// Where it may send requests to.
    pub hosts: Arc<[OutboundHost]>,
    /// By way of which proxy its requests to `https` names go.
    pub https_proxy: Option<Uri>,
    /// What a call may use up.
    pub limits: Limits,
    /// How often the records of the batch went round: the most of them.
    pub round: u32,
    /// What the calls before did and is still being committed, oldest first.
    pub before: Vec<Arc<Effects>>,
}

impl CallContext {
    /// Where its state is.
    pub(super) fn state_store(&self) -> &Arc<Store> {
        self.aside.as_ref().unwrap_or(&self.store)
    }

    /// Where the rows of `table` are.
    pub(super) fn store_of(&self, table: &Table) -> &Arc<Store> {
        let writes = || self.application.writer_of(&table.name) == Some(self.function.as_ref());
        self.aside.as_ref().filter(|_| writes()).unwrap_or(&self.store)
    }
}

/// One call.
pub struct CallState {
    pub(super) context: CallContext,
    /// What the call wants to have done.
    pub effects: Effects,
    /// Set when an import could not do its work for reasons of the host's, not of the function's.
    pub unavailable: Option<String>,
    /// What it waited for the stores.
    pub waits: Waits,
    /// What the function writes to stdout and stderr.
    pub output: Output,
    /// What the call may still use up.
    pub budget: Budget,
    clock: CallClock,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
}

impl CallState {
    /// A call whose wall time stands at `unix_ms` and whose randomness follows from `seed`.
    #[must_use]
    pub fn new(context: CallContext, unix_ms: i64, seed: u64) -> Self {
        let output = Output::new(context.limits.output_bytes as usize);
        let clock = CallClock::default();
        let wasi = WasiCtxBuilder::new()
            .stdout(output.clone())
            .stderr(output.clone())
            .wall_clock(FixedWallClock { unix_ms })
            .monotonic_clock(clock.clone())
            .secure_random(StdRng::seed_from_u64(seed))
            .insecure_random(StdRng::seed_from_u64(seed ^ 1))
            .insecure_random_seed(u128::from(seed))
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_RESOURCES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MOST_HEADER_BYTES);
        CallState {
            outbound: Outbound::new(&context, output.clone()),
            budget: Budget::new(Arc::clone(&context.function), context.limits.clone()),
            context,
            effects: Effects::default(),
            unavailable: None,
            waits: Waits::default(),
            output,
            clock,
            table,
            wasi,
            http,
        }
    }

    /// The limit that the call passed in an import, if it did, and how to raise it.
    pub fn take_exceeded(&mut self) -> Option<String> {
        self.budget.exceeded().or_else(|| self.outbound.exceeded())
    }

    /// That a request of the call could not reach its server, if that was so. Its name is the function's choice, and not told
    /// where it could say what the function read.
    #[must_use]
    pub fn network_away(&self) -> Option<String> {
        let CallContext { application, function, .. } = &self.context;
        let is_sensitive = application.functions.get(function.as_ref()).is_some_and(|f| f.reads_sensitive(application));
        self.outbound.away().map(|away| if is_sensitive { "a server cannot be reached".to_owned() } else { away })
    }

    /// The HTTP requests of the call.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.outbound.requests()
    }

    /// Writes to `table` that are not committed yet, oldest first: those of the calls before, then the call's own.
    pub(super) fn held(&self, table: &Table) -> impl Iterator<Item = &HeldTable> {
        let effects = self.context.before.iter().map(Arc::as_ref).chain([&self.effects]);
        effects.filter_map(|effects| effects.tables.get(&table.name))
    }

    /// An error of the store as the guest sees it; that it was the store's is noted.
    pub(super) fn store_failed(&mut self, error: &WriteError) -> WireError {
        self.unavailable = Some(error.to_string());
        WireError::Unavailable("the store is not available".to_owned())
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outbound }
    }
}

impl HasClock for CallState {
    fn clock(&mut self) -> (CallClock, &mut ResourceTable) {
        (self.clock.clone(), &mut self.table)
    }
}
