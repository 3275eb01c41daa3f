//! One call of a version: a fresh instance, bounded in time and memory, its effects held.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wasmtime::component::{ComponentNamedList, Lift, Lower};
use wasmtime::{Store, UpdateDeadline};

use super::Version;
use super::turns::{Doing, Interrupted};
use crate::bindings::{
    CallContext, CallState, Waits, WireBatch, WireFailure, WireNext, WirePacked, WirePackedRef, WireTick,
};
use crate::delivery::{Cause, Effects, Failure, Packed, Rejection};
use crate::embedded;
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
    /// What it took, from when it could have begun.
    pub took: Duration,
    /// The same without what it waited for its turn and for the stores.
    pub tried: Duration,
}

/// The longest that a call may wait for one answer of the host's own stores: then its records are tried again later, as if
/// the store were not there. And the longest in all that is not charged to it.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Bytes that the host copies out of a call's memory in one import, where its limits do not allow it to hold more: as much
/// as wasmtime's own limit.
const HOSTCALL_BYTES: usize = 128 * 1024 * 1024;

/// Handles of a call, such as tasks and ends of streams that a guest makes without the host: each takes memory of the host's.
const MOST_HANDLES: usize = 10_000;

impl Version {
    /// Handles a batch whose last record is of `unix_ms`.
    pub async fn handle(&self, context: CallContext, batch: WireBatch<'_>, unix_ms: i64, seed: u64) -> Called<()> {
        let index = self.handle;
        self.call::<_, ()>(context, index, Some((batch,)), unix_ms, seed).await
    }

