//! The host's numbers as OpenMetrics. Names follow OpenTelemetry's semantic conventions for messaging and for functions where there
//! is one (<https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/>,
//! <https://opentelemetry.io/docs/specs/semconv/faas/faas-metrics/>), in the spelling of Prometheus. Labels are names that
//! spin.toml and isobar.toml declare: nothing that a guest says is one. Pure.

use std::collections::BTreeSet;
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

/// A function in a partition of a topic, or at a schedule. Counters are told so, too: a sum over what a host has would go down
/// when another host takes a partition, and be taken for a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSource {
    faas_name: String,
    messaging_destination_name: String,
    messaging_destination_partition_id: u32,
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfVersion {
    faas_name: String,
    faas_version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfProgram {
    version: &'static str,
}

/// What is told beside where functions stand.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// Room on the data folder's disk, where the disk says it.
    pub(super) free_bytes: Option<u64>,
    /// Functions that stand still because an operator said so.
    pub(super) paused: BTreeSet<String>,
}

/// All numbers, those of functions and those of the outboxes of stores.
#[derive(Default)]
struct Numbers {
    program: Family<OfProgram, Gauge>,
    versions: Family<OfVersion, Gauge>,
    free: Option<Gauge>,
    waiting: Family<OfOutbox, Gauge>,
    consumed: Family<OfSource, Counter>,
    lag: Family<OfSource, Gauge>,
    calls: Family<OfSource, Counter>,
    seconds: Family<OfSource, Counter<f64, AtomicU64>>,
    letters: Family<OfSource, Counter>,
    states: Family<InState, Gauge<i64, AtomicI64>>,
    outboxes: Family<OfOutbox, Gauge>,
}

/// The numbers of an application whose functions stand so, as text.
///
/// # Errors
/// When they cannot be written.
pub(super) fn text(
    application: &Application,
    sources: &[SourceStatus],
    around: &Surroundings,
) -> Result<String, Refusal> {
    let mut numbers = Numbers::default();
    numbers.program.get_or_create(&OfProgram { version: env!("CARGO_PKG_VERSION") }).set(1);
    numbers.free = around.free_bytes.map(|free| {
        let gauge = Gauge::default();
        gauge.set(i64::try_from(free).unwrap_or(i64::MAX));
        gauge
    });
    sources.iter().for_each(|source| numbers.count(application, source, around));
    let mut registry = Registry::default();
    numbers.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)
        .map_err(|error| Refusal::new(Fault::Store, format!("the numbers cannot be written: {error}")))?;
    Ok(text)
}

impl Numbers {
    fn count(&self, application: &Application, source: &SourceStatus, around: &Surroundings) {
        let SourceStatus { function, source: from, partition, .. } = source;
        if !application.functions.contains_key(function) {
            let place = OfOutbox {
                store: function.clone(),
                messaging_destination_name: from.clone(),
                messaging_destination_partition_id: *partition,
            };
            self.outboxes.get_or_create(&place).set(source.lag.max(0));
            self.waiting.get_or_create(&place).set(matches!(source.standing, Standing::Waiting { .. }).into());
            return;
        }
        let place = OfSource {
            faas_name: function.clone(),
            messaging_destination_name: from.clone(),
            messaging_destination_partition_id: *partition,
        };
        self.calls.get_or_create(&place).inc_by(source.commits);
        self.seconds.get_or_create(&place).inc_by(source.call_micros as f64 / MICROS);
        self.letters.get_or_create(&place).inc_by(source.dead_letters);
        if !source.scheduled {
            self.consumed.get_or_create(&place).inc_by(source.records);
            self.lag.get_or_create(&place).set(source.lag.max(0));
        }
        if !source.version.is_empty() {
            let version = OfVersion { faas_name: function.clone(), faas_version: source.version.clone() };
            self.versions.get_or_create(&version).set(1);
        }
        let state = InState {
            faas_name: function.clone(),
            messaging_destination_name: from.clone(),
            messaging_destination_partition_id: *partition,
            state: state(&source.standing, around.paused.contains(function)),
        };
        self.states.get_or_create(&state).set(1);
    }

    fn register(self, to: &mut Registry) {
        to.register("messaging_client_consumed_messages", "Records that a function has handled", self.consumed);
        to.register("isobar_lag_records", "Records that a function has not handled yet", self.lag);
        to.register("faas_invocations", "Calls of a function that were committed", self.calls);
        to.register("isobar_call_seconds", "Seconds spent in calls that were committed", self.seconds);
        to.register("isobar_dead_letters", "Records that became dead letters", self.letters);
        to.register("isobar_source_state", "1 for what a function does in a partition, or at a schedule", self.states);
        to.register("isobar_store_waiting", "1 where a store does not take what is written", self.waiting);
        to.register("isobar_function", "1 for the version of a function that is in charge", self.versions);
        to.register("isobar_build", "1 for the release of isobar", self.program);
        if let Some(free) = self.free {
            to.register("isobar_data_free_bytes", "Room on the disk of the data folder", free);
        }
        to.register("isobar_outbox_lag_records", "Writes that a store has not got yet", self.outboxes);
    }
}

