//! One call of a version: a fresh instance, bounded in time and memory, its effects held.

use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Lift, Lower};

use super::Version;
use crate::bindings::{CallContext, CallState, WireBatch, WireFailure, WireNext, WireTick};
use crate::delivery::{Effects, Rejection};
use crate::engine::failure;

/// How a call ended.
#[derive(Debug)]
pub enum Outcome<T> {
    /// It succeeded: its effects may be committed.
    Done {
        /// What it did.
        effects: Effects,
        /// What it answered.
        answer: T,
        /// Records that it refused; the rest stands.
        rejected: Vec<Rejection>,
    },
    /// It failed: nothing of it is kept.
    Failed {
        /// Why, as a person reads it.
        reason: String,
        /// Set when an import could not do its work: then the records are not to blame.
        unavailable: Option<String>,
    },
}

/// What a call gave, and what it wrote besides.
#[derive(Debug)]
pub struct Called<T> {
    /// How it ended.
    pub outcome: Outcome<T>,
    /// Its stdout and stderr, cut.
    pub output: String,
}

impl Version {
    /// Handles a batch whose last record is of `unix_ms`.
    pub async fn handle(&self, context: CallContext, batch: WireBatch<'_>, unix_ms: i64, seed: u64) -> Called<()> {
        let index = self.handle;
        self.call::<_, ()>(context, index, (batch,), unix_ms, seed).await
    }

    /// Runs a tick.
    pub async fn run(&self, context: CallContext, tick: WireTick, seed: u64) -> Called<WireNext> {
        let index = self.run;
        let mut called = self.call::<_, WireNext>(context, index, (tick,), tick.due_ms, seed).await;
        if matches!(&called.outcome, Outcome::Done { rejected, .. } if !rejected.is_empty()) {
            let reason = "it rejected records, and a tick has none; answer `retry` instead".to_owned();
            called.outcome = Outcome::Failed { reason, unavailable: None };
        }
        called
    }

    async fn call<P, T>(
        &self,
        context: CallContext,
        index: Option<wasmtime::component::ComponentExportIndex>,
        params: P,
        unix_ms: i64,
        seed: u64,
    ) -> Called<T>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        T: Lift + Send + Sync + Default + 'static,
        (Result<T, WireFailure>,): ComponentNamedList + Lift + Send + Sync,
    {
        let timeout = Duration::from_millis(u64::from(context.limits.timeout_ms));
        let mut store = Store::new(self.pre.engine(), CallState::new(context, unix_ms, seed));
        store.limiter(|state| state.limiter());
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let called = tokio::time::timeout(timeout, async {
            let index = index.ok_or_else(|| wasmtime::format_err!("it does not export what its trigger calls"))?;
            let instance = self.pre.instantiate_async(&mut store).await?;
            let function = instance.get_typed_func::<P, (Result<T, WireFailure>,)>(&mut store, index)?;
            function.call_async(&mut store, params).await
        })
        .await;
        let state = store.data_mut();
        let output = state.output.take();
        let failed =
            |state: &mut CallState, reason: String| Outcome::Failed { reason, unavailable: state.unavailable.take() };
        let outcome = match called {
            Err(_) => failed(state, format!("it ran longer than its `timeout_ms` of {}", timeout.as_millis())),
            Ok(Err(error)) => failed(state, failure::reason(&error, &output)),
            Ok(Ok((Err(WireFailure::Retry(reason)),))) => failed(state, failure::cut(&reason)),
            Ok(Ok((Ok(_) | Err(WireFailure::Reject(_)),))) if state.unavailable.is_some() => {
                failed(state, "an import was not available".to_owned())
            }
            Ok(Ok((Ok(answer),))) => {
                Outcome::Done { effects: std::mem::take(&mut state.effects), answer, rejected: Vec::new() }
            }
            Ok(Ok((Err(WireFailure::Reject(rejected)),))) => Outcome::Done {
                effects: std::mem::take(&mut state.effects),
                answer: T::default(),
                rejected: rejected.into_iter().map(Rejection::from).collect(),
            },
        };
        Called { outcome, output }
    }
}