    /// Makes an instance and calls nothing, under the limits of any call.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn try_out(&self, store: &Arc<embedded::Store>) -> Result<(), String> {
        let context = self.context(store, 0);
        match self.call::<(WireTick,), ()>(context, None, None, 0, 0).await.outcome {
            Outcome::Done { .. } => Ok(()),
            Outcome::Failed { failure, .. } => Err(failure.to_string()),
        }
    }

    /// Gives entries of the state of an older `version` the form that they have in this one.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn migrate(
        &self,
        context: CallContext,
        version: u32,
        (keys, values): (&Packed, &Packed),
    ) -> Result<(Packed, Packed), Failure> {
        let params = Some((version, WirePackedRef::from(keys), WirePackedRef::from(values)));
        let called = self.call::<_, (WirePacked, WirePacked)>(context, self.migrate, params, 0, 0).await;
        let (keys, values) = match called.outcome {
            Outcome::Done { answer, rejected, .. } if rejected.is_empty() => answer,
            Outcome::Done { .. } => {
                return Err(Failure::new(Cause::Answer, "it rejects entries of state; leave them out"));
            }
            Outcome::Failed { failure, .. } => return Err(failure),
        };
        let packed = |packed: WirePacked, what| {
            packed
                .checked(what)
                .map_err(|_| Failure::new(Cause::Answer, &format!("`{what}` of its answer is not packed right")))
        };
        Ok((packed(keys, "keys")?, packed(values, "values")?))
    }

    /// Runs a tick.
    pub async fn run(&self, context: CallContext, tick: WireTick, seed: u64) -> Called<WireNext> {
        let index = self.run;
        let mut called = self.call::<_, WireNext>(context, index, Some((tick,)), tick.due_ms, seed).await;
        if matches!(&called.outcome, Outcome::Done { rejected, .. } if !rejected.is_empty()) {
            let told = "it rejected records, and a tick has none; answer `retry` instead";
            let failure = Failure::new(Cause::Answer, told);
            called.outcome = Outcome::Failed { failure, unavailable: None };
        }
        called
    }

    async fn call<P, T>(
        &self,
        context: CallContext,
        index: Option<wasmtime::component::ComponentExportIndex>,
        params: Option<P>,
        unix_ms: i64,
        seed: u64,
    ) -> Called<T>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        T: Lift + Send + Sync + Default + 'static,
        (Result<T, WireFailure>,): ComponentNamedList + Lift + Send + Sync,
    {
        let timeout = Duration::from_millis(u64::from(context.limits.timeout_ms));
        let most_network = Duration::from_millis(u64::from(context.limits.http.timeout_ms));
        let held_bytes = context.limits.held_bytes as usize;
        let waiting = Instant::now();
        // Kept until the instance and all that it holds are gone.
        let _begun = self.turns.begin().await;
        let mut store = Store::new(self.pre.engine(), CallState::new(context, unix_ms, seed));
        store.limiter(|state| &mut state.budget);
        store.set_max_component_handles(MOST_HANDLES);
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(HOSTCALL_BYTES.max(2 * held_bytes));
        let doing =
            Doing { waits: store.data().waits.clone(), requests: Some(store.data().requests()), ..Doing::default() };
        let time = Time {
            started: Instant::now(),
            waits: doing.waits.clone(),
            queued: doing.queued.clone(),
            network: doing.network.clone(),
            most_network,
        };
        // A guest that computes is ended here, whether or not the runtime has a thread left for timers.
        let (so_far, interrupts) = (time.clone(), Interrupted::clone(&doing.interrupted));
        store.epoch_deadline_callback(move |mut store| {
            store.data_mut().budget.time(so_far.charged())?;
            interrupts.store(true, Ordering::Relaxed);
            Ok(UpdateDeadline::Yield(1))
        });
        let call = self.turns.take(&doing, async {
            let Some(params) = params else {
                self.pre.instantiate_async(&mut store).await?;
                return Ok((Ok(T::default()),));
            };
            let index = index.ok_or_else(|| wasmtime::format_err!("it does not export what its trigger calls"))?;
            let instance = self.pre.instantiate_async(&mut store).await?;
            let function = instance.get_typed_func::<P, (Result<T, WireFailure>,)>(&mut store, index)?;
            function.call_async(&mut store, params).await
        });
        let called = within(timeout, LONGEST_WAIT, &time, call).await;
        let state = store.data_mut();
        let called = match called {
            Ended::Answered(answer) => Some(answer),
            Ended::Late => None,
            Ended::Waited => {
                let waited = LONGEST_WAIT.as_secs();
                state.unavailable = Some(format!("the store was waited for longer than {waited} s"));
                None
            }
        };
        let output = self.secrets.hidden_in(state.output.take());
        let outcome = match (called, state.take_exceeded()) {
            (Some(Err(error)), exceeded) => {
                let mut failure = failure::of(&error, &output);
                match exceeded {
                    Some(exceeded) => (failure.cause, failure.reason) = (Cause::Limit, exceeded),
                    None => state.excuse(),
                }
                state.failed(failure)
            }
            // An error that the function made nothing of does not undo what the call took too much of.
            (_, Some(reason)) => state.failed(Failure::new(Cause::Limit, &reason)),
            (None, None) if state.unavailable.is_some() => {
                state.failed(Failure::new(Cause::Unavailable, "an import was not available"))
            }
            (None, None) => {
                state.excuse();
                let late = state.budget.time(timeout).err().map(|error| error.to_string()).unwrap_or_default();
                state.failed(Failure::new(Cause::Limit, &late))
            }
            (Some(Ok((Err(WireFailure::Retry(reason)),))), None) => {
                state.excuse();
                state.failed(Failure::new(Cause::Retry, &self.secrets.hidden_in(reason)))
            }
            (Some(Ok((Ok(_) | Err(WireFailure::Reject(_)),))), None) if state.unavailable.is_some() => {
                state.failed(Failure::new(Cause::Unavailable, "an import was not available"))
            }
            (Some(Ok((Ok(answer),))), None) => {
                Outcome::Done { effects: std::mem::take(&mut state.effects), answer, rejected: Vec::new() }
            }
            (Some(Ok((Err(WireFailure::Reject(rejected)),))), None) => Outcome::Done {
                effects: std::mem::take(&mut state.effects),
                answer: T::default(),
                rejected: rejected
                    .into_iter()
                    .map(|r| Rejection::from(r.with(|reason| self.secrets.hidden_in(reason))))
                    .collect(),
            },
        };
        let outcome = match outcome {
            // It may name a host.
            Outcome::Failed { failure, unavailable } => {
                Outcome::Failed { failure, unavailable: unavailable.map(|what| self.secrets.hidden_in(what)) }
            }
            done @ Outcome::Done { .. } => done,
        };
        Called { outcome, output, took: waiting.elapsed(), tried: time.tried() }
    }
}

