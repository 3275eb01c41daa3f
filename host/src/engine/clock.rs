//! A call's own time, so that the call can be repeated exactly: wall time stands at the batch's last timestamp or the
//! tick's due time, and monotonic time advances by waiting only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime::component::{Accessor, HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock as p2;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::p3::bindings::clocks::monotonic_clock as p3;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// Monotonic nanoseconds of one call; clones share them.
#[derive(Debug, Clone, Default)]
pub struct CallClock {
    waited: Arc<AtomicU64>,
}

/// Wall time that stands still.
#[derive(Debug, Clone, Copy)]
pub struct FixedWallClock {
    /// Milliseconds since the Unix epoch; earlier times read as the epoch.
    pub unix_ms: i64,
}

/// What the functions of `wasi:clocks/monotonic-clock` see of a call.
pub struct ClockView<'a> {
    clock: CallClock,
    table: &'a mut ResourceTable,
}

/// Implemented by the state of a call.
pub trait HasClock: Send {
    /// The call's clock, and the table that holds its pollables.
    fn clock(&mut self) -> (CallClock, &mut ResourceTable);
}

struct Clocks;

impl HasData for Clocks {
    type Data<'a> = ClockView<'a>;
}

impl CallClock {
    fn now(&self) -> u64 {
        self.waited.load(Ordering::Relaxed)
    }

    fn advance_to(&self, mark: u64) {
        self.waited.fetch_max(mark, Ordering::Relaxed);
    }
}

impl HostMonotonicClock for CallClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        CallClock::now(self)
    }
}

impl HostWallClock for FixedWallClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.unix_ms).unwrap_or_default())
    }
}

/// Puts this clock in the place of wasmtime's own monotonic ones, which run with the host's.
///
/// # Errors
/// When the linker does not allow shadowing.
pub fn link<T: HasClock + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    p2::add_to_linker::<T, Clocks>(linker, view)?;
    p3::add_to_linker::<T, Clocks>(linker, view)
}

fn view<T: HasClock>(state: &mut T) -> ClockView<'_> {
    let (clock, table) = state.clock();
    ClockView { clock, table }
}

/// A wait for a mark of the call's clock; the clock stands there once it is over.
struct Wait {
    clock: CallClock,
    mark: u64,
    until: Option<tokio::time::Instant>,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Wait {
    async fn ready(&mut self) {
        match self.until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
        self.clock.advance_to(self.mark);
    }
}

impl ClockView<'_> {
    fn wait(&mut self, mark: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let left = Duration::from_nanos(mark.saturating_sub(self.clock.now()));
        let until = tokio::time::Instant::now().checked_add(left);
        let wait = self.table.push(Wait { clock: self.clock.clone(), mark, until })?;
        subscribe(self.table, wait)
    }
}

impl p2::Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.now())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.wait(when)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.wait(self.clock.now().saturating_add(duration))
    }
}

impl p3::Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.now())
    }

    fn get_resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }
}

impl<T: Send> p3::HostWithStore<T> for Clocks {
    async fn wait_until(store: &Accessor<T, Self>, when: u64) -> wasmtime::Result<()> {
        let clock = store.with(|mut access| access.get().clock.clone());
        let left = Duration::from_nanos(when.saturating_sub(clock.now()));
        tokio::time::sleep(left).await;
        clock.advance_to(when);
        Ok(())
    }

    async fn wait_for(store: &Accessor<T, Self>, duration: u64) -> wasmtime::Result<()> {
        let now = store.with(|mut access| access.get().clock.now());
        Self::wait_until(store, now.saturating_add(duration)).await
    }
}
