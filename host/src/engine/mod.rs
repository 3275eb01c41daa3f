//! The wasmtime side: one engine for all functions, what a component says of itself, how a failed call reads.
//!
//! It knows nothing of topics, tables or grants: what is linked is up to `bindings`.

pub mod clock;
pub mod failure;
pub mod inspect;
pub mod output;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use wasmtime::component::Component;
use wasmtime::{Cache, CacheConfig, Config, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often a running guest is made to yield, so that the timeout of its call can end it and others get their turn.
const EPOCH: Duration = Duration::from_millis(5);
/// Calls that may run at one time: more than cores, because a call may wait in an import.
pub const MAX_CONCURRENT_CALLS: u32 = 256;
/// What `memory_mb` may be at the most: address space is reserved for each slot of the pool.
const MAX_MEMORY_MB: u32 = 1024;
/// Core instances, memories and tables of one component; other languages' runtimes have several.
const MAX_CORE_INSTANCES_PER_COMPONENT: u32 = 32;
const MAX_MEMORIES_PER_COMPONENT: u32 = 4;
const MAX_TABLES_PER_COMPONENT: u32 = 16;
/// Enough for an interpreter compiled to wasm.
const MAX_TABLE_ELEMENTS: usize = 40_000;
/// Bytes of a slot's memory that stay resident between calls, and are cleared by writing instead of by giving the pages
/// back: a batch of 4096 records touches some MiB, and faulting them in anew for each call cost more than a third of it.
const KEEP_RESIDENT: usize = 8 * 1024 * 1024;
/// The same for tables of functions, of which most programs touch a page or two.
const TABLE_KEEP_RESIDENT: usize = 64 * 1024;
/// Slots that stay as the last component left them while nobody calls it: as many as calls of one application are often under
/// way. Beyond it the one that has rested longest is taken for the next component; else each version that was ever deployed would
/// keep memory of its own.
const MOST_RESTING_SLOTS: u32 = 16;
/// A guest's stack; the fiber's is larger by what host calls need.
pub(crate) const GUEST_STACK: usize = 512 * 1024;
const FIBER_STACK: usize = 1024 * 1024;

/// The engine that all functions share. Cloning shares it.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
}

impl Engine {
    /// Makes the engine; compiled code is cached below `cache`, where that is said.
    ///
    /// # Errors
    /// When the cache's folder cannot be used or the pool's address space cannot be reserved.
    pub fn new(cache: Option<&Path>) -> anyhow::Result<Self> {
        let cached = |folder: &Path| {
            let mut cached = CacheConfig::new();
            cached.with_directory(folder);
            Cache::new(cached).map_err(from_wasmtime).context("the cache of compiled components")
        };
        let cache = cache.map(cached).transpose()?;
        let mut config = Config::new();
        config
            .wasm_component_model_async(true)
            .epoch_interruption(true)
            .max_wasm_stack(GUEST_STACK)
            .async_stack_size(FIBER_STACK)
            .cache(cache)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
        let wasmtime = wasmtime::Engine::new(&config).map_err(from_wasmtime).context("the wasm engine")?;
        Ok(Engine { wasmtime })
    }

    /// Lets time pass for running guests, until the returned guard is dropped.
    ///
    /// It is a thread of its own: where all threads of the runtime are busy with guests or asleep, a task would not run, and
    /// a guest that loops would never be interrupted.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn tick(&self) -> anyhow::Result<Ticker> {
        let engine = self.wasmtime.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("epochs".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(EPOCH);
                engine.increment_epoch();
            }
        })?;
        Ok(Ticker { stop, thread: Some(thread) })
    }

    /// Compiles a component, or takes it from the cache.
    ///
    /// # Errors
    /// When `bytes` is not a component that this engine can run.
    pub fn compile(&self, bytes: &[u8]) -> anyhow::Result<Component> {
        Component::from_binary(&self.wasmtime, bytes).map_err(from_wasmtime)
    }

    /// What wasmtime's own calls need.
    #[must_use]
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }
}

/// Ends the passing of time when dropped.
pub struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and if it did, time would have ended too.
            let _ = thread.join();
        }
    }
}

/// wasmtime has an error type of its own; this is the one place where it becomes ours.
#[must_use]
pub fn from_wasmtime(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(error.into_boxed_dyn_error())
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_CONCURRENT_CALLS)
        // Room for all that each may have: otherwise a component with many would take the places of others.
        .total_core_instances(MAX_CONCURRENT_CALLS * MAX_CORE_INSTANCES_PER_COMPONENT)
        .total_memories(MAX_CONCURRENT_CALLS * MAX_MEMORIES_PER_COMPONENT)
        .total_tables(MAX_CONCURRENT_CALLS * MAX_TABLES_PER_COMPONENT)
        .total_stacks(MAX_CONCURRENT_CALLS)
        .max_core_instances_per_component(MAX_CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MAX_MEMORIES_PER_COMPONENT)
        .max_tables_per_component(MAX_TABLES_PER_COMPONENT)
        .max_memory_size(MAX_MEMORY_MB as usize * 1024 * 1024)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_unused_warm_slots(MOST_RESTING_SLOTS)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(TABLE_KEEP_RESIDENT);
    pool
}
