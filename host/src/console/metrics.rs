//! The host's numbers as OpenMetrics. Names follow OpenTelemetry's semantic conventions for messaging and for functions where there
//! is one (<https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/>,
//! <https://opentelemetry.io/docs/specs/semconv/faas/faas-metrics/>), in the spelling of Prometheus. Labels are names that
//! spin.toml and isobar.toml declare: nothing that a guest says is one. Pure.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::answers::{Fault, Refusal};
use crate::dispatch::{SourceStatus, Standing};
use crate::manifest::Application;

/// Microseconds of a second.
const MICROS: f64 = 1e6;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPartition {
    faas_name: String,
    messaging_destination_name: String,
    messaging_destination_partition_id: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFunction {
    faas_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutbox {
    store: String,
    messaging_destination_name: String,
    messaging_destination_partition_id: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    faas_name: String,
    messaging_destination_name: String,
    messaging_destination_partition_id: u32,
    state: &'static str,
}

/// All numbers, those of functions and those of the outboxes of stores.
#[derive(Default)]
struct Numbers {
    consumed: Family<OfPartition, Counter>,
    lag: Family<OfPartition, Gauge>,
    calls: Family<OfFunction, Counter>,
    seconds: Family<OfFunction, Counter<f64, AtomicU64>>,
    letters: Family<OfFunction, Counter>,
    states: Family<InState, Gauge<i64, AtomicI64>>,
    outboxes: Family<OfOutbox, Gauge>,
}

/// The numbers of an application whose functions stand so, as text.
///
/// # Errors
/// When they cannot be written.
pub(super) fn text(application: &Application, sources: &[SourceStatus]) -> Result<String, Refusal> {
    let numbers = Numbers::default();
    sources.iter().for_each(|source| numbers.count(application, source));
    let mut registry = Registry::default();
    numbers.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)
        .map_err(|error| Refusal::new(Fault::Store, format!("the numbers cannot be written: {error}")))?;
    Ok(text)
}

impl Numbers {
    fn count(&self, application: &Application, source: &SourceStatus) {
        let SourceStatus { function, source: from, partition, .. } = source;
        if !application.functions.contains_key(function) {
            let place = OfOutbox {
                store: function.clone(),
                messaging_destination_name: from.clone(),
                messaging_destination_partition_id: *partition,
            };
            self.outboxes.get_or_create(&place).set(source.lag.max(0));
            return;
        }
        let of = OfFunction { faas_name: function.clone() };
        self.calls.get_or_create(&of).inc_by(source.commits);
        self.seconds.get_or_create(&of).inc_by(source.call_micros as f64 / MICROS);
        self.letters.get_or_create(&of).inc_by(source.dead_letters);
        let state = InState {
            faas_name: function.clone(),
            messaging_destination_name: from.clone(),
            messaging_destination_partition_id: *partition,
            state: state(&source.standing),
        };
        self.states.get_or_create(&state).set(1);
        if !source.scheduled {
            let place = OfPartition {
                faas_name: function.clone(),
                messaging_destination_name: from.clone(),
                messaging_destination_partition_id: *partition,
            };
            self.consumed.get_or_create(&place).inc_by(source.records);
            self.lag.get_or_create(&place).set(source.lag.max(0));
        }
    }

    fn register(self, to: &mut Registry) {
        to.register("messaging_client_consumed_messages", "Records that a function has handled", self.consumed);
        to.register("isobar_lag_records", "Records that a function has not handled yet", self.lag);
        to.register("faas_invocations", "Calls of a function that were committed", self.calls);
        to.register("isobar_call_seconds", "Seconds spent in calls that were committed", self.seconds);
        to.register("isobar_dead_letters", "Records that became dead letters", self.letters);
        to.register("isobar_source_state", "1 for what a function does in a partition, or at a schedule", self.states);
        to.register("isobar_outbox_lag_records", "Writes that a store has not got yet", self.outboxes);
    }
}

fn state(standing: &Standing) -> &'static str {
    match standing {
        Standing::Idle => "idle",
        Standing::Running => "running",
        Standing::Retrying { .. } => "retrying",
        Standing::Waiting { .. } => "waiting",
        Standing::Stopped { .. } => "stopped",
        Standing::Elsewhere => "elsewhere",
        Standing::Paced { .. } => "paced",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::samples::{self, source};

    #[test]
    fn numbers_are_told_by_function_and_partition_without_words_of_guests() {
        let application = samples::application();
        let text = text(
            &application,
            &[
                source("count", "orders", 0, |s| (s.records, s.commits, s.call_micros, s.lag) = (7, 2, 1_500_000, 3)),
                source("count", "orders", 1, |s| {
                    (s.records, s.commits, s.call_micros) = (1, 1, 500_000);
                    s.standing = Standing::Stopped { reason: "SECRET".into() };
                }),
                source("postgres", "shop.count.outbox", 1, |s| s.lag = 4),
            ],
        )
        .unwrap();
        for line in [
            r#"messaging_client_consumed_messages_total{faas_name="count",messaging_destination_name="orders",messaging_destination_partition_id="0"} 7"#,
            r#"isobar_lag_records{faas_name="count",messaging_destination_name="orders",messaging_destination_partition_id="0"} 3"#,
            r#"faas_invocations_total{faas_name="count"} 3"#,
            r#"isobar_call_seconds_total{faas_name="count"} 2.0"#,
            r#"isobar_outbox_lag_records{store="postgres",messaging_destination_name="shop.count.outbox",messaging_destination_partition_id="1"} 4"#,
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
        assert!(text.contains(r#"state="stopped""#) && !text.contains("SECRET"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