impl CallState {
    /// A call that fails while a server cannot be reached is not to blame, nor are its records. One that makes do without an
    /// answer, or that rejects records for it, has decided so.
    fn excuse(&mut self) {
        if self.unavailable.is_none() {
            self.unavailable = self.network_away();
        }
    }

    fn failed<T>(&mut self, failure: Failure) -> Outcome<T> {
        Outcome::Failed { failure, unavailable: self.unavailable.take() }
    }
}

/// What time a call takes.
#[derive(Clone)]
struct Time {
    started: Instant,
    /// For the stores.
    waits: Waits,
    /// For its turn.
    queued: Waits,
    /// For servers, and what of that is not charged.
    network: Waits,
    most_network: Duration,
}

impl Time {
    /// What is charged to it: all but what it waits for the host. Of waits for stores and servers only so much is left out:
    /// who asks on and on pays for it.
    fn charged(&self) -> Duration {
        let (stores, servers) = (self.waits.so_far().min(LONGEST_WAIT), self.network.so_far().min(self.most_network));
        self.started.elapsed().saturating_sub(stores + servers + self.queued.so_far())
    }

    /// What it took but for its turn and the stores: what a failed delivery counts for.
    fn tried(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.waits.so_far() + self.queued.so_far())
    }
}

enum Ended<T> {
    Answered(T),
    /// More was charged to it than it may take.
    Late,
    /// It waited for the stores longer than anybody should.
    Waited,
}

/// What `call` gives, unless more than `timeout` is charged to it or it waits for one answer longer than `longest`.
async fn within<T>(timeout: Duration, longest: Duration, time: &Time, call: impl Future<Output = T>) -> Ended<T> {
    let mut call = pin!(call);
    loop {
        let left = timeout.saturating_sub(time.charged());
        let may_wait = longest.saturating_sub(time.waits.now().unwrap_or_default());
        if left.is_zero() {
            return Ended::Late;
        }
        if may_wait.is_zero() {
            return Ended::Waited;
        }
        if let Ok(answer) = tokio::time::timeout(left.min(may_wait), &mut call).await {
            return Ended::Answered(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(60);
    const LONG: Duration = Duration::from_secs(60);

    fn time() -> Time {
        Time {
            started: Instant::now(),
            waits: Waits::default(),
            queued: Waits::default(),
            network: Waits::default(),
            most_network: SHORT * 2,
        }
    }

    #[tokio::test]
    async fn what_is_charged_ends_a_call_and_waiting_for_the_host_is_not() {
        let asleep = || tokio::time::sleep(SHORT * 3);
        assert!(matches!(within(SHORT, LONG, &time(), asleep()).await, Ended::Late));
        for wait in [|time: &Time| time.waits.begin(), |time: &Time| time.queued.begin()] {
            let time = time();
            let _waiting = wait(&time);
            assert!(matches!(within(SHORT, LONG, &time, asleep()).await, Ended::Answered(())));
        }
    }

    #[tokio::test]
    async fn of_waits_for_servers_so_much_is_not_charged_as_a_request_may_take() {
        let time = time();
        let _waiting = time.network.begin();
        let asleep = |time| tokio::time::sleep(time);
        assert!(matches!(within(SHORT, LONG, &time, asleep(SHORT)).await, Ended::Answered(())));
        assert!(matches!(within(SHORT, LONG, &time, asleep(SHORT * 5)).await, Ended::Late));
    }

    #[tokio::test]
    async fn a_store_that_never_answers_ends_a_call_and_a_turn_that_is_long_in_coming_does_not() {
        let (stuck, queued) = (time(), time());
        let (_waiting, _queued) = (stuck.waits.begin(), queued.queued.begin());
        assert!(matches!(within(LONG, SHORT, &stuck, std::future::pending::<()>()).await, Ended::Waited));
        let asleep = tokio::time::sleep(SHORT * 3);
        assert!(matches!(within(LONG, SHORT, &queued, asleep).await, Ended::Answered(())));
    }
}
