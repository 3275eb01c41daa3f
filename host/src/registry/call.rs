//! One call of a version: a fresh instance, bounded in time and memory, its effects held.

use std::pin::pin;
use std::time::{Duration, Instant};

use wasmtime::component::{ComponentNamedList, Lift, Lower};
use wasmtime::{Store, UpdateDeadline};

use super::Version;
use crate::bindings::{CallContext, CallState, WireBatch, WireFailure, WireNext, WireTick};
use crate::delivery::{Effects, Failure, Rejection};
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
        /// Why.
        failure: Failure,
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
            let failure = "it rejected records, and a tick has none; answer `retry` instead".into();
            called.outcome = Outcome::Failed { failure, unavailable: None };
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
        store.limiter(|state| &mut state.budget);
        store.set_epoch_deadline(1);
        let (started, waits) = (Instant::now(), store.data().waits.clone());
        let charged = move || started.elapsed().saturating_sub(waits.so_far());
        // A guest that computes is ended here, whether or not the runtime has a thread left for timers.
        let so_far = charged.clone();
        store.epoch_deadline_callback(move |mut store| {
            store.data_mut().budget.time(so_far())?;
            Ok(UpdateDeadline::Yield(1))
        });
        let called = within(timeout, charged, async {
            let index = index.ok_or_else(|| wasmtime::format_err!("it does not export what its trigger calls"))?;
            let instance = self.pre.instantiate_async(&mut store).await?;
            let function = instance.get_typed_func::<P, (Result<T, WireFailure>,)>(&mut store, index)?;
            function.call_async(&mut store, params).await
        })
        .await;
        let state = store.data_mut();
        let output = state.output.take();
        let outcome = match (called, state.take_exceeded()) {
            (Some(Err(error)), exceeded) => {
                let mut failure = failure::of(&error, &output);
                failure.reason = exceeded.unwrap_or(failure.reason);
                state.failed(failure)
            }
            // An error that the function made nothing of does not undo what the call took too much of.
            (_, Some(reason)) => state.failed(reason.as_str().into()),
            (None, None) => {
                let late = state.budget.time(timeout).err().map(|error| error.to_string()).unwrap_or_default();
                state.failed(late.as_str().into())
            }
            (Some(Ok((Err(WireFailure::Retry(reason)),))), None) => state.failed(reason.as_str().into()),
            (Some(Ok((Ok(_) | Err(WireFailure::Reject(_)),))), None) if state.unavailable.is_some() => {
                state.failed("an import was not available".into())
            }
            (Some(Ok((Ok(answer),))), None) => {
                Outcome::Done { effects: std::mem::take(&mut state.effects), answer, rejected: Vec::new() }
            }
            (Some(Ok((Err(WireFailure::Reject(rejected)),))), None) => Outcome::Done {
                effects: std::mem::take(&mut state.effects),
                answer: T::default(),
                rejected: rejected.into_iter().map(Rejection::from).collect(),
            },
        };
        Called { outcome, output }
    }
}

impl CallState {
    fn failed<T>(&mut self, failure: Failure) -> Outcome<T> {
        Outcome::Failed { failure, unavailable: self.unavailable.take() }
    }
}

/// What `call` gives, unless more than `timeout` is charged to it.
async fn within<T>(timeout: Duration, charged: impl Fn() -> Duration, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    loop {
        let left = timeout.saturating_sub(charged());
        if left.is_zero() {
            return None;
        }
        if let Ok(answer) = tokio::time::timeout(left, &mut call).await {
            return Some(answer);
        }
    }
}