fn state(standing: &Standing, by_operator: bool) -> &'static str {
    match standing {
        Standing::Idle => "idle",
        Standing::Running => "running",
        Standing::Retrying { .. } => "retrying",
        Standing::Waiting { .. } => "waiting",
        Standing::Stopped { .. } if by_operator => "paused",
        Standing::Stopped { .. } => "stopped",
        Standing::Elsewhere => "elsewhere",
        Standing::Paced { .. } => "paced",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::samples::{self, source};

    /// What is told of one function, and of a store that is away.
    fn told() -> String {
        let sources = [
            source("count", "orders", 0, |s| (s.records, s.commits, s.call_micros, s.lag) = (7, 2, 1_500_000, 3)),
            source("count", "orders", 1, |s| {
                (s.records, s.commits, s.call_micros) = (1, 1, 500_000);
                s.standing = Standing::Stopped { reason: "SECRET".into() };
            }),
            source("count", "orders", 2, |s| s.version = "3fa9".into()),
            source("postgres", "shop.count.outbox", 1, |s| {
                (s.lag, s.standing) = (4, Standing::Waiting { reason: "SECRET".into() });
            }),
        ];
        let around = Surroundings { free_bytes: Some(1 << 30), paused: BTreeSet::new() };
        text(&samples::application(), &sources, &around).unwrap()
    }

    #[test]
    fn numbers_are_told_by_function_and_partition_without_words_of_guests() {
        let text = told();
        for line in [
            r#"messaging_client_consumed_messages_total{faas_name="count",messaging_destination_name="orders",messaging_destination_partition_id="0"} 7"#,
            r#"isobar_lag_records{faas_name="count",messaging_destination_name="orders",messaging_destination_partition_id="0"} 3"#,
            r#"faas_invocations_total{faas_name="count",messaging_destination_name="orders",messaging_destination_partition_id="0"} 2"#,
            r#"isobar_function{faas_name="count",faas_version="3fa9"} 1"#,
            "isobar_data_free_bytes 1073741824",
            r#"isobar_store_waiting{store="postgres",messaging_destination_name="shop.count.outbox",messaging_destination_partition_id="1"} 1"#,
            r#"isobar_call_seconds_total{faas_name="count",messaging_destination_name="orders",messaging_destination_partition_id="0"} 1.5"#,
            r#"isobar_outbox_lag_records{store="postgres",messaging_destination_name="shop.count.outbox",messaging_destination_partition_id="1"} 4"#,
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
        assert!(text.contains(r#"state="stopped""#) && !text.contains("SECRET"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn what_an_operator_paused_is_told_from_what_stopped_by_itself() {
        let stopped = source("count", "orders", 0, |s| s.standing = Standing::Stopped { reason: "SECRET".into() });
        let state = |paused: &[&str]| {
            let around = Surroundings {
                paused: paused.iter().map(|&name| name.to_owned()).collect(),
                ..Surroundings::default()
            };
            text(&samples::application(), std::slice::from_ref(&stopped), &around).unwrap()
        };
        assert!(state(&[]).contains(r#"state="stopped""#));
        assert!(state(&["count"]).contains(r#"state="paused""#));
    }

    #[test]
    fn dashboard_and_alerts_ask_for_what_is_told() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/grafana");
        let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
        let dashboard: serde_json::Value = serde_json::from_str(&read("dashboard.json")).unwrap();
        let panels = dashboard["panels"].as_array().unwrap().iter();
        let shown = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
        let shown = shown.map(|target| target["expr"].as_str().unwrap().to_owned());
        let alerts = read("alerts.yml");
        let raised = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ").map(str::to_owned));
        let told = told();
        let known: BTreeSet<&str> = told.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        let (mut asked, mut unknown) = (0, Vec::new());
        for query in shown.chain(raised) {
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for word in words.filter(|word| ["isobar_", "faas_", "messaging_"].iter().any(|of| word.starts_with(of))) {
                asked += 1;
                if !known.contains(word) {
                    unknown.push(format!("`{word}` in `{query}`"));
                }
            }
        }
        assert!(asked > 30 && unknown.is_empty(), "{asked} words, of which nobody tells {unknown:#?}");
    }
}
